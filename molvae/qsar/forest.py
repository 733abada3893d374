"""A random forest on count fingerprints."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from sklearn.ensemble import RandomForestRegressor

from molvae import settings as base
from molvae.errors import InputError
from molvae.qsar.fingerprints import count_fingerprints
from molvae.qsar.protocol import check_values
from molvae.workers import n_cores

_CHUNK_ROWS = 5000


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

    The standard deviation is that of the predictions of its trees.

    Parameters
    ----------
    settings : ForestSettings, optional
        Settings.

    References
    ----------
    .. [1] Breiman 2001, doi:10.1023/A:1010933404324.
    """

    Settings: ClassVar[type[base.Settings]] = ForestSettings

    def __init__(self, settings: ForestSettings | None = None) -> None:
        self.settings = settings or ForestSettings()
        self.hyperparameters: dict[str, float] = {}

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules; see `MoleculeRegressor.fit`."""
        return self.restore(smiles, y, {"seed": self.settings.seed})

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values again, with the same seed; see `MoleculeRegressor.restore`."""
        y = check_values(smiles, y)
        self.hyperparameters = dict(hyperparameters)
        self._forest = RandomForestRegressor(
            self.settings.n_trees,
            max_features=self.settings.feature_share,
            random_state=int(hyperparameters["seed"]),
            n_jobs=n_cores(),
        ).fit(count_fingerprints(smiles), y)
        return self

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules; see `MoleculeRegressor.predict`."""
        if not self.hyperparameters:
            raise InputError("predict: the model is not fitted; call fit first")
        mean, std = np.zeros(len(smiles)), np.zeros(len(smiles))
        for begin in range(0, len(smiles), _CHUNK_ROWS):
            rows = slice(begin, begin + _CHUNK_ROWS)
            features = count_fingerprints(smiles[rows])
            trees = np.array([tree.predict(features) for tree in self._forest.estimators_])  # (n_trees, n)
            mean[rows], std[rows] = trees.mean(axis=0), trees.std(axis=0)
        return (mean, std) if return_std else mean
