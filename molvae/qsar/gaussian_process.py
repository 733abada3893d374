"""An exact Gaussian process on count fingerprints, whose hyperparameters maximize the marginal likelihood."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize_scalar

from molvae import settings as base
from molvae.chem.fingerprints import tanimoto_matrix
from molvae.errors import InputError
from molvae.qsar.fingerprints import atom_pair_bits, count_bits
from molvae.qsar.protocol import check_values
from molvae.seeds import generator

_LOG_RATIOS = (np.log(1e-3), np.log(30.0))
_CHUNK_ROWS = 1000


class GaussianProcessSettings(base.Settings):
    """Settings of `GaussianProcess`.

    Parameters
    ----------
    max_molecules : int, default=10_000
        More molecules than this are an error: memory grows with the square of their number, time with the cube.
    n_noise : int, default=1500
        The noise and the share of the atom pairs are fitted to at most this many molecules, drawn at random.
    atom_pair_shares : list of float, optional
        Shares of the atom-pair kernel to choose from; the Morgan kernel has the rest. [0] uses Morgan counts
        alone.
    """

    max_molecules: int = Field(10_000, ge=2, description="largest number of molecules")
    n_noise: int = Field(1500, ge=2, description="number of molecules that the noise is fitted to")
    atom_pair_shares: list[Annotated[float, Field(ge=0, le=1)]] = Field([0.0, 0.25, 0.5], min_length=1)


class GaussianProcess:
    """Exact Gaussian process with MinMax kernels of Morgan and atom-pair counts, a constant mean and constant noise.

    The share of the atom pairs and the ratio of noise to amplitude maximize the marginal likelihood; mean and
    amplitude follow in closed form. The standard deviation of a prediction includes the noise: it is that of a
    new measurement.

    Parameters
    ----------
    settings : GaussianProcessSettings, optional
        Settings.

    References
    ----------
    .. [1] Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.25, 2.26 and 2.30.
    .. [2] Ralaivola et al. 2005, doi:10.1016/j.neunet.2005.07.009 (MinMax kernel).
    """

    Settings: ClassVar[type[base.Settings]] = GaussianProcessSettings

    def __init__(self, settings: GaussianProcessSettings | None = None) -> None:
        self.settings = settings or GaussianProcessSettings()
        self.hyperparameters: dict[str, float] = {}

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules; see `MoleculeRegressor.fit`."""
        y = self._check(smiles, y)
        rows = np.arange(len(y))
        if len(y) > self.settings.n_noise:
            rows = np.sort(generator(0, "noise").permutation(len(y))[: self.settings.n_noise])
        share, ratio = self._fit_kernel([smiles[row] for row in rows.tolist()], y[rows])
        self._factorize(smiles, share, ratio)
        mean, amplitude, _ = _profile(self._lower, y)
        self.hyperparameters = {
            "mean": mean,
            "amplitude": amplitude,
            "noise_ratio": ratio,
            "noise_std": float(np.sqrt(amplitude * ratio)),
            "atom_pair_share": share,
        }
        self._weights = cho_solve((self._lower, True), y - mean, check_finite=False)
        return self

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values with known hyperparameters; see `MoleculeRegressor.restore`."""
        y = self._check(smiles, y)
        self._factorize(smiles, hyperparameters["atom_pair_share"], hyperparameters["noise_ratio"])
        self.hyperparameters = dict(hyperparameters)
        self._weights = cho_solve((self._lower, True), y - hyperparameters["mean"], check_finite=False)
        return self

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules; see `MoleculeRegressor.predict`."""
        if not self.hyperparameters:
            raise InputError("predict: the model is not fitted; call fit first")
        mean, variance = np.zeros(len(smiles)), np.zeros(len(smiles))
        fitted = self.hyperparameters
        for begin in range(0, len(smiles), _CHUNK_ROWS):
            rows = slice(begin, begin + _CHUNK_ROWS)
            features = _features(smiles[rows], fitted["atom_pair_share"])
            cross = _kernel(features, self._features, fitted["atom_pair_share"])  # (n, m)
            mean[rows] = fitted["mean"] + cross @ self._weights
            if return_std:
                explained = solve_triangular(self._lower, cross.T, lower=True, check_finite=False)  # (m, n)
                variance[rows] = 1 + fitted["noise_ratio"] - (explained**2).sum(axis=0)
        return (mean, np.sqrt(fitted["amplitude"] * np.maximum(variance, 0))) if return_std else mean

    def _check(self, smiles: Sequence[str], y: np.ndarray) -> np.ndarray:
        if len(smiles) > self.settings.max_molecules:
            raise InputError(
                f"gaussian_process: {len(smiles):,} molecules; at most {self.settings.max_molecules:,} are supported: "
                "use the model forest or ridge"
            )
        return check_values(smiles, y)

    def _fit_kernel(self, smiles: Sequence[str], y: np.ndarray) -> tuple[float, float]:
        """The share of the atom pairs, and the ratio of noise to amplitude, as variances."""
        shares = self.settings.atom_pair_shares
        features = _features(smiles, max(shares))
        found = [(*_fit_noise_ratio(_kernel(features, features, share), y), share) for share in shares]
        _, ratio, share = min(found)
        return share, ratio

    def _factorize(self, smiles: Sequence[str], share: float, ratio: float) -> None:
        self._features = _features(smiles, share)
        self._lower = _factor(_kernel(self._features, self._features, share), ratio)


_Features = tuple[np.ndarray, np.ndarray | None]
"""Morgan bits (n, 4096), and atom-pair bits (n, 2048) if they have a share."""


def _features(smiles: Sequence[str], share: float) -> _Features:
    return count_bits(smiles), atom_pair_bits(smiles) if share else None


def _kernel(a: _Features, b: _Features, share: float) -> np.ndarray:
    """Weighted similarities, (n, m); 1 for equal molecules."""
    kernel = tanimoto_matrix(a[0], b[0])
    if share and a[1] is not None and b[1] is not None:
        kernel *= 1 - share
        kernel += share * tanimoto_matrix(a[1], b[1])
    return kernel


def _factor(kernel: np.ndarray, ratio: float) -> np.ndarray:
    """The Cholesky factor of the kernel with noise, (n, n)."""
    noisy = kernel.copy()
    noisy[np.diag_indices_from(noisy)] += ratio
    return np.asarray(cholesky(noisy, lower=True, overwrite_a=True, check_finite=False))


def _profile(lower: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The most likely mean and amplitude, and the negative log marginal likelihood up to a constant."""
    whitened = solve_triangular(lower, np.column_stack([y, np.ones_like(y)]), lower=True, check_finite=False)  # (n, 2)
    mean = float(whitened[:, 0] @ whitened[:, 1] / (whitened[:, 1] @ whitened[:, 1]))
    residual = whitened[:, 0] - mean * whitened[:, 1]
    amplitude = max(float(residual @ residual) / len(y), 1e-12)
    return mean, amplitude, float(0.5 * len(y) * np.log(amplitude) + np.log(np.diag(lower)).sum())


def _fit_noise_ratio(kernel: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The smallest negative log marginal likelihood, and the ratio of noise to amplitude that gives it."""

    def loss(log_ratio: float) -> float:
        return _profile(_factor(kernel, float(np.exp(log_ratio))), y)[2]

    found = minimize_scalar(loss, bounds=_LOG_RATIOS, method="bounded", options={"xatol": 0.05})
    return float(found.fun), float(np.exp(found.x))
