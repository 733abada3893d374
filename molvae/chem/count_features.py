"""Features of molecules for kernels: count fingerprints as bits, descriptors and element counts."""

import re
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdFingerprintGenerator, rdMolDescriptors

from molvae.chem.molecules import parse

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


class CountFeatures(NamedTuple):
    """Features of one molecule.

    Parameters
    ----------
    morgan : ndarray of shape (2048,)
        Morgan counts of radius 2 (ECFP4) as bits, see `thermometer`; uint8.
    atom_pairs : ndarray of shape (2048,)
        Atom-pair counts as bits; uint8.
    descriptors : ndarray of shape (9,)
        Molecular weight / 50 Da, logP, TPSA / 20 Å², numbers of Lipinski donors and acceptors, rotatable bonds, rings
        and aromatic rings, and 5 times the fraction of sp3 carbons; float32. Definitions that are fast to compute.
    elements : ndarray of shape (9,)
        Number of atoms of each of `ELEMENTS`; float32.
    """

    morgan: np.ndarray
    atom_pairs: np.ndarray
    descriptors: np.ndarray
    elements: np.ndarray


def count_features(smiles: str) -> CountFeatures:
    """Compute the features of a molecule.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    CountFeatures
        Its features.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> count_features("CCO").elements.tolist()
    [6.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    mol = parse(smiles)
    found = dict(_ELEMENT.findall(rdMolDescriptors.CalcMolFormula(mol)))
    descriptors = (
        sum(Chem.GetPeriodicTable().GetAtomicWeight(element) * int(n or 1) for element, n in found.items()) / 50,
        Crippen.MolLogP(mol),
        rdMolDescriptors.CalcTPSA(mol) / 20,
        rdMolDescriptors.CalcNumLipinskiHBD(mol),
        rdMolDescriptors.CalcNumLipinskiHBA(mol),
        rdMolDescriptors.CalcNumRotatableBonds(mol, rdMolDescriptors.NumRotatableBondsOptions.NonStrict),
        rdMolDescriptors.CalcNumRings(mol),
        rdMolDescriptors.CalcNumAromaticRings(mol),
        5 * rdMolDescriptors.CalcFractionCSP3(mol),
    )
    counts = [float(found[symbol] or 1) if symbol in found else 0.0 for symbol in ELEMENTS]
    return CountFeatures(
        thermometer(_MORGAN.GetCountFingerprintAsNumPy(mol)),
        thermometer(_ATOM_PAIRS.GetCountFingerprintAsNumPy(mol)),
        np.array(descriptors, np.float32),
        np.array(counts, np.float32),
    )


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
