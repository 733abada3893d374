"""Molecules as sets of circular substructures, and how alike two of them are."""

from collections.abc import Sequence

import numpy as np
from rdkit import DataStructs
from rdkit.Chem import rdFingerprintGenerator

from molvae.chem import molecules


def morgan_bits(smiles: Sequence[str], radius: int = 2, n_bits: int = 2048) -> np.ndarray:
    """Morgan fingerprints, (n, n_bits) uint8 of 0 and 1; radius 2 is what is called ECFP4.

    Raises:
        InputError: a SMILES does not parse.

    Example:
        >>> morgan_bits(["CCO", "CCN"]).shape
        (2, 2048)

    Source: Rogers and Hahn 2010, doi:10.1021/ci100050t.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=n_bits)
    bits = np.zeros((len(smiles), n_bits), dtype=np.uint8)
    for row, text in enumerate(smiles):
        bits[row] = generator.GetFingerprintAsNumPy(molecules.parse(text))
    return bits


def tanimoto(a: str, b: Sequence[str]) -> np.ndarray:
    """Tanimoto similarity of one molecule to each of others, (n,) float32 in [0, 1]; Morgan radius 2, 2,048 bits.

    Raises:
        InputError: a SMILES does not parse.

    Example:
        >>> tanimoto("CCO", ["CCO", "c1ccccc1"]).tolist()
        [1.0, 0.0]
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    query = generator.GetFingerprint(molecules.parse(a))
    others = [generator.GetFingerprint(molecules.parse(text)) for text in b]
    return np.array(DataStructs.BulkTanimotoSimilarity(query, others), dtype=np.float32)


class ReferenceSet:
    """Molecules among which the most similar one is looked up; Morgan radius 2, 2,048 bits."""

    def __init__(self, smiles: Sequence[str]) -> None:
        """Canonical SMILES; at least one.

        Raises:
            InputError: a SMILES does not parse.
        """
        generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
        self._generator = generator
        self._fingerprints = [generator.GetFingerprint(molecules.parse(text)) for text in smiles]

    def __len__(self) -> int:
        return len(self._fingerprints)

    def nearest(self, smiles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """For each molecule the index of the most similar reference (int64) and the similarity (float32), both (n,).

        Among equals the first reference is taken. With no reference at all: index -1, similarity NaN.

        Raises:
            InputError: a SMILES does not parse.
        """
        index = np.full(len(smiles), -1, dtype=np.int64)
        similarity = np.full(len(smiles), np.nan, dtype=np.float32)
        if self._fingerprints:
            for row, text in enumerate(smiles):
                query = self._generator.GetFingerprint(molecules.parse(text))
                scores = np.array(DataStructs.BulkTanimotoSimilarity(query, self._fingerprints))
                index[row] = scores.argmax()
                similarity[row] = scores[index[row]]
        return index, similarity
