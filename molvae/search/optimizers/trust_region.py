"""Trust-region Bayesian optimization with a Gaussian process over latent vectors.

The process is implemented in NumPy and SciPy rather than with BoTorch. A kernel with one length scale per latent
dimension cannot be fitted to a few hundred molecules, and one with a single length scale, in proportion to the square
root of the number of dimensions, does as well (Hvarfner et al. 2024). Its likelihood on a grid of length scales takes a
tenth of a second per round, gives the same result bit for bit after a restart, and adds no dependency.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist

from molvae import settings as base
from molvae.search.optimizers.moves import sampling_noise
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Outcome, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.search.optimizers.scored import Scored, pad
from molvae.search.ranking import fitness, normal_quantiles
from molvae.seeds import generator

_N_CHOSEN = 100  # latent vectors that are chosen together by Thompson sampling
_N_PER_CHOICE = 5  # candidates for each of them
_N_PERTURBED = 20  # dimensions in which a candidate differs from the center, on average
_N_SUCCESSES = 3  # consecutive improvements after which the region grows
_MOVE = "thompson"
_MIN_WIDTH = 0.05
_MAX_DRY = 1000  # proposals without a new molecule after which a region is left
_LENGTH_SCALES = (0.25, 0.5, 1.0, 2.0)  # in units of the square root of D
_NOISES = (0.01, 0.1)  # variances, relative to that of the values
_JITTER = 1e-6  # variance added to draws


class TrustRegionSettings(base.Settings):
    """Settings of `TrustRegion`.

    Parameters
    ----------
    n_initial : int, default=50
        Number of molecules from the prior before each region; start molecules replace those of the first.
    width : float, default=1.6
        Half the side length of a new region, in standard deviations of the prior.
    max_width : float, default=4.0
        Largest half side length.
    n_failures : int, optional
        Number of scored molecules without an improvement after which the region shrinks by half; default: D.
    patience : int, optional
        Number of scored molecules without an improvement after which a new region begins; default: 4 D.
    step_adaptation : float, default=0.3
        How strongly the region grows with the share of repeats, and shrinks with the share of invalid molecules; 0
        keeps it fixed, as in the publication.
    max_train : int, default=300
        Largest number of molecules in the Gaussian process: half of them the best, half the newest.
    """

    n_initial: int = Field(50, ge=1, description="molecules from the prior before each region")
    width: float = Field(1.6, gt=0, le=10, description="half side of a new region, in standard deviations of the prior")
    max_width: float = Field(4.0, gt=0, le=10, description="largest half side")
    n_failures: int | None = Field(None, ge=1, description="scores without a better one before the region shrinks")
    patience: int | None = Field(None, ge=1, description="scores without a better one before a new region")
    step_adaptation: float = Field(0.3, ge=0, le=2, description="how strongly repeats widen the region; 0: not at all")
    max_train: int = Field(300, ge=10, le=5_000, description="largest number of molecules in the Gaussian process")


class _GaussianProcess:
    """Gaussian process with a Matérn-5/2 kernel, whose length scale and noise have the highest marginal likelihood.

    Parameters
    ----------
    z : ndarray of shape (n, D)
        Latent vectors.
    y : ndarray of shape (n,)
        Values, with mean 0.
    """

    def __init__(self, z: np.ndarray, y: np.ndarray) -> None:
        self._z, self._y, self._sqrt_d = z, y, np.sqrt(z.shape[1])
        distance = cdist(z, z)
        fits = [self._fit(distance, scale * self._sqrt_d, noise) for scale in _LENGTH_SCALES for noise in _NOISES]
        _, self._scale, self._root, self._weights, self._amplitude = max(fits, key=lambda fit: fit[0])

    def draw(self, z: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws (n, m) of the function at latent vectors (m, D)."""
        cross = _matern(cdist(self._z, z), self._scale)
        explained = solve_triangular(self._root, cross, lower=True)
        covariance = _matern(cdist(z, z), self._scale) - explained.T @ explained
        root = np.sqrt(self._amplitude) * cholesky(covariance + _JITTER * np.eye(len(z)), lower=True)
        return np.asarray(explained.T @ self._weights + rng.standard_normal((n, len(z))) @ root.T)

    def _fit(
        self, distance: np.ndarray, scale: float, noise: float
    ) -> tuple[float, float, np.ndarray, np.ndarray, float]:
        """Log-likelihood with the best amplitude, length scale, Cholesky factor, weights and amplitude."""
        root = cholesky(_matern(distance, scale) + noise * np.eye(len(distance)), lower=True)
        weights = solve_triangular(root, self._y, lower=True)
        amplitude = max(float(weights @ weights) / len(weights), 1e-6)
        likelihood = -0.5 * len(weights) * np.log(amplitude) - np.log(np.diag(root)).sum()
        return likelihood, scale, root, weights, amplitude


