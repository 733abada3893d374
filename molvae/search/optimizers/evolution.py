"""An evolutionary algorithm in latent space."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.search.optimizers.protocol import NO_PARENT, Draw, State, check_scores
from molvae.search.optimizers.scale import LatentScale
from molvae.seeds import generator


class EvolutionSettings(base.Settings):
    """Settings of `Evolution`. Step sizes are in standard deviations of the prior, per latent dimension.

    Parameters
    ----------
    population : int, default=200
        Number of best molecules kept as parents.
    n_initial : int, default=100
        Number of molecules to score from prior draws before crossover and mutation begin; not used if there are start
        molecules.
    selection_pressure : float, default=2.0
        Each parent is drawn uniformly from the best fraction 10**-u of the population, u uniform in
        [0, selection_pressure].
    crossover : float, default=0.40
        Share of proposals interpolated between two parents.
    mutation : float, default=0.45
        Share of proposals a random step away from one parent.
    differential : float, default=0.10
        Share of proposals moved by the difference of two other parents.
    prior : float, default=0.05
        Share of proposals drawn from the prior.
    min_step : float, default=0.2
        Smallest step size of a mutation.
    max_step : float, default=2.0
        Largest step size of a mutation; step sizes are log-uniform.
    n_step_sizes : int, default=6
        Number of ranges of step sizes; each range has a separate success rate.
    min_mutated : int, default=10
        Smallest number of latent dimensions that one mutation changes.
    max_mutated : int, default=20
        Largest number of latent dimensions that one mutation changes.
    success_decay : float, default=0.9
        Factor that multiplies the success counts after each round.
    adaptation : float, default=0.7
        How strongly success rates change the shares, in [0, 1]; 0 keeps the shares fixed.
    """

    population: int = Field(200, ge=1, le=100_000, description="number of best molecules kept as parents")
    n_initial: int = Field(100, ge=0, description="molecules scored from the prior before crossover and mutation")
    selection_pressure: float = Field(2.0, ge=0, le=6, description="parents come from the best 10**-u, u in [0, this]")
    crossover: float = Field(0.40, ge=0, description="share of proposals interpolated between two parents")
    mutation: float = Field(0.45, ge=0, description="share of proposals a random step away from one parent")
    differential: float = Field(0.10, ge=0, description="share moved by the difference of two other parents")
    prior: float = Field(0.05, gt=0, description="share of proposals drawn from the prior")
    min_step: float = Field(0.2, gt=0, description="smallest step size")
    max_step: float = Field(2.0, gt=0, description="largest step size; step sizes are log-uniform")
    n_step_sizes: int = Field(6, ge=1, le=50, description="number of ranges of step sizes")
    min_mutated: int = Field(10, ge=1, description="fewest latent dimensions changed by one mutation")
    max_mutated: int = Field(20, ge=1, description="most latent dimensions changed by one mutation")
    success_decay: float = Field(0.9, ge=0, lt=1, description="factor of the success counts after each round")
    adaptation: float = Field(0.7, ge=0, le=1, description="how strongly success changes the shares; 0: not at all")


class Evolution:
    """Evolutionary algorithm with crossover, mutation, differential mutation and draws from the prior.

    Better molecules are drawn as parents more often (`selection_pressure`). The shares of the moves and step sizes
    adapt to how often each gives a child with a higher score than its parents.

    Parameters
    ----------
    draw : callable
        ``draw(n, seed)`` returns n latent vectors (n, D) from the prior.
    seed : int
        Seed of the random numbers.
    settings : EvolutionSettings, optional
        Settings.

    References
    ----------
    .. [1] Storn and Price 1997, doi:10.1023/A:1008202821328, equation 2 (differential mutation).
    """

    Settings: ClassVar[type[base.Settings]] = EvolutionSettings
    learns: ClassVar[bool] = True
    CROSSOVER, DIFFERENTIAL, PRIOR, MUTATION = 0, 1, 2, 3  # MUTATION is the first of `n_step_sizes` moves

    def __init__(self, draw: Draw, seed: int, settings: EvolutionSettings | None = None) -> None:
        self._settings = settings or EvolutionSettings()
        self._rng = generator(seed, "search/evolution")
        self._scale = LatentScale(draw, seed)
        s = self._settings
        self._shares = np.array([s.crossover, s.differential, s.prior] + [s.mutation / s.n_step_sizes] * s.n_step_sizes)
        self._shares /= self._shares.sum()
        self._step_edges = np.geomspace(s.min_step, s.max_step, s.n_step_sizes + 1)
        self._tries = np.zeros(len(self._shares))
        self._wins = np.zeros(len(self._shares))
        self._z = np.zeros((0, self._scale.n_latent), np.float32)  # the population, best first
        self._score = np.zeros(0)
        self._row = np.zeros(0, np.int64)  # of each parent, counted over all rows passed to `tell`
        self._n_told = 0
        self._is_breeding = False
        self._move = np.zeros(0, np.int64)  # of each proposal of the last ask
        self._bar = np.zeros(0)  # the score that each proposal must exceed to count as a success
        self.parents = np.zeros(0, np.int64)

    def ask(self, n: int) -> np.ndarray:
        """Propose latent vectors (n, D)."""
        draws = self._scale.draw(n, self._rng)
        if not self._is_breeding or not len(self._z):
            self._move, self.parents, self._bar = np.full(n, self.PRIOR), np.full(n, NO_PARENT), np.full(n, np.inf)
            return self._scale.to_latent(draws)
        self._move = self._rng.choice(len(self._shares), n, p=self._probabilities())
        first, second, third = self._select_three(n)
        population = self._scale.standardize(self._z)
        mate = population[second] if len(population) > 1 else draws
        children = {
            self.CROSSOVER: _cross(population[first], mate, self._rng.random((n, 1))),
            self.DIFFERENTIAL: population[first] + self._rng.uniform(0.3, 1.0, (n, 1)) * (mate - population[third]),
            self.PRIOR: draws,
        }
        mutants = population[first] + self._steps(n)
        proposals = np.select([(self._move == move)[:, None] for move in children], list(children.values()), mutants)
        self.parents = np.where(self._move == self.PRIOR, NO_PARENT, self._row[first])
        better = np.where(self._move == self.CROSSOVER, np.minimum(first, second), first)  # ranks: lower is better
        self._bar = self._score[np.where(self._move == self.PRIOR, 0, better)]
        return self._scale.to_latent(proposals)

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Keep the best molecules as parents and count the moves that gave better children."""
        z, score = check_scores(z, score, self._scale.n_latent)
        rows = np.arange(self._n_told, self._n_told + len(z))
        self._n_told += len(z)
        if asked is not None:
            self._count_successes(score, asked)
        z, score, rows = np.vstack([self._z, z]), np.append(self._score, score), np.append(self._row, rows)
        best = np.lexsort((-rows, -score))[: self._settings.population]  # among ties, newest first: neutral drift
        self._z, self._score, self._row = z[best], score[best], rows[best]
        self._is_breeding = self._is_breeding or asked is None or self._n_told >= self._settings.n_initial

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        arrays = {name: getattr(self, f"_{name}").copy() for name in self._STATE}
        arrays |= {"parents": self.parents.copy(), "counts": np.array([self._n_told, self._is_breeding], np.int64)}
        return State(arrays, self._rng.bit_generator.state)

    def restore(self, state: State, z: np.ndarray, score: np.ndarray) -> None:
        """Resume from a state and all earlier arguments of `tell`."""
        for name in self._STATE:
            setattr(self, f"_{name}", state.arrays[name].copy())
        self._z, self._score = np.asarray(z, np.float32)[self._row], np.asarray(score, float)[self._row]
        self.parents = state.arrays["parents"].copy()
        self._n_told, self._is_breeding = int(state.arrays["counts"][0]), bool(state.arrays["counts"][1])
        self._rng.bit_generator.state = state.rng

    _STATE = ("row", "move", "bar", "tries", "wins")

    def _select_three(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ranks of three parents for each of n proposals, all different if the population has three or more."""
        first, second, third = self._select(n), self._select(n), self._select(n)
        size = len(self._z)
        second = np.where(second == first, (second + 1) % size, second)
        for _ in range(2):
            third = np.where((third == first) | (third == second), (third + 1) % size, third)
        return first, second, third

    def _select(self, n: int) -> np.ndarray:
        """Ranks of n parents, each uniform over the best fraction 10**-u of the population."""
        quantile = 10.0 ** -self._rng.uniform(0, self._settings.selection_pressure, n)
        return (self._rng.random(n) * np.ceil(quantile * len(self._z))).astype(np.int64)

    def _steps(self, n: int) -> np.ndarray:
        """Gaussian steps (n, D) in a few random latent dimensions, with the step size of each move."""
        s, n_latent = self._settings, self._scale.n_latent
        size_range = np.clip(self._move - self.MUTATION, 0, s.n_step_sizes - 1)
        low, high = np.log(self._step_edges[size_range]), np.log(self._step_edges[size_range + 1])
        size = np.exp(low + (high - low) * self._rng.random(n))
        n_mutated = self._rng.integers(s.min_mutated, max(s.min_mutated, s.max_mutated) + 1, n)
        order = self._rng.random((n, n_latent)).argsort(axis=1)
        return size[:, None] * self._rng.standard_normal((n, n_latent)) * (order < n_mutated[:, None])

    def _probabilities(self) -> np.ndarray:
        """Probability of each move: its share, adapted to its success rate."""
        mean_rate = (self._wins.sum() + 1) / (self._tries.sum() + len(self._tries))
        rate = (self._wins + 1) / (self._tries + 1 / mean_rate)  # a move without tries has the mean rate
        adapted = self._shares * rate
        weight = self._settings.adaptation
        return (1 - weight) * self._shares + weight * adapted / adapted.sum()

    def _count_successes(self, score: np.ndarray, asked: np.ndarray) -> None:
        self._tries *= self._settings.success_decay
        self._wins *= self._settings.success_decay
        self._tries += np.bincount(self._move, minlength=len(self._tries))
        self._wins += np.bincount(self._move[asked[score > self._bar[asked]]], minlength=len(self._wins))


def _cross(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation between a and b (n, D) at t (n, 1), with linear interpolation of the norms.

    Latent vectors of molecules have similar norms. The midpoint of a straight line has a smaller norm and decodes
    worse.
    """
    length_a, length_b = (np.linalg.norm(x, axis=1, keepdims=True) + 1e-12 for x in (a, b))
    cosine = ((a / length_a) * (b / length_b)).sum(axis=1, keepdims=True)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    is_collinear = (angle < 1e-3) | (angle > np.pi - 1e-3)
    sine = np.where(is_collinear, 1.0, np.sin(angle))
    weight_a = np.where(is_collinear, 1 - t, np.sin((1 - t) * angle) / sine)
    weight_b = np.where(is_collinear, t, np.sin(t * angle) / sine)
    return (weight_a * a / length_a + weight_b * b / length_b) * ((1 - t) * length_a + t * length_b)
