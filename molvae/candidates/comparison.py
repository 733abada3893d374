"""What a later run found that an earlier one did not: molecules, scaffolds, scores and settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molvae.candidates.lookup import rank_candidates
from molvae.candidates.run_data import RunData, read_run, require_rows
from molvae.candidates.screen import WIDTH, cut, fraction, wrap
from molvae.chem.fingerprints import nearest_references
from molvae.chem.scaffolds import murcko

N_TOP = 100

_TOLERANCE = 2e-4  # a CSV file holds six significant digits
_MIN_GAIN = 0.005
_N_LISTED = 12
_OBJECTIVE = "objective."
_CHECKS = "checks."
_NO_MEMBERS = {
    "n_earlier": 0,
    "n_later": 0,
    "best_earlier": np.nan,
    "best_later": np.nan,
    "best_smiles_earlier": None,
    "best_smiles_later": None,
    "best_id_earlier": None,
    "best_id_later": None,
}
"""The columns of a scaffold without members that passed every check."""


@dataclass(frozen=True)
class SettingChange:
    """A setting, or an input file of the search, that differs.

    Parameters
    ----------
    name : str
        Section and key, such as `search.budget`; for a file, `file` and its name.
    earlier, later : str
        The values; "not set" if there is none.
    """

    name: str
    earlier: str
    later: str


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two runs compared; shown as text with `print` and with structures in notebooks.

    Parameters
    ----------
    earlier, later : str
        Names of the runs.
    molecules : DataFrame
        One row per molecule of either run: `smiles`, `status` (`new`: only in the later run, `lost`: only in the
        earlier one, `both`), `score_earlier`, `score_later`, `rank_earlier`, `rank_later` (by score among the scored
        molecules of the run), `passed_earlier`, `passed_later`, `candidate_id_earlier`, `candidate_id_later`,
        `scaffold`, `scaffold_status`. The best of the later run first; then those of the earlier.
    scaffolds : DataFrame
        One row per Bemis-Murcko scaffold: `scaffold`, `status`, `n_earlier`, `n_later` (molecules that passed every
        check), `best_earlier`, `best_later` (their highest scores), `best_smiles_earlier`, `best_smiles_later`,
        `best_id_earlier`, `best_id_later`. By descending `best_later`. Molecules without rings have none.
    best_new : DataFrame
        The best new molecules that passed every check: the columns of `molecules`, and the most similar molecule of the
        earlier run, `nearest_smiles`, with its `nearest_id`, `nearest_score` and Tanimoto similarity `similarity`.
    settings : tuple of SettingChange
        The settings that differ; those of the objective first.
    n_top, n_top_shared : int
        Size of the list of the best molecules of each run that passed every check, and how many are on both.
    notes : tuple of str
        What to consider, one sentence each.
    """

    earlier: str
    later: str
    molecules: pd.DataFrame
    scaffolds: pd.DataFrame
    best_new: pd.DataFrame
    settings: tuple[SettingChange, ...]
    n_top: int
    n_top_shared: int
    notes: tuple[str, ...]

    @property
    def rescored(self) -> pd.DataFrame:
        """The molecules of both runs with a different score, with the `difference`; the best of the later run first."""
        shared = self.molecules[self.molecules["status"] == "both"]
        difference = shared["score_later"] - shared["score_earlier"]
        found = shared.assign(difference=difference)[difference.abs() > _TOLERANCE]
        return found.sort_values("score_later", ascending=False, kind="stable", ignore_index=True)

    @property
    def is_comparable(self) -> bool:
        """Whether the scores of the two runs mean the same: equal objectives, and equal scores of shared molecules."""
        return not self.has_other_objective and self.rescored.empty

    @property
    def has_other_objective(self) -> bool:
        """Whether settings of the objective differ."""
        return any(setting.name.startswith(_OBJECTIVE) for setting in self.settings)

    @property
    def new_scaffolds(self) -> pd.DataFrame:
        """The scaffolds with molecules that passed every check in the later run, and none at all in the earlier one."""
        found = self.scaffolds[(self.scaffolds["status"] == "new") & (self.scaffolds["n_later"] > 0)]
        return found.reset_index(drop=True)

    @property
    def improved(self) -> pd.DataFrame:
        """The scaffolds of both runs with a better molecule in the later one; empty if scores are not comparable."""
        gain = self.scaffolds["best_later"] - self.scaffolds["best_earlier"]
        found = self.scaffolds.assign(gain=gain)[gain > _MIN_GAIN]
        return found.iloc[: len(found) if self.is_comparable else 0].reset_index(drop=True)

    def counts(self) -> pd.DataFrame:
        """The numbers of molecules and scaffolds.

        Returns
        -------
        DataFrame
            One row per kind: `what`, `earlier`, `later`, `new`, `lost`, `both`.
        """
        table = self.molecules
        before, after = _passed(table, "earlier"), _passed(table, "later")
        passed = pd.Series(np.select([before & after, before, after], ["both", "lost", "new"], ""))
        scaffolds = self.scaffolds
        rows = [
            {"what": "molecules scored", **_count(table["status"])},
            {"what": "passed every check", **_count(passed)},
            {"what": "scaffolds", **_count(scaffolds["status"])},
        ]
        return pd.DataFrame(rows)

    @property
    def answer(self) -> list[str]:
        """The answer in a few sentences."""
        new = self.molecules[self.molecules["status"] == "new"]
        passed = new[_passed(new, "later")]
        n_scaffolds = len(self.new_scaffolds)
        found = f"{self.later} found {_plural(len(new), 'molecule') if len(new) else 'no molecule'} that "
        found += f"{self.earlier} did not"
        if len(passed):
            scaffolds = _plural(n_scaffolds, "new scaffold") if n_scaffolds else "no new scaffold"
            found += f"; {len(passed):,} of them passed every check, with {scaffolds}"
        elif len(new):
            found += "; none of them passed every check"
        sentences = [f"{found}."]
        if self.is_comparable:
            best = self._best("earlier"), self._best("later")
            if not any(pd.isna(one) for one in best):
                sentences.append(f"The best score of a molecule that passed is {best[1]:.3f}; it was {best[0]:.3f}.")
        else:
            sentences.append(self._not_comparable())
        return sentences

    def __repr__(self) -> str:
        return f"Comparison({self.answer[0]})"

    def __str__(self) -> str:
        """The comparison as text of 80 columns."""
        parts = [
            [" and ".join(_labelled(one, label) for one, label in ((self.earlier, "earlier"), (self.later, "later")))],
            [line for sentence in self.answer for line in wrap(sentence)],
            self._settings_text(),
            self._counts_text(),
            self._best_text(),
            self._scaffolds_text(),
            self._changes_text(),
            [line for note in self.notes for line in wrap(f"note: {note}")],
        ]
        return "\n".join("\n".join(part) + "\n" for part in parts if part).rstrip("\n")

    def _repr_html_(self) -> str:
        """The comparison with structures, for notebooks."""
        from molvae.candidates.html import comparison_html, with_style  # imports jinja2

        return with_style(comparison_html(self))

    def _best(self, which: str) -> float:
        table = self.molecules[_passed(self.molecules, which)]
        return float(table[f"score_{which}"].max())

    def _not_comparable(self) -> str:
        shared, changed = int((self.molecules["status"] == "both").sum()), len(self.rescored)
        what = f"; {changed:,} of {shared:,} molecules of both runs have a different score" if shared else ""
        if self.has_other_objective:
            return f"The objectives differ, so scores of the two runs are not comparable{what}."
        return f"Scores of the two runs are not comparable, although the objectives are equal{what}."

    def _settings_text(self, n: int = 6) -> list[str]:
        if not self.settings:
            return []
        lines = ["Settings that differ"]
        for setting in self.settings[:n]:
            lines += wrap(f"{setting.name}: {cut(setting.earlier, 50)} -> {cut(setting.later, 50)}", indent="  ")
        more = len(self.settings) - n
        return [*lines, f"  and {more} more; -o FILE.html lists all"] if more > 0 else lines

    def _counts_text(self) -> list[str]:
        lines = [f"{'':<22}{'earlier':>9}{'later':>9}{'new':>9}{'lost':>9}{'both':>9}"]
        for row in self.counts().to_dict("records"):
            numbers = "".join(f"{row[name]:>9,}" for name in ("earlier", "later", "new", "lost", "both"))
            lines.append(f"{row['what']:<22}{numbers}")
        return [*lines, f"Of the best {self.n_top} that passed every check, {self.n_top_shared} are the same."]

    def _best_text(self, n: int = 5) -> list[str]:
        if self.best_new.empty:
            return ["No new molecule passed every check."]
        lines = ["Best new molecules that passed every check, compared with the earlier run"]
        lines.append(f"  {'molecule':<10}{'score':>6}{'similarity':>12}  {'scaffold':<8}  SMILES")
        for row in self.best_new.head(n).to_dict("records"):
            kind = "new" if row["scaffold_status"] == "new" else "known" if row["scaffold"] else "none"
            numbers = f"{fraction(row['score_later'], 3):>6}{row['similarity']:>12.2f}"
            lead = f"  {row['candidate_id_later']:<10}{numbers}  {kind:<8}  "
            lines.append(lead + cut(row["smiles"], WIDTH - len(lead)))
        return lines

    def _scaffolds_text(self, n: int = 5) -> list[str]:
        found = self.new_scaffolds
        if found.empty:
            return []
        lines = [f"New scaffolds of molecules that passed every check: {len(found):,}"]
        lines.append(f"  {'molecule':<10}{'score':>6}{'molecules':>12}  scaffold")
        for row in found.head(n).to_dict("records"):
            lead = f"  {row['best_id_later']:<10}{fraction(row['best_later'], 3):>6}{row['n_later']:>12,}  "
            lines.append(lead + cut(row["scaffold"], WIDTH - len(lead)))
        return lines

    def _changes_text(self, n: int = 4) -> list[str]:
        """Better molecules of known scaffolds; if scores are not comparable, molecules with a different score."""
        if not self.is_comparable:
            found = self.rescored
            lines = [f"Molecules with a different score: {len(found):,}; the best of the later run"]
            lines.append(f"  {'molecule':<10}{'earlier':>8}{'rank':>7}{'later':>8}{'rank':>7}  SMILES")
            for row in found.head(n).to_dict("records"):
                scores = f" {fraction(row['score_earlier'], 3):>7} {row['rank_earlier']:>6,}"
                scores += f" {fraction(row['score_later'], 3):>7} {row['rank_later']:>6,}"
                lead = f"  {row['candidate_id_later']:<10}{scores}  "
                lines.append(lead + cut(row["smiles"], WIDTH - len(lead)))
            return lines if len(found) else []
        found = self.improved
        if found.empty:
            return []
        lines = [f"Scaffolds of both runs with a better molecule in the later run: {len(found):,}"]
        lines.append(f"  {'molecule':<10}{'earlier':>8}{'later':>8}  SMILES")
        for row in found.head(n).to_dict("records"):
            scores = f" {fraction(row['best_earlier'], 3):>7} {fraction(row['best_later'], 3):>7}"
            lead = f"  {row['best_id_later']:<10}{scores}  "
            lines.append(lead + cut(row["best_smiles_later"], WIDTH - len(lead)))
        return lines


