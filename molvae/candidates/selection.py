"""Which candidates to order or to make: a diverse selection with high scores, and alternates for each pick."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import escape
from itertools import chain
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from molvae.candidates.build import is_eligible
from molvae.checks.known import find_known
from molvae.chem.clusters import butina_clusters, sphere_leaders
from molvae.chem.fingerprints import Fingerprints, nearest_references, on_bits
from molvae.chem.molecule_table import MoleculeTable, with_structures
from molvae.chem.molecules import standardize
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError
from molvae.inputs import align
from molvae.workers import LocalProcesses, WorkerFailure

Method = Literal["maxmin", "butina", "sphere"]

MAX_POOL = 20_000
"""Number of molecules, the best by score, that are compared with each pick."""
MAX_CLUSTERED = 4_000
"""The same for Butina clustering, which compares all pairs."""

PICK, ALTERNATE = "pick", "alternate"
PICK_COLUMNS = ("position", "role", "pick_reason", "scaffold_number", "nearest_pick", "nearest_pick_similarity")
"""The columns that a selection adds to those of the candidate table."""

_NEEDED = ("candidate_id", "smiles", "score")
_SHOWN = 3
_MIN_FOR_PROCESSES, _CHUNK_ROWS = 5_000, 500
_DIGITS = 6  # similarities that differ by less are ties, on every machine


@dataclass(frozen=True, repr=False)
class Selection:
    """Picked candidates, with alternates.

    Parameters
    ----------
    table : MoleculeTable
        The picks in the order in which they were picked, each followed by its alternates. Columns: those of the
        candidate table (`candidate_id` and `smiles` first), and

        - `position`: number of the pick; of an alternate, that of the pick that it can replace
        - `role`: `pick` or `alternate`
        - `pick_reason`: why it was picked
        - `scaffold_number`: number of its Bemis-Murcko scaffold in this selection; 0 without rings
        - `nearest_pick`, `nearest_pick_similarity`: the most similar other pick; of an alternate, the pick that it can
          replace
    comparison : DataFrame
        Rows `picks` and `best` (as many molecules, by score alone). Columns: `n`, `mean_score`,
        `mean_nearest_similarity` (mean similarity to the nearest other molecule of the row), `mean_similarity` (mean
        over all pairs), `n_scaffolds` (a molecule without rings counts as a scaffold of its own).
    notes : list of str
        What was left out and why, one sentence each.
    """

    table: MoleculeTable
    comparison: pd.DataFrame
    notes: list[str]

    @property
    def picks(self) -> MoleculeTable:
        """The picks, without the alternates."""
        return with_structures(self.table[self.table["role"] == PICK].reset_index(drop=True))

    @property
    def alternates(self) -> MoleculeTable:
        """The alternates."""
        return with_structures(self.table[self.table["role"] == ALTERNATE].reset_index(drop=True))

    def describe(self) -> list[str]:
        """How diverse the picks are compared with the best molecules by score, and what that costs.

        Returns
        -------
        list of str
            One sentence per line.
        """
        picks, best = (self.comparison.loc[name] for name in ("picks", "best"))
        lines = [
            f"scaffolds: {picks['n_scaffolds']:.0f}; the {best['n']:.0f} best by score have {best['n_scaffolds']:.0f}"
        ]
        if picks["n"] > 1:
            lines.append(
                f"mean similarity to the nearest other pick: {picks['mean_nearest_similarity']:.2f}; among the best: "
                f"{best['mean_nearest_similarity']:.2f}"
            )
        lines.append(f"mean score: {picks['mean_score']:.3f}; of the best: {best['mean_score']:.3f}")
        return lines

    def __repr__(self) -> str:
        return f"Selection({len(self.picks):,} picks, {len(self.alternates):,} alternates)"

    def _repr_html_(self) -> str:
        """For a notebook: the picks with structures, the comparison and the notes."""
        lines = "".join(f"<li>{escape(line)}</li>" for line in [*self.describe(), *self.notes])
        return f"{self.picks._repr_html_()}<ul>{lines}</ul>"


def pick_candidates(
    table: pd.DataFrame,
    n: int = 24,
    *,
    diversity: float = 0.5,
    method: Method = "maxmin",
    latent: np.ndarray | Mapping[str, np.ndarray] | None = None,
    latent_weight: float = 0.5,
    cutoff: float = 0.5,
    per_scaffold: int | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    exclude_similarity: float | None = None,
    alternates: int = 0,
    eligible: pd.Series | np.ndarray | None = None,
) -> Selection:
    """Pick n candidates with high scores that differ from each other.

    The picks are made one after the other. Each has the highest (1 - diversity) * rank + diversity * difference. The
    rank by score is scaled: 1 is the best eligible molecule, 0 the last. The difference depends on the method:

    - `maxmin`: 1 - the similarity to the nearest pick so far [1]_
    - `butina`: 1 / (1 + picks so far of its cluster), with clusters by the algorithm of Butina
    - `sphere`: the same with spheres: by descending score, each molecule that is not within `cutoff` of an earlier
      center is the center of a new sphere

    Of equal molecules, the one with the higher score is picked, then the one in the earlier row. The same input gives
    the same picks.

    Parameters
    ----------
    table : DataFrame
        Candidate table.
    n : int, default=24
        Number of picks.
    diversity : float, default=0.5
        0 picks the n best by score, 1 ignores the score (except of the first pick and in ties).
    method : {"maxmin", "butina", "sphere"}, default="maxmin"
        Definition of the difference.
    latent : ndarray of shape (m, D) or mapping of str to ndarray, optional
        Latent vectors of the search; the column `latent_row` gives the row of each candidate. For a table of
        `merge_candidates`, a mapping of runs to the latent vectors of each. Without them, the similarity is that of the
        fingerprints alone.
    latent_weight : float, default=0.5
        Weight of the cosine of the latent vectors (negative ones count as 0) in the similarity; the rest is the weight
        of the Tanimoto similarity of Morgan fingerprints (radius 2, 2,048 bits).
    cutoff : float, default=0.5
        For `butina` and `sphere`: similarity from which two molecules belong together.
    per_scaffold : int, optional
        Maximum number of picks with the same Bemis-Murcko scaffold. A molecule without rings counts as a scaffold of
        its own.
    include : iterable of str, default=()
        Molecules to pick first, in this order, eligible or not: ids of candidates, or SMILES.
    exclude : iterable of str, default=()
        Molecules that are not picked, such as those of an earlier order: ids of candidates, or SMILES. SMILES are
        standardized; stereo is ignored where one of the two molecules has none.
    exclude_similarity : float, optional
        Tanimoto similarity to a molecule of `exclude` from which a candidate is not picked either.
    alternates : int, default=0
        Number of alternates per pick: the most similar eligible molecules with the same scaffold; if there are not
        enough, the most similar ones with another scaffold. Each molecule is the alternate of one pick only.
    eligible : Series or ndarray of bool, optional
        Which rows may be picked; a Series has the row labels of the table. By default those of `is_eligible`.

    Returns
    -------
    Selection
        With fewer than n eligible molecules, all of them, and a note.

    Raises
    ------
    InputError
        A setting is out of range, no molecule is eligible, `include` holds more than n molecules or one of `exclude`,
        or `per_scaffold` does not permit n picks.

    References
    ----------
    .. [1] Kennard and Stone 1969, doi:10.1080/00401706.1969.10490666.

    Examples
    --------
    >>> import molvae
    >>> from molvae.codec import ToyCodec
    >>> result = molvae.optimize(lambda smiles: [1 / len(s) for s in smiles], budget=20, codec=ToyCodec())
    >>> candidates = molvae.build_candidates(result.table, reference=["CC(=O)Nc1ccccc1"])
    >>> selection = pick_candidates(candidates, 2, eligible=candidates["score"] > 0)
    >>> selection.table["pick_reason"].tolist()[0]
    'highest score'
    """
    _check_counts(n=(n, 1), per_scaffold=(per_scaffold, 1), alternates=(alternates, 0))
    _check_shares(
        diversity=diversity, latent_weight=latent_weight, cutoff=cutoff, exclude_similarity=exclude_similarity
    )
    if method not in get_args(Method):
        raise InputError(f"pick: method: expected {', '.join(get_args(Method))}, got {method}")
    missing = [name for name in (*_NEEDED, *(["passed"] if eligible is None else [])) if name not in table]
    if missing:
        raise InputError(f"pick: not a candidate table: no column {', '.join(missing)}")
    if not len(table):
        raise InputError("pick: the candidate table has no rows")
    is_allowed = _read_eligible(table, eligible)
    table = table.reset_index(drop=True)
    notes: list[str] = []
    given, unwanted = _find(table, include), _find(table, exclude)
    included = _included(table, given, is_allowed, n, notes)
    is_excluded = _excluded(table, unwanted, is_allowed, exclude_similarity, notes)
    both = [row for row in included if row in unwanted.item_of]
    if both or given.molecules & unwanted.molecules:
        name = table["smiles"][both[0]] if both else min(given.molecules & unwanted.molecules)
        raise InputError(f"pick: {name} is in both lists, to include and to exclude; remove it from one of them")
    is_free = is_allowed & ~is_excluded
    ranked = [row for row in _by_score(table, is_free) if row not in set(included)]
    rest = f"of {_plural(len(table), 'candidate')}, {(~is_allowed).sum():,} not eligible"
    rest += f", {(is_allowed & is_excluded).sum():,} excluded" if is_excluded.any() else ""
    if not ranked and not included:
        raise InputError(f"pick: there is nothing to pick from: {rest}")
    most = MAX_CLUSTERED if method == "butina" else MAX_POOL
    if len(ranked) > most:
        notes.append(f"only the {most:,} best by score of {len(ranked):,} eligible candidates are compared")
    rows = [*included, *ranked[:most]]
    z = _unit_vectors(table.iloc[rows], latent, latent_weight, notes)
    pool = _Pool(table.iloc[rows], len(included), z, latent_weight)
    _check_scaffolds(pool, n, per_scaffold)
    picks = _pick(pool, n, diversity, _groups(pool, n, method, cutoff), per_scaffold)
    if len(picks) < n:
        limit = f"; at most {per_scaffold} may have the same scaffold" if len(picks) < len(pool) else ""
        notes.append(f"{_plural(len(picks), 'pick')} instead of {n:,}: {rest}{limit}")
    items = [pick.item for pick in picks]
    replacements = _find_alternates(pool, items, alternates, per_scaffold, notes)
    best = [item for item in pool.by_score if is_free[pool.rows[item]]][: len(picks)]
    if "is_start" in table:
        starts = [pool.name(item) for item in items if pool.table["is_start"][item] in (True, np.True_)]
        notes += [f"picks that are start molecules of the search: {_some(starts)}"] if starts else []
    chosen = pool.part(items)
    return Selection(_list(pool, picks, chosen, replacements), _compare(chosen, pool.part(best)), notes)


def _check_counts(**counts: tuple[int | None, int]) -> None:
    """Raise InputError for a number that is not whole or is too small; each comes with the least one."""
    for name, (number, least) in counts.items():
        if number is not None and (isinstance(number, bool) or number != int(number) or number < least):
            raise InputError(f"pick: {name}: expected a whole number of at least {least}, got {number}")


def _check_shares(**shares: float | None) -> None:
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            raise InputError(f"pick: {name}: expected a number from 0 to 1, got {share}")


def _read_eligible(table: pd.DataFrame, eligible: pd.Series | np.ndarray | None) -> np.ndarray:
    flags = is_eligible(table) if eligible is None else align(eligible, table.index, len(table), "eligible")
    values = np.asarray(flags)
    if values.shape != (len(table),) or values.dtype != bool:
        raise InputError(
            f"pick: eligible: expected a flag for each of {len(table):,} rows, got {values.dtype} of shape "
            f"{values.shape}"
        )
    return values


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    """The first names."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _by_score(table: pd.DataFrame, is_free: np.ndarray) -> list[int]:
    """The rows that may be picked, by descending score."""
    scores = table["score"][is_free].sort_values(ascending=False, kind="stable", na_position="last")
    return [int(row) for row in scores.index]


