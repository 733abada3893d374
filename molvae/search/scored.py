"""The molecules that a search has scored, in order, and their table."""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd

from molvae.candidates.columns import PROPOSAL_COLUMNS, check_table
from molvae.errors import InputError
from molvae.search.optimizers import NO_PARENT
from molvae.search.oracle import Scores

_LOWEST = -1e30


class Proposal(NamedTuple):
    """A molecule to score.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    raw_smiles : str
        The string as decoded, or as given for a start molecule.
    z : ndarray of shape (D,)
        Latent vector that decoded to the molecule; the encoding of a start molecule.
    parent : int, default=NO_PARENT
        Row of the parent among the scored molecules.
    asked : int, optional
        Row of the last `ask` of the optimizer; None for a start molecule.
    """

    smiles: str
    raw_smiles: str
    z: np.ndarray
    parent: int = NO_PARENT
    asked: int | None = None


class RoundSummary(TypedDict):
    """One round of a search. A score is None if no molecule has one.

    If there are more start molecules than `batch_size`, round 0 has one summary per batch.

    Parameters
    ----------
    round : int
        Number of the round; round 0 scores the start molecules or the first draws from the prior.
    calls : int
        Number of distinct molecules scored so far.
    new : int
        Number of molecules scored in this round or batch.
    best : float or None
        Best score so far.
    top10 : float or None
        Mean of the ten best scores so far, or of all if there are fewer.
    median : float or None
        Median score of the `new` molecules.
    """

    round: int
    calls: int
    new: int
    best: float | None
    top10: float | None
    median: float | None


class ScoredMolecules:
    """All molecules scored so far, in order.

    Parameters
    ----------
    n_latent : int
        Number of latent dimensions, D.

    Attributes
    ----------
    row : dict of str to int
        Row by canonical SMILES.
    score : ndarray of shape (n,)
        Scores; NaN where the oracle failed.
    terms : dict of str to ndarray of shape (n,)
        Further columns of the oracle.
    """

    def __init__(self, n_latent: int) -> None:
        self._n_latent = n_latent
        self.row: dict[str, int] = {}
        self.score = np.zeros(0)
        self.terms: dict[str, np.ndarray] = {}
        self._raw_smiles: list[str] = []
        self._round: list[int] = []
        self._parent: list[int] = []
        self._z: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self.row)

    def __contains__(self, smiles: object) -> bool:
        return smiles in self.row

    def add(self, proposals: Sequence[Proposal], scores: Scores, round_number: int) -> None:
        """Append the molecules of a round.

        Parameters
        ----------
        proposals : sequence of Proposal
            Molecules that have not been scored before; may be empty.
        scores : Scores
            Their scores.
        round_number : int
            Round of the search.

        Raises
        ------
        InputError
            The oracle returned other columns than before.
        """
        if not proposals:
            return
        if self.row and set(scores.terms) != set(self.terms):
            before, now = (", ".join(terms) or "only score" for terms in (self.terms, scores.terms))
            raise InputError(f"oracle: expected the same columns in every call, got {before} before and {now} now")
        for proposal in proposals:
            self.row[proposal.smiles] = len(self.row)
            self._raw_smiles.append(proposal.raw_smiles)
            self._round.append(round_number)
            self._parent.append(proposal.parent)
            self._z.append(np.asarray(proposal.z, np.float32))
        self.score = np.append(self.score, scores.score)
        self.terms = {name: np.append(self.terms.get(name, []), column) for name, column in scores.terms.items()}

    def penalized(self) -> np.ndarray:
        """Scores for the optimizer, without NaN: a failed molecule gets 0, or the lowest score if that is negative.

        Returns
        -------
        ndarray of shape (n,)
            Scores; all -1e30 if every molecule failed.
        """
        known = self.score[~np.isnan(self.score)]
        worst = min(0.0, known.min()) if len(known) else _LOWEST
        return np.where(np.isnan(self.score), worst, self.score)  # the only line that replaces NaN by a number

    def summarize(self, round_number: int, n_new: int) -> RoundSummary:
        """Summarize the last batch.

        Parameters
        ----------
        round_number : int
            Number of the round.
        n_new : int
            Number of molecules in the batch; they are the last rows.

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
            "best": float(best[0]) if len(best) else None,
            "top10": float(best.mean()) if len(best) else None,
            "median": float(np.median(new)) if len(new) else None,
        }

    def latent(self) -> np.ndarray:
        """Latent vectors that decoded to the molecules.

        Returns
        -------
        ndarray of shape (n, D)
            In the order of scoring, float32.
        """
        return np.array(self._z, np.float32).reshape(len(self), self._n_latent)

    def table(self) -> pd.DataFrame:
        """Build the table of all molecules.

        Returns
        -------
        DataFrame
            One row per molecule in the order of scoring, with the columns of `PROPOSAL_COLUMNS`.
        """
        ids = [f"C{row:06d}" for row in range(1, len(self) + 1)]
        columns = {
            "candidate_id": pd.Series(ids, dtype="str"),
            "smiles": pd.Series(list(self.row), dtype="str"),
            "raw_smiles": pd.Series(self._raw_smiles, dtype="str"),
            "round": np.array(self._round, np.int64),
            "parent_id": pd.Series([None if row == NO_PARENT else ids[row] for row in self._parent], dtype="str"),
            "latent_row": np.arange(len(ids), dtype=np.int64),
            "score": self.score,
            **self.terms,
        }
        return check_table(pd.DataFrame(columns), PROPOSAL_COLUMNS, "search")
