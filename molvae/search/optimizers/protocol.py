"""The interface of an optimizer: it proposes latent vectors and learns from scores.

The search loop decodes, scores and counts the budget.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from molvae import settings as base
from molvae.errors import InputError

Draw = Callable[[int, int], np.ndarray]
"""``draw(n, seed)`` returns n latent vectors (n, D) from the prior."""

NO_PARENT = -1


class State(NamedTuple):
    """The state of an optimizer between two rounds, without the arguments of `tell`.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Numeric arrays by name.
    rng : mapping
        State of the random number generator; values that JSON can hold.
    """

    arrays: dict[str, np.ndarray]
    rng: Mapping[str, Any]


class LatentOptimizer(Protocol):
    """An optimizer of a score in latent space.

    Equal draws, seeds, settings and scores give equal proposals.

    Parameters
    ----------
    draw : callable
        ``draw(n, seed)`` returns n latent vectors (n, D) from the prior.
    seed : int
        Seed of the random numbers.
    settings : Settings, optional
        An instance of the class attribute `Settings`; default: its defaults.

    Attributes
    ----------
    Settings : type of Settings
        Class of the settings, the section `[search.<name>]` of a campaign.
    learns : bool
        Whether proposals depend on the scores. If not, the surrogate is not used either.
    parents : ndarray of shape (n,)
        For each proposal of the last `ask`, the row of the molecule whose latent vector was changed, counted over all
        rows passed to `tell`; `NO_PARENT` if there is none. int64.
    """

    Settings: ClassVar[type[base.Settings]]
    learns: ClassVar[bool]
    parents: np.ndarray

    def __init__(self, draw: Draw, seed: int, settings: base.Settings | None = None) -> None: ...

    def ask(self, n: int) -> np.ndarray:
        """Propose latent vectors to decode.

        Parameters
        ----------
        n : int
            Number of proposals.

        Returns
        -------
        ndarray of shape (n, D)
            Latent vectors, float32. Different kinds of moves are in random order, because the rows are divided among
            the noise levels.
        """
        ...

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Learn the scores of distinct molecules.

        Parameters
        ----------
        z : ndarray of shape (m, D)
            Latent vectors of the molecules; m may be 0.
        score : ndarray of shape (m,)
            Scores without NaN; higher is better.
        asked : ndarray of shape (m,), optional
            Row of the last `ask` that decoded to each molecule; None for start molecules. The other rows of that `ask`
            gave no new molecule, or one that was not chosen for scoring.
        """
        ...

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly.

        Returns
        -------
        State
            A copy. It need not contain the arguments of `tell`.
        """
        ...

    def restore(self, state: State, z: np.ndarray, score: np.ndarray) -> None:
        """Resume from a state of an optimizer with the same draws, seed and settings.

        Parameters
        ----------
        state : State
            Return value of `state`.
        z : ndarray of shape (m, D)
            All latent vectors passed to `tell` before `state`, in order, float32.
        score : ndarray of shape (m,)
            Their scores.
        """
        ...


def check_scores(z: np.ndarray, score: np.ndarray, n_latent: int) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments of `tell` and convert their types.

    Parameters
    ----------
    z : ndarray of shape (m, D)
        Latent vectors.
    score : ndarray of shape (m,)
        Scores.
    n_latent : int
        Expected D.

    Returns
    -------
    tuple of ndarray
        `z` as float32 and `score` as float64.

    Raises
    ------
    InputError
        A shape differs, or there is a NaN.
    """
    z, score = np.asarray(z, dtype=np.float32), np.asarray(score, dtype=float)
    if z.ndim != 2 or z.shape[1] != n_latent or score.shape != (len(z),):
        raise InputError(f"tell: expected z (m, {n_latent}) and score (m,), got {z.shape} and {score.shape}")
    if np.isnan(z).any() or np.isnan(score).any():
        raise InputError("tell: expected numbers, got NaN; replace the score of a failed molecule by the lowest score")
    return z, score