# must include, must exclude


@dataclass(frozen=True)
class _Found:
    """The candidates that a list of molecules names."""

    items: list[str]
    rows: list[list[int]]  # of each item, in the order of the table
    item_of: dict[int, int]  # row -> number of its item
    molecules: set[str]  # the items as standardized SMILES
    invalid: list[str]

    def explain(self) -> str:
        """What was not found."""
        unread = set(self.invalid)
        missing = [item for item, rows in zip(self.items, self.rows, strict=True) if not rows and item not in unread]
        parts = [
            f"; {len(names):,} {problem}: {_some(names)}"
            for names, problem in (
                (missing, "not in the candidate table"),
                (self.invalid, "neither an id nor a SMILES"),
            )
            if names
        ]
        return "".join(parts)


def _find(table: pd.DataFrame, items: Iterable[str]) -> _Found:
    """Find molecules, given as ids or SMILES, in a candidate table."""
    given = list(dict.fromkeys(items))
    if isinstance(items, str):
        given = [items]
    ids: dict[str, list[int]] = {}
    for row, name in enumerate(table["candidate_id"]):
        ids.setdefault(name, []).append(row)
    for item in given:
        if len(ids.get(item, ())) > 1:
            raise InputError(f"pick: {item} is the id of molecules of {len(ids[item])} runs; give its SMILES instead")
    rows = [ids.get(item, []) for item in given]
    others = [number for number, item in enumerate(given) if item not in ids]
    smiles = dict(zip(others, _standardize([given[number] for number in others]), strict=True))
    library = {one: number for number, one in reversed(smiles.items()) if one is not None}
    matches = _match(table["smiles"].tolist(), library) if library else {}
    exact, near = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    for row, (number, is_exact) in matches.items():
        (exact if is_exact else near)[number].append(row)
    for number, one in smiles.items():
        if one is not None:
            first = library[one]  # the item may repeat an earlier molecule
            rows[number] = exact[first] or near[first]
    item_of = {row: number for row, (number, _) in matches.items()}
    item_of |= {row: number for number, found in enumerate(rows) for row in found}
    molecules = {one for one in smiles.values() if one is not None}
    molecules |= {table["smiles"][ids[item][0]] for item in given if item in ids}
    return _Found(given, rows, item_of, molecules, [given[number] for number, one in smiles.items() if one is None])


