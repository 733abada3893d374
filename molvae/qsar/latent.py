"""An exact Gaussian process on the latent vectors of a codec."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.chem.molecules import Standardized
from molvae.errors import InputError
from molvae.qsar.inference import Posterior, fit_noise_ratio
from molvae.qsar.protocol import check_values
from molvae.seeds import generator

if TYPE_CHECKING:
    from molvae.codec import Codec

_CHUNK_ROWS = 1000
_N_MEDIAN = 500  # molecules of which the median distance is taken
_N_KEPT = 30_000


class LatentSettings(base.Settings):
    """Settings of `Latent`.

    Parameters
    ----------
    codec : str, default="druglike"
        Name of a bundled codec, or folder of another one.
    codec_sha256 : str, optional
        Digest of the codec, filled in by a fit; another codec is then an error.
    max_molecules : int, default=10_000
        More molecules than this are an error: memory grows with the square of their number, time with the cube.
    n_noise : int, default=1500
        Length and noise are fitted to at most this many molecules, drawn at random.
    lengths : list of float, optional
        Lengths of the kernel to choose from, in units of the median distance of training molecules.
    """

    codec: str = Field("druglike", description="name or folder of a codec")
    codec_sha256: str | None = Field(None, description="digest of the codec")
    max_molecules: int = Field(10_000, ge=2, description="largest number of molecules")
    n_noise: int = Field(1500, ge=2, description="number of molecules that length and noise are fitted to")
    lengths: list[Annotated[float, Field(gt=0)]] = Field([0.25, 0.35, 0.5, 0.7, 1.0, 2.0], min_length=1)


class Latent:
    """Exact Gaussian process with a squared exponential kernel of latent vectors.

    The length of the kernel and the ratio of noise to amplitude maximize the marginal likelihood. The standard
    deviation of a prediction includes the noise. Molecules that the codec cannot encode are not learned from, and their
    predictions are NaN.

    Parameters
    ----------
    settings : LatentSettings, optional
        Settings.

    References
    ----------
    .. [1] Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equation 4.9.
    """

    Settings: ClassVar[type[base.Settings]] = LatentSettings

    def __init__(self, settings: LatentSettings | None = None) -> None:
        self.settings = settings or LatentSettings()
        self.hyperparameters: dict[str, float] = {}

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules; see `MoleculeRegressor.fit`."""
        z, y = self._read(smiles, y)
        some = np.sort(generator(0, "noise").permutation(len(y))[: self.settings.n_noise])
        squares = _squared_distances(z[some], z[some])
        near = squares[:_N_MEDIAN, :_N_MEDIAN]
        median = float(np.sqrt(np.median(near[np.triu_indices(len(near), 1)]))) or 1.0
        lengths = [median * factor for factor in self.settings.lengths]
        found = [(*fit_noise_ratio(_kernel(squares, length), y[some]), length) for length in lengths]
        _, ratio, length = min(found)
        self._posterior = Posterior.fit(_kernel(_squared_distances(z, z), length), y, ratio)
        self.hyperparameters = {**self._posterior.hyperparameters, "length": length}
        return self

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values with known hyperparameters; see `MoleculeRegressor.restore`."""
        z, y = self._read(smiles, y)
        kernel = _kernel(_squared_distances(z, z), hyperparameters["length"])
        self._posterior = Posterior.restore(kernel, y, hyperparameters)
        self.hyperparameters = dict(hyperparameters)
        return self

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules, NaN for those that cannot be encoded; see `MoleculeRegressor.predict`."""
        if not self.hyperparameters:
            raise InputError("predict: the model is not fitted; call fit first")
        mean, std = np.full(len(smiles), np.nan), np.full(len(smiles), np.nan)
        for begin in range(0, len(smiles), _CHUNK_ROWS):
            z = _encode(self._codec, smiles[begin : begin + _CHUNK_ROWS])
            ok = np.isfinite(z).all(axis=1)
            if ok.any():
                rows = begin + np.flatnonzero(ok)
                cross = _kernel(_squared_distances(z[ok], self._z), self.hyperparameters["length"])  # (n, m)
                mean[rows] = self._posterior.predict(cross)
                if return_std:
                    std[rows] = self._posterior.std(cross)
        return (mean, std) if return_std else mean

    def _read(self, smiles: Sequence[str], y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latent vectors and values of the molecules that the codec can encode."""
        y = check_values(smiles, y)
        if len(smiles) > self.settings.max_molecules:
            raise InputError(
                f"latent: {len(smiles):,} molecules; at most {self.settings.max_molecules:,} are supported: "
                "use the model forest or ridge"
            )
        self._load_codec()
        z = _encode(self._codec, smiles)
        ok = np.isfinite(z).all(axis=1)
        if ok.sum() < 2:
            raise InputError(f"latent: the codec {self.settings.codec} can encode {ok.sum()} of {len(ok)} molecules")
        self._z = z[ok]
        return self._z, y[ok]

    def _load_codec(self) -> None:
        name = self.settings.codec
        self._codec = _load(str(Path(name).absolute()) if Path(name).is_dir() else name)
        expected = self.settings.codec_sha256
        if expected is not None and expected != self._codec.sha256:
            raise InputError(f"latent: the codec {name} has changed since the model was fitted; fit the model again")
        if expected is None:
            folder = str(Path(name).absolute()) if Path(name).is_dir() else name
            self.settings = self.settings.model_copy(update={"codec": folder, "codec_sha256": self._codec.sha256})


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, (n, m)."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)


def _kernel(squares: np.ndarray, length: float) -> np.ndarray:
    """The squared exponential kernel, (n, m); 1 for equal latent vectors."""
    return np.exp(-0.5 * squares / length**2)


@lru_cache(maxsize=2)
def _load(name: str) -> "Codec":
    from molvae.codec import load_codec  # imports torch, which other models do not need

    return load_codec(name)


_kept: dict[tuple[str, str], np.ndarray] = {}
"""Digest of a codec and SMILES -> latent vector, oldest first."""


def _encode(codec: "Codec", smiles: Sequence[str]) -> np.ndarray:
    """Latent vectors (n, D), float64; NaN where the codec cannot encode a molecule."""
    missing = [one for one in dict.fromkeys(smiles) if (codec.sha256, one) not in _kept]
    fresh: dict[str, np.ndarray] = {}
    if missing:
        z = codec.encode([Standardized(one) for one in missing]).z.astype(np.float64)
        fresh = dict(zip(missing, z, strict=True))
    found = [fresh[one] if one in fresh else _kept[codec.sha256, one] for one in smiles]
    _kept.update({(codec.sha256, one): row for one, row in fresh.items()})
    for key in list(_kept)[: max(0, len(_kept) - _N_KEPT)]:
        del _kept[key]
    return np.array(found).reshape(len(smiles), codec.n_latent)