def compare_candidates(earlier: Path | str | pd.DataFrame, later: Path | str | pd.DataFrame) -> Comparison:
    """Compare two runs: what the later one found that the earlier one did not.

    Two molecules are the same if their canonical SMILES are equal. With the folders of runs, the settings are also
    compared: scores under different objectives are not comparable.

    Parameters
    ----------
    earlier, later : Path, str or DataFrame
        Folder of a run, a candidates.csv or candidates.parquet, or a candidate table.

    Returns
    -------
    Comparison
        Shown as text with `print`, and with structures in notebooks.

    Raises
    ------
    InputError
        A table does not exist, is not a candidate table or has no rows.

    Examples
    --------
    >>> import molvae
    >>> from molvae.codec import ToyCodec
    >>> tables = []
    >>> for seed in (0, 1):
    ...     settings = molvae.SearchSettings(budget=20)
    ...     result = molvae.optimize(
    ...         lambda smiles: [1 / len(s) for s in smiles], settings=settings, codec=ToyCodec(), seed=seed
    ...     )
    ...     tables.append(molvae.build_candidates(result.table, reference=["CC(=O)Nc1ccccc1"]))
    >>> int(compare_candidates(*tables).counts()["later"][0])
    20
    """
    return compare_runs(read_run(earlier), read_run(later))