def _standardize(raw: Sequence[str]) -> list[str | None]:
    """The standardized SMILES; None for a string that is not a SMILES. Long lists are read by several processes."""
    if len(raw) <= _MIN_FOR_PROCESSES:
        return [standardize(one).smiles for one in raw]
    chunks = (raw[begin : begin + _CHUNK_ROWS] for begin in range(0, len(raw), _CHUNK_ROWS))
    answers = chain.from_iterable(LocalProcesses()(standardize, chunks))
    return [None if isinstance(answer, WorkerFailure) else answer.smiles for answer in answers]


def _match(smiles: Sequence[str], library: Mapping[str, int]) -> dict[int, tuple[int, bool]]:
    """Row -> number of the molecule of a library, and whether the stereo is the same; in the order of the rows."""
    names = {one: str(number) for one, number in library.items()}
    row_of = {one: row for row, one in enumerate(smiles)}
    for row, one in enumerate(smiles):
        if any(letter in one for letter in "+-."):  # only these can differ from their standardized form
            row_of.setdefault(standardize(one).smiles or one, row)
    found = find_known(row_of, names)
    matched = {row_of[one]: (int(str(name)), is_exact) for one, (name, is_exact) in found.items()}
    return dict(sorted(matched.items()))


def _included(table: pd.DataFrame, found: _Found, is_allowed: np.ndarray, n: int, notes: list[str]) -> list[int]:
    """The rows that must be picked: of each molecule the best stereoisomer, in the order of the list."""
    order = {row: place for place, row in enumerate(_by_score(table, is_allowed))}
    rows = [min(rows, key=lambda row: (order.get(row, len(table)), row)) for rows in found.rows if rows]
    rows = list(dict.fromkeys(rows))
    if found.items and (unknown := found.explain()):
        notes.append(f"list to include: {len(rows):,} found{unknown}")
    refused = [str(table["candidate_id"][row]) for row in rows if not is_allowed[row]]
    if refused:
        shown = (
            f"{', '.join(refused[:_SHOWN])}{f' and {len(refused) - _SHOWN:,} more' if len(refused) > _SHOWN else ''}"
        )
        notes.append(f"included, although not eligible: {shown}")
    if len(rows) > n:
        raise InputError(
            f"pick: {len(rows):,} molecules are to be included, more than the number of picks, {n:,}; raise n"
        )
    return rows


