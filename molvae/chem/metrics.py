"""Metrics of a set of molecules, as the MOSES benchmark defines them, except for the FCD.

References: Polykovskiy et al. 2020, doi:10.3389/fphar.2020.565644, and its code, molsets 0.3.1.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from molvae.chem import molecules
from molvae.chem.fingerprints import Fingerprints, mol_on_bits, on_bits
from molvae.chem.molecules import canonicalize
from molvae.chem.moses_filters import first_failed_filter
from molvae.chem.properties import look_up
from molvae.errors import InputError

PROPERTY_NAMES = ("logp", "sa_score", "qed", "mol_weight")
"""The properties whose distributions MOSES compares."""

N_BITS = 1024
"""Length of the Morgan fingerprints, radius 2, that MOSES compares."""

_BLOCK_ROWS = 1024
_MIN_SCAFFOLD_RINGS = 2


def validity(smiles: Sequence[str | None]) -> float:
    """Compute the share of SMILES that are valid.

    Parameters
    ----------
    smiles : sequence of str or None
        SMILES as generated; None counts as invalid.

    Returns
    -------
    float
        In [0, 1]; NaN for an empty sequence.

    Examples
    --------
    >>> validity(["CCO", "C1CC", None, "c1ccccc1"])
    0.5
    """
    return _share(sum(canonicalize(one).smiles is not None for one in smiles), len(smiles))


def uniqueness(smiles: Sequence[str], at: int | None = 10_000) -> float:
    """Compute the share of unique molecules among the first valid ones.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES of the valid molecules.
    at : int or None, default=10_000
        Only the first `at` molecules are considered; None considers all.

    Returns
    -------
    float
        In [0, 1]; NaN for an empty sequence.

    Raises
    ------
    InputError
        `at` is below 1.

    Examples
    --------
    >>> uniqueness(["CCO", "CCO", "CCN", "CCC"], at=3)
    0.6666666666666666
    """
    if at is not None and at < 1:
        raise InputError(f"uniqueness: at: expected 1 or more, got {at}")
    first = smiles[:at]
    return _share(len(set(first)), len(first))


def novelty(smiles: Iterable[str], reference: Iterable[str]) -> float:
    """Compute the share of unique molecules that are not in the reference set.

    Parameters
    ----------
    smiles : iterable of str
        Canonical SMILES.
    reference : iterable of str
        Canonical SMILES, usually of the training set. Unless it is a set, it is iterated once and not kept in memory.

    Returns
    -------
    float
        In [0, 1]; NaN without molecules.

    Examples
    --------
    >>> novelty(["CCO", "CCO", "CCN"], {"CCO"})
    0.5
    """
    unique = set(smiles)
    if isinstance(reference, set | frozenset | dict):
        return _share(sum(one not in reference for one in unique), len(unique))
    return _share(len(unique.difference(reference)), len(unique))


def internal_diversity(smiles: Sequence[str], p: float = 1) -> float:
    """Compute the internal diversity: 1 minus the mean Tanimoto similarity of all pairs.

    The pairs include each molecule with itself. Morgan fingerprints, radius 2, 1,024 bits.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES; duplicates count each time.
    p : float, default=1
        Exponent of the similarities. They are raised to p, averaged per molecule, and the p-th roots are averaged; 2
        gives IntDiv2.

    Returns
    -------
    float
        In [0, 1); NaN for an empty sequence.

    Raises
    ------
    InputError
        A SMILES is invalid, or `p` is not positive.

    Examples
    --------
    >>> internal_diversity(["CCO", "CCO"])
    0.0
    """
    return internal_diversities(Fingerprints.of(smiles, N_BITS), (p,))[0]


class Description(NamedTuple):
    """The values of one SMILES from which the metrics of MOSES are computed.

    Parameters
    ----------
    smiles : str or None
        Canonical SMILES; None if it is invalid.
    reason : str or None
        Why the SMILES is invalid.
    on_bits : array of uint16
        Bits that are on in the Morgan fingerprint of radius 2 and 1,024 bits.
    fragments : sequence of str
        Canonical SMILES of the BRICS fragments, each as often as it occurs.
    scaffold : str or None
        Bemis-Murcko scaffold; None if it has fewer than two rings.
    properties : sequence of float
        Values of PROPERTY_NAMES; NaN where one cannot be computed.
    failed_filter : str or None
        First filter of MOSES that the molecule fails; None if it passes or was not filtered.
    """

    smiles: str | None = None
    reason: str | None = None
    on_bits: array = array("H")
    fragments: Sequence[str] = ()
    scaffold: str | None = None
    properties: Sequence[float] = ()
    failed_filter: str | None = None


def describe(raw: object, with_filters: bool = True) -> Description:
    """Compute the values of one SMILES from which the metrics of MOSES are computed.

    The molecule is not standardized.

    Parameters
    ----------
    raw : object
        SMILES as generated.
    with_filters : bool, default=True
        Apply the filters of MOSES.

    Returns
    -------
    Description

    Examples
    --------
    >>> aspirin = describe("O=C(C)Oc1ccccc1C(=O)O")
    >>> aspirin.smiles, aspirin.fragments, aspirin.scaffold, aspirin.failed_filter
    ('CC(=O)Oc1ccccc1C(=O)O', ['[1*]C(C)=O', '[16*]c1ccccc1[16*]', '[3*]O[3*]', '[6*]C(=O)O'], None, None)
    """
    smiles, reason, _ = canonicalize(raw)
    if smiles is None:
        return Description(None, reason)
    mol = molecules.parse(smiles)
    with rdBase.BlockLogs():
        return Description(
            smiles,
            on_bits=mol_on_bits(mol, N_BITS),
            fragments=Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(mol)).split("."),
            scaffold=_scaffold(mol),
            properties=[look_up(name)(mol) for name in PROPERTY_NAMES],
            failed_filter=first_failed_filter(mol) if with_filters else None,
        )


def read_on_bits(smiles: str) -> array:
    """List the bits that are on in the fingerprint of a molecule whose SMILES was written by RDKit.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    array of uint16
        Indices of the bits; Morgan fingerprint of radius 2, 1,024 bits.

    Raises
    ------
    InputError
        The SMILES is invalid.
    """
    return on_bits(smiles, N_BITS, is_from_rdkit=True)


def internal_diversities(fingerprints: Fingerprints, powers: Sequence[float] = (1, 2)) -> list[float]:
    """Compute the internal diversity for several exponents at once.

    Time is quadratic in the number of molecules, memory is linear: 30,000 molecules take ten seconds.

    Parameters
    ----------
    fingerprints : Fingerprints
        Fingerprints of n molecules.
    powers : sequence of float, default=(1, 2)
        Exponents, as `p` of `internal_diversity`.

    Returns
    -------
    list of float
        One per exponent; NaN without molecules.

    Raises
    ------
    InputError
        An exponent is not positive.
    """
    wrong = [p for p in powers if not p > 0]
    if wrong:
        raise InputError(f"internal_diversity: p: expected more than 0, got {wrong[0]}")
    n, counts = len(fingerprints), fingerprints.counts()
    if not n:
        return [math.nan] * len(powers)
    small = np.uint8 if counts.max() < 256 else np.uint16
    rows = np.arange(n)
    sums = np.zeros((len(powers), n))
    for begin in range(0, n, _BLOCK_ROWS):
        right = slice(begin, min(begin + _BLOCK_ROWS, n))
        columns = np.ascontiguousarray(fingerprints.take(rows[right], small).toarray().T)
        for start in range(0, begin + 1, _BLOCK_ROWS):  # each pair of blocks once: similarity is symmetric
            left = slice(start, min(start + _BLOCK_ROWS, n))
            common = (fingerprints.take(rows[left], small) @ columns).astype(np.float32)
            union = counts[left].astype(np.float32)[:, None] + counts[right].astype(np.float32)[None, :] - common
            similarity = common / np.maximum(union, 1)
            for i, p in enumerate(powers):
                raised = similarity if p == 1 else similarity**p
                sums[i, left] += raised.sum(axis=1, dtype=np.float64)
                if start != begin:
                    sums[i, right] += raised.sum(axis=0, dtype=np.float64)
    return [float(1 - ((total / n) ** (1 / p)).mean()) for total, p in zip(sums, powers, strict=True)]


def cosine(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Compute the cosine similarity of two tables of counts.

    Parameters
    ----------
    a, b : mapping of str to int
        Counts; a missing name counts 0.

    Returns
    -------
    float
        In [0, 1]; NaN if a table is empty.

    Examples
    --------
    >>> cosine({"a": 3, "b": 4}, {"a": 5})
    0.6
    """
    if not a or not b:
        return math.nan
    product = sum(count * b.get(name, 0) for name, count in a.items())  # Python's integers do not overflow
    lengths = (math.sqrt(sum(count * count for count in counts.values())) for counts in (a, b))
    return product / math.prod(lengths)


def _scaffold(mol: Chem.Mol) -> str | None:
    try:
        scaffold = MurckoScaffold.GetScaffoldForMol(mol)
    except (ValueError, RuntimeError):
        return None
    smiles: str = Chem.MolToSmiles(scaffold)
    return smiles if smiles and scaffold.GetRingInfo().NumRings() >= _MIN_SCAFFOLD_RINGS else None


def _share(n: int, total: int) -> float:
    return n / total if total else math.nan
