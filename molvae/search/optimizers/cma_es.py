"""CMA-ES in a subspace of the latent space, with the package `cma`."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.extras import require
from molvae.search.optimizers.moves import sampling_noise
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Outcome, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.search.optimizers.scored import Scored, pad
from molvae.search.ranking import fitness
from molvae.seeds import generator

_N_ORIGINS = 10  # a subspace begins at one of this many best molecules
_STRETCH = (0.25, 4.0)  # smallest and largest factor of the steps
_MAX_DRY = 200  # proposals without a new molecule after which a subspace is left
_MIN_LENGTH = 1e-6  # singular value below which a principal component is dropped


class CmaEsSettings(base.Settings):
    """Settings of `CmaEs`.

    Parameters
    ----------
    n_dimensions : int, default=16
        Number of dimensions of the subspace, at most D.
    subspace : {"best", "random"}, default="best"
        Axes of the subspace: half of them the principal components of the best molecules, or all of them random.
    n_best : int, default=100
        Number of best molecules whose principal components are axes.
    step : float, default=1.0
        Standard deviation of the first samples along each axis, in standard deviations of the prior.
    min_step : float, default=0.3
        Standard deviation below which the next subspace begins, because samples decode to known molecules.
    population : int, optional
        Number of scored molecules per update of the distribution; default: 4 + 3 ln(n_dimensions), as recommended.
    n_initial : int, default=50
        Number of molecules from the prior before the first subspace, if there are no start molecules.
    patience : int, default=10
        Largest number of updates without a new best molecule before the next subspace begins.
    max_updates : int, default=60
        Largest number of updates in a subspace.
    step_adaptation : float, default=0.3
        How strongly the steps grow with the share of repeats among the molecules, and shrink with the share of invalid
        ones; 0 does neither.
    """

    n_dimensions: int = Field(16, ge=2, le=500, description="number of dimensions of the subspace")
    subspace: Literal["best", "random"] = Field("best", description="half principal axes of the best, or all random")
    n_best: int = Field(100, ge=2, le=10_000, description="best molecules whose principal components are axes")
    step: float = Field(1.0, gt=0, le=10, description="first step along an axis, in standard deviations of the prior")
    min_step: float = Field(0.3, ge=0, description="standard deviation below which the next subspace is taken")
    population: int | None = Field(None, ge=4, le=1000, description="scored molecules per update")
    n_initial: int = Field(50, ge=1, description="molecules from the prior before the first subspace, without starts")
    patience: int = Field(10, ge=1, description="updates without a new best molecule before the next subspace")
    max_updates: int = Field(60, ge=1, le=1000, description="largest number of updates in a subspace")
    step_adaptation: float = Field(0.3, ge=0, le=2, description="how strongly repeats stretch the samples")


class _Strategy:
    """CMA-ES in one subspace.

    Parameters
    ----------
    origin : ndarray of shape (D,)
        Mean of the first samples, in standard units.
    axes : ndarray of shape (k, D)
        Orthonormal axes of the subspace.
    step : float
        First standard deviation along each axis.
    population : int
        Number of samples per update.
    """

    def __init__(self, origin: np.ndarray, axes: np.ndarray, step: float, population: int) -> None:
        import cma

        self._origin, self._axes = origin, axes
        rng = np.random.default_rng(0)  # its samples are not used
        options = {
            "verbose": -9,
            "verb_log": 0,
            "seed": np.nan,  # does not seed NumPy's global generator
            "randn": lambda n, k: rng.standard_normal((n, k)),
            "popsize": population,
        }
        self._cma = cma.CMAEvolutionStrategy(np.zeros(len(axes)), step, options)
        self.n_updates = 0

    @property
    def step(self) -> float:
        """Standard deviation of the samples along an axis."""
        return float(self._cma.sigma)

    def sample(self, n: int, stretch: float, rng: np.random.Generator) -> np.ndarray:
        """Samples (n, D) of the distribution, in standard units."""
        steps = np.array([self._cma.sm.transform(one) for one in rng.standard_normal((n, len(self._axes)))])
        y = self._cma.mean + stretch * self._cma.sigma * self._cma.sigma_vec.scaling * steps
        return self._origin + y @ self._axes

    def update(self, z: np.ndarray, values: np.ndarray) -> None:
        """Update the distribution with a population of samples (n, D), in standard units, and their values (n, k)."""
        self._cma.ask()  # it has to be called before each update
        from scipy.stats import rankdata  # takes half a second

        self._cma.tell(list((z - self._origin) @ self._axes.T), rankdata(-fitness(values)).tolist())
        self.n_updates += 1


class CmaEs:
    """Covariance matrix adaptation evolution strategy (CMA-ES [1]_) in a few dimensions.

    The distribution of the samples starts at one of the best molecules and adapts to the ranks of the scores. Its axes
    span a subspace, because adapting to all latent dimensions takes more scores than most searches have. When the
    best molecule no longer changes, a new subspace begins at one of the ten best molecules. Repeats of known molecules
    lengthen the steps, and invalid molecules shorten them.

    Use it for scores that change smoothly in latent space, such as properties and similarities, for noisy scores, and
    as a standard method to compare with. `Evolution` is far better on scores that depend on substructures. Requires the
    extra `search`.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : CmaEsSettings, optional
        Settings.

    Raises
    ------
    MissingPackageError
        The package `cma` is not installed.

    References
    ----------
    .. [1] Hansen and Ostermeier 2001, doi:10.1162/106365601750190398; Hansen 2016, arXiv:1604.00772.
    """

    Settings: ClassVar[type[base.Settings]] = CmaEsSettings
    uses_surrogate: ClassVar[bool] = True

    def __init__(self, space: LatentSpace, seed: int, settings: CmaEsSettings | None = None) -> None:
        require("cma", "the search method cma_es")
        self._settings = settings or CmaEsSettings()
        self._seed = seed
        self._rng = generator(seed, "search/cma_es")
        self._scale = LatentScale(space, seed)
        self._n_dimensions = min(self._settings.n_dimensions, self._scale.n_latent)
        self._population = self._settings.population or 4 + int(3 * np.log(self._n_dimensions))
        self._best = Scored.empty(self._scale.n_latent)  # best first
        self._n_asked = 0
        self._n_told = 0
        self._n_subspaces = 0
        self._is_started = False
        self._stretch = 1.0  # factor of the steps
        self._strategy: _Strategy | None = None  # in the subspace; the others below belong to it, too
        self._basis = self._waiting = self._told = self._best
        self._first_id = 0  # of the proposals
        self._n_stalled = 0  # updates since the last new best molecule
        self._n_dry = 0  # proposals since the last new molecule

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        if self._strategy is None and self._is_started and len(self._best.rows):
            self._first_id = self._n_asked
            rank = int(min(_N_ORIGINS, len(self._best.rows)) ** self._rng.random()) - 1
            self._enter_subspace(self._best.take(np.append(rank, np.delete(np.arange(len(self._best.rows)), rank))))
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        if self._strategy is None:
            z = self._scale.to_latent(self._scale.draw(n, self._rng))
            noise, temperature = sampling_noise(n, 1.0, self._rng)
            proposals = Proposals.greedy(ids, z, np.full(n, NO_PARENT), "prior")
            return proposals._replace(noise=noise.astype(np.float32), temperature=temperature.astype(np.float32))
        z = self._scale.to_latent(self._strategy.sample(n, self._stretch, self._rng))
        return Proposals.greedy(ids, z, np.full(n, self._basis.ids[0]), "cma")

    def tell(self, results: Results) -> None:
        """Update the distribution, and leave the subspace if it gives no better or no new molecules."""
        results = check_results(results, self._scale.n_latent)
        is_scored = results.outcome == Outcome.SCORED
        if not is_scored.all():
            self._learn_outcomes(results.rows(~is_scored))
        if is_scored.any():
            self._learn_scores(results.rows(is_scored))

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        n_best, n = self._settings.n_best, self._population
        length = {"best": n_best, "basis": n_best, "waiting": n, "told": n * self._settings.max_updates}
        arrays = {name: pad(getattr(self, f"_{name}").rows, length[name]) for name in _MOLECULES}
        arrays |= {name: np.array(int(getattr(self, f"_{name}"))) for name in _COUNTS}
        return State(arrays | {"stretch": np.array(self._stretch)}, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state and all scored results before it; the updates in the subspace are repeated."""
        scored = check_results(scored, self._scale.n_latent)
        rows = {name: state.arrays[name][state.arrays[name] >= 0] for name in _MOLECULES}
        molecules = {name: Scored.of(scored.rows(some), some) for name, some in rows.items()}
        self._n_subspaces = int(state.arrays["n_subspaces"])
        if len(molecules["basis"].rows):
            strategy, n = self._enter_subspace(molecules["basis"]), self._population
            for first in range(0, len(rows["told"]), n):
                self._update(strategy, molecules["told"].take(np.arange(first, first + n)))
        for name in ("best", "waiting"):
            setattr(self, f"_{name}", molecules[name])
        for name in _COUNTS:
            setattr(self, f"_{name}", int(state.arrays[name]))
        self._stretch = float(state.arrays["stretch"])
        self._rng.bit_generator.state = state.rng

    def _enter_subspace(self, basis: Scored) -> _Strategy:
        """Begin at the first molecule of a basis, in a subspace chosen by `CmaEsSettings.subspace`."""
        z = self._scale.standardize(basis.z)
        n = self._n_dimensions
        rng = generator(self._seed, f"search/cma_es/{self._n_subspaces}")
        directions = rng.standard_normal((n, self._scale.n_latent))
        if self._settings.subspace == "best":
            _, length, axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            directions = np.vstack([axes[length > _MIN_LENGTH][: n // 2], directions])
        axes, _ = np.linalg.qr(directions.T)
        self._basis, self._strategy = basis, _Strategy(z[0], axes.T[:n], self._settings.step, self._population)
        return self._strategy

    def _leave_subspace(self) -> None:
        self._strategy = None
        self._basis = self._waiting = self._told = Scored.empty(self._scale.n_latent)
        self._n_subspaces += 1
        self._first_id = self._n_stalled = self._n_dry = 0

    def _update(self, strategy: _Strategy, samples: Scored) -> None:
        strategy.update(self._scale.standardize(samples.sample), samples.values)
        self._told = self._told.append(samples)

    def _learn_scores(self, results: Results) -> None:
        new = Scored.of(results, np.arange(self._n_told, self._n_told + len(results.z)))
        self._n_told += len(results.z)
        self._is_started |= bool((new.ids < 0).any()) or self._n_told >= self._settings.n_initial
        former = self._best.rows[:1]
        self._best = self._best.append(new).best(self._settings.n_best)
        strategy, s, n = self._strategy, self._settings, self._population
        if strategy is None:
            return
        if not np.array_equal(former, self._best.rows[:1]):
            self._n_stalled = 0
        self._waiting = self._waiting.append(new.take(np.flatnonzero(new.ids >= self._first_id)))
        while len(self._waiting.rows) >= n:
            self._update(strategy, self._waiting.take(np.arange(n)))
            self._waiting = self._waiting.take(np.arange(n, len(self._waiting.rows)))
            self._n_stalled += 1
        if self._n_stalled > s.patience or strategy.n_updates >= s.max_updates or strategy.step < s.min_step:
            self._leave_subspace()

    def _learn_outcomes(self, results: Results) -> None:
        results = results.rows(results.proposals.ids >= self._first_id)
        if self._strategy is None or not len(results.outcome):
            return
        outcome = results.outcome
        balance = np.mean(outcome == Outcome.REPEAT) - np.mean(outcome == Outcome.INVALID)
        stretch = self._stretch * np.exp(self._settings.step_adaptation * balance)
        self._stretch = float(np.clip(stretch, *_STRETCH))
        self._n_dry = 0 if (outcome == Outcome.PREDICTED).any() else self._n_dry + len(outcome)
        if self._n_dry >= _MAX_DRY:
            self._leave_subspace()


_MOLECULES = ("best", "waiting", "basis", "told")
_COUNTS = ("n_asked", "n_told", "n_subspaces", "is_started", "first_id", "n_stalled", "n_dry")