def compare_runs(earlier: RunData, later: RunData) -> Comparison:
    """Compare two runs that are already read; see `compare_candidates`.

    Parameters
    ----------
    earlier, later : RunData
        The runs.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        A run has no candidates.
    """
    for run in (earlier, later):
        require_rows(run)
    molecules = _molecules(earlier.table, later.table)
    scaffolds = _scaffolds(molecules)
    statuses = dict(zip(scaffolds["scaffold"], scaffolds["status"], strict=True))
    molecules["scaffold_status"] = [statuses.get(one) for one in molecules["scaffold"]]
    settings = _settings(earlier, later)
    n_top, n_shared = _top(earlier.table, later.table)
    notes = []
    for run in (earlier, later):
        if not run.campaign:
            notes.append(f"the settings of {run.name} are not known, so the objectives are not compared")
    if any(setting.name.startswith(_CHECKS) for setting in settings):
        notes.append("the checks differ: a molecule can pass in one run and fail in the other")
    if earlier.name == later.name:
        earlier, later = (_renamed(run, label) for run, label in ((earlier, "earlier"), (later, "later")))
    return Comparison(
        earlier.name, later.name, molecules, scaffolds, _best_new(molecules, earlier.table), settings, n_top, n_shared,
        tuple(notes),
    )  # fmt: skip