class TrustRegion:
    """Trust-region Bayesian optimization (TuRBO-1 [1]_) in latent space.

    A Gaussian process over latent vectors is fitted to the ranks of the scores. Proposals are chosen by Thompson
    sampling among latent vectors in a box around the best molecule, each of which differs from it in about 20
    dimensions. The box doubles after three improvements in a row, and halves after many scores without one. After even
    more, a new region begins with draws from the prior. As nearby latent vectors decode to the same molecule, the box
    also adapts so that repeats of known molecules are as frequent as invalid SMILES. Failed molecules count as the
    worst.

    Use it for scores that are smooth in latent space but not in fingerprints, where the surrogate of the search
    predicts poorly, and to compare with published results of Bayesian optimization in latent space. `Evolution` with
    the surrogate over fingerprints needs fewer scores on most objectives.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : TrustRegionSettings, optional
        Settings.

    References
    ----------
    .. [1] Eriksson et al. 2019, arXiv:1910.01739, section 2 and supplement (perturbation mask).
    .. [2] Hvarfner et al. 2024, arXiv:2402.02229 (length scales in proportion to the square root of D).
    """

    Settings: ClassVar[type[base.Settings]] = TrustRegionSettings
    uses_surrogate: ClassVar[bool] = False

    def __init__(self, space: LatentSpace, seed: int, settings: TrustRegionSettings | None = None) -> None:
        self._settings = settings or TrustRegionSettings()
        self._rng = generator(seed, "search/trust_region")
        self._scale = LatentScale(space, seed)
        self._n_failures = self._settings.n_failures or self._scale.n_latent
        self._patience = self._settings.patience or 4 * self._scale.n_latent
        self._n_asked = 0
        self._n_told = 0
        self._molecules = Scored.empty(self._scale.n_latent)  # the others below belong to the region, too
        self._process: _GaussianProcess | None = None  # of the molecules; None if it has to be fitted
        self._width = self._settings.width
        self._is_open = False  # False while its first molecules come from the prior
        self._n_successes = 0  # consecutive calls of `tell` with a better molecule
        self._n_failed = 0  # molecules since the last better one
        self._n_dry = 0  # proposals since the last new molecule

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors: draws from the prior for a new region, then Thompson samples."""
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        if not self._is_open:
            z = self._scale.to_latent(self._scale.draw(n, self._rng))
            noise, temperature = sampling_noise(n, 1.0, self._rng)
            proposals = Proposals.greedy(ids, z, np.full(n, NO_PARENT), "prior")
            return proposals._replace(noise=noise.astype(np.float32), temperature=temperature.astype(np.float32))
        z = np.vstack([self._choose(min(_N_CHOSEN, n - first)) for first in range(0, n, _N_CHOSEN)])
        center = self._molecules.ids[self._best_row()]
        return Proposals.greedy(ids, self._scale.to_latent(z), np.full(n, center), _MOVE)

    def tell(self, results: Results) -> None:
        """Add scored molecules to the Gaussian process, and adapt the width of the region."""
        results = check_results(results, self._scale.n_latent)
        is_scored = results.outcome == Outcome.SCORED
        if not is_scored.all():
            self._learn_outcomes(results.outcome[~is_scored & (results.proposals.moves == _MOVE)])
        if is_scored.any():
            self._learn_scores(results.rows(is_scored))

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        arrays = {"rows": pad(self._molecules.rows, self._settings.max_train)}
        arrays |= {name: np.array(int(getattr(self, f"_{name}"))) for name in _COUNTS}
        return State(arrays | {"width": np.array(self._width)}, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state and all scored results before it."""
        rows = state.arrays["rows"][state.arrays["rows"] >= 0]
        self._molecules = Scored.of(scored.rows(rows), rows)
        self._process = None
        for name in _COUNTS:
            setattr(self, f"_{name}", int(state.arrays[name]))
        self._width = float(state.arrays["width"])
        self._rng.bit_generator.state = state.rng

    def _begin(self) -> None:
        """Begin a new region."""
        self._molecules, self._process = Scored.empty(self._scale.n_latent), None
        self._width, self._is_open = self._settings.width, False
        self._n_successes = self._n_failed = self._n_dry = 0

    def _best_row(self) -> int:
        """Row of the best molecule; the newest among ties."""
        order = fitness(self._molecules.values)
        return int(np.flatnonzero(order == order.max())[-1])

    def _choose(self, n: int) -> np.ndarray:
        """Thompson samples (n, D) among candidates in the region."""
        z, n_latent = self._scale.standardize(self._molecules.z), self._scale.n_latent
        if self._process is None:
            self._process = _GaussianProcess(z, normal_quantiles(fitness(self._molecules.values)))
        center = z[self._best_row()]
        n_candidates = _N_PER_CHOICE * n
        is_moved = self._rng.random((n_candidates, n_latent)) < _N_PERTURBED / n_latent
        is_moved[np.arange(n_candidates), self._rng.integers(n_latent, size=n_candidates)] = True  # at least one
        candidates = center + is_moved * self._rng.uniform(-self._width, self._width, is_moved.shape)
        draws = self._process.draw(candidates, n, self._rng)
        chosen = np.zeros(n, np.int64)
        for number, draw in enumerate(draws):
            chosen[number] = draw.argmax()
            draws[:, chosen[number]] = -np.inf
        return np.asarray(candidates[chosen])

    def _learn_scores(self, results: Results) -> None:
        before = self._molecules
        new = Scored.of(results, np.arange(self._n_told, self._n_told + len(results.z)))
        self._n_told += len(results.z)
        together = before.append(new)
        order = fitness(together.values)
        if self._is_open:
            reached = order[len(before.rows) :].max()
            is_better = reached >= 0 if new.values.shape[1] > 1 else reached > order[: len(before.rows)].max()
            self._count(bool(is_better), len(new.rows))
        if self._n_failed >= self._patience:
            self._begin()
            return
        best = np.argsort(-order, kind="stable")[: self._settings.max_train // 2]
        newest = np.setdiff1d(np.arange(len(order)), best)[len(best) - self._settings.max_train :]
        self._molecules, self._process = together.take(np.union1d(best, newest)), None
        is_enough = len(order) >= self._settings.n_initial or bool((new.ids < 0).any())
        self._is_open = self._is_open or (is_enough and bool(np.isfinite(order).any()))

    def _learn_outcomes(self, outcome: np.ndarray) -> None:
        """Adapt the width to the outcomes (n,) of decoding, and leave a region without new molecules."""
        if not len(outcome) or not self._is_open:
            return
        balance = np.mean(outcome == Outcome.REPEAT) - np.mean(outcome == Outcome.INVALID)
        self._scale_width(np.exp(self._settings.step_adaptation * balance))
        self._n_dry = 0 if (outcome == Outcome.PREDICTED).any() else self._n_dry + len(outcome)
        if self._n_dry >= _MAX_DRY:
            self._begin()

    def _scale_width(self, factor: float) -> None:
        self._width = float(np.clip(self._width * factor, _MIN_WIDTH, self._settings.max_width))

    def _count(self, is_better: bool, n: int) -> None:
        """Count a success (a better molecule, or one in the first Pareto front) or n failures, and adapt the width."""
        if is_better:
            self._n_successes, self._n_failed = self._n_successes + 1, 0
            if self._n_successes == _N_SUCCESSES:
                self._n_successes = 0
                self._scale_width(2.0)
            return
        n_shrinks = self._n_failed // self._n_failures
        self._n_successes, self._n_failed = 0, self._n_failed + n
        self._scale_width(0.5 ** (self._n_failed // self._n_failures - n_shrinks))


def _matern(distance: np.ndarray, scale: float) -> np.ndarray:
    """Matérn-5/2 kernel of distances (Rasmussen and Williams 2006, equation 4.17)."""
    x = np.sqrt(5) * distance / scale
    return np.asarray((1 + x + x**2 / 3) * np.exp(-x))


_COUNTS = ("n_asked", "n_told", "is_open", "n_successes", "n_failed", "n_dry")
