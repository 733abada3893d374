"""Kernels of the Gaussian process: similarities of molecules by fingerprints, descriptors and element counts."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdFingerprintGenerator, rdMolDescriptors

N_BITS = 2048
_MAX_COUNT = 16
_ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br")
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=N_BITS)
_ATOM_PAIRS = rdFingerprintGenerator.GetAtomPairGenerator(maxDistance=10, fpSize=N_BITS, countSimulation=False)

KERNELS = ("morgan", "atom_pairs", "descriptors_wide", "descriptors_narrow", "elements_wide", "elements_narrow")
"""Names of the kernels, in the order of `kernel_matrix`.

`morgan` and `atom_pairs`: MinMax similarity of counts (Tanimoto of the bits that `thermometer` makes of counts).
The others: squared exponential kernels of nine descriptors and nine element counts, wide and narrow.
"""

_WIDTHS = {2: 3.0, 3: 1.2, 4: 2.5, 5: 1.2}


class MoleculeFeatures(OrderedDict[str, tuple[np.ndarray, ...]]):
    """Features of molecules by canonical SMILES, computed when they are needed.

    Parameters
    ----------
    max_size : int
        Number of molecules that are kept; the least recently used are dropped.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self._max_size = max_size

    def of(self, smiles: Sequence[str]) -> tuple[np.ndarray, ...]:
        """Features of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        tuple of ndarray
            Morgan bits (n, 2048), atom-pair bits (n, 2048), descriptors (n, 9), element counts (n, 9); float32.
        """
        rows = [self._one(one) for one in smiles]
        while len(self) > max(self._max_size, len(smiles)):
            self.popitem(last=False)
        if not rows:
            return tuple(np.zeros((0, width), np.float32) for width in (N_BITS, N_BITS, 9, len(_ELEMENTS)))
        return tuple(np.stack(column).astype(np.float32) for column in zip(*rows, strict=True))

    def _one(self, smiles: str) -> tuple[np.ndarray, ...]:
        if smiles in self:
            self.move_to_end(smiles)
        else:
            self[smiles] = _featurize(smiles)
        return self[smiles]


def thermometer(counts: np.ndarray) -> np.ndarray:
    """Bits whose Tanimoto similarity is close to the MinMax similarity of counts.

    A count of c sets c bits at hashed positions, so that the common bits of two molecules are the smaller counts.

    Parameters
    ----------
    counts : ndarray of shape (n_bits,)
        Counts of hashed features.

    Returns
    -------
    ndarray of shape (n_bits,)
        Bits, uint8.
    """
    on = np.flatnonzero(counts)
    count = np.minimum(counts[on], _MAX_COUNT).astype(np.int64)
    level = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    bits = np.zeros(len(counts), np.uint8)
    bits[(np.repeat(on, count) + level * 40_503) % len(counts)] = 1
    return bits


def kernel_matrix(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], weights: np.ndarray) -> np.ndarray:
    """Weighted sum of the kernels.

    Parameters
    ----------
    a, b : tuple of ndarray
        Features of n and m molecules, from `MoleculeFeatures.of`.
    weights : ndarray of shape (6,)
        Weights of `KERNELS`.

    Returns
    -------
    ndarray of shape (n, m)
        Similarities, float64; 1 for equal molecules if the weights sum to 1.
    """
    total = np.zeros((len(a[0]), len(b[0])))
    for number, weight in enumerate(weights):
        if weight and number < 2:
            total += weight * _tanimoto(a[number], b[number])
    for columns, part in ((slice(2, 4), 2), (slice(4, 6), 3)):
        if np.any(weights[columns]):
            squared = _squared_distance(a[part], b[part])
            for number in range(columns.start, columns.stop):
                if weights[number]:
                    total += weights[number] * np.exp(squared / (-2 * _WIDTHS[number] ** 2))
    return total


def _tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    common = a @ b.T
    return np.asarray(common / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1) - common, 1))


def _squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances; summed column by column, so that an entry does not depend on the other rows."""
    total = np.zeros((len(a), len(b)))
    for x, y in zip(a.T, b.T, strict=True):
        total += (x[:, None] - y) ** 2
    return total


def _featurize(smiles: str) -> tuple[np.ndarray, ...]:
    mol = Chem.MolFromSmiles(smiles)
    descriptors = (
        rdMolDescriptors.CalcExactMolWt(mol) / 50,
        Crippen.MolLogP(mol),
        rdMolDescriptors.CalcTPSA(mol) / 20,
        rdMolDescriptors.CalcNumHBD(mol),
        rdMolDescriptors.CalcNumHBA(mol),
        rdMolDescriptors.CalcNumRotatableBonds(mol),
        rdMolDescriptors.CalcNumRings(mol),
        rdMolDescriptors.CalcNumAromaticRings(mol),
        5 * rdMolDescriptors.CalcFractionCSP3(mol),
    )
    counts = dict.fromkeys(_ELEMENTS, 0)
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol()
        if symbol in counts:
            counts[symbol] += 1
        counts["H"] += atom.GetTotalNumHs()
    return (
        thermometer(_MORGAN.GetCountFingerprintAsNumPy(mol)),
        thermometer(_ATOM_PAIRS.GetCountFingerprintAsNumPy(mol)),
        np.array(descriptors, np.float32),
        np.array(list(counts.values()), np.float32),
    )
