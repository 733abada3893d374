"""Why a candidate has its score: its lineage, its terms next to those of others, its checks and its neighbors."""

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molvae.candidates.lineage import Step, trace_lineage
from molvae.candidates.lookup import find_candidate, rank_candidates
from molvae.candidates.run_data import RunData, read_run, require_rows
from molvae.candidates.screen import WIDTH, cut, fraction, wrap
from molvae.checks.check import PASS
from molvae.chem.changes import Change, compare_structures
from molvae.chem.fingerprints import on_bits

N_NEIGHBORS, N_BITS = 5, 2048

_N_FIRST, _N_LAST = 2, 5
_N_MEASURED = 3
_MIN_GAIN = 0.005
_TOLERANCE = 1e-4  # a CSV file holds six significant digits
_MEANS = {
    "geometric_mean": "geometric mean",
    "arithmetic_mean": "arithmetic mean",
    "pareto": "arithmetic mean (several goals: the search looks for their Pareto front)",
}


@dataclass(frozen=True)
class TermScore:
    """A term of the score of a candidate.

    Parameters
    ----------
    name : str
        Name of the term.
    value : float
        Value, in the unit of the term; NaN if there is none.
    unit : str
        Unit; "" for a plain number.
    desirability : float
        In [0, 1].
    weight : float or None
        Weight in the mean; None if it is not known. Conditions have no weight.
    is_condition : bool
        Whether a desirability of 0 makes the score 0, regardless of the other terms.
    percentile : float
        Percentage of the scored molecules that are not better in this term.
    at_ideal : float
        The score, if the desirability of this term were 1; NaN if it is not known.
    extra : dict of str to float
        Further values of the scorer, such as the standard deviation of a prediction.
    parent, mate, other : (float, float)
        Value and desirability of the parent, of the second parent, and of the candidate to compare with; NaN if there
        is none.
    """

    name: str
    value: float
    unit: str
    desirability: float
    weight: float | None
    is_condition: bool
    percentile: float
    at_ideal: float
    extra: Mapping[str, float]
    parent: tuple[float, float]
    mate: tuple[float, float]
    other: tuple[float, float]


@dataclass(frozen=True)
class Neighbor:
    """A similar candidate of the same run.

    Parameters
    ----------
    candidate_id, smiles : str
        Id and canonical SMILES.
    score : float
        Score; NaN if it has none.
    passed : bool
        Whether it passed every check.
    similarity : float
        Tanimoto similarity (Morgan fingerprints, radius 2, 2,048 bits).
    distance : float
        Euclidean distance of the latent vectors; NaN if they are not known.
    """

    candidate_id: str
    smiles: str
    score: float
    passed: bool
    similarity: float
    distance: float


