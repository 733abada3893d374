"""The molecules that a search has scored, in order, and their table."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from molvae.candidates.columns import PROPOSAL_COLUMNS, START, check_table
from molvae.errors import InputError
from molvae.search.optimizers import NO_PARENT, Outcome, Proposals, Results
from molvae.search.oracle import Scores
from molvae.search.ranking import from_quantiles, fronts


class Candidate(NamedTuple):
    """A molecule to score, or a scored one.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    raw_smiles : str
        The string as decoded, or as given for a start molecule.
    id : int
        Id of the proposal; negative for a start molecule.
    z : ndarray of shape (D,)
        Latent vector that decoded to the molecule; for a start molecule, its encoding.
    own_z : ndarray of shape (D,)
        Encoding of the molecule; NaN before it is encoded.
    parents : tuple of two int, default=(NO_PARENT, NO_PARENT)
        Ids of the parents.
    move : str, default="start"
        Move of the optimizer that made it.
    noise, temperature : float, default=0
        Noise level and temperature of the decoder.
    predicted : tuple of two float, default=(NaN, NaN)
        Mean and standard deviation that the surrogate predicted, in normal quantiles.
    round : int, default=0
        Round of the search; 0 for a start molecule.
    """

    smiles: str
    raw_smiles: str
    id: int
    z: np.ndarray
    own_z: np.ndarray
    parents: tuple[int, int] = (NO_PARENT, NO_PARENT)
    move: str = START
    noise: float = 0.0
    temperature: float = 0.0
    predicted: tuple[float, float] = (float("nan"), float("nan"))
    round: int = 0

    @property
    def is_encoded(self) -> bool:
        """Whether the encoding is known."""
        return not np.isnan(self.own_z[0])


class RoundSummary(TypedDict):
    """One round of a search, or one call of `Search.tell`. Scores are None if no molecule has one.

    Parameters
    ----------
    round : int
        Number of the round; 0 is the start molecules or the first draws from the prior.
    calls : int
        Unique molecules scored so far.
    new : int
        Molecules scored in this round.
    new_share : float or None
        Share of the latent vectors decoded in the last round that gave a new molecule without a violation of the
        constraints; None for start molecules.
    best : float or None
        Best score so far.
    top10 : float or None
        Mean of the ten best scores so far.
    median : float or None
        Median score of this round.
    """

    round: int
    calls: int
    new: int
    new_share: float | None
    best: float | None
    top10: float | None
    median: float | None


class Ledger:
    """All molecules scored so far, in order.

    Parameters
    ----------
    n_latent : int
        Number of latent dimensions, D.
    goals : sequence of str, default=()
        Names of the terms that are maximized separately; see `SearchSettings`.

    Attributes
    ----------
    row : dict of str to int
        Row by canonical SMILES.
    candidates : list of Candidate
        The molecules.
    score : ndarray of shape (n,)
        Scores; NaN where there is none.
    terms : dict of str to ndarray of shape (n,)
        Further columns of the oracle.
    reasons : dict of str to str
        Why molecules have no score, by canonical SMILES, where the oracle gave a reason.
    """

    def __init__(self, n_latent: int, goals: Sequence[str] = ()) -> None:
        self._n_latent = n_latent
        self._goals = [f"score_{name}" for name in goals]
        self.row: dict[str, int] = {}
        self.candidates: list[Candidate] = []
        self.score = np.zeros(0)
        self.terms: dict[str, np.ndarray] = {}
        self.reasons: dict[str, str] = {}
        self._own_z = np.zeros((0, n_latent), np.float32)  # with spare rows, so that adding does not copy all

    def __len__(self) -> int:
        return len(self.row)

    def __contains__(self, smiles: object) -> bool:
        return smiles in self.row

    @property
    def objectives(self) -> np.ndarray:
        """Values (n, k): the score, or the goals, which are at most 0 where the score is 0; NaN without a score."""
        if not self._goals or not len(self):
            return self.score[:, None]
        values = np.stack([self.terms[name] for name in self._goals], axis=1)
        violates = self.score == 0
        values[violates] = np.minimum(values[violates], 0.0)
        values[np.isnan(self.score)] = np.nan
        return values

    @property
    def own_z(self) -> np.ndarray:
        """Encodings (n, D) of the molecules, float32."""
        return self._own_z[: len(self)]

    def add(self, candidates: Sequence[Candidate], scores: Scores) -> None:
        """Append molecules.

        Parameters
        ----------
        candidates : sequence of Candidate
            Molecules that have not been scored before; may be empty.
        scores : Scores
            Their scores. A column `value_*` may be missing in some calls: a scorer may have failed for all molecules.

        Raises
        ------
        InputError
            The oracle returned other columns `score_*` than before.
        """
        if not candidates:
            return
        counted = [{name for name in terms if not name.startswith("value_")} for terms in (self.terms, scores.terms)]
        if self.row and counted[0] != counted[1]:
            before, now = (", ".join(terms) or "only score" for terms in (self.terms, scores.terms))
            raise InputError(f"oracle: expected the same columns in every call, got {before} before and {now} now")
        if missing := [name for name in self._goals if name not in scores.terms]:
            given = ", ".join(scores.terms) or "only score"
            raise InputError(f"oracle: expected the columns of the goals, {', '.join(missing)}; got {given}")
        for candidate in candidates:
            self.row[candidate.smiles] = len(self.row)
        first = len(self.candidates)
        self.candidates += candidates
        if len(self.candidates) > len(self._own_z):
            spare = np.zeros((len(self.candidates), self._n_latent), np.float32)
            self._own_z = np.vstack([self._own_z, spare])
        self._own_z[first : len(self.candidates)] = [one.own_z for one in candidates]
        self.score = np.append(self.score, scores.score)
        self.reasons |= {one.smiles: why for one, why in zip(candidates, scores.reasons, strict=True) if why}
        for name in dict.fromkeys([*self.terms, *scores.terms]):
            known = self.terms.get(name, np.full(first, np.nan))
            self.terms[name] = np.append(known, scores.terms.get(name, np.full(len(candidates), np.nan)))

    def summarize(self, round_number: int, n_new: int, new_share: float | None) -> RoundSummary:
        """Summarize the last round.

        Parameters
        ----------
        round_number : int
            Number of the round.
        n_new : int
            Molecules of the round, the last rows.
        new_share : float or None
            As in `RoundSummary`.

        Returns
        -------
        RoundSummary
            Counts and scores.
        """
        best = np.sort(self.score[~np.isnan(self.score)])[::-1][:10]
        new = self.score[len(self.score) - n_new :]
        new = new[~np.isnan(new)]
        return {
            "round": round_number,
            "calls": len(self),
            "new": n_new,
            "new_share": new_share,
            "best": float(best[0]) if len(best) else None,
            "top10": float(best.mean()) if len(best) else None,
            "median": float(np.median(new)) if len(new) else None,
        }

    def latent(self) -> np.ndarray:
        """Latent vectors that decoded to the molecules.

        Returns
        -------
        ndarray of shape (n, D)
            Row by row, float32.
        """
        return np.array([one.z for one in self.candidates], np.float32).reshape(len(self), self._n_latent)

    def table(self) -> pd.DataFrame:
        """Build the table of all molecules.

        Returns
        -------
        DataFrame
            One row per molecule in the order of scoring, with the columns of `PROPOSAL_COLUMNS`.
        """
        names = [f"C{row:06d}" for row in range(1, len(self) + 1)]
        name_of = {one.id: name for one, name in zip(self.candidates, names, strict=True)}
        mean, std = self._predicted_scores()
        columns = {
            "candidate_id": pd.Series(names, dtype="str"),
            "smiles": pd.Series(list(self.row), dtype="str"),
            "score": self.score,
            **self.terms,
            **({"front": fronts(self.objectives)} if self._goals else {}),
            "round": np.array([one.round for one in self.candidates], np.int64),
            "move": pd.Series([one.move for one in self.candidates], dtype="str"),
            "parent_id": pd.Series([name_of.get(one.parents[0]) for one in self.candidates], dtype="str"),
            "mate_id": pd.Series([name_of.get(one.parents[1]) for one in self.candidates], dtype="str"),
            "predicted_score": mean,
            "predicted_std": std,
            "unscored_reason": pd.Series([self.reasons.get(one) for one in self.row], dtype="str"),
            "raw_smiles": pd.Series([one.raw_smiles for one in self.candidates], dtype="str"),
            "latent_row": np.arange(len(names), dtype=np.int64),
        }
        return check_table(pd.DataFrame(columns), PROPOSAL_COLUMNS, "search")

    def _predicted_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions (n,) and their standard deviations (n,), in the unit of the score.

        A prediction is a normal quantile of the ranks of the molecules scored before. It is interpolated between their
        scores, and extrapolated beyond the best one along the line through the upper tenth.
        """
        mean, std = np.full((2, len(self)), np.nan)
        rounds = np.array([one.round for one in self.candidates])
        predicted = np.array([one.predicted for one in self.candidates]).reshape(-1, 2)
        begins = np.flatnonzero(np.diff(rounds, prepend=-1))  # rows are in the order of scoring
        known = np.zeros(0)  # scores of the rows before, sorted
        for begin, end in itertools.pairwise([*begins.tolist(), len(self)]):
            if len(known) > 1 and not np.isnan(predicted[begin:end]).all():
                center, width = predicted[begin:end].T
                mean[begin:end] = from_quantiles(center, known)
                low, high = (from_quantiles(center + sign * width, known) for sign in (-1, 1))
                std[begin:end] = (high - low) / 2
            new = np.sort(self.score[begin:end][~np.isnan(self.score[begin:end])])
            known = np.insert(known, np.searchsorted(known, new), new)
        return mean, std


