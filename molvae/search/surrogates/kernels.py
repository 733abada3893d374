"""Kernels of the Gaussian process: similarities of molecules by fingerprints, descriptors and element counts."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from molvae.chem.count_features import (
    ELEMENTS,
    N_BITS,
    N_DESCRIPTORS,
    atom_pairs,
    descriptors,
    elements,
    morgan,
)
from molvae.chem.molecules import parse_shared

KERNELS = {
    "morgan": 0,
    "atom_pairs": 1,
    "descriptors_wide": 2,
    "descriptors_narrow": 2,
    "elements_wide": 3,
    "elements_narrow": 3,
}
"""Index in `Columns` of the features of each kernel, by name, in the order of the weights of `kernel_matrix`.

`morgan` and `atom_pairs`: approximate MinMax similarity of counts. The others: squared exponential kernels of nine
descriptors and of nine element counts, wide and narrow.
"""

_N_FINGERPRINTS = 2
_WIDTHS = {2: 3.0, 3: 1.2, 4: 2.5, 5: 1.2}
_FEATURES = ((morgan, N_BITS), (atom_pairs, N_BITS), (descriptors, N_DESCRIPTORS), (elements, len(ELEMENTS)))

Columns = tuple[np.ndarray, ...]
"""Features of n molecules: Morgan bits (n, 2048), atom-pair bits (n, 2048), descriptors (n, 9), elements (n, 9); those
that no kernel needs have no columns (n, 0)."""


class FeatureCache:
    """Features of molecules by canonical SMILES; those of the least recently used molecules are dropped.

    Parameters
    ----------
    max_size : int
        Number of molecules that are kept, 4 kB each.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._features: OrderedDict[str, dict[int, np.ndarray]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._features)

    def of(self, smiles: Sequence[str], weights: Sequence[float]) -> Columns:
        """Features of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        weights : sequence of float
            Weight of each of `KERNELS`; features of kernels without weight are not computed.

        Returns
        -------
        tuple of ndarray
            The four arrays of `Columns`, float32.
        """
        used = {column for column, weight in zip(KERNELS.values(), weights, strict=True) if weight}
        rows = []
        for one in smiles:
            found = self._features.setdefault(one, {})
            self._features.move_to_end(one)
            if missing := used - found.keys():
                mol = parse_shared(one)
                found |= {column: _FEATURES[column][0](mol) for column in missing}
            rows.append(found)
        while len(self._features) > self._max_size:
            self._features.popitem(last=False)
        columns = []
        for number, (_, size) in enumerate(_FEATURES):
            column = np.zeros((len(rows), size if number in used else 0), np.float32)
            for row, found in enumerate(rows if number in used else ()):
                column[row] = found[number]
            columns.append(column)
        return tuple(columns)


def kernel_matrix(a: Columns, b: Columns, weights: Sequence[float]) -> np.ndarray:
    """Weighted sum of the kernels.

    An entry depends on its two molecules only, bit for bit, and not on the other rows. Single precision halves the time
    of a round with many scored molecules.

    Parameters
    ----------
    a, b : tuple of ndarray
        Features of n and m molecules, from `FeatureCache.of`.
    weights : sequence of float
        Weight of each of `KERNELS`.

    Returns
    -------
    ndarray of shape (n, m)
        Similarities, float32; 1 for equal molecules if the weights sum to 1.
    """
    total = np.zeros((len(a[0]), len(b[0])), np.float32)
    for number, weight in enumerate(weights[:_N_FINGERPRINTS]):
        if weight:
            total += np.float32(weight) * _tanimoto(a[number], b[number])
    for first, part in ((2, 2), (4, 3)):
        if any(weights[first : first + 2]):
            squared = _squared_distance(a[part], b[part])
            for number in (first, first + 1):
                if weights[number]:
                    scale = np.float32(-0.5 / _WIDTHS[number] ** 2)
                    total += np.float32(weights[number]) * np.exp(squared * scale)
    return total


def _tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarities of bits; the sums are whole numbers below 2**24, so they are exact in float32."""
    common = a @ b.T
    union = a.sum(axis=1)[:, None] + b.sum(axis=1)
    union -= common
    return np.asarray(np.divide(common, np.maximum(union, 1, out=union), out=common))


def _squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, summed column by column, so that rounding does not depend on the other rows."""
    total = np.zeros((len(a), len(b)), np.float32)
    for x, y in zip(a.T, b.T, strict=True):
        total += (x[:, None] - y) ** 2
    return total
