"""The values of one term: from the cache where it has them, else from its scorer, in steps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from molvae.errors import MolvaeError
from molvae.scoring.cache import Result, ScoreCache
from molvae.scoring.scorer import Scorer, Values
from molvae.scoring.scorers.batches import is_cluster
from molvae.scoring.term import CostlyTerm, Term
from molvae.workers import Mapper

_MIN_TRIED = 20  # molecules before the share of failures counts
_STEPS_AT_ONCE = 4  # on a cluster: per worker


class Evaluation:
    """Computes the values of one term.

    Parameters
    ----------
    name : str
        Name of the term, for messages.
    term : Term
        Its settings.
    scorer : Scorer
        Its scorer.
    cache : Path, optional
        Folder in which the values of a costly term are stored.

    Attributes
    ----------
    n_computed, n_cached : int
        Molecules whose values were computed, and those whose values were in the cache.

    Raises
    ------
    InputError
        The cache cannot be written.
    """

    def __init__(self, name: str, term: Term, scorer: Scorer, cache: Path | None = None) -> None:
        self._name, self._term, self._scorer = name, term, scorer
        self._cache: ScoreCache | None = None
        if cache is not None and isinstance(term, CostlyTerm) and term.cache:
            kind = f"{type(scorer).__module__}.{type(scorer).__qualname__}"
            depends_on = {"scorer": kind, "settings": term.value_settings(), "identity": dict(scorer.identity())}
            self._cache = ScoreCache(cache, depends_on)
        self.n_computed = self.n_cached = 0
        self._n_tried = self._n_failed = 0

    @property
    def has_cache(self) -> bool:
        """Whether values are stored."""
        return self._cache is not None

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """The values of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES; a repeated one is computed once.
        mapper : Mapper
            Applies a function to rows.

        Returns
        -------
        Values
            One row per molecule, in order.

        Raises
        ------
        MolvaeError
            More than the share `max_failed` of the molecules has no value, or the scorer cannot be used at all.
        """
        if not isinstance(self._term, CostlyTerm) or not smiles:
            return self._scorer(smiles, mapper)
        unique = list(dict.fromkeys(smiles))
        found = self._cache.find(unique) if self._cache else {}
        self.n_cached += len(found)
        self._count(list(found.values()), self._term.max_failed)
        missing = [one for one in unique if one not in found]
        n_per_step = self._term.n_per_step
        if missing and is_cluster(mapper):  # else its workers wait for the last molecule of each step
            n_per_step *= _STEPS_AT_ONCE * getattr(mapper, "n_workers", 1)
        for begin in range(0, len(missing), n_per_step):
            part = missing[begin : begin + n_per_step]
            results, final = _rows(self._scorer(part, mapper), len(part))
            found |= dict(zip(part, results, strict=True))
            self.n_computed += len(part)
            if self._cache:
                self._cache.add({one: found[one] for one, keep in zip(part, final, strict=True) if keep})
            self._count(results, self._term.max_failed)
        return _join([found[one] for one in smiles])

    def _count(self, results: Sequence[Result], max_failed: float) -> None:
        """Count the molecules without a value; too many stop the run."""
        reasons = [one.reason for one in results if np.isnan(one.value)]
        self._n_tried += len(results)
        self._n_failed += len(reasons)
        if reasons and self._n_tried >= _MIN_TRIED and self._n_failed > max_failed * self._n_tried:
            raise MolvaeError(
                f"[objective.terms.{self._name}] {self._n_failed} of {self._n_tried} molecules have no value, more "
                f"than max_failed = {max_failed:g}; the last reason: {reasons[-1]}"
            )


def _rows(values: Values, n: int) -> tuple[list[Result], Sequence[bool]]:
    """The values, molecule by molecule, and which of them are final."""
    columns = {name: column.tolist() for name, column in values.extra.items()}
    if any(len(column) != n for column in (values.value, values.reasons, *columns.values())):
        raise MolvaeError(f"error in the scorer: expected one row per molecule, {n}, got {len(values.value)}")
    extras = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}] * n
    rows = [Result(*row) for row in zip(values.value.tolist(), values.reasons, extras, strict=True)]
    return rows, [True] * n if values.is_final is None else values.is_final


def _join(rows: Sequence[Result]) -> Values:
    """The rows as columns. A further column without any number is left out, so that a cache changes no column."""
    names = dict.fromkeys(name for row in rows for name, number in row.extra.items() if not np.isnan(number))
    extra = {name: np.array([row.extra.get(name, np.nan) for row in rows]) for name in names}
    return Values(np.array([row.value for row in rows]), [row.reason for row in rows], extra)
