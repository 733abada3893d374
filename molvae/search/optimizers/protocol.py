"""The contract of an optimizer: it proposes latent vectors and learns from results.

An optimizer does not decode, predict, score or count a budget; the search does.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from molvae import settings as base
from molvae.errors import InputError

NO_PARENT = -1
FIRST_START = -2
"""Id of the first start molecule; those of the others follow downwards: -3, -4, ..."""


class LatentSpace(Protocol):
    """The part of a codec that an optimizer uses: the number of latent dimensions, and the prior.

    Every `molvae.codec.space.MoleculeSpace` provides it. An optimizer that needs more raises an InputError for a codec
    without it.
    """

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        ...

    def draw(self, n: int, *, seed: int = 0, spread: float | None = None) -> np.ndarray:
        """Draw latent vectors from the prior.

        Parameters
        ----------
        n : int
            Number of latent vectors.
        seed : int, default=0
            Seed of the random numbers.
        spread : float or None, default=None
            Standard deviation of the steps added to the draws; 0 adds none, None takes the default of the space.

        Returns
        -------
        ndarray of shape (n, D)
            Latent vectors, float32.
        """
        ...


class Outcome(IntEnum):
    """The outcome of a proposal.

    SCORED: the oracle was called with its molecule; the values are NaN if it gave none. PREDICTED: its molecule is new
    and has not been scored; with a surrogate, it has an acquisition. REPEAT: its molecule was decoded before in this
    round, or is scored or being scored; or a stereoisomer, if stereoisomers count as repeats. INVALID: its SMILES is
    invalid. INFEASIBLE: its molecule violates a constraint or cannot be encoded.
    """

    SCORED = 0
    PREDICTED = 1
    REPEAT = 2
    INVALID = 3
    INFEASIBLE = 4


class Proposals(NamedTuple):
    """Latent vectors to decode.

    Parameters
    ----------
    ids : ndarray of shape (n,)
        Unique numbers within the search, 0 or more, int64. Start molecules have negative ids.
    z : ndarray of shape (n, D)
        Latent vectors, float32.
    noise : ndarray of shape (n,)
        Noise level of the decoder in [0, 1], float32.
    temperature : ndarray of shape (n,)
        Sampling temperature of the decoder, float32; 0 is greedy.
    parents : ndarray of shape (n, 2)
        Ids of the scored molecules that each was made from; `NO_PARENT` where there is none. int64.
    moves : ndarray of shape (n,)
        Name of the move that made each, str.
    """

    ids: np.ndarray
    z: np.ndarray
    noise: np.ndarray
    temperature: np.ndarray
    parents: np.ndarray
    moves: np.ndarray

    @classmethod
    def greedy(cls, ids: np.ndarray, z: np.ndarray, parents: np.ndarray, move: str) -> Self:
        """Make proposals of one move that are decoded greedily and without noise.

        Parameters
        ----------
        ids : ndarray of shape (n,)
            Ids.
        z : ndarray of shape (n, D)
            Latent vectors.
        parents : ndarray of shape (n,)
            Id of the parent of each.
        move : str
            Name of the move.

        Returns
        -------
        Proposals
            The proposals.
        """
        none = np.zeros(len(z), np.float32)
        pairs = np.column_stack([parents, np.full(len(z), NO_PARENT)]).astype(np.int64)
        return cls(np.asarray(ids, np.int64), np.asarray(z, np.float32), none, none, pairs, np.full(len(z), move))

    def rows(self, rows: np.ndarray) -> Self:
        """Some of the proposals.

        Parameters
        ----------
        rows : ndarray of shape (m,)
            Their rows.

        Returns
        -------
        Proposals
            In this order.
        """
        return type(self)(*(column[rows] for column in self))


class Results(NamedTuple):
    """Results of proposals, in any order.

    Parameters
    ----------
    proposals : Proposals
        The proposals, of the last `ask` or of any earlier one; for a start molecule its id and latent vector.
    z : ndarray of shape (m, D)
        Latent vectors, float32: the encodings of SCORED molecules and of the PREDICTED ones with the highest
        acquisition in their generation; otherwise as proposed.
    outcome : ndarray of shape (m,)
        `Outcome` of each, int64.
    values : ndarray of shape (m, k)
        Values of the objectives, higher is better, float64; NaN unless the outcome is SCORED and the oracle gave one.
    acquisition : ndarray of shape (m,)
        For PREDICTED molecules, how useful it is to score them, in normal quantiles of the ranks of all scored
        molecules (0 is the median); otherwise, and without a surrogate, NaN.
    """

    proposals: Proposals
    z: np.ndarray
    outcome: np.ndarray
    values: np.ndarray
    acquisition: np.ndarray

    def rows(self, rows: np.ndarray) -> Self:
        """Some of the results.

        Parameters
        ----------
        rows : ndarray of shape (j,)
            Their rows, or a mask.

        Returns
        -------
        Results
            In this order.
        """
        return type(self)(self.proposals.rows(rows), *(column[rows] for column in self[1:]))


class State(NamedTuple):
    """The state of an optimizer, without the scored molecules.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Arrays of numbers by name.
    rng : mapping
        State of the random number generator; values that JSON can hold.
    """

    arrays: dict[str, np.ndarray]
    rng: Mapping[str, Any]


class LatentOptimizer(Protocol):
    """An optimizer of one or several objectives in latent space.

    Equal spaces, seeds, settings and results give equal proposals.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : Settings, optional
        An instance of the class attribute `Settings`; default: its defaults.

    Attributes
    ----------
    Settings : type of Settings
        Class of the settings, the section `[search.<name>]` of a campaign.
    uses_surrogate : bool
        Whether the surrogate of the search predicts the values of the proposals and chooses those to score. If not,
        they are scored in the order of proposal.
    """

    Settings: ClassVar[type[base.Settings]]
    uses_surrogate: ClassVar[bool]

    def __init__(self, space: LatentSpace, seed: int, settings: base.Settings | None = None) -> None: ...

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors to decode.

        Parameters
        ----------
        n : int
            Number of proposals.

        Returns
        -------
        Proposals
            Proposals of different moves are in random order.
        """
        ...

    def tell(self, results: Results) -> None:
        """Learn from results.

        Every proposal is reported when it is decoded, with any outcome but SCORED. Those that are scored are reported
        a second time, possibly after later calls of `ask`. Start molecules are reported as SCORED.

        Parameters
        ----------
        results : Results
            May be empty.
        """
        ...

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly.

        Returns
        -------
        State
            A copy. It need not contain what `restore` is called with.
        """
        ...

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state of an optimizer with the same space, seed and settings.

        Parameters
        ----------
        state : State
            Return value of `state`.
        scored : Results
            All results with the outcome SCORED that were reported before `state`, in order.
        """
        ...


def check_results(results: Results, n_latent: int) -> Results:
    """Check the argument of `tell`.

    Parameters
    ----------
    results : Results
        The argument.
    n_latent : int
        Expected D.

    Returns
    -------
    Results
        The same, `z` as float32 and `values` as float64.

    Raises
    ------
    InputError
        A shape differs, or `z` holds NaN or infinity.
    """
    z, values = np.asarray(results.z, np.float32), np.asarray(results.values, float)
    n = len(results.proposals.ids)
    if z.shape != (n, n_latent) or values.ndim != 2 or len(values) != n:
        raise InputError(f"tell: expected z ({n}, {n_latent}) and values ({n}, k), got {z.shape} and {values.shape}")
    if len(results.outcome) != n or len(results.acquisition) != n:
        raise InputError(f"tell: expected {n} outcomes and acquisitions, got {len(results.outcome)}")
    if not np.isfinite(z).all():
        raise InputError("tell: expected finite latent vectors, got NaN or infinity")
    return results._replace(z=z, values=values)