def _excluded(
    table: pd.DataFrame, found: _Found, is_allowed: np.ndarray, similarity: float | None, notes: list[str]
) -> np.ndarray:
    """Whether each candidate is one of the molecules of a list, or similar to one."""
    is_listed = np.isin(np.arange(len(table)), list(found.item_of))
    is_near = np.zeros(len(table), dtype=bool)
    if similarity is not None and found.molecules:
        rows = np.flatnonzero(is_allowed & ~is_listed)
        _, nearest = nearest_references(table["smiles"].iloc[rows].tolist(), sorted(found.molecules))
        is_near[rows] = nearest >= np.float32(similarity)
    if found.items:
        near = "" if similarity is None else f", {is_near.sum():,} more with a similarity of {similarity:g} or above"
        notes.append(f"list to exclude: {_plural(int(is_listed.sum()), 'candidate')}{near}{found.explain()}")
    return is_listed | is_near


# the molecules that are compared


_murcko = lru_cache(maxsize=MAX_POOL)(murcko)


class _Pool:
    """The molecules to pick from and their similarities; an item is a number in the pool, from 0.

    The first `n_first` items must be picked; the others follow by descending score.
    """

    def __init__(self, table: pd.DataFrame, n_first: int, z: np.ndarray | None, latent_weight: float) -> None:
        self.n_first = n_first
        self.rows: list[int] = table.index.tolist()
        self.table = table.reset_index(drop=True)
        self.smiles: list[str] = self.table["smiles"].tolist()
        self._scaffolds = self.table["scaffold"].tolist() if "scaffold" in table else None
        scores = np.nan_to_num(self.table["score"].to_numpy(float), nan=-np.inf)
        self.by_score: list[int] = np.lexsort((self.rows, -scores)).tolist()
        self.rank = 1 + np.searchsorted(np.sort(-scores), -scores)  # equal scores have the same rank
        fingerprints = Fingerprints()
        for one in self.smiles:
            fingerprints.append(on_bits(one, is_from_rdkit=True))
        self._bits = fingerprints.take(np.arange(len(self)), np.float32)
        self._counts = fingerprints.counts()
        self._weight = latent_weight
        self._z = z

    def __len__(self) -> int:
        return len(self.rows)

    def scaffold(self, item: int) -> str:
        """The Bemis-Murcko scaffold; "" without rings."""
        if self._scaffolds is None:
            return _murcko(self.smiles[item])
        scaffold = self._scaffolds[item]
        return scaffold if isinstance(scaffold, str) else ""

    def key(self, item: int) -> str:
        """A string that is equal for molecules of the same scaffold; its own for a molecule without rings."""
        return self.scaffold(item) or f"without rings: {self.smiles[item]}"

    @cached_property
    def key_numbers(self) -> np.ndarray:
        """A number (n,) per item that is equal for molecules of the same scaffold."""
        return np.unique([self.key(item) for item in range(len(self))], return_inverse=True)[1]

    def name(self, item: int) -> str:
        """The id; with the name of the run where several runs have this id."""
        name = str(self.table["candidate_id"][item])
        if "run" in self.table and self._repeated[name] > 1:
            return f"{name} of {self.table['run'][item]}"
        return name

    @cached_property
    def _repeated(self) -> Counter[str]:
        return Counter(self.table["candidate_id"])

    def similarities(self, item: int) -> np.ndarray:
        """The similarities (n,) of one item to all."""
        common = self._bits @ self._bits[[item]].toarray()[0]
        similarity = common / np.maximum(self._counts + self._counts[item] - common, 1)
        if self._z is not None:
            cosine = np.clip(self._z @ self._z[item], 0.0, 1.0)
            similarity = (1 - self._weight) * similarity + self._weight * cosine
        return np.round(similarity.astype(float), _DIGITS)

    def part(self, items: Sequence[int]) -> "_Pool":
        """A pool of some items."""
        rows = list(items)
        return _Pool(self.table.iloc[rows], 0, None if self._z is None else self._z[rows], self._weight)

    def matrix(self) -> np.ndarray:
        """The similarities of all pairs, (n, n)."""
        return np.array([self.similarities(item) for item in range(len(self))])

    @cached_property
    def nearest(self) -> tuple[np.ndarray, np.ndarray, float]:
        """The nearest other item of each and its similarity, and the mean similarity of all pairs; n is at least 2."""
        n = len(self)
        item, similarity, total = np.empty(n, dtype=int), np.empty(n), 0.0
        for one in range(n):
            row = self.similarities(one)
            total += float(np.delete(row, one).sum())
            row[one] = -1.0
            item[one] = row.argmax()
            similarity[one] = row[item[one]]
        return item, similarity, total / (n * (n - 1))


