"""Numbers about a set of molecules, as the MOSES benchmark defines them; FCD needs a network and is not here.

Source: Polykovskiy et al. 2020, doi:10.3389/fphar.2020.565644, and its code, molsets 0.3.1.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold
from scipy import sparse

from molvae.chem import molecules
from molvae.chem.molecules import canonicalize
from molvae.chem.moses_filters import first_objection
from molvae.chem.properties import look_up
from molvae.errors import InputError

PROPERTY_NAMES = ("logp", "sa_score", "qed", "mol_weight")
"""The properties whose distributions MOSES compares."""

_N_BITS = 1024
_ROWS_AT_ONCE, _QUERIES_AT_ONCE = 1024, 2048
_FEWEST_RINGS = 2  # of a scaffold that counts


def validity(texts: Sequence[str | None]) -> float:
    """The share of texts that are molecules, in [0, 1]; NaN of no texts.

    Example:
        >>> validity(["CCO", "C1CC", None, "c1ccccc1"])
        0.5
    """
    return _share(sum(canonicalize(text).smiles is not None for text in texts), len(texts))


def uniqueness(smiles: Sequence[str], at: int | None = 10_000) -> float:
    """The share of distinct molecules among the first `at` valid ones (None: among all), in [0, 1]; NaN of none.

    smiles: canonical. A set of fewer than `at` is taken whole.

    Raises:
        InputError: `at` is below 1.

    Example:
        >>> uniqueness(["CCO", "CCO", "CCN", "CCC"], at=3)
        0.6666666666666666
    """
    if at is not None and at < 1:
        raise InputError(f"uniqueness: at: expected 1 or more, got {at}")
    first = smiles[:at]
    return _share(len(set(first)), len(first))


def novelty(smiles: Iterable[str], reference: Iterable[str]) -> float:
    """The share of the distinct molecules that the reference does not hold, in [0, 1]; NaN of none.

    Both canonical. A reference that is no set is gone through once, and never held in memory.

    Example:
        >>> novelty(["CCO", "CCO", "CCN"], {"CCO"})
        0.5
    """
    distinct = set(smiles)
    if isinstance(reference, set | frozenset | dict):
        return _share(sum(text not in reference for text in distinct), len(distinct))
    return _share(len(distinct.difference(reference)), len(distinct))


def internal_diversity(smiles: Sequence[str], p: float = 1) -> float:
    """1 minus the mean Tanimoto similarity of all pairs, each molecule with itself among them; in [0, 1), NaN of none.

    smiles: canonical; repeated ones count as often as they stand. Morgan fingerprints, radius 2, 1,024 bits. With p
    the similarities are raised to its power, averaged per molecule, and the p-th roots averaged (IntDiv2 has p = 2).

    Raises:
        InputError: a SMILES does not parse, or p is not positive.

    Example:
        >>> internal_diversity(["CCO", "CCO"])
        0.0
    """
    return internal_diversities(BitSets.of(smiles), (p,))[0]


class Description(NamedTuple):
    """What the metrics must know of one text: without SMILES it is no molecule, for that reason.

    on_bits: those of its Morgan fingerprint, radius 2, 1,024 bits. fragments: canonical SMILES of its BRICS fragments,
    each as often as it occurs. scaffold: None where it has fewer than two rings. properties: of PROPERTY_NAMES, NaN
    where one failed. objection: that of the filters; None where the molecule passes, or was not to be filtered.
    """

    smiles: str | None = None
    reason: str | None = None
    on_bits: array = array("H")
    fragments: Sequence[str] = ()
    scaffold: str | None = None
    properties: Sequence[float] = ()
    objection: str | None = None


def describe(raw: object, with_filters: bool = True) -> Description:
    """All that the metrics ask of one text, as it stands: nothing is stripped or neutralized. For the worker pool.

    Example:
        >>> aspirin = describe("O=C(C)Oc1ccccc1C(=O)O")
        >>> aspirin.smiles, aspirin.fragments, aspirin.scaffold, aspirin.objection
        ('CC(=O)Oc1ccccc1C(=O)O', ['[1*]C(C)=O', '[16*]c1ccccc1[16*]', '[3*]O[3*]', '[6*]C(=O)O'], None, None)
    """
    smiles, reason, _ = canonicalize(raw)
    if smiles is None:
        return Description(None, reason)
    mol = molecules.parse(smiles)
    with rdBase.BlockLogs():
        return Description(
            smiles,
            on_bits=_on_bits(mol),
            fragments=Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(mol)).split("."),
            scaffold=_scaffold(mol),
            properties=[_value(name, mol) for name in PROPERTY_NAMES],
            objection=first_objection(mol) if with_filters else None,
        )


def read_on_bits(smiles: str) -> array:
    """Which bits of a Morgan fingerprint are on (radius 2, 1,024 bits), uint16; twice as fast as after a full parse.

    smiles: canonical, from a source where this is known to be right: aromaticity is taken as it is written.

    Raises:
        InputError: it does not parse.
    """
    if "[H" in smiles:  # atoms that parsing would take away
        return _on_bits(molecules.parse(smiles))
    mol = Chem.MolFromSmiles(smiles, molecules.UNSANITIZED) if molecules.guard(smiles) is None else None
    if mol is None:
        raise InputError(f"{smiles}: expected a canonical SMILES")
    mol.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(mol)
    return _on_bits(mol)


@dataclass(frozen=True)
class BitSets:
    """Fingerprints of 1,024 bits, one after the other: some 100 bytes a molecule.

    on_bits: uint16, which bits are on. ends: where each molecule's end.
    """

    on_bits: array = field(default_factory=lambda: array("H"))
    ends: array = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, smiles: Iterable[str]) -> "BitSets":
        """Morgan fingerprints of canonical SMILES, radius 2.

        Raises:
            InputError: a SMILES does not parse.
        """
        bits = cls()
        for text in smiles:
            bits.append(_on_bits(molecules.parse(text)))
        return bits

    def append(self, on_bits: array) -> None:
        """Add one molecule."""
        self.on_bits.extend(on_bits)
        self.ends.append(len(self.on_bits))

    def __len__(self) -> int:
        return len(self.ends)

    def counts(self) -> np.ndarray:
        """How many bits of each are on, (n,) int64."""
        return np.diff(np.frombuffer(self.ends, dtype=np.int64), prepend=0) if len(self) else np.empty(0, np.int64)

    def take(self, rows: np.ndarray, dtype: type) -> sparse.csr_array:
        """Some of them as a sparse matrix of ones, (n, 1,024)."""
        all_ends = np.frombuffer(self.ends, dtype=np.int64)
        ends, begins = all_ends[rows], np.where(rows > 0, all_ends[rows - 1], 0)
        pointers = np.concatenate([[0], np.cumsum(ends - begins)])
        places = np.arange(pointers[-1]) + np.repeat(ends - pointers[1:], ends - begins)
        indices = np.frombuffer(self.on_bits, dtype=np.uint16)[places].astype(np.int32)
        ones: np.ndarray = np.ones(len(indices), dtype=dtype)
        return sparse.csr_array((ones, indices, pointers.astype(np.int32)), shape=(len(rows), _N_BITS))


def nearest_similarities(bits: BitSets, reference: BitSets) -> np.ndarray:
    """For each molecule its Tanimoto similarity to the most similar reference, (n,) float64; their mean is SNN.

    NaN where there is no reference. Some 3 nanoseconds a pair on one core: 30,000 beside 176,000 take 20 seconds.
    """
    counts, reference_counts = bits.counts(), reference.counts()
    best = np.full(len(bits), np.nan)
    if not len(reference) or not len(bits):
        return best
    small = np.uint8 if counts.max() < 256 else np.uint16  # no overlap is larger than the molecule's own count
    order = np.argsort(counts, kind="stable")
    sizes = np.unique(reference_counts)
    groups = {size: np.flatnonzero(reference_counts == size) for size in sizes.tolist()}
    for begin in range(0, len(bits), _QUERIES_AT_ONCE):
        rows = order[begin : begin + _QUERIES_AT_ONCE]
        best[rows] = _nearest(bits.take(rows, small), counts[rows], reference, groups)
    return best


def _nearest(
    queries: sparse.csr_array, counts: np.ndarray, reference: BitSets, groups: Mapping[int, np.ndarray]
) -> np.ndarray:
    """Group by group of equally many bits, the likeliest first; of each group only the largest overlap matters."""
    columns = np.ascontiguousarray(queries.toarray().T)  # (1,024, n)
    best = np.full(len(counts), -1.0)
    for n_on in sorted(groups, key=lambda size: abs(size - np.median(counts))):
        bound = np.minimum(counts, n_on) / np.maximum(np.maximum(counts, n_on), 1)
        left = np.flatnonzero(bound > best)  # whom something better may be in this group
        if not len(left):
            continue
        inputs = columns if len(left) == len(counts) else np.ascontiguousarray(columns[:, left])
        for begin in range(0, len(groups[n_on]), _ROWS_AT_ONCE):
            rows = reference.take(groups[n_on][begin : begin + _ROWS_AT_ONCE], columns.dtype.type)
            most = (rows @ inputs).max(axis=0).astype(np.int64)
            best[left] = np.maximum(best[left], most / np.maximum(counts[left] + n_on - most, 1))
    return best


def internal_diversities(bits: BitSets, powers: Sequence[float] = (1, 2)) -> list[float]:
    """The internal diversity for each of several powers, as `internal_diversity` has it for one; NaN of no molecule.

    Time grows with n squared, memory does not: 30,000 molecules take ten seconds.

    Raises:
        InputError: a power is not positive.
    """
    wrong = [p for p in powers if not p > 0]
    if wrong:
        raise InputError(f"internal_diversity: p: expected more than 0, got {wrong[0]}")
    n, counts = len(bits), bits.counts()
    if not n:
        return [math.nan] * len(powers)
    small = np.uint8 if counts.max() < 256 else np.uint16
    rows = np.arange(n)
    sums = np.zeros((len(powers), n))
    for begin in range(0, n, _ROWS_AT_ONCE):
        right = slice(begin, min(begin + _ROWS_AT_ONCE, n))
        columns = np.ascontiguousarray(bits.take(rows[right], small).toarray().T)
        for start in range(0, begin + 1, _ROWS_AT_ONCE):  # each pair of blocks once: similarity has no direction
            left = slice(start, min(start + _ROWS_AT_ONCE, n))
            common = (bits.take(rows[left], small) @ columns).astype(np.float32)
            union = counts[left].astype(np.float32)[:, None] + counts[right].astype(np.float32)[None, :] - common
            similarity = common / np.maximum(union, 1)
            for place, p in enumerate(powers):
                raised = similarity if p == 1 else similarity**p
                sums[place, left] += raised.sum(axis=1, dtype=np.float64)
                if start != begin:
                    sums[place, right] += raised.sum(axis=0, dtype=np.float64)
    return [float(1 - ((total / n) ** (1 / p)).mean()) for total, p in zip(sums, powers, strict=True)]


def cosine(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """The cosine of two tables of counts, in [0, 1]; what one of them lacks counts as 0; NaN where one is empty.

    Example:
        >>> cosine({"a": 3, "b": 4}, {"a": 5})
        0.6
    """
    if not a or not b:
        return math.nan
    product = sum(count * b.get(name, 0) for name, count in a.items())  # Python's integers do not overflow
    lengths = (math.sqrt(sum(count * count for count in counts.values())) for counts in (a, b))
    return product / math.prod(lengths)


def _on_bits(mol: Chem.Mol) -> array:
    return array("H", _GENERATOR.GetFingerprint(mol).GetOnBits())


def _scaffold(mol: Chem.Mol) -> str | None:
    try:
        scaffold = MurckoScaffold.GetScaffoldForMol(mol)
    except (ValueError, RuntimeError):
        return None
    text: str = Chem.MolToSmiles(scaffold)
    return text if text and scaffold.GetRingInfo().NumRings() >= _FEWEST_RINGS else None


def _value(name: str, mol: Chem.Mol) -> float:
    try:
        return float(look_up(name).function(mol))
    except (ValueError, RuntimeError, ZeroDivisionError, OverflowError):  # what RDKit raises on molecules of odd kinds
        return math.nan


def _share(n: int, total: int) -> float:
    return n / total if total else float("nan")


_GENERATOR = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=_N_BITS)
