"""A random forest on count fingerprints."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.optimize import minimize

from molvae import settings as base
from molvae.errors import InputError
from molvae.qsar.fingerprints import count_fingerprints
from molvae.qsar.protocol import check_values
from molvae.workers import n_cores

_CHUNK_ROWS = 5000
_MIN_OUT_OF_BAG = 2  # trees, for a variance
_MIN_CALIBRATION = 5  # molecules with so many trees
_SMALLEST = 1e-12


class ForestSettings(base.Settings):
    """Settings of `Forest`.

    Parameters
    ----------
    n_trees : int, default=200
        Number of trees.
    feature_share : float, default=0.1
        Share of the features that are tried at each node.
    seed : int, default=0
        Seed of the random numbers.
    """

    n_trees: int = Field(200, ge=2, description="number of trees")
    feature_share: float = Field(0.1, gt=0, le=1, description="share of the features that are tried at each node")
    seed: int = Field(0, ge=0, description="seed of the random numbers")


class Forest:
    """Random forest on Morgan counts.

    The variance of a prediction is ``scale`` times the variance over the trees, plus a constant ``noise``; both
    maximize the likelihood of the out-of-bag errors, those of trees that did not learn from the molecule. The standard
    deviation is therefore that of a measurement.

    Parameters
    ----------
    settings : ForestSettings, optional
        Settings.

    References
    ----------
    .. [1] Breiman 2001, doi:10.1023/A:1010933404324.
    .. [2] Palmer et al. 2022, doi:10.1038/s41524-022-00794-8 (linear calibration of ensembles).
    """

    Settings: ClassVar[type[base.Settings]] = ForestSettings

    def __init__(self, settings: ForestSettings | None = None) -> None:
        self.settings = settings or ForestSettings()
        self.hyperparameters: dict[str, float] = {}

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules; see `MoleculeRegressor.fit`."""
        y = check_values(smiles, y)
        features = count_fingerprints(smiles)
        self._grow(features, y, self.settings.seed)
        scale, noise = self._calibrate(features, y)
        self.hyperparameters = {"seed": self.settings.seed, "scale": scale, "noise": noise}
        return self

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values again, with the same seed; see `MoleculeRegressor.restore`."""
        self._grow(count_fingerprints(smiles), check_values(smiles, y), int(hyperparameters["seed"]))
        self.hyperparameters = dict(hyperparameters)
        return self

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules; see `MoleculeRegressor.predict`."""
        if not self.hyperparameters:
            raise InputError("predict: the model is not fitted; call fit first")
        mean, variance = np.zeros(len(smiles)), np.zeros(len(smiles))
        for begin in range(0, len(smiles), _CHUNK_ROWS):
            rows = slice(begin, begin + _CHUNK_ROWS)
            trees = self._predict_trees(count_fingerprints(smiles[rows]))
            mean[rows], variance[rows] = trees.mean(axis=0), trees.var(axis=0)
        std = np.sqrt(self.hyperparameters["scale"] * variance + self.hyperparameters["noise"])
        return (mean, std) if return_std else mean

    def _grow(self, features: np.ndarray, y: np.ndarray, seed: int) -> None:
        from sklearn.ensemble import RandomForestRegressor  # takes half a second

        self._forest = RandomForestRegressor(
            self.settings.n_trees, max_features=self.settings.feature_share, random_state=seed, n_jobs=n_cores()
        ).fit(features, y)

    def _predict_trees(self, features: np.ndarray) -> np.ndarray:
        """Predictions of the individual trees, (n_trees, n)."""
        return np.array([tree.predict(features) for tree in self._forest.estimators_])

    def _calibrate(self, features: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Scale and noise of the variance, from the out-of-bag predictions."""
        trees = self._predict_trees(features)
        is_out = np.ones(trees.shape, bool)
        for row, drawn in enumerate(self._forest.estimators_samples_):
            is_out[row, drawn] = False
        n_out = is_out.sum(axis=0)
        known = n_out >= _MIN_OUT_OF_BAG
        if known.sum() < _MIN_CALIBRATION:
            return 1.0, float(y.var()) or _SMALLEST
        trees, is_out = trees[:, known], is_out[:, known]
        mean = (trees * is_out).sum(axis=0) / n_out[known]
        variance = (((trees - mean) * is_out) ** 2).sum(axis=0) / (n_out[known] - 1)
        squares = (y[known] - mean) ** 2
        unit = float(squares.mean()) or _SMALLEST  # the search starts near 1 in any unit of the values

        def loss(logs: np.ndarray) -> float:
            predicted = np.exp(logs[0]) * variance + np.exp(logs[1]) * unit
            return float((np.log(predicted) + squares / predicted).sum())

        found = minimize(loss, np.log([0.5, 0.5]), method="L-BFGS-B", bounds=[(-7, 2), (-7, 2)])
        return float(np.exp(found.x[0])), float(np.exp(found.x[1]) * unit)