def _unit_vectors(
    table: pd.DataFrame, latent: np.ndarray | Mapping[str, np.ndarray] | None, weight: float, notes: list[str]
) -> np.ndarray | None:
    """The latent vectors of the molecules, of length 1; None if they are not used."""
    if latent is None or not weight:
        if weight:
            notes.append("there are no latent vectors: molecules are compared by their fingerprints only")
        return None
    needed = ["latent_row", *(["run"] if isinstance(latent, Mapping) else [])]
    if missing := [name for name in needed if name not in table]:
        raise InputError(f"pick: latent: the table has no column {' and no column '.join(missing)}")
    if isinstance(latent, Mapping):
        parts = [_take(latent[str(run)], rows) for run, rows in table.groupby("run", sort=False)["latent_row"]]
        z = pd.concat(parts).loc[table.index].to_numpy()
    else:
        z = _take(latent, table["latent_row"]).to_numpy()
    if not np.isfinite(z).all():
        notes.append("some latent vectors are not finite: molecules are compared by their fingerprints only")
        return None
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _take(latent: np.ndarray, rows: pd.Series) -> pd.DataFrame:
    """Rows of an array, with the row labels of `rows`."""
    if latent.ndim != 2 or rows.min() < 0 or rows.max() >= len(latent):
        raise InputError(
            f"pick: latent: expected an array (m, D) with a row {rows.max():,}, as in the column latent_row, got shape "
            f"{latent.shape}; give the latent vectors of the same run"
        )
    return pd.DataFrame(np.asarray(latent[rows.to_numpy()], dtype=np.float32), index=rows.index)


