"""A Gaussian process over fingerprints, descriptors and element counts, fitted to ranks."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from molvae import settings as base
from molvae.search.ranking import fitness, normal_quantiles
from molvae.search.surrogates.kernels import KERNELS, FeatureCache, kernel_matrix
from molvae.search.surrogates.protocol import Prediction

_MIN_SCORED = 20
_N_BEST = 150  # best molecules on which the mix is chosen
_CHOOSE_EVERY = 50  # scored molecules between two choices
_N_FEATURES = 8_000  # molecules whose features are kept in memory

MIXES: dict[str, tuple[float, ...]] = {
    "morgan": (1, 0, 0, 0, 0, 0),
    "fingerprints": (0.6, 0.4, 0, 0, 0, 0),
    "descriptors": (0.5, 0.2, 0.3, 0, 0, 0),
    "descriptors_narrow": (0.4, 0.2, 0, 0.4, 0, 0),
    "elements": (0.5, 0.2, 0, 0, 0.3, 0),
    "elements_narrow": (0.4, 0.2, 0, 0, 0, 0.4),
    "descriptors_elements": (0.4, 0.2, 0.2, 0, 0.2, 0),
    "descriptors_elements_narrow": (0.3, 0.2, 0, 0.25, 0, 0.25),
}
"""Weights of the kernels in each mix; see `molvae.search.surrogates.kernels.KERNELS`."""


class GaussianProcessSettings(base.Settings):
    """Settings of `GaussianProcess`, the section `[search.surrogate]`.

    Parameters
    ----------
    name : {"gaussian_process"}
        Name of the surrogate.
    max_train : int, default=1500
        Largest number of scored molecules to fit to: half of them the best, half the newest.
    noise : float, default=0.01
        Variance of the noise of a value; the variance of the values is 1. At least 0.001, because of single precision.
    mix : str, default="auto"
        Mix of the kernels, a key of `MIXES`; "auto" takes the mix with the highest marginal likelihood on the 150 best
        molecules, and chooses again every 50 scored molecules.
    """

    name: Literal["gaussian_process"] = "gaussian_process"
    max_train: int = Field(1500, ge=2, le=20_000, description="largest number of molecules to fit to")
    noise: float = Field(0.01, ge=1e-3, description="variance of the noise of a value")
    mix: str = Field("auto", description="weights of the kernels")

    @field_validator("mix")
    @classmethod
    def _is_mix(cls, mix: str) -> str:
        if mix not in {"auto", *MIXES}:
            raise PydanticCustomError("mix", "unknown; known: auto, {known}", {"known": ", ".join(MIXES)})
        return mix


class GaussianProcess:
    """Exact Gaussian process on normal quantiles of the ranks of the scores, so that their scale does not matter.

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
    uses_latent: ClassVar[bool] = False

    def __init__(self, settings: GaussianProcessSettings | None = None) -> None:
        self._settings = settings or GaussianProcessSettings()
        self.noise = self._settings.noise
        self._features = FeatureCache(_N_FEATURES)
        self._mix = "fingerprints" if self._settings.mix == "auto" else self._settings.mix
        self._n_at_choice = -_CHOOSE_EVERY
        self._train = np.zeros(0, np.int64)  # row of each training molecule among the scored ones
        self._kernel = np.zeros((0, 0), np.float32)  # of the training molecules
        self._kernel_mix = ""

    def fit(self, smiles: Sequence[str], z: np.ndarray, values: np.ndarray) -> bool:
        """Learn the values of molecules; see `Surrogate.fit`."""
        order = fitness(values)
        if len(order) < _MIN_SCORED or len(np.unique(order)) < 2:
            return False
        if self._settings.mix == "auto" and len(order) - self._n_at_choice >= _CHOOSE_EVERY:
            self._n_at_choice = len(order)
            self._mix = self._choose_mix(smiles, order)
        train = self._choose_training(order)
        self._fitted = self._features.of([smiles[row] for row in train], MIXES[self._mix])
        self._update_kernel(train)
        matrix = _add_to_diagonal(self._kernel, self.noise)
        self._factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        targets = np.stack([normal_quantiles(one)[train] for one in (order, *_goals(values))], axis=1, dtype=np.float32)
        self._weights = cho_solve(self._factor, targets, check_finite=False)  # (m, 1) or (m, 1 + k)
        return True

    def predict(self, smiles: Sequence[str], z: np.ndarray, *, with_covariance: bool = False) -> Prediction:
        """Predict the values of molecules; see `Surrogate.predict`."""
        weights = MIXES[self._mix]
        features = self._features.of(smiles, weights)
        cross = kernel_matrix(features, self._fitted, weights)  # (n, m)
        mean, *each = (cross @ self._weights).T
        goals = np.stack(each, axis=1) if each else None
        explained = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)  # (m, n)
        if not with_covariance:
            variance = 1 - (explained**2).sum(axis=0)
            return Prediction(mean, np.sqrt(np.maximum(variance, 1e-9)), goals=goals)
        covariance = kernel_matrix(features, features, weights) - explained.T @ explained
        return Prediction(mean, np.sqrt(np.maximum(np.diag(covariance), 1e-9)), covariance, goals)

    def state(self) -> dict[str, Any]:
        """Return the mix in use, and when it was chosen."""
        return {"mix": self._mix, "n_at_choice": self._n_at_choice}

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state."""
        self._mix, self._n_at_choice = str(state["mix"]), int(state["n_at_choice"])

    def _choose_training(self, order: np.ndarray) -> np.ndarray:
        """Rows of the best and the newest scored molecules, ascending."""
        half = self._settings.max_train // 2
        if len(order) <= 2 * half:
            return np.arange(len(order))
        best = np.argsort(-order, kind="stable")[:half]
        others = np.setdiff1d(np.arange(len(order)), best)
        return np.sort(np.append(best, others[-half:]))

    def _choose_mix(self, smiles: Sequence[str], order: np.ndarray) -> str:
        """The mix with the highest marginal likelihood on the best molecules; the amplitude is fitted."""
        best = np.argsort(-order, kind="stable")[:_N_BEST]
        features = self._features.of([smiles[row] for row in best], [1.0] * len(KERNELS))
        y = normal_quantiles(order[best])
        likelihood = {}
        for name, weights in MIXES.items():
            kernel = _add_to_diagonal(kernel_matrix(features, features, weights).astype(float), self.noise)
            lower = np.linalg.cholesky(kernel)
            whitened = solve_triangular(lower, y, lower=True)
            amplitude = whitened @ whitened / len(best)
            likelihood[name] = -0.5 * len(best) * np.log(amplitude + 1e-12) - np.log(np.diag(lower)).sum()
        return max(likelihood, key=likelihood.__getitem__)

    def _update_kernel(self, train: np.ndarray) -> None:
        """Compute the kernel of the training molecules; entries of the last fit are reused."""
        weights = MIXES[self._mix]
        is_old = np.isin(train, self._train) if self._kernel_mix == self._mix else np.zeros(len(train), bool)
        kernel = np.empty((len(train), len(train)), np.float32)
        old_rows = np.searchsorted(self._train, train[is_old])
        n_old = len(old_rows)
        old = self._kernel.take(old_rows, 0).take(old_rows, 1)
        if is_old[:n_old].all():  # as always, except after ties: scored molecules do not return once they are left out
            kernel[:n_old, :n_old] = old
        else:
            kernel[np.ix_(is_old, is_old)] = old
        if not is_old.all():
            new = tuple(part[~is_old] for part in self._fitted)
            block = kernel_matrix(new, self._fitted, weights)
            kernel[~is_old] = block
            kernel[:, ~is_old] = block.T
        self._train, self._kernel, self._kernel_mix = train, kernel, self._mix


def _add_to_diagonal(matrix: np.ndarray, number: float) -> np.ndarray:
    """A copy of a symmetric matrix, with a number added to its diagonal, in Fortran order for LAPACK."""
    copy = matrix.copy()
    copy[np.diag_indices(len(copy))] += number
    return copy.T


def _goals(values: np.ndarray) -> list[np.ndarray]:
    """Each of several columns (n,), minus infinity in rows with NaN; none if there is only one."""
    failed = np.isnan(values).any(axis=1)
    return [np.where(failed, -np.inf, column) for column in values.T] if values.shape[1] > 1 else []