@dataclass(frozen=True)
class Measured:
    """A measured molecule that is similar to the candidate.

    Parameters
    ----------
    term : str
        The term whose model was fitted to it.
    smiles : str
        Canonical SMILES.
    value : float
        The measured value; the median of several.
    unit : str
        Its unit; "" for a plain number.
    similarity : float
        Tanimoto similarity to the candidate.
    """

    term: str
    smiles: str
    value: float
    unit: str
    similarity: float


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why a candidate has its score; shown as text with `print` and with structures in notebooks.

    Parameters
    ----------
    run : str
        Name of the run.
    candidate : dict
        Row of the candidate table, by column.
    rank, n_scored : int
        Rank by score among the molecules with a score, and their number; rank 0 without a score.
    rank_passed, n_passed : int
        The same among those that passed every check; rank 0 if it failed one.
    terms : tuple of TermScore
        Terms of the objective.
    combination : str
        How the terms combine into the score; "" if it is not known.
    limiting : tuple of str
        The terms that limit the score most: at a desirability of 1 the score would increase most.
    lineage : tuple of Step
        From a molecule without a parent to the candidate.
    other : dict or None
        Row of the candidate that it is compared with: the best one, or for the best one the next.
    other_label : str
        Label of this candidate, such as `rank 2`.
    checks : tuple of (str, str)
        Name of each check, with `pass` or the reason why the molecule fails.
    nearest_change : Change or None
        The difference between the nearest reference molecule and the candidate.
    measured : tuple of Measured
        The most similar molecules of each assay, the most similar ones first; empty without a model.
    by_latent, by_fingerprint : tuple of Neighbor
        The nearest candidates by latent distance, and by similarity.
    notes : tuple of str
        What is missing, one sentence each.
    """

    run: str
    candidate: Mapping[str, Any]
    rank: int
    n_scored: int
    rank_passed: int
    n_passed: int
    terms: tuple[TermScore, ...]
    combination: str
    limiting: tuple[str, ...]
    lineage: tuple[Step, ...]
    other: Mapping[str, Any] | None
    other_label: str
    checks: tuple[tuple[str, str], ...]
    nearest_change: Change | None
    measured: tuple[Measured, ...]
    by_latent: tuple[Neighbor, ...]
    by_fingerprint: tuple[Neighbor, ...]
    notes: tuple[str, ...]

    @property
    def failed_checks(self) -> tuple[tuple[str, str], ...]:
        """The checks that the molecule fails, with the reasons."""
        return tuple((name, reason) for name, reason in self.checks if reason != PASS)

    @property
    def answer(self) -> list[str]:
        """The answer in a few sentences."""
        return [self._standing(), *self._comparison(), *self._limit()]

    def __repr__(self) -> str:
        return f"Explanation({self.candidate['candidate_id']}: {self._standing()})"

    def __str__(self) -> str:
        """The explanation as text of 80 columns; long lineages are shortened."""
        parts = [
            self._head(),
            *([self._terms_table()] if self.terms else []),
            self._lineage_table(),
            self._checks_text(),
            self._measured_text(),
            self._neighbors_text(),
            [line for note in self.notes for line in wrap(f"note: {note}")],
        ]
        return "\n".join("\n".join(part) + "\n" for part in parts if part).rstrip("\n")

    def _repr_html_(self) -> str:
        """The explanation with structures, for notebooks."""
        from molvae.candidates.html import explanation_html, with_style  # imports jinja2

        return with_style(explanation_html(self))

    def _standing(self) -> str:
        score, passed = self.candidate["score"], self.candidate["passed"]
        if not self.rank:
            reason = self.candidate.get("unscored_reason")
            return f"It has no score{f': {reason}' if isinstance(reason, str) else ''}."
        among = f"rank {self.rank:,} of {self.n_scored:,} scored"
        if passed:
            among = f"rank {self.rank_passed:,} of {self.n_passed:,} that passed every check, {among}"
        elif self.failed_checks:
            among += f"; it fails {', '.join(name for name, _ in self.failed_checks)}"
        else:
            among += "; it fails a check"
        front = self.candidate.get("front")
        among += f"; on Pareto front {front:,}" if _is_number(front) and front else ""
        return f"Score {score:.3f}: {among}."

    def _comparison(self) -> list[str]:
        """The terms in which it differs most from the candidate to compare with."""
        if self.other is None or not self.rank or not np.isfinite(self.other["score"]):
            return []
        parts = []
        for term in self.terms:
            difference = term.desirability - term.other[1]
            if abs(difference) >= 0.005:
                values = f"{_short(term.value)} against {_short(term.other[0])}"
                parts.append((-abs(difference), f"{term.name} ({values})", difference > 0))
        better = [text for _, text, is_better in sorted(parts) if is_better]
        worse = [text for _, text, is_better in sorted(parts) if not is_better]
        name = f"{self.other['candidate_id']} ({self.other_label}, {self.other['score']:.3f})"
        if not better and not worse:
            return [f"Its terms are as good as those of {name}."] if self.terms else []
        texts = [f"better in {', '.join(better)}"] if better else []
        texts += [f"worse in {', '.join(worse)}"] if worse else []
        return [f"Compared with {name}, it is {' and '.join(texts)}."]

    def _limit(self) -> list[str]:
        found = [term for term in self.terms if term.name in self.limiting]
        if not found:
            return []
        ideal = found[0].at_ideal
        return [
            f"{' and '.join(self.limiting)} {'limit' if len(found) > 1 else 'limits'} the score most: "
            f"at a desirability of 1 {'each ' if len(found) > 1 else ''}it would be {ideal:.3f}."
        ]

    def _head(self) -> list[str]:
        row = self.candidate
        name = f"{row['candidate_id']} of {self.run}"
        lines = [name, f"  {cut(row['smiles'], WIDTH - 2)}", ""]
        for sentence in self.answer:
            lines += wrap(sentence)
        predicted = row.get("predicted_score")
        if _is_number(predicted):
            spread = f" ± {row['predicted_std']:.3f}" if _is_number(row.get("predicted_std")) else ""
            lines += wrap(f"Before it was scored, the surrogate predicted {predicted:.3f}{spread}.")
        return lines

    def _terms_table(self) -> list[str]:
        has_parent = any(_is_number(term.parent[1]) for term in self.terms)
        widest = min(max(len(term.name) for term in self.terms), 16)
        other = self.other_label if self.other is not None else ""
        heads = [f"{'term':<{widest}}", f"{'value':>9}", f"{'desir.':>6}"]
        heads += [f"{'parent':>16}"] if has_parent else []
        heads += [f"{other:>16}"] if other else []
        heads += [f"{'perc.':>5}", f"{'at 1':>6}"]
        lines = ["  ".join(heads)]
        for term in self.terms:
            cells = [
                f"{cut(term.name, widest):<{widest}}",
                f"{_short(term.value):>9}",
                f"{fraction(term.desirability, 2):>6}",
            ]
            cells += [_pair(term.parent)] if has_parent else []
            cells += [_pair(term.other)] if other else []
            cells += [f"{_integer(term.percentile):>5}", f"{fraction(term.at_ideal, 3):>6}"]
            lines.append("  ".join(cells))
        lines += wrap(
            "desir.: desirability (also the second number of other molecules); perc.: % of scored molecules that are "
            f"not better{'; at 1: score if this desirability were 1' if self.combination else ''}"
        )
        lines += wrap(f"score: {self.combination}") if self.combination else []
        for term in self.terms:
            extra = ", ".join(f"{name} {_short(value)}" for name, value in term.extra.items() if _is_number(value))
            unit = f" in {term.unit}" if term.unit else ""
            if extra or unit:
                lines += wrap(f"{term.name}{unit}{': ' if extra else ''}{extra}")
        return lines

    def _lineage_table(self) -> list[str]:
        n = len(self.lineage) - 1
        if not n:
            return [f"Lineage: {self.lineage[0].origin} in round {self.lineage[0].round}"]
        start = self.lineage[0]
        lines = [f"Lineage: {n} {'step' if n == 1 else 'steps'} from {start.candidate_id}, {_article(start.origin)}"]
        lines.append(f"{'round':>5}  {'move':<12} {'molecule':<9} {'score':>6}  change from the parent")
        for step in shorten(self.lineage, _N_FIRST, _N_LAST):
            if step is None:
                lines.append(f"{'':>5}  ... {len(self.lineage) - _N_FIRST - _N_LAST} more steps")
                continue
            text = step.description if not step.origin else f"{step.origin}: {step.smiles}"
            text += f"; second parent {step.mate_id}" if step.mate_id else ""
            first, *rest = textwrap.wrap(text, WIDTH - 38, max_lines=2, placeholder=" ...") or [""]
            number = "" if step.round is None else str(step.round)
            lead = f"{number:>5}  {cut(step.move, 12):<12} {cut(step.candidate_id, 9):<9} {fraction(step.score, 3):>6}"
            lines += [f"{lead}  {first}", *(f"{'':<38}{line}" for line in rest)]
        return lines

    def _checks_text(self) -> list[str]:
        failed = self.failed_checks
        n = len(self.checks)
        lines = []
        if not failed and self.candidate["passed"]:
            lines = [f"Checks: all {n} passed" if n else "Checks: all passed"]
        elif failed:
            lines = [f"Checks: {len(failed)} of {n} failed" if n > len(failed) else "Checks failed"]
            lines += [line for name, reason in failed for line in wrap(f"{name}: {reason}", indent="  ")]
        else:
            lines = wrap(f"Checks failed: {self.candidate.get('reason') or 'no reason is recorded'}")
        row = self.candidate
        if isinstance(row.get("nearest_reference"), str):
            similarity = row["nearest_reference_similarity"]
            lines += wrap(f"Nearest reference molecule: {row['nearest_reference']} (Tanimoto {similarity:.2f})")
            if row.get("nearest_reference_smiles") != row["nearest_reference"]:
                lines.append(f"  {cut(str(row.get('nearest_reference_smiles')), WIDTH - 2)}")
            if self.nearest_change is not None:
                lines += wrap(f"change from it: {self.nearest_change}", indent="  ")
        return lines

    def _measured_text(self) -> list[str]:
        lines = []
        for term in dict.fromkeys(one.term for one in self.measured):
            found = [one for one in self.measured if one.term == term]
            unit = f", {found[0].unit}" if found[0].unit else ""
            lines.append(f"Most similar measured molecules ({term}{unit})")
            for one in found:
                lead = f"  {'':<9} {one.value:>6.4g}  Tanimoto {one.similarity:.2f}  "
                lines.append(lead + cut(one.smiles, WIDTH - len(lead)))
        return lines

    def _neighbors_text(self, n: int = 2) -> list[str]:
        lines = []
        for title, found in (("fingerprint", self.by_fingerprint), ("latent distance", self.by_latent)):
            if found:
                lines.append(f"Most similar candidates by {title}")
            for one in found[:n]:
                distance = f"  distance {one.distance:.3g}" if title == "latent distance" else ""
                lead = f"  {one.candidate_id:<9} {fraction(one.score, 3):>6}  Tanimoto {one.similarity:.2f}{distance}  "
                lines.append(lead + cut(one.smiles, WIDTH - len(lead)))
        return lines


def explain(candidates: Path | str | pd.DataFrame, molecule: str = "best") -> Explanation:
    """Explain the score of a candidate: its lineage, its terms, its checks, and what is similar to it.

    Parameters
    ----------
    candidates : Path, str or DataFrame
        Folder of a run, a candidates.csv or candidates.parquet, or a candidate table. With the folder of a run, the
        explanation also has the units and weights of the terms, and the nearest candidates by latent distance.
    molecule : str, default="best"
        `best`, a rank (`1`: rows as in candidates.csv), a candidate_id, an InChIKey, or a SMILES in any form.

    Returns
    -------
    Explanation
        Shown as text with `print`, and with structures in notebooks.

    Raises
    ------
    InputError
        The table does not exist, is not a candidate table or has no rows, or has no such candidate.

    Examples
    --------
    >>> import molvae
    >>> from molvae.codec import ToyCodec
    >>> result = molvae.optimize(lambda smiles: [1 / len(s) for s in smiles], budget=20, codec=ToyCodec())
    >>> candidates = molvae.build_candidates(result.table, reference=["CC(=O)Nc1ccccc1"])
    >>> explain(candidates, "1").rank_passed
    1
    """
    return explain_candidate(read_run(candidates), molecule)


def explain_candidate(run: RunData, molecule: str) -> Explanation:
    """Explain the score of a candidate of a run that is already read; see `explain`.

    Parameters
    ----------
    run : RunData
        The run.
    molecule : str
        As for `explain`.

    Returns
    -------
    Explanation

    Raises
    ------
    InputError
        The run has no candidates, or no such candidate.
    """
    require_rows(run)
    table = run.table
    row = find_candidate(table, molecule)
    order = rank_candidates(table)
    score, passed = table["score"].to_numpy(float), table["passed"].to_numpy(bool)
    is_scored = not np.isnan(score[row])
    place = int(np.flatnonzero(order == row)[0])
    other = int(order[0] if place else order[1]) if len(order) > 1 else None
    candidate = _record(table, row)
    lineage = trace_lineage(table, candidate["candidate_id"])
    others = _row_of(table, candidate.get("parent_id")), _row_of(table, candidate.get("mate_id")), other
    terms, combination = _terms(run, row, *others)
    by_latent, by_fingerprint = _neighbors(run, row)
    reference = candidate.get("nearest_reference_smiles")
    checks, note = _checks(candidate)
    notes = [*run.notes, *([note] if note else [])]
    if not combination and terms:
        notes.append("it is not known how the terms are combined, so the term that limits the score is not given")
    return Explanation(
        run=run.name,
        candidate=candidate,
        rank=1 + int((score > score[row]).sum()) if is_scored else 0,
        n_scored=int((~np.isnan(score)).sum()),
        rank_passed=1 + int((score[passed] > score[row]).sum()) if is_scored and passed[row] else 0,
        n_passed=int((passed & ~np.isnan(score)).sum()),
        terms=tuple(terms),
        combination=combination,
        limiting=_limiting(terms, score[row]),
        lineage=tuple(lineage),
        other=None if other is None else _record(table, other),
        other_label="rank 2" if not place else "rank 1",
        checks=tuple(checks),
        nearest_change=compare_structures(reference, candidate["smiles"]) if isinstance(reference, str) else None,
        measured=tuple(_measured(run, candidate["smiles"])),
        by_latent=tuple(by_latent),
        by_fingerprint=tuple(by_fingerprint),
        notes=tuple(notes),
    )


def shorten(steps: Sequence[Step], n_first: int, n_last: int) -> list[Step | None]:
    """The first and the last steps of a long lineage, with None for those between.

    Parameters
    ----------
    steps : sequence of Step
        The lineage.
    n_first, n_last : int
        Number of steps to keep at both ends.

    Returns
    -------
    list of Step or None
        All steps if at most one would be left out.
    """
    if len(steps) <= n_first + n_last + 1:
        return list(steps)
    return [*steps[:n_first], None, *steps[-n_last:]]


def _record(table: pd.DataFrame, row: int) -> dict[str, Any]:
    return {str(name): table[name].iloc[row] for name in table}


def _row_of(table: pd.DataFrame, candidate_id: object) -> int | None:
    rows = np.flatnonzero(table["candidate_id"] == candidate_id)
    return int(rows[0]) if len(rows) else None


def _terms(
    run: RunData, row: int, parent: int | None, mate: int | None, other: int | None
) -> tuple[list[TermScore], str]:
    """The terms of a candidate, and how they combine; "" if the settings do not give the scores of the table."""
    table = run.table
    names = [str(name).removeprefix("score_") for name in table if str(name).startswith("score_")]
    settings: Mapping[str, Any] = run.objective.get("terms", {})
    desirabilities = np.array([table[f"score_{name}"].to_numpy(float) for name in names]).reshape(-1, len(table))
    combine = _combination(run.objective, names)
    is_known = combine is not None and _gives(combine(desirabilities), table["score"].to_numpy(float))
    found = []
    for number, name in enumerate(names):
        own = desirabilities[number]
        ideal = desirabilities[:, [row]].copy()
        ideal[number] = 1.0
        known = own[~np.isnan(own)]
        found.append(
            TermScore(
                name=name,
                value=_cell(table, f"value_{name}", row),
                unit=run.units.get(name, ""),
                desirability=float(own[row]),
                weight=_weight(settings.get(name)),
                is_condition=name in settings and _is_condition(settings[name]),
                percentile=100 * float((known <= own[row]).mean()) if not np.isnan(own[row]) else float("nan"),
                at_ideal=float(combine(ideal)[0]) if is_known and combine is not None else float("nan"),
                extra=_extra(table, name, names, row),
                parent=_value_and_desirability(table, name, parent),
                mate=_value_and_desirability(table, name, mate),
                other=_value_and_desirability(table, name, other),
            )
        )
    return found, _describe_combination(run.objective, found) if is_known else ""


def _combination(objective: Mapping[str, Any], names: Sequence[str]) -> Any:
    """A function of desirabilities (terms, n) that gives the scores (n,); None if the settings are not known."""
    terms: Mapping[str, Any] = objective.get("terms", {})
    if not names or set(names) != set(terms):
        return None
    conditions = [n for n, name in enumerate(names) if _is_condition(terms[name])]
    weights = np.array([0.0 if n in conditions else _weight(terms[name]) for n, name in enumerate(names)])
    is_geometric = objective.get("combine", "geometric_mean") == "geometric_mean"

    def combine(desirabilities: np.ndarray) -> np.ndarray:
        score = np.ones(desirabilities.shape[1])
        if weights.any():
            counted, shares = desirabilities[weights > 0], (weights / weights.sum())[weights > 0][:, None]
            with np.errstate(divide="ignore"):
                score = (
                    np.exp((shares * np.log(counted)).sum(axis=0)) if is_geometric else (shares * counted).sum(axis=0)
                )
        return np.asarray(score * desirabilities[conditions].prod(axis=0))

    return combine


def _gives(computed: np.ndarray, score: np.ndarray) -> bool:
    is_known = ~np.isnan(score)
    return bool(np.allclose(computed[is_known], score[is_known], atol=_TOLERANCE))


def _is_condition(term: Mapping[str, Any]) -> bool:
    """Whether a term is a condition: such a term has no form of a desirability function."""
    return "shape" not in term


def _weight(term: Mapping[str, Any] | None) -> Any:
    if term is None or _is_condition(term):
        return None
    return float(term.get("weight", 1.0))


def _describe_combination(objective: Mapping[str, Any], terms: Iterable[TermScore]) -> str:
    listed = list(terms)
    weighted = [term for term in listed if not term.is_condition and term.weight]
    conditions = [term.name for term in listed if term.is_condition]
    unused = [term.name for term in listed if term.weight == 0]
    mean = _MEANS.get(str(objective.get("combine", "geometric_mean")), "mean")
    if not weighted:
        return "1 if all conditions are met, else 0"
    is_equal = len({term.weight for term in weighted}) == 1
    weights = "equal weights" if is_equal else ", ".join(f"{term.name} {term.weight:g}" for term in weighted)
    text = f"{mean} of the desirabilities ({weights if is_equal else f'weights: {weights}'})"
    text += f", times the conditions {', '.join(conditions)}" if conditions else ""
    return text + (f"; not counted: {', '.join(unused)}" if unused else "")


def _limiting(terms: Sequence[TermScore], score: float) -> tuple[str, ...]:
    """The terms whose ideal value would increase the score most."""
    gains = {term.name: term.at_ideal - score for term in terms if not math.isnan(term.at_ideal)}
    most = max(gains.values(), default=0.0)
    if most < _MIN_GAIN:
        return ()
    return tuple(name for name, gain in gains.items() if gain > most - 1e-9)


def _extra(table: pd.DataFrame, name: str, names: Iterable[str], row: int) -> dict[str, float]:
    """The further values of a term: those of `value_<term>_*` that are not the value of another term."""
    prefix = f"value_{name}_"
    taken = {f"value_{one}" for one in names}
    columns = [str(column) for column in table if str(column).startswith(prefix) and str(column) not in taken]
    return {column.removeprefix(prefix).replace("_", " "): _cell(table, column, row) for column in columns}


def _value_and_desirability(table: pd.DataFrame, name: str, row: int | None) -> tuple[float, float]:
    if row is None:
        return float("nan"), float("nan")
    return _cell(table, f"value_{name}", row), _cell(table, f"score_{name}", row)


def _cell(table: pd.DataFrame, column: str, row: int) -> float:
    return float(table[column].iloc[row]) if column in table else float("nan")


def _checks(candidate: Mapping[str, Any]) -> tuple[list[tuple[str, str]], str]:
    """The checks with their results, and a note if only the failed ones are known."""
    columns = [name for name in candidate if name.startswith("check_") and isinstance(candidate[name], str)]
    if columns:
        return [(_check_label(name.removeprefix("check_")), candidate[name]) for name in columns], ""
    names, reasons = candidate.get("failed_checks"), candidate.get("reason")
    listed = names.split(", ") if isinstance(names, str) else []
    parts = reasons.split("; ") if isinstance(reasons, str) else []
    if len(listed) == len(parts):
        return [(_check_label(name), reason) for name, reason in zip(listed, parts, strict=True)], ""
    return [(", ".join(listed) or "checks", reasons or "failed")] if reasons else [], ""


def _check_label(name: str) -> str:
    """What a molecule that passes the check is."""
    labels = {
        "in_reference": "not in the reference library",
        "in_training": "not in the training set",
        "in_domain": "in the domain of the codec",
        "in_model_domain": "in the domain of the models",
    }
    return labels.get(name, name.replace("_", " "))


def _neighbors(run: RunData, row: int) -> tuple[list[Neighbor], list[Neighbor]]:
    """The nearest candidates by latent distance and by fingerprint."""
    table = run.table
    smiles = table["smiles"].tolist()
    similarity = _similarity(smiles[row], smiles)
    distance = np.full(len(table), np.nan)
    if run.latent is not None:
        z = np.asarray(run.latent[table["latent_row"].to_numpy()], dtype=np.float64)
        distance = np.sqrt(((z - z[row]) ** 2).sum(axis=1))

    def pick(keys: np.ndarray) -> list[Neighbor]:
        keys = np.where(np.arange(len(keys)) == row, np.inf, keys)
        rows = [one for one in np.argsort(keys, kind="stable")[:N_NEIGHBORS] if np.isfinite(keys[one])]
        return [
            Neighbor(
                str(table["candidate_id"].iloc[one]), smiles[one], float(table["score"].iloc[one]),
                bool(table["passed"].iloc[one]), float(similarity[one]), float(distance[one]),
            )
            for one in rows
        ]  # fmt: skip

    return pick(distance), pick(-similarity)


def _measured(run: RunData, smiles: str) -> Iterator[Measured]:
    """The most similar measured molecules of each term that has a model."""
    for term, table in run.measured.items():
        members = table["smiles"].astype(str).tolist()
        similarity = _similarity(smiles, members)
        for row in np.argsort(-similarity, kind="stable")[:_N_MEASURED]:
            value = float(table["value"].iloc[row])
            yield Measured(term, members[row], value, run.units.get(term, ""), float(similarity[row]))


def _similarity(one: str, others: Sequence[str]) -> np.ndarray:
    """Tanimoto similarities (n,), as `molvae.chem.fingerprints.tanimoto`, without a full parse where possible."""
    is_on = np.zeros(N_BITS, dtype=bool)
    is_on[on_bits(one)] = True
    found = []
    for other in others:
        bits = np.frombuffer(on_bits(other, is_from_rdkit=True), dtype=np.uint16)
        n_common = int(is_on[bits].sum())
        found.append(n_common / max(int(is_on.sum()) + len(bits) - n_common, 1))
    return np.array(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not math.isnan(value)


def _short(value: float) -> str:
    """A value in at most eight characters; a dash if it is missing."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.3g}"


def _integer(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f}"


def _pair(pair: tuple[float, float]) -> str:
    return f"{_short(pair[0]):>9}  {fraction(pair[1], 2):>5}"


def _article(text: str) -> str:
    return (
        f"a {text}"
        if text.startswith(("start", "draw"))
        else f"which is {text}"
        if text == "not in this table"
        else text
    )
