"""Features of molecules for kernels: count fingerprints as bits, descriptors and element counts."""

import re

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdFingerprintGenerator, rdMolDescriptors

N_BITS = 2048
"""Length of each fingerprint."""

ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br")
"""Elements that are counted."""

N_DESCRIPTORS = 9
"""Number of descriptors."""

_MAX_COUNT = 16
_HASH_STEP = 40_503
_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)")
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=N_BITS)
_ATOM_PAIRS = rdFingerprintGenerator.GetAtomPairGenerator(maxDistance=10, fpSize=N_BITS, countSimulation=False)


def morgan(mol: Chem.Mol) -> np.ndarray:
    """Morgan counts of radius 2 (ECFP4) as bits.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    ndarray of shape (2048,)
        See `thermometer`; uint8.
    """
    return thermometer(_MORGAN.GetCountFingerprintAsNumPy(mol))


def atom_pairs(mol: Chem.Mol) -> np.ndarray:
    """Atom-pair counts as bits.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    ndarray of shape (2048,)
        See `thermometer`; uint8.
    """
    return thermometer(_ATOM_PAIRS.GetCountFingerprintAsNumPy(mol))


def descriptors(mol: Chem.Mol) -> np.ndarray:
    """Descriptors of similar scale, in definitions that are fast to compute.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    ndarray of shape (9,)
        Molecular weight / 50 Da, logP, TPSA / 20 Å², numbers of Lipinski donors and acceptors, rotatable bonds, rings
        and aromatic rings, and 5 times the fraction of sp3 carbons; float32.
    """
    weight = sum(Chem.GetPeriodicTable().GetAtomicWeight(element) * n for element, n in _formula(mol).items())
    values = (
        weight / 50,
        Crippen.MolLogP(mol),
        rdMolDescriptors.CalcTPSA(mol) / 20,
        rdMolDescriptors.CalcNumLipinskiHBD(mol),
        rdMolDescriptors.CalcNumLipinskiHBA(mol),
        rdMolDescriptors.CalcNumRotatableBonds(mol, rdMolDescriptors.NumRotatableBondsOptions.NonStrict),
        rdMolDescriptors.CalcNumRings(mol),
        rdMolDescriptors.CalcNumAromaticRings(mol),
        5 * rdMolDescriptors.CalcFractionCSP3(mol),
    )
    return np.array(values, np.float32)


def elements(mol: Chem.Mol) -> np.ndarray:
    """Numbers of atoms.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    ndarray of shape (9,)
        Number of atoms of each of `ELEMENTS`; float32.

    Examples
    --------
    >>> elements(Chem.MolFromSmiles("CCO")).tolist()
    [6.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    found = _formula(mol)
    return np.array([found.get(symbol, 0) for symbol in ELEMENTS], np.float32)


def thermometer(counts: np.ndarray) -> np.ndarray:
    """Convert counts to bits whose Tanimoto similarity is close to the MinMax similarity of the counts.

    A count of c sets c bits at hashed positions, at most 16, so two molecules share as many of them as their smaller
    count.

    Parameters
    ----------
    counts : ndarray of shape (n_bits,)
        Counts of hashed features.

    Returns
    -------
    ndarray of shape (n_bits,)
        Bits, uint8.

    Examples
    --------
    >>> int(thermometer(np.array([3, 0, 1] + 61 * [0])).sum())
    4
    """
    on = np.flatnonzero(counts)
    count = np.minimum(counts[on], _MAX_COUNT).astype(np.int64)
    level = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    bits = np.zeros(len(counts), np.uint8)
    bits[(np.repeat(on, count) + level * _HASH_STEP) % len(counts)] = 1
    return bits


def _formula(mol: Chem.Mol) -> dict[str, int]:
    """Number of atoms by element, hydrogen included."""
    return {element: int(n or 1) for element, n in _ELEMENT.findall(rdMolDescriptors.CalcMolFormula(mol))}
