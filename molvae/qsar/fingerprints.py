"""Fingerprints for the models; those of recently used molecules are kept in memory."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from molvae.chem.count_features import atom_pairs, thermometer
from molvae.chem.fingerprints import morgan_counts
from molvae.chem.molecules import parse

N_BITS = 4096
"""Length of a Morgan fingerprint."""

RADIUS = 2
"""Radius of the circular substructures, in bonds."""

_N_KEPT = 30_000
_N_FOLDED = 2048


def count_fingerprints(smiles: Sequence[str]) -> np.ndarray:
    """Morgan counts of radius 2.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.

    Returns
    -------
    ndarray of shape (n, 4096)
        How often each circular substructure occurs, at most 255; float32.

    Raises
    ------
    InputError
        A SMILES is invalid.
    """
    rows = np.zeros((len(smiles), N_BITS), np.float32)
    for row, one in enumerate(smiles):
        indices, counts = _sparse_counts(one)
        rows[row, indices] = counts
    return rows


def count_bits(smiles: Sequence[str]) -> np.ndarray:
    """Morgan counts of radius 2 as bits, whose Tanimoto similarity is close to the MinMax similarity of the counts.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.

    Returns
    -------
    ndarray of shape (n, 4096)
        0 or 1, float32.

    Raises
    ------
    InputError
        A SMILES is invalid.
    """
    rows = np.zeros((len(smiles), N_BITS), np.float32)
    counts = np.zeros(N_BITS, np.int64)
    for row, one in enumerate(smiles):
        indices, found = _sparse_counts(one)
        counts[indices] = found
        rows[row] = thermometer(counts)
        counts[indices] = 0
    return rows


def morgan_bits(smiles: Sequence[str]) -> np.ndarray:
    """Morgan fingerprints of radius 2 as bits, the same as `molvae.chem.fingerprints.morgan_bits`.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.

    Returns
    -------
    ndarray of shape (n, 2048)
        0 or 1, float32.

    Raises
    ------
    InputError
        A SMILES is invalid.
    """
    rows = np.zeros((len(smiles), _N_FOLDED), np.float32)
    for row, one in enumerate(smiles):
        rows[row, _sparse_counts(one)[0] % _N_FOLDED] = 1  # the positions are hashes modulo the length
    return rows


def atom_pair_bits(smiles: Sequence[str]) -> np.ndarray:
    """Atom-pair counts as bits; see `count_bits`.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.

    Returns
    -------
    ndarray of shape (n, 2048)
        0 or 1, float32.

    Raises
    ------
    InputError
        A SMILES is invalid.
    """
    packed = np.array([_packed_pairs(one) for one in smiles], np.uint8).reshape(len(smiles), -1)
    return np.unpackbits(packed, axis=1).astype(np.float32)


def forget_fingerprints() -> None:
    """Drop the fingerprints that are kept in memory."""
    _packed_pairs.cache_clear()
    _sparse_counts.cache_clear()


@lru_cache(maxsize=_N_KEPT)
def _packed_pairs(smiles: str) -> np.ndarray:
    """Atom-pair bits of a molecule, eight per byte."""
    return np.packbits(atom_pairs(parse(smiles)))


@lru_cache(maxsize=_N_KEPT)
def _sparse_counts(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    """The substructures of a molecule that occur, and how often."""
    counts = morgan_counts([smiles], RADIUS, N_BITS)[0]
    indices = np.flatnonzero(counts)
    return indices.astype(np.uint16), np.minimum(counts[indices], 255).astype(np.uint8)
