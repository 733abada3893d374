"""The Fréchet ChemNet distance: how far a set of molecules is from another, as a network sees them."""

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
"""Number of molecules drawn from the MOSES training set -> their FCD to the test set, as measured."""

_BATCH = 256
_LENGTH, _N_SYMBOLS = 350, 35  # of ChemNet's input


@dataclass(frozen=True)
class FcdStatistics:
    """What the FCD knows of a set of molecules: mean (512,) and covariance (512, 512) of ChemNet's answers, float64."""

    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def of(cls, smiles: Sequence[str]) -> Self:
        """The statistics of canonical SMILES, as RDKit of today writes them; about 3 ms of one core for each.

        Raises:
            InputError: fewer than two molecules.
        """
        if len(smiles) < 2:
            raise InputError(f"FCD: expected at least two molecules, got {len(smiles)}")
        total, squares = np.zeros(512), np.zeros((512, 512))
        for block in _answers(smiles):
            total += block.sum(axis=0)
            squares += block.T @ block
        mean = total / len(smiles)
        return cls(mean, (squares - len(smiles) * np.outer(mean, mean)) / (len(smiles) - 1), len(smiles))

    def save(self, path: Path) -> None:
        """Write the statistics: the covariance's upper triangle, in float32; the same statistics, the same bytes."""
        upper = self.covariance[np.triu_indices(512)].astype(np.float32)
        with replacing(path) as part:
            np.savez_compressed(part, mean=self.mean, covariance=upper, n=np.int64(self.n))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The statistics that `save` wrote.

        Raises:
            InputError: there is no such file, or it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                covariance = np.zeros((512, 512))
                covariance[np.triu_indices(512)] = content["covariance"]
                covariance += np.triu(covariance, 1).T
                return cls(content["mean"], covariance, int(content["n"]))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; FcdStatistics.of(smiles).save(path) makes it") from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: expected FCD statistics, got something else ({error})") from None


def fcd(smiles: Sequence[str], *references: FcdStatistics) -> list[float | None]:
    """The Fréchet ChemNet distance of canonical SMILES to each reference, 0 or more, lower is better; None below two.

    Source: Preuer et al. 2018, doi:10.1021/acs.jcim.8b00234; ChemNet's weights come with fcd_torch. The trace of the
    root is taken from the eigenvalues of a symmetric product, which needs no complex numbers.
    """
    if len(smiles) < 2 or not references:
        return [None] * len(references)
    ours = FcdStatistics.of(smiles)
    return [_distance(ours, reference) for reference in references]


def fcd_floor(n: int) -> tuple[int, float]:
    """The size nearest to n for which the FCD of real molecules to the MOSES test set was measured, and that FCD."""
    near = min(FCD_FLOORS, key=lambda number: abs(math.log(number / max(n, 1))))
    return near, FCD_FLOORS[near]


def _distance(ours: FcdStatistics, reference: FcdStatistics) -> float:
    values, vectors = np.linalg.eigh(reference.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ ours.covariance @ root).clip(min=0)).sum()
    gap = np.square(ours.mean - reference.mean).sum()
    return float(gap + np.trace(ours.covariance) + np.trace(reference.covariance) - 2 * cross)


def _answers(smiles: Sequence[str]) -> Iterator[np.ndarray]:
    """ChemNet's answers to batches of molecules, (up to _BATCH, 512) float64."""
    require("fcd_torch", "the Fréchet ChemNet distance")
    import torch
    from fcd_torch.utils import get_one_hot

    model = _chemnet()
    for start in range(0, len(smiles), _BATCH):
        batch = np.stack([get_one_hot(text, _LENGTH) for text in smiles[start : start + _BATCH]])
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
