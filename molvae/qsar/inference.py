"""Exact Gaussian process inference with a given kernel matrix."""

from typing import NamedTuple, Self

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize_scalar

_LOG_RATIOS = (np.log(1e-3), np.log(30.0))


class Posterior(NamedTuple):
    """A Gaussian process with a constant mean and constant noise, given measured values.

    Parameters
    ----------
    lower : ndarray of shape (m, m)
        Cholesky factor of the kernel matrix with noise.
    weights : ndarray of shape (m,)
        Weights of the training molecules.
    mean, amplitude, noise_ratio : float
        Prior mean, prior variance, and the variance of the noise divided by it.

    References
    ----------
    .. [1] Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.25 and 2.26.
    """

    lower: np.ndarray
    weights: np.ndarray
    mean: float
    amplitude: float
    noise_ratio: float

    @classmethod
    def fit(cls, kernel: np.ndarray, y: np.ndarray, noise_ratio: float) -> Self:
        """Find the most likely mean and amplitude.

        Parameters
        ----------
        kernel : ndarray of shape (m, m)
            Kernel matrix with ones on its diagonal.
        y : ndarray of shape (m,)
            Measured values.
        noise_ratio : float
            Variance of the noise, divided by the amplitude.

        Returns
        -------
        Posterior
        """
        lower = _factor(kernel, noise_ratio)
        mean, amplitude, _ = _profile(lower, y)
        return cls(lower, cho_solve((lower, True), y - mean, check_finite=False), mean, amplitude, noise_ratio)

    @classmethod
    def restore(cls, kernel: np.ndarray, y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Use known hyperparameters; gives the same predictions as `fit`.

        Parameters
        ----------
        kernel : ndarray of shape (m, m)
            Kernel matrix with ones on its diagonal.
        y : ndarray of shape (m,)
            Measured values.
        hyperparameters : dict of str to float
            Those that an earlier posterior has had.

        Returns
        -------
        Posterior
        """
        mean, amplitude, ratio = (hyperparameters[name] for name in ("mean", "amplitude", "noise_ratio"))
        lower = _factor(kernel, ratio)
        return cls(lower, cho_solve((lower, True), y - mean, check_finite=False), mean, amplitude, ratio)

    @property
    def hyperparameters(self) -> dict[str, float]:
        """Mean, amplitude and noise_ratio, and noise_std in the unit of the values."""
        return {
            "mean": self.mean,
            "amplitude": self.amplitude,
            "noise_ratio": self.noise_ratio,
            "noise_std": float(np.sqrt(self.amplitude * self.noise_ratio)),
        }

    def predict(self, cross: np.ndarray) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        cross : ndarray of shape (n, m)
            Kernel between new and training molecules.

        Returns
        -------
        ndarray of shape (n,)
        """
        found: np.ndarray = self.mean + cross @ self.weights
        return found

    def std(self, cross: np.ndarray) -> np.ndarray:
        """Predict the standard deviations of new measurements, noise included.

        Parameters
        ----------
        cross : ndarray of shape (n, m)
            Kernel between new and training molecules.

        Returns
        -------
        ndarray of shape (n,)
        """
        explained = solve_triangular(self.lower, cross.T, lower=True, check_finite=False)  # (m, n)
        variance = 1 + self.noise_ratio - (explained**2).sum(axis=0)
        return np.sqrt(self.amplitude * np.maximum(variance, 0))


def fit_noise_ratio(kernel: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Find the noise that maximizes the marginal likelihood; mean and amplitude follow in closed form.

    Parameters
    ----------
    kernel : ndarray of shape (m, m)
        Kernel matrix with ones on its diagonal.
    y : ndarray of shape (m,)
        Measured values.

    Returns
    -------
    loss : float
        Negative log marginal likelihood, up to a constant.
    ratio : float
        Variance of the noise, divided by the amplitude.

    References
    ----------
    .. [1] Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equation 2.30.
    """

    def loss(log_ratio: float) -> float:
        return _profile(_factor(kernel, float(np.exp(log_ratio))), y)[2]

    found = minimize_scalar(loss, bounds=_LOG_RATIOS, method="bounded", options={"xatol": 0.05})
    return float(found.fun), float(np.exp(found.x))


def _factor(kernel: np.ndarray, ratio: float) -> np.ndarray:
    """The Cholesky factor of the kernel with noise, (m, m)."""
    noisy = kernel.copy()
    noisy[np.diag_indices_from(noisy)] += ratio
    return np.asarray(cholesky(noisy, lower=True, overwrite_a=True, check_finite=False))


def _profile(lower: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The most likely mean and amplitude, and the negative log marginal likelihood up to a constant."""
    whitened = solve_triangular(lower, np.column_stack([y, np.ones_like(y)]), lower=True, check_finite=False)  # (m, 2)
    mean = float(whitened[:, 0] @ whitened[:, 1] / (whitened[:, 1] @ whitened[:, 1]))
    residual = whitened[:, 0] - mean * whitened[:, 1]
    amplitude = max(float(residual @ residual) / len(y), 1e-12)
    return mean, amplitude, float(0.5 * len(y) * np.log(amplitude) + np.log(np.diag(lower)).sum())