def _check_scaffolds(pool: _Pool, n: int, per_scaffold: int | None) -> None:
    """Raise InputError if the limit per scaffold does not permit n picks."""
    if per_scaffold is None:
        return
    sizes = Counter(pool.key(item) for item in range(len(pool)))
    included = Counter(pool.key(item) for item in range(pool.n_first))
    for key, count in included.items():
        if count > per_scaffold:
            raise InputError(
                f"pick: {count} molecules to be included have the scaffold {key}, but at most {per_scaffold} per "
                "scaffold are allowed; raise the limit or shorten the list"
            )
    most = sum(min(size, per_scaffold) for size in sizes.values())
    if most < n <= len(pool):
        raise InputError(
            f"pick: at most {per_scaffold} per scaffold allows {most:,} picks, not {n:,}: the {len(pool):,} molecules "
            f"have {len(sizes):,} scaffolds; raise the limit per scaffold or lower n"
        )


# the picks


@dataclass(frozen=True)
class _Groups:
    """Clusters of similar molecules: the cluster of each item, and what a cluster is called."""

    labels: np.ndarray
    noun: str

    def describe(self, item: int, n_picked: int) -> str:
        """The group of an item from which `n_picked` items were picked before."""
        size = int((self.labels == self.labels[item]).sum())
        which = f"pick {n_picked + 1}" if n_picked else "first pick"
        return f"{which} of a {self.noun} of {_plural(size, 'molecule')}"


