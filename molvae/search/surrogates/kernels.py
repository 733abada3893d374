"""Kernels of the Gaussian process: similarities of molecules by fingerprints, descriptors and element counts."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from molvae.chem.count_features import ELEMENTS, N_BITS, N_DESCRIPTORS, CountFeatures, count_features

KERNELS = ("morgan", "atom_pairs", "descriptors_wide", "descriptors_narrow", "elements_wide", "elements_narrow")
"""Names of the kernels, in the order of `kernel_matrix`.

`morgan` and `atom_pairs`: approximate MinMax similarity of counts. The others: squared exponential kernels of nine
descriptors and of nine element counts, wide and narrow.
"""

_N_FINGERPRINTS = 2
_WIDTHS = {2: 3.0, 3: 1.2, 4: 2.5, 5: 1.2}
_SIZES = (N_BITS, N_BITS, N_DESCRIPTORS, len(ELEMENTS))

Columns = tuple[np.ndarray, ...]
"""Features of n molecules: Morgan bits (n, 2048), atom-pair bits (n, 2048), descriptors (n, 9), elements (n, 9)."""


class FeatureCache:
    """Features of molecules by canonical SMILES; the least recently used are dropped.

    Parameters
    ----------
    max_size : int
        Number of molecules that are kept, 4 kB each.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._features: OrderedDict[str, CountFeatures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._features)

    def of(self, smiles: Sequence[str]) -> Columns:
        """Features of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        tuple of ndarray
            The four arrays of `Columns`, float32.
        """
        rows = []
        for one in smiles:
            if one in self._features:
                self._features.move_to_end(one)
            else:
                self._features[one] = count_features(one)
            rows.append(self._features[one])
        while len(self._features) > self._max_size:
            self._features.popitem(last=False)
        if not rows:
            return tuple(np.zeros((0, size), np.float32) for size in _SIZES)
        return tuple(np.stack(column).astype(np.float32) for column in zip(*rows, strict=True))


def kernel_matrix(a: Columns, b: Columns, weights: Sequence[float]) -> np.ndarray:
    """Weighted sum of the kernels.

    An entry depends on its two molecules only, bit for bit, and not on the other rows.

    Parameters
    ----------
    a, b : tuple of ndarray
        Features of n and m molecules, from `FeatureCache.of`.
    weights : sequence of float
        Weight of each of `KERNELS`.

    Returns
    -------
    ndarray of shape (n, m)
        Similarities, float64; 1 for equal molecules if the weights sum to 1.
    """
    total = np.zeros((len(a[0]), len(b[0])))
    for number, weight in enumerate(weights[:_N_FINGERPRINTS]):
        if weight:
            total += weight * _tanimoto(a[number], b[number])
    for first, part in ((2, 2), (4, 3)):
        if any(weights[first : first + 2]):
            squared = _squared_distance(a[part], b[part])
            for number in (first, first + 1):
                if weights[number]:
                    total += weights[number] * np.exp(squared / (-2 * _WIDTHS[number] ** 2))
    return total


def _tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarities of bits; the sums are whole numbers below 2**24, so float32 is exact."""
    common = a @ b.T
    return np.asarray(common / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1) - common, 1))


def _squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, summed column by column, so that rounding does not depend on the other rows."""
    total = np.zeros((len(a), len(b)))
    for x, y in zip(a.T, b.T, strict=True):
        total += (x[:, None] - y) ** 2
    return total