def _renamed(run: RunData, label: str) -> RunData:
    return RunData(_labelled(run.name, label), run.table)


def _labelled(name: str, label: str) -> str:
    return name if name.endswith(f" ({label})") else f"{name} ({label})"


def _molecules(earlier: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """One row per molecule of either run."""
    names = ["smiles", "candidate_id", "score", "rank", "passed"]
    ranked = [table.assign(rank=table["score"].rank(method="min", ascending=False)) for table in (later, earlier)]
    parts = [table.iloc[rank_candidates(table)][names] for table in ranked]
    merged = parts[0].merge(parts[1], on="smiles", how="outer", suffixes=("_later", "_earlier"), sort=False)
    order = {smiles: n for n, smiles in enumerate(dict.fromkeys([*parts[0]["smiles"], *parts[1]["smiles"]]))}
    merged = merged.sort_values("smiles", key=lambda column: column.map(order), kind="stable", ignore_index=True)
    in_earlier, in_later = merged["candidate_id_earlier"].notna(), merged["candidate_id_later"].notna()
    known: dict[str, str] = {}
    for table in (earlier, later):
        if "scaffold" in table:
            known |= {s: one or "" for s, one in zip(table["smiles"], table["scaffold"].fillna(""), strict=True)}
    scaffolds = [known[one] if one in known else murcko(one) for one in merged["smiles"]]
    return pd.DataFrame(
        {
            "smiles": merged["smiles"],
            "status": np.select([~in_earlier, ~in_later], ["new", "lost"], "both"),
            "score_earlier": merged["score_earlier"].astype(float),
            "score_later": merged["score_later"].astype(float),
            "rank_earlier": merged["rank_earlier"].astype("Int64"),
            "rank_later": merged["rank_later"].astype("Int64"),
            "passed_earlier": merged["passed_earlier"].astype("boolean"),
            "passed_later": merged["passed_later"].astype("boolean"),
            "candidate_id_earlier": merged["candidate_id_earlier"],
            "candidate_id_later": merged["candidate_id_later"],
            "scaffold": pd.Series([one or None for one in scaffolds], dtype=object),
        }
    )


def _scaffolds(molecules: pd.DataFrame) -> pd.DataFrame:
    """One row per scaffold, by the best score of the later run."""
    rows: dict[str, dict[str, Any]] = {}
    passed = {which: _passed(molecules, which) for which in ("earlier", "later")}
    for number, molecule in enumerate(molecules.to_dict("records")):
        scaffold = molecule["scaffold"]
        if scaffold is None:
            continue
        row = rows.setdefault(scaffold, {"scaffold": scaffold, "status": molecule["status"], **_NO_MEMBERS})
        if row["status"] != molecule["status"]:
            row["status"] = "both"
        for which in ("earlier", "later"):
            if not passed[which][number]:
                continue
            row[f"n_{which}"] += 1
            score = molecule[f"score_{which}"]
            if score > row[f"best_{which}"] or (np.isnan(row[f"best_{which}"]) and not np.isnan(score)):
                row[f"best_{which}"] = score
                row[f"best_smiles_{which}"] = molecule["smiles"]
                row[f"best_id_{which}"] = molecule[f"candidate_id_{which}"]
    table = pd.DataFrame(list(rows.values()), columns=["scaffold", "status", *_NO_MEMBERS])
    return table.sort_values("best_later", ascending=False, kind="stable", ignore_index=True)


def _passed(molecules: pd.DataFrame, which: str) -> np.ndarray:
    """Whether each molecule passed every check in the earlier or later run; False if it is not in this run."""
    return molecules[f"passed_{which}"].to_numpy(bool, na_value=False)


def _best_new(molecules: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """The best new molecules that passed every check, with the most similar molecule of the earlier run."""
    new = molecules[(molecules["status"] == "new") & _passed(molecules, "later")]
    best = new.sort_values("score_later", ascending=False, kind="stable", ignore_index=True).head(_N_LISTED)
    if best.empty:
        return best.assign(nearest_smiles=None, nearest_id=None, nearest_score=np.nan, similarity=np.nan)
    rows, similarity = nearest_references(best["smiles"].tolist(), earlier["smiles"].tolist())
    nearest = earlier.iloc[rows]
    return best.assign(
        nearest_smiles=nearest["smiles"].to_numpy(),
        nearest_id=nearest["candidate_id"].to_numpy(),
        nearest_score=nearest["score"].to_numpy(float),
        similarity=similarity.astype(float),
    )


def _top(earlier: pd.DataFrame, later: pd.DataFrame) -> tuple[int, int]:
    """Size of the lists of the best molecules that passed, and how many molecules are on both."""
    ranked = [table.iloc[rank_candidates(table)] for table in (earlier, later)]
    passed = [table["smiles"][table["passed"] & table["score"].notna()] for table in ranked]
    n = min(N_TOP, *map(len, passed))
    return n, len(set(passed[0].head(n)) & set(passed[1].head(n)))


def _settings(earlier: RunData, later: RunData) -> tuple[SettingChange, ...]:
    """The settings and input files that differ; those of the objective first."""
    if not earlier.campaign or not later.campaign:
        return ()
    before, after = _flatten(earlier.campaign), _flatten(later.campaign)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    names.sort(key=lambda name: not name.startswith(_OBJECTIVE))  # stable
    found = [
        SettingChange(name, before.get(name, "not set"), after.get(name, "not set"))
        for name in names
        if name != "objective.cache"
    ]
    for name, digest in earlier.inputs.items():
        other = later.inputs.get(name)
        if other is not None and other != digest:
            found.append(SettingChange(f"file {name}", f"sha256 {digest[:12]}", f"sha256 {other[:12]}"))
    return tuple(found)


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings by section and key, as text."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flatten(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = _setting_text(value)
    return found


def _setting_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_setting_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _count(statuses: pd.Series) -> dict[str, int]:
    n = {name: int((statuses == name).sum()) for name in ("new", "lost", "both")}
    return {"earlier": n["lost"] + n["both"], "later": n["new"] + n["both"], **n}


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