@dataclass(frozen=True)
class _Picked:
    item: int
    reason: str


def _groups(pool: _Pool, n: int, method: str, cutoff: float) -> _Groups | None:
    if method == "butina":
        return _Groups(butina_clusters(pool.matrix(), cutoff), "cluster")
    if method == "sphere":
        leaders = sphere_leaders(pool.similarities, len(pool), cutoff, n, range(pool.n_first))
        labels = np.arange(len(pool)) + len(leaders)  # molecules in no sphere are alone
        for number, leader in reversed(list(enumerate(leaders))):
            labels[pool.similarities(leader) >= cutoff] = number
        return _Groups(labels, "sphere")
    return None


def _pick(pool: _Pool, n: int, diversity: float, groups: _Groups | None, per_scaffold: int | None) -> list[_Picked]:
    """The picks, in order."""
    n_pool = len(pool)
    worst = max(n_pool - 1, 1)
    quality = 1 - (pool.rank - 1) / worst
    is_blocked = np.arange(n_pool) < pool.n_first
    n_of_scaffold = Counter[int]()
    n_of_group = np.zeros(n_pool if groups is None else int(groups.labels.max()) + 1, dtype=int)
    nearest, nearest_item = np.zeros(n_pool), np.full(n_pool, -1)
    picks: list[_Picked] = []
    while len(picks) < min(n, n_pool):
        if len(picks) < pool.n_first:
            item = len(picks)
            reason = "in the list to include"
        else:
            difference = 1 - nearest if groups is None else 1 / (1 + n_of_group[groups.labels])
            gain = np.where(is_blocked, -np.inf, (1 - diversity) * quality + diversity * difference)
            item = int(gain.argmax())
            if is_blocked[item]:
                break
            near = (float(nearest[item]), pool.name(nearest_item[item])) if picks else None
            n_same = 0 if groups is None else int(n_of_group[groups.labels[item]])
            group = None if groups is None else groups.describe(item, n_same)
            reason = _explain(int(pool.rank[item]), near, diversity, group)
        picks.append(_Picked(item, reason))
        is_blocked[item] = True
        if per_scaffold is not None:
            key = int(pool.key_numbers[item])
            n_of_scaffold[key] += 1
            if n_of_scaffold[key] >= per_scaffold:
                is_blocked |= pool.key_numbers == key
        if groups is not None:
            n_of_group[groups.labels[item]] += 1
        similarity = pool.similarities(item)
        is_nearer = (similarity > nearest) | (nearest_item < 0)
        nearest[is_nearer], nearest_item[is_nearer] = similarity[is_nearer], item
    return picks


def _explain(rank: int, near: tuple[float, str] | None, diversity: float, group: str | None) -> str:
    """Why an item was picked: its rank by score, its nearest pick so far, and its group."""
    by_rank = "highest score" if rank == 1 else f"rank {rank:,} by score"
    if diversity == 0 or near is None:
        return by_rank
    if group is not None:
        return f"{by_rank}; {group}"
    similarity, name = near
    if diversity == 1:
        return f"farthest from the picks so far: similarity {similarity:.2f} to {name}"
    return f"{by_rank}; similarity {similarity:.2f} to the nearest pick so far, {name}"


