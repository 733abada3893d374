"""Hill climbing: search the neighborhoods of the best molecules, and leave those without new molecules."""

from typing import ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.search.optimizers.moves import sampling_noise, strong_noise
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Outcome, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.search.ranking import fitness
from molvae.seeds import generator

_MIN_MOVED = 8  # latent dimensions that a step moves


class HillClimbingSettings(base.Settings):
    """Settings of `HillClimbing`.

    Parameters
    ----------
    n_centers : int, default=10
        Number of molecules whose neighborhoods are searched at a time.
    n_initial : int, default=50
        Number of molecules from the prior before the first neighborhood, if there are no start molecules.
    noise_share : float, default=0.5
        Share of proposals that decode a center itself with noise; the others are a step away from it.
    step_adaptation : float, default=0.3
        How strongly the step size of a neighborhood grows with its share of repeats, and shrinks with its share of
        invalid molecules; 0 keeps it fixed.
    patience : int, default=40
        Number of consecutive proposals without a new molecule after which a neighborhood is exhausted.
    max_children : int, default=50
        Number of scored neighbors after which a neighborhood is exhausted, too.
    memory : int, default=500
        Number of best molecules kept as centers of later neighborhoods.
    """

    n_centers: int = Field(10, ge=1, le=10_000, description="molecules whose neighborhoods are searched at a time")
    n_initial: int = Field(50, ge=0, description="molecules from the prior before climbing, without starts")
    noise_share: float = Field(0.5, ge=0, le=1, description="share of proposals that decode a center with noise")
    step_adaptation: float = Field(0.3, ge=0, le=2, description="how strongly step sizes adapt; 0: not at all")
    patience: int = Field(40, ge=1, description="proposals without a new molecule after which a center is left")
    max_children: int = Field(50, ge=1, description="scored neighbors after which a center is left")
    memory: int = Field(500, ge=1, le=100_000, description="best molecules kept as later centers")


class _Centers(NamedTuple):
    """Scored molecules, best first.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Row among all scored molecules.
    ids : ndarray of shape (n,)
        Id of the proposal.
    z : ndarray of shape (n, D)
        Latent vectors, float32.
    values : ndarray of shape (n, k)
        Values of the objectives.
    step : ndarray of shape (n,)
        Factor of the step size in the neighborhood.
    n_dry : ndarray of shape (n,)
        Number of proposals since the last new molecule, int64.
    n_children : ndarray of shape (n,)
        Number of scored neighbors, int64.
    """

    rows: np.ndarray
    ids: np.ndarray
    z: np.ndarray
    values: np.ndarray
    step: np.ndarray
    n_dry: np.ndarray
    n_children: np.ndarray

    @classmethod
    def empty(cls, n_latent: int) -> Self:
        none = np.zeros(0, np.int64)
        return cls(none, none, np.zeros((0, n_latent), np.float32), np.zeros((0, 1)), np.zeros(0), none, none)

    def take(self, rows: np.ndarray) -> Self:
        return type(self)(*(column[rows] for column in self))

    def append(self, other: Self) -> Self:
        return type(self)(*map(np.concatenate, zip(self, other, strict=True)))


