"""The Fréchet ChemNet distance (FCD) between two sets of molecules."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from molvae.errors import InputError
from molvae.extras import require
from molvae.files import replacing

if TYPE_CHECKING:
    import torch

FCD_FLOORS = {1_000: 1.28, 2_000: 0.63, 5_000: 0.26, 10_000: 0.14, 30_000: 0.05}
"""Number of molecules drawn from the MOSES training set -> their measured FCD to the MOSES test set."""

_BATCH = 256
_LENGTH, _N_SYMBOLS = 350, 35  # input of ChemNet


@dataclass(frozen=True)
class FcdStatistics:
    """Mean and covariance of the ChemNet activations of a set of molecules.

    Parameters
    ----------
    mean : ndarray of shape (512,)
        Mean, float64.
    covariance : ndarray of shape (512, 512)
        Covariance, float64.
    n : int
        Number of molecules.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def of(cls, smiles: Sequence[str]) -> Self:
        """The statistics of a set of molecules; about 3 ms of processor time per molecule.

        Parameters
        ----------
        smiles : sequence of str
            SMILES as the installed RDKit canonicalizes them.

        Returns
        -------
        FcdStatistics
            Mean and covariance.

        Raises
        ------
        InputError
            There are fewer than two molecules.
        """
        if len(smiles) < 2:
            raise InputError(f"FCD: expected at least two molecules, got {len(smiles)}")
        total, squares = np.zeros(512), np.zeros((512, 512))
        for block in _activations(smiles):
            total += block.sum(axis=0)
            squares += block.T @ block
        mean = total / len(smiles)
        return cls(mean, (squares - len(smiles) * np.outer(mean, mean)) / (len(smiles) - 1), len(smiles))

    def save(self, path: Path) -> None:
        """Write the statistics, the covariance as float32. The same statistics give the same bytes.

        Parameters
        ----------
        path : Path
            File to write (.npz).
        """
        upper = self.covariance[np.triu_indices(512)].astype(np.float32)
        with replacing(path) as part:
            np.savez_compressed(part, mean=self.mean, covariance=upper, n=np.int64(self.n))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the statistics that `save` wrote.

        Parameters
        ----------
        path : Path
            File to read.

        Returns
        -------
        FcdStatistics
            Mean and covariance.

        Raises
        ------
        InputError
            The file does not exist or has other content.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                covariance = np.zeros((512, 512))
                covariance[np.triu_indices(512)] = content["covariance"]
                covariance += np.triu(covariance, 1).T
                return cls(content["mean"], covariance, int(content["n"]))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; create it with FcdStatistics.of(smiles).save(path)") from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: not a file of FCD statistics ({error})") from None


def fcd(smiles: Sequence[str], *references: FcdStatistics) -> list[float | None]:
    """The Fréchet ChemNet distance of molecules to reference sets.

    The weights of ChemNet are part of fcd_torch. The trace of the matrix square root is computed from the eigenvalues
    of a symmetric product, without complex numbers.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.
    *references : FcdStatistics
        Statistics of the reference sets.

    Returns
    -------
    list of float or None
        One distance per reference, 0 or more, lower is better; None if there are fewer than two molecules.

    References
    ----------
    .. [1] Preuer et al. 2018, doi:10.1021/acs.jcim.8b00234.
    """
    if len(smiles) < 2 or not references:
        return [None] * len(references)
    statistics = FcdStatistics.of(smiles)
    return [_distance(statistics, reference) for reference in references]


def fcd_floor(n: int) -> tuple[int, float]:
    """The FCD of MOSES training molecules to the MOSES test set, at the nearest measured set size.

    Parameters
    ----------
    n : int
        Number of molecules.

    Returns
    -------
    size : int
        The set size in `FCD_FLOORS` that is nearest to `n` on a logarithmic scale.
    fcd : float
        The FCD of this number of training molecules.
    """
    near = min(FCD_FLOORS, key=lambda number: abs(math.log(number / max(n, 1))))
    return near, FCD_FLOORS[near]


def _distance(a: FcdStatistics, b: FcdStatistics) -> float:
    values, vectors = np.linalg.eigh(b.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ a.covariance @ root).clip(min=0)).sum()
    gap = np.square(a.mean - b.mean).sum()
    return float(gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross)


def _activations(smiles: Sequence[str]) -> Iterator[np.ndarray]:
    """Activations of ChemNet for batches of molecules, (up to _BATCH, 512) float64."""
    require("fcd_torch", "the Fréchet ChemNet distance")
    import torch
    from fcd_torch.utils import get_one_hot

    model = _chemnet()
    for start in range(0, len(smiles), _BATCH):
        batch = np.stack([get_one_hot(one, _LENGTH) for one in smiles[start : start + _BATCH]])
        x = torch.from_numpy(batch / _N_SYMBOLS).float().transpose(1, 2)  # (B, 35, 350)
        with torch.inference_mode():
            yield model(x).double().numpy()  # (B, 512)


@cache
def _chemnet() -> "torch.nn.Module":
    from fcd_torch import FCD

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: torch.nn.Module = FCD(n_jobs=1).model
    return model
