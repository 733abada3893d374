"""An exact Gaussian process on count fingerprints, whose hyperparameters maximize the marginal likelihood."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.chem.fingerprints import tanimoto_matrix
from molvae.errors import InputError
from molvae.qsar.fingerprints import atom_pair_bits, count_bits
from molvae.qsar.inference import Posterior, fit_noise_ratio
from molvae.qsar.protocol import check_values
from molvae.seeds import generator

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
    .. [1] Ralaivola et al. 2005, doi:10.1016/j.neunet.2005.07.009 (MinMax kernel).
    """

    Settings: ClassVar[type[base.Settings]] = GaussianProcessSettings

    def __init__(self, settings: GaussianProcessSettings | None = None) -> None:
        self.settings = settings or GaussianProcessSettings()
        self.hyperparameters: dict[str, float] = {}

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules; see `MoleculeRegressor.fit`."""
        y = self._check(smiles, y)
        smiles = list(smiles)  # by position: a Series is indexed by its labels
        rows = np.arange(len(y))
        if len(y) > self.settings.n_noise:
            rows = np.sort(generator(0, "noise").permutation(len(y))[: self.settings.n_noise])
        share, ratio = self._fit_kernel([smiles[row] for row in rows.tolist()], y[rows])
        self._features = _features(smiles, share)
        self._posterior = Posterior.fit(_kernel(self._features, self._features, share), y, ratio)
        self.hyperparameters = {**self._posterior.hyperparameters, "atom_pair_share": share}
        return self

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values with known hyperparameters; see `MoleculeRegressor.restore`."""
        y = self._check(smiles, y)
        share = hyperparameters["atom_pair_share"]
        self._features = _features(smiles, share)
        kernel = _kernel(self._features, self._features, share)
        self._posterior = Posterior.restore(kernel, y, hyperparameters)
        self.hyperparameters = dict(hyperparameters)
        return self

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules; see `MoleculeRegressor.predict`."""
        if not self.hyperparameters:
            raise InputError("predict: the model is not fitted; call fit first")
        mean, std = np.zeros(len(smiles)), np.zeros(len(smiles))
        share = self.hyperparameters["atom_pair_share"]
        for begin in range(0, len(smiles), _CHUNK_ROWS):
            rows = slice(begin, begin + _CHUNK_ROWS)
            cross = _kernel(_features(smiles[rows], share), self._features, share)  # (n, m)
            mean[rows] = self._posterior.predict(cross)
            if return_std:
                std[rows] = self._posterior.std(cross)
        return (mean, std) if return_std else mean

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
        found = [(*fit_noise_ratio(_kernel(features, features, share), y), share) for share in shares]
        _, ratio, share = min(found)
        return share, ratio


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