def to_results(candidates: Sequence[Candidate], outcome: Outcome, values: np.ndarray, *, n_latent: int) -> Results:
    """Convert scored candidates to the results that an optimizer learns from.

    Parameters
    ----------
    candidates : sequence of Candidate
        The molecules.
    outcome : Outcome
        Outcome of all of them.
    values : ndarray of shape (n, k)
        Their values.
    n_latent : int
        Number of latent dimensions, D.

    Returns
    -------
    Results
        One row per molecule.
    """
    proposals = Proposals(
        np.array([one.id for one in candidates], np.int64),
        np.array([one.z for one in candidates], np.float32).reshape(-1, n_latent),
        np.array([one.noise for one in candidates], np.float32),
        np.array([one.temperature for one in candidates], np.float32),
        np.array([one.parents for one in candidates], np.int64).reshape(-1, 2),
        np.array([one.move for one in candidates], np.str_),
    )
    own_z = np.array([one.own_z for one in candidates], np.float32).reshape(-1, n_latent)
    n = len(candidates)
    return Results(proposals, own_z, np.full(n, int(outcome)), values, np.full(n, np.nan))


def pack(candidates: Sequence[Candidate], n_latent: int) -> tuple[dict[str, list[Any]], dict[str, np.ndarray]]:
    """Convert candidates for the checkpoint.

    Parameters
    ----------
    candidates : sequence of Candidate
        The candidates.
    n_latent : int
        Number of latent dimensions, D.

    Returns
    -------
    values : dict of str to list
        Values that JSON can hold.
    arrays : dict of str to ndarray
        Numbers.
    """
    values = {name: [getattr(one, name) for one in candidates] for name in ("smiles", "raw_smiles", "move")}
    arrays = {name: np.array([getattr(one, name) for one in candidates]) for name in ("id", "round")}
    arrays |= {
        name: np.array([getattr(one, name) for one in candidates], np.float32).reshape(-1, n_latent)
        for name in ("z", "own_z")
    }
    arrays |= {name: np.array([getattr(one, name) for one in candidates]).reshape(-1, 2) for name in _PAIRS}
    arrays |= {name: np.array([getattr(one, name) for one in candidates], float) for name in ("noise", "temperature")}
    return values, arrays


def unpack(values: dict[str, list[Any]], arrays: dict[str, np.ndarray]) -> list[Candidate]:
    """Convert candidates from the checkpoint.

    Parameters
    ----------
    values : dict of str to list
        As from `pack`.
    arrays : dict of str to ndarray
        As from `pack`.

    Returns
    -------
    list of Candidate
        The candidates.
    """
    columns: dict[str, Iterable[Any]] = {name: values[name] for name in ("smiles", "raw_smiles", "move")}
    columns |= {name: arrays[name].tolist() for name in ("id", "round", "noise", "temperature")}
    columns |= {name: map(tuple, arrays[name].tolist()) for name in _PAIRS}
    columns |= {name: list(arrays[name]) for name in ("z", "own_z")}
    return [Candidate(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


_PAIRS = ("parents", "predicted")
