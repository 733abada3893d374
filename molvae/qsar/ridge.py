"""Ridge regression on count fingerprints."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.errors import InputError
from molvae.qsar.fingerprints import count_fingerprints
from molvae.qsar.protocol import check_values

_CHUNK_ROWS = 5000


class RidgeSettings(base.Settings):
    """Settings of `Ridge`.

    Parameters
    ----------
    penalties : list of float, optional
        Penalties of the squared weights; the one with the smallest leave-one-out error is used.
    """

    penalties: list[float] = Field([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0], min_length=1)


class Ridge:
    """Ridge regression on log(1 + count) of Morgan counts.

    The standard deviation is the same for all molecules: the root mean squared leave-one-out error.

    Parameters
    ----------
    settings : RidgeSettings, optional
        Settings.
    """

    Settings: ClassVar[type[base.Settings]] = RidgeSettings

    def __init__(self, settings: RidgeSettings | None = None) -> None:
        self.settings = settings or RidgeSettings()
        self.hyperparameters: dict[str, float] = {}

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules; see `MoleculeRegressor.fit`."""
        from sklearn.linear_model import RidgeCV  # takes half a second

        y = check_values(smiles, y)
        found = RidgeCV(self.settings.penalties, store_cv_results=True).fit(_features(smiles), y)
        errors = found.cv_results_.mean(axis=0)  # (n_penalties,)
        chosen = int(errors.argmin())
        fitted = {"penalty": float(self.settings.penalties[chosen]), "residual_std": float(np.sqrt(errors[chosen]))}
        return self.restore(smiles, y, fitted)

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values with known hyperparameters; see `MoleculeRegressor.restore`."""
        from sklearn.linear_model import Ridge as LinearModel  # takes half a second

        y = check_values(smiles, y)
        self.hyperparameters = dict(hyperparameters)
        self._linear = LinearModel(alpha=hyperparameters["penalty"], solver="cholesky").fit(_features(smiles), y)
        return self

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules; see `MoleculeRegressor.predict`."""
        if not self.hyperparameters:
            raise InputError("predict: the model is not fitted; call fit first")
        chunks = [smiles[begin : begin + _CHUNK_ROWS] for begin in range(0, len(smiles), _CHUNK_ROWS)]
        mean = np.concatenate([np.zeros(0), *(self._linear.predict(_features(chunk)) for chunk in chunks)])
        return (mean, np.full(len(mean), self.hyperparameters["residual_std"])) if return_std else mean


def _features(smiles: Sequence[str]) -> np.ndarray:
    return np.log1p(count_fingerprints(smiles)).astype(np.float64)