def _find_alternates(
    pool: _Pool, picks: Sequence[int], n_each: int, per_scaffold: int | None, notes: list[str]
) -> list[list[int]]:
    """The alternates of each pick: the most similar molecules of the same scaffold, then the most similar others."""
    if not n_each:
        return [[] for _ in picks]
    used = np.arange(len(pool)) < pool.n_first
    used[list(picks)] = True
    keys = pool.key_numbers
    is_full = np.zeros(len(pool), dtype=bool)
    if per_scaffold is not None:
        is_full = np.bincount(keys[list(picks)], minlength=len(pool))[keys] >= per_scaffold
    found, n_other, n_short = [], 0, 0
    for item in picks:
        similarity = pool.similarities(item)
        is_same = keys == keys[item]
        chosen: list[int] = []
        for group in (~used & is_same, ~used & ~is_same & ~is_full):
            members = np.flatnonzero(group)
            order = np.argsort(-similarity[members], kind="stable")[: n_each - len(chosen)]
            chosen += members[order].tolist()
            if len(chosen) == n_each:
                break
        used[chosen] = True
        n_short += len(chosen) < n_each
        n_other += not is_same[chosen].all()
        found.append(chosen)
    if n_other:
        notes.append(
            f"{_plural(n_other, 'pick')}: too few molecules with the same scaffold, so alternates have another scaffold"
        )
    if n_short:
        notes.append(
            f"{_plural(n_short, 'pick')}: fewer than {_plural(n_each, 'alternate')}, no more molecules are eligible"
        )
    return found


# the result


def _list(pool: _Pool, picks: Sequence[_Picked], chosen: _Pool, alternates: Sequence[Sequence[int]]) -> MoleculeTable:
    """The table of a selection."""
    items = [pick.item for pick in picks]
    nearest = chosen.nearest[:2] if len(items) > 1 else None
    order: list[int] = []
    rows: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}
    for place, (pick, others) in enumerate(zip(picks, alternates, strict=True)):
        name = None if nearest is None else pool.name(items[nearest[0][place]])
        value = math.nan if nearest is None else float(nearest[1][place])
        order.append(pick.item)
        rows.append(_row(place, PICK, pick.reason, name, value))
        values = pool.similarities(pick.item)
        for other in others:
            order.append(other)
            relation = "same scaffold" if pool.key(other) == pool.key(pick.item) else "another scaffold"
            value = float(values[other])
            reason = f"can replace {pool.name(pick.item)}: {relation}, similarity {value:.2f}"
            rows.append(_row(place, ALTERNATE, reason, pool.name(pick.item), value))
    for item in [*items, *order]:  # the picks have the first numbers, with or without alternates
        if pool.scaffold(item):
            numbers.setdefault(pool.scaffold(item), len(numbers) + 1)
    added = pd.DataFrame(rows, columns=[name for name in PICK_COLUMNS if name != "scaffold_number"])
    added.insert(3, "scaffold_number", [numbers.get(pool.scaffold(item), 0) for item in order])
    of_table = pool.table.iloc[order].reset_index(drop=True)
    own = of_table.drop(columns=[name for name in PICK_COLUMNS if name in of_table])
    first = [name for name in (*_NEEDED, "run", "also_in") if name in own]
    parts = [added[["position", "role"]], own[first], added.drop(columns=["position", "role"]), own.drop(columns=first)]
    return with_structures(pd.concat(parts, axis=1))


def _row(place: int, role: str, reason: str, nearest: str | None, similarity: float) -> dict[str, Any]:
    return {
        "position": place + 1,
        "role": role,
        "pick_reason": reason,
        "nearest_pick": nearest,
        "nearest_pick_similarity": similarity,
    }


def _compare(picks: _Pool, best: _Pool) -> pd.DataFrame:
    """The picks next to as many molecules by score alone."""
    rows = {}
    for name, pool in (("picks", picks), ("best", best)):
        nearest, mean = pool.nearest[1:] if len(pool) > 1 else (np.array([math.nan]), math.nan)
        rows[name] = {
            "n": len(pool),
            "mean_score": float(pool.table["score"].mean()),
            "mean_nearest_similarity": float(nearest.mean()),
            "mean_similarity": mean,
            "n_scaffolds": len({pool.key(item) for item in range(len(pool))}),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