class HillClimbing:
    """Hill climbing around the best molecules, with a separate step size for each neighborhood.

    Half of the proposals decode a center with noise, the others are a step away in some latent dimensions. The step
    size of a neighborhood adapts so that repeats of known molecules are as frequent as invalid SMILES, and its
    children inherit it. A center is replaced by the next best molecule when its neighborhood is exhausted: no new
    molecule among the last proposals, or many scored neighbors. When all are exhausted, one generation comes from the
    prior, and all centers are open again.

    Use it for a short search close to good start molecules, such as lead optimization, and as a simple method to
    compare others with. With a few hundred scores, it is as good as `Evolution`, which can also combine distant
    molecules.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : HillClimbingSettings, optional
        Settings.
    """

    Settings: ClassVar[type[base.Settings]] = HillClimbingSettings
    uses_surrogate: ClassVar[bool] = True

    def __init__(self, space: LatentSpace, seed: int, settings: HillClimbingSettings | None = None) -> None:
        self._settings = settings or HillClimbingSettings()
        self._rng = generator(seed, "search/hill_climbing")
        self._scale = LatentScale(space, seed)
        self._n_asked = 0
        self._n_told = 0
        self._is_climbing = False
        self._centers = _Centers.empty(self._scale.n_latent)

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        open_rows = self._open_rows()
        if not len(open_rows):
            self._reopen()
            z = self._scale.to_latent(self._scale.draw(n, self._rng))
            noise, temperature = sampling_noise(n, 1.0, self._rng)
            proposals = Proposals.greedy(ids, z, np.full(n, NO_PARENT), "prior")
        else:
            centers = self._centers.take(self._rng.choice(open_rows, n))
            is_noisy = self._rng.random(n) < self._settings.noise_share
            stepped = self._scale.to_latent(self._step_from(self._scale.standardize(centers.z), centers.step))
            noise, temperature = (is_noisy * column for column in strong_noise(n, centers.step, self._rng))
            proposals = Proposals.greedy(ids, np.where(is_noisy[:, None], centers.z, stepped), centers.ids, "step")
            proposals = proposals._replace(moves=np.where(is_noisy, "noise", "step"))
        return proposals._replace(noise=noise.astype(np.float32), temperature=temperature.astype(np.float32))

    def tell(self, results: Results) -> None:
        """Keep the best molecules as centers, and count what their neighborhoods gave."""
        results = check_results(results, self._scale.n_latent)
        is_scored = results.outcome == Outcome.SCORED
        if is_scored.any():
            self._learn_scores(results.rows(is_scored))
        if not is_scored.all():
            self._learn_outcomes(results.rows(~is_scored))

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        arrays = {name: getattr(self._centers, name).copy() for name in _COUNTS}
        arrays["counts"] = np.array([self._n_asked, self._n_told, self._is_climbing], np.int64)
        return State(arrays, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state and all scored results before it."""
        counts = {name: state.arrays[name].copy() for name in _COUNTS}
        scored = scored.rows(counts["rows"])
        z, values = np.asarray(scored.z, np.float32), np.asarray(scored.values, float)
        self._centers = _Centers(ids=scored.proposals.ids, z=z, values=values, **counts)
        self._n_asked, self._n_told = (int(count) for count in state.arrays["counts"][:2])
        self._is_climbing = bool(state.arrays["counts"][2])
        self._rng.bit_generator.state = state.rng

    def _open_rows(self) -> np.ndarray:
        """Rows of the centers in use, best first; none before the first neighborhood and if all are exhausted."""
        if not self._is_climbing:
            return np.zeros(0, np.int64)
        s, centers = self._settings, self._centers
        is_open = (centers.n_dry < s.patience) & (centers.n_children < s.max_children)
        return np.flatnonzero(is_open & ~np.isnan(centers.values).any(axis=1))[: s.n_centers]

    def _reopen(self) -> None:
        """Open all neighborhoods."""
        n = len(self._centers.ids)
        none = np.zeros(n, np.int64)
        self._centers = self._centers._replace(step=np.ones(n), n_dry=none, n_children=none.copy())

    def _step_from(self, center: np.ndarray, step: np.ndarray) -> np.ndarray:
        """A step away from each center, in 8 to all latent dimensions, with an RMS of 0.2 to 0.8 over all of them."""
        n, n_latent = center.shape
        least = min(_MIN_MOVED, n_latent)
        n_moved = least * (n_latent / least) ** self._rng.random((n, 1))
        is_moved = self._rng.random((n, n_latent)).argsort(axis=1) < n_moved
        direction = self._rng.standard_normal((n, n_latent)) * is_moved
        direction *= np.sqrt(n_latent) / np.linalg.norm(direction, axis=1, keepdims=True)
        return np.asarray(center + (step * self._rng.uniform(0.2, 0.8, n))[:, None] * direction)

    def _rows_of(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id among the centers; -1 if there is none."""
        row = {id: row for row, id in enumerate(self._centers.ids.tolist())}
        return np.array([row.get(id, -1) for id in ids.tolist()], np.int64)

    def _learn_scores(self, results: Results) -> None:
        ids, n = results.proposals.ids, len(results.z)
        parents = self._rows_of(results.proposals.parents[:, 0])
        has_center = parents >= 0
        np.add.at(self._centers.n_children, parents[has_center], 1)
        step = np.ones(n)
        step[has_center] = self._centers.step[parents[has_center]]
        rows, none = np.arange(self._n_told, self._n_told + n), np.zeros(n, np.int64)
        new = _Centers(rows, ids, results.z, results.values, step, none, none.copy())
        self._n_told += n
        together = self._centers.append(new) if len(self._centers.ids) else new
        best = np.lexsort((-together.rows, -fitness(together.values)))  # newest first among ties, to allow drift
        self._centers = together.take(best[: self._settings.memory])
        self._is_climbing |= bool((ids < 0).any()) or self._n_told >= self._settings.n_initial

    def _learn_outcomes(self, results: Results) -> None:
        """Adapt the step sizes, and count the proposals since the last new molecule."""
        parents = self._rows_of(results.proposals.parents[:, 0])
        for row in np.unique(parents[parents >= 0]):
            outcome = results.outcome[parents == row]
            balance = np.mean(outcome == Outcome.REPEAT) - np.mean(outcome == Outcome.INVALID)
            step = self._centers.step[row] * np.exp(self._settings.step_adaptation * balance)
            self._centers.step[row] = np.clip(step, 0.2, 4.0)
            is_new = (outcome == Outcome.PREDICTED).any()
            self._centers.n_dry[row] = 0 if is_new else self._centers.n_dry[row] + len(outcome)


_COUNTS = ("rows", "step", "n_dry", "n_children")
