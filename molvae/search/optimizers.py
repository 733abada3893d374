"""Where to look next in latent space: optimizers that propose points and learn from scores, and nothing else.

None of them decodes, scores or counts a budget; that is the loop's part.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from molvae.errors import InputError
from molvae.seeds import generator
from molvae.settings import Settings

Draw = Callable[[int, int], np.ndarray]
"""`draw(n, seed)`: n points (n, D) from the prior of the codes; `Codec.draw` is one."""

NO_PARENT = -1
_N_SCALE_POINTS = 2000


class State(NamedTuple):
    """All that an optimizer knows, in a form that files can hold: arrays by name, and the state of its generator."""

    arrays: dict[str, np.ndarray]
    rng: Mapping[str, Any]


class LatentOptimizer(Protocol):
    """Proposes points and learns from their scores. Equal seeds and equal answers give equal proposals."""

    learns: ClassVar[bool]
    """Whether scores steer it; a control's do not, and the loop then chooses nothing by them either."""
    parents: np.ndarray
    """(n,) int64, for each point of the last `ask`: which molecule it was moved from, counted from 0 in the order
    of all rows ever told; NO_PARENT where it was not moved from any."""

    def ask(self, n: int) -> np.ndarray:
        """Points to try, (n, D) float32, in random order of how they were made."""
        ...

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Learn the scores (m,), higher is better, no NaN, of distinct molecules at the codes z (m, D).

        asked: (m,) the row of the last `ask` that led to each molecule; None for molecules that were not asked for.
        Rows asked for and not told led to nothing new. m may be 0.
        """
        ...

    def state(self) -> State:
        """Everything needed to go on later exactly as from here."""
        ...

    def restore(self, state: State) -> None:
        """Go on from a state that an optimizer of the same kind, seed and settings gave."""
        ...


class EvolutionSettings(Settings):
    """How the evolution breeds. Distances are in standard deviations of the prior, per dimension."""

    population: int = Field(200, ge=1, le=100_000, description="best molecules kept as parents")
    opening: int = Field(100, ge=0, description="molecules from the prior before breeding, where no starts are given")
    selection_pressure: float = Field(2.0, ge=0, le=6, description="parents come from the best 10**-U(0, this)")
    crossover: float = Field(0.40, ge=0, description="share of points between two parents")
    step: float = Field(0.45, ge=0, description="share of points a random step away from one parent")
    analogy: float = Field(0.10, ge=0, description="share of points moved by the difference of two other parents")
    prior: float = Field(0.05, gt=0, description="share of points drawn from the prior")
    step_low: float = Field(0.2, gt=0, description="smallest step")
    step_high: float = Field(2.0, gt=0, description="largest step; each is drawn log-uniformly")
    step_bins: int = Field(6, ge=1, le=50, description="how many sizes of step have a success rate of their own")
    moved_low: int = Field(10, ge=1, description="fewest dimensions that one step moves")
    moved_high: int = Field(20, ge=1, description="most dimensions that one step moves")
    memory: float = Field(0.9, ge=0, lt=1, description="share of the success counts that outlives a round")
    trust: float = Field(0.7, ge=0, le=1, description="how far success changes the shares; 0 not at all")


class RandomDirectionsSettings(Settings):
    """How far the lines of the control reach, and how many points lie on each."""

    reach: float = Field(1.5, gt=0, description="length of a line, in standard deviations of the prior per dimension")
    points: int = Field(8, ge=1, description="points on a line")


class PriorDrawsSettings(Settings):
    """The control that draws from the prior has no settings."""


class Evolution:
    """Breeds points from the best molecules: between two of them, steps away from one, and a few from the prior.

    Parents are drawn by log-quantile: the better, the likelier, at every scale of rank. Which kind of move and which
    size of step is taken more often follows from what has lately led to a child better than its parents.
    """

    learns: ClassVar[bool] = True
    CROSSOVER, ANALOGY, PRIOR, STEP = 0, 1, 2, 3  # STEP is the first of `step_bins` kinds

    def __init__(self, draw: Draw, seed: int, settings: EvolutionSettings | None = None) -> None:
        self._settings = settings or EvolutionSettings()
        self._rng = generator(seed, "search/evolution")
        self._scale = _Scale(draw, seed)
        s = self._settings
        self._shares = np.array([s.crossover, s.analogy, s.prior] + [s.step / s.step_bins] * s.step_bins)
        self._shares /= self._shares.sum()
        self._edges = np.geomspace(s.step_low, s.step_high, s.step_bins + 1)
        self._tries = np.zeros(len(self._shares))
        self._wins = np.zeros(len(self._shares))
        self._z = np.zeros((0, self._scale.n_latent), np.float32)
        self._score = np.zeros(0)
        self._row = np.zeros(0, np.int64)  # of each parent, in the order of all rows ever told
        self._n_told = 0
        self._breeds = False
        self._kind = np.zeros(0, np.int64)  # of each point of the last ask: its move, and the score it must beat
        self._bar = np.zeros(0)
        self.parents = np.zeros(0, np.int64)

    def ask(self, n: int) -> np.ndarray:
        """Points to try, (n, D) float32."""
        fresh = self._scale.draw(n, self._rng)
        if not self._breeds or not len(self._z):
            self._kind, self.parents, self._bar = np.full(n, self.PRIOR), np.full(n, NO_PARENT), np.full(n, np.inf)
            return self._scale.points(fresh)
        self._kind = self._rng.choice(len(self._shares), n, p=self._chances())
        first, second, third = self._pick_three(n)
        home = self._scale.whiten(self._z)
        mate = home[second] if len(home) > 1 else fresh
        made = {
            self.CROSSOVER: _between(home[first], mate, self._rng.random((n, 1))),
            self.ANALOGY: home[first] + self._rng.uniform(0.3, 1.0, (n, 1)) * (mate - home[third]),
            self.PRIOR: fresh,
        }
        steps = home[first] + self._steps(n)
        points = np.select([(self._kind == kind)[:, None] for kind in made], list(made.values()), steps)
        self.parents = np.where(self._kind == self.PRIOR, NO_PARENT, self._row[first])
        best = np.where(self._kind == self.CROSSOVER, np.minimum(first, second), first)  # ranks: the lower the better
        self._bar = self._score[np.where(self._kind == self.PRIOR, 0, best)]
        return self._scale.points(points)

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Keep the best as parents, and count which moves led to better children."""
        z, score = _checked(z, score, self._scale.n_latent)
        rows = np.arange(self._n_told, self._n_told + len(z))
        self._n_told += len(z)
        if asked is not None:
            self._learn(score, asked)
        z, score, rows = np.vstack([self._z, z]), np.append(self._score, score), np.append(self._row, rows)
        best = np.lexsort((-rows, -score))[: self._settings.population]  # among equals the newest first: drift, no jam
        self._z, self._score, self._row = z[best], score[best], rows[best]
        self._breeds = self._breeds or asked is None or self._n_told >= self._settings.opening

    def state(self) -> State:
        """Everything needed to go on later exactly as from here."""
        arrays = {name: getattr(self, f"_{name}").copy() for name in self._ARRAYS}
        arrays |= {"parents": self.parents.copy(), "counts": np.array([self._n_told, self._breeds], np.int64)}
        return State(arrays, self._rng.bit_generator.state)

    def restore(self, state: State) -> None:
        """Go on from such a state."""
        for name in self._ARRAYS:
            setattr(self, f"_{name}", state.arrays[name].copy())
        self.parents = state.arrays["parents"].copy()
        self._n_told, self._breeds = int(state.arrays["counts"][0]), bool(state.arrays["counts"][1])
        self._rng.bit_generator.state = state.rng

    _ARRAYS = ("z", "score", "row", "kind", "bar", "tries", "wins")

    def _pick_three(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ranks of three parents for each of n points, all different where there are three."""
        first, second, third = self._pick(n), self._pick(n), self._pick(n)
        size = len(self._z)
        second = np.where(second == first, (second + 1) % size, second)
        for _ in range(2):
            third = np.where((third == first) | (third == second), (third + 1) % size, third)
        return first, second, third

    def _pick(self, n: int) -> np.ndarray:
        """Ranks of n parents, log-quantile: the best 10**-u of all, u uniform, and any of these alike."""
        quantile = 10.0 ** -self._rng.uniform(0, self._settings.selection_pressure, n)
        return (self._rng.random(n) * np.ceil(quantile * len(self._z))).astype(np.int64)

    def _steps(self, n: int) -> np.ndarray:
        """Gaussian steps (n, D), each in a random handful of dimensions and of the size its kind says."""
        s, n_latent = self._settings, self._scale.n_latent
        bin_ = np.clip(self._kind - self.STEP, 0, s.step_bins - 1)
        low, high = np.log(self._edges[bin_]), np.log(self._edges[bin_ + 1])
        size = np.exp(low + (high - low) * self._rng.random(n))
        n_moved = self._rng.integers(s.moved_low, max(s.moved_low, s.moved_high) + 1, n)
        order = self._rng.random((n, n_latent)).argsort(axis=1)
        return size[:, None] * self._rng.standard_normal((n, n_latent)) * (order < n_moved[:, None])

    def _chances(self) -> np.ndarray:
        """How likely each kind of move is: its share, bent towards the kinds that have lately succeeded."""
        mean_rate = (self._wins.sum() + 1) / (self._tries.sum() + len(self._tries))
        rate = (self._wins + 1) / (self._tries + 1 / mean_rate)  # a kind not tried yet counts as average
        bent = self._shares * rate
        return (1 - self._settings.trust) * self._shares + self._settings.trust * bent / bent.sum()

    def _learn(self, score: np.ndarray, asked: np.ndarray) -> None:
        self._tries *= self._settings.memory
        self._wins *= self._settings.memory
        self._tries += np.bincount(self._kind, minlength=len(self._tries))
        self._wins += np.bincount(self._kind[asked[score > self._bar[asked]]], minlength=len(self._wins))


class RandomDirections:
    """A control: points along random straight lines through the starts, or through draws from the prior; scores are
    not looked at."""

    learns: ClassVar[bool] = False

    def __init__(self, draw: Draw, seed: int, settings: RandomDirectionsSettings | None = None) -> None:
        self._settings = settings or RandomDirectionsSettings()
        self._rng = generator(seed, "search/random_directions")
        self._scale = _Scale(draw, seed)
        self._starts = np.zeros((0, self._scale.n_latent), np.float32)
        self._row = np.zeros(0, np.int64)
        self._n_told = 0
        self.parents = np.zeros(0, np.int64)

    def ask(self, n: int) -> np.ndarray:
        """Points to try, (n, D) float32."""
        n_points = self._settings.points
        n_lines = -(-n // n_points)
        if len(self._starts):
            chosen = self._rng.integers(len(self._starts), size=n_lines)
            anchor, row = self._scale.whiten(self._starts[chosen]), self._row[chosen]
        else:
            anchor, row = self._scale.draw(n_lines, self._rng), np.full(n_lines, NO_PARENT)
        direction = self._rng.standard_normal((n_lines, self._scale.n_latent))
        direction *= np.sqrt(self._scale.n_latent) / np.linalg.norm(direction, axis=1, keepdims=True)
        distance = self._settings.reach * np.arange(1, n_points + 1) / n_points
        line = anchor[:, None] + distance[:, None] * direction[:, None]  # (lines, points, D)
        order = self._rng.permutation(n_lines * n_points)[:n]
        self.parents = np.repeat(row, n_points)[order]
        return self._scale.points(line.reshape(-1, self._scale.n_latent)[order])

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Remember the starts; the scores change nothing."""
        z, _ = _checked(z, score, self._scale.n_latent)
        if asked is None:
            self._starts = np.vstack([self._starts, z])
            self._row = np.append(self._row, np.arange(self._n_told, self._n_told + len(z)))
        self._n_told += len(z)

    def state(self) -> State:
        """Everything needed to go on later exactly as from here."""
        arrays: dict[str, np.ndarray] = {"starts": self._starts.copy(), "row": self._row.copy()}
        arrays |= {"parents": self.parents.copy(), "counts": np.array([self._n_told], np.int64)}
        return State(arrays, self._rng.bit_generator.state)

    def restore(self, state: State) -> None:
        """Go on from such a state."""
        self._starts, self._row = state.arrays["starts"].copy(), state.arrays["row"].copy()
        self.parents, self._n_told = state.arrays["parents"].copy(), int(state.arrays["counts"][0])
        self._rng.bit_generator.state = state.rng


class PriorDraws:
    """A control: draws from the prior of the codes; nothing is learnt."""

    learns: ClassVar[bool] = False

    def __init__(self, draw: Draw, seed: int, settings: PriorDrawsSettings | None = None) -> None:
        self._rng = generator(seed, "search/prior")
        self._scale = _Scale(draw, seed)
        self.parents = np.zeros(0, np.int64)

    def ask(self, n: int) -> np.ndarray:
        """Points to try, (n, D) float32."""
        self.parents = np.full(n, NO_PARENT)
        return self._scale.points(self._scale.draw(n, self._rng))

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Nothing is learnt; only the shapes are checked."""
        _checked(z, score, self._scale.n_latent)

    def state(self) -> State:
        """Everything needed to go on later exactly as from here."""
        return State({"parents": self.parents.copy()}, self._rng.bit_generator.state)

    def restore(self, state: State) -> None:
        """Go on from such a state."""
        self.parents = state.arrays["parents"].copy()
        self._rng.bit_generator.state = state.rng


class _Scale:
    """Where the codes lie and how far they spread, in each dimension: the unit of every step."""

    def __init__(self, draw: Draw, seed: int) -> None:
        self._draw = draw
        sample = np.asarray(draw(_N_SCALE_POINTS, _seed(generator(seed, "search/scale"))), dtype=float)
        self._mean = sample.mean(axis=0)
        self._spread = np.maximum(sample.std(axis=0), 1e-6)  # a dimension that the codec does not use must stay still
        self.n_latent = sample.shape[1]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws from the prior (n, D), in standard units."""
        return self.whiten(self._draw(n, _seed(rng)))

    def whiten(self, z: np.ndarray) -> np.ndarray:
        return (np.asarray(z, dtype=float) - self._mean) / self._spread

    def points(self, whitened: np.ndarray) -> np.ndarray:
        return (self._mean + self._spread * whitened).astype(np.float32)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _between(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points between a and b (n, D) at t (n, 1) along the arc, so that they keep as far from the centre as their
    parents: high-dimensional codes lie on a shell, and the middle of a chord lies inside it, where nothing is."""
    length_a, length_b = (np.linalg.norm(x, axis=1, keepdims=True) + 1e-12 for x in (a, b))
    cosine = ((a / length_a) * (b / length_b)).sum(axis=1, keepdims=True)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    is_flat = (angle < 1e-3) | (angle > np.pi - 1e-3)
    sine = np.where(is_flat, 1.0, np.sin(angle))
    weight_a = np.where(is_flat, 1 - t, np.sin((1 - t) * angle) / sine)
    weight_b = np.where(is_flat, t, np.sin(t * angle) / sine)
    return (weight_a * a / length_a + weight_b * b / length_b) * ((1 - t) * length_a + t * length_b)


def _checked(z: np.ndarray, score: np.ndarray, n_latent: int) -> tuple[np.ndarray, np.ndarray]:
    z, score = np.asarray(z, dtype=np.float32), np.asarray(score, dtype=float)
    if z.ndim != 2 or z.shape[1] != n_latent or score.shape != (len(z),):
        raise InputError(f"tell: expected z (m, {n_latent}) and score (m,), got {z.shape} and {score.shape}")
    if np.isnan(z).any() or np.isnan(score).any():
        raise InputError("tell: expected numbers, got NaN; give a failed molecule the lowest score instead")
    return z, score


OPTIMIZERS: dict[str, Callable[..., LatentOptimizer]] = {
    "evolution": Evolution,
    "random_directions": RandomDirections,
    "prior": PriorDraws,
}
