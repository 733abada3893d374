"""Molecules as sets of circular substructures, and how alike two of them are."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator
from scipy import sparse

from molvae.chem import molecules
from molvae.errors import InputError
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_RADIUS, _N_BITS = 2, 2048
_ALONE = 50_000  # so many references are read sooner without worker processes
_PIECE_ROWS = 1000
_QUERIES_AT_ONCE = 2048
_REFERENCES_AT_ONCE = 1024


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


def morgan_counts(smiles: Sequence[str], radius: int = 2, n_bits: int = 2048) -> np.ndarray:
    """How often each circular substructure occurs, (n, n_bits) uint32; as `morgan_bits`, which says only whether.

    Raises:
        InputError: a SMILES does not parse.

    Example:
        >>> int(morgan_counts(["CCO"], radius=0).sum())  # one substructure an atom
        3
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=n_bits)
    counts = np.zeros((len(smiles), n_bits), dtype=np.uint32)
    for row, text in enumerate(smiles):
        counts[row] = generator.GetCountFingerprintAsNumPy(molecules.parse(text))
    return counts


def tanimoto(a: str, b: Sequence[str]) -> np.ndarray:
    """Tanimoto similarity of one molecule to each of others, (n,) float32 in [0, 1]; Morgan radius 2, 2,048 bits.

    Raises:
        InputError: a SMILES does not parse.

    Example:
        >>> tanimoto("CCO", ["CCO", "c1ccccc1"]).tolist()
        [1.0, 0.0]
    """
    query = _GENERATOR.GetFingerprint(molecules.parse(a))
    others = [_GENERATOR.GetFingerprint(molecules.parse(text)) for text in b]
    return np.array(DataStructs.BulkTanimotoSimilarity(query, others), dtype=np.float32)


class ReferenceSet:
    """Molecules among which the most similar one is looked up, exactly; Morgan radius 2, 2,048 bits.

    Some 100 bytes a molecule. Building takes some 60 microseconds of processor time a molecule, a look-up 3 nanoseconds
    a pair: 2,000 molecules among a million in six seconds on one core.
    """

    def __init__(self, smiles: Sequence[str], mapper: Mapper | None = None) -> None:
        """SMILES as standardize() or another RDKit writes them; a large set is read by worker processes.

        mapper: default LocalProcesses(). That a ring written aromatic can be so is taken on trust.

        Raises:
            InputError: a SMILES does not parse.
        """
        self._n = len(smiles)
        flat = array("H")
        counts = np.empty(self._n, dtype=np.int64)
        for row, on_bits in enumerate(_read_bits(smiles, mapper or LocalProcesses())):
            flat.extend(on_bits)
            counts[row] = len(on_bits)
        self._groups = list(_group(np.frombuffer(flat, dtype=np.uint16), counts))

    def __len__(self) -> int:
        return self._n

    def nearest(self, smiles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """For each molecule the index of the most similar reference (int64) and the similarity (float32), both (n,).

        Among equals the first reference is taken. Where there is no reference at all: index -1, similarity NaN.

        Raises:
            InputError: a SMILES does not parse.
        """
        index = np.full(len(smiles), -1, dtype=np.int64)
        similarity = np.full(len(smiles), np.nan, dtype=np.float32)
        if self._n:
            for begin in range(0, len(smiles), _QUERIES_AT_ONCE):
                part = slice(begin, begin + _QUERIES_AT_ONCE)
                index[part], similarity[part] = self._nearest(morgan_bits(smiles[part], _RADIUS, _N_BITS))
        return index, similarity

    def _nearest(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Group by group, the likeliest first; a query leaves out the groups that cannot hold anything better."""
        counts = bits.sum(axis=1, dtype=np.int64)
        small = np.uint8 if counts.max() < 256 else np.uint16  # no overlap is larger than the query's own count
        columns = np.ascontiguousarray(bits.T, dtype=small)  # (n_bits, n)
        best, index = np.full(len(bits), -1.0), np.full(len(bits), -1, dtype=np.int64)
        for group in sorted(self._groups, key=lambda group: abs(group.n_on - np.median(counts))):
            bound = np.minimum(counts, group.n_on) / np.maximum(counts, group.n_on)
            queries = np.flatnonzero(bound >= best)
            if not len(queries):
                continue
            inputs = columns if len(queries) == len(bits) else np.ascontiguousarray(columns[:, queries])
            for begin in range(0, len(group.rows), _REFERENCES_AT_ONCE):
                rows = group.rows[begin : begin + _REFERENCES_AT_ONCE]
                common = group.matrix(begin, len(rows), small) @ inputs  # (references, queries)
                most = common.max(axis=0).astype(np.int64)
                found = most / (counts[queries] + group.n_on - most)
                for place in np.flatnonzero(found >= best[queries]):
                    query, row = queries[place], rows[common[:, place].argmax()]
                    if found[place] > best[query] or row < index[query]:
                        best[query], index[query] = found[place], row
        return index, best.astype(np.float32)


@dataclass(frozen=True)
class _Group:
    """The references whose fingerprints have equally many bits on: which these are, (n, n_on)."""

    rows: np.ndarray
    n_on: int
    on_bits: np.ndarray

    def matrix(self, begin: int, n: int, dtype: type) -> sparse.csr_array:
        """Some of the fingerprints as a sparse matrix of ones, (n, n_bits)."""
        indices = self.on_bits[begin : begin + n].astype(np.int32).ravel()
        pointers = np.arange(0, len(indices) + 1, self.n_on, dtype=np.int32)
        return sparse.csr_array((np.ones(len(indices), dtype=dtype), indices, pointers), shape=(n, _N_BITS))


def _group(flat: np.ndarray, counts: np.ndarray) -> Iterator[_Group]:
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for n_on in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == n_on)
        yield _Group(rows, n_on, flat[starts[rows][:, None] + np.arange(n_on)])


def _read_bits(smiles: Sequence[str], mapper: Mapper) -> Iterator[array]:
    """Which bits are on, molecule by molecule."""
    if len(smiles) <= _ALONE:
        yield from map(_on_bits, smiles)
        return
    pieces = (smiles[begin : begin + _PIECE_ROWS] for begin in range(0, len(smiles), _PIECE_ROWS))
    for row, answer in enumerate(chain.from_iterable(mapper(_on_bits, pieces))):
        if isinstance(answer, WorkerFailure):
            raise InputError(f"reference molecule {row + 1}, {smiles[row]}: no fingerprint: {answer.reason}")
        yield answer


def _on_bits(smiles: str) -> array:
    return array("H", _GENERATOR.GetFingerprint(_read_quickly(smiles)).GetOnBits())


def _read_quickly(smiles: str) -> Chem.Mol:
    """A molecule good enough for a Morgan fingerprint, four times sooner than parse().

    Aromaticity is taken from the canonical text as it stands. A double bond in a ring may be that of a Kekule form, and
    [H] an atom that parsing would take away: then, and where valences are odd, the text is parsed in full.
    """
    if "[H" not in smiles and molecules.guard(smiles) is None:
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(smiles, molecules.UNSANITIZED)
            if mol is not None:
                try:
                    mol.UpdatePropertyCache()
                except ValueError:
                    return molecules.parse(smiles)
                Chem.FastFindRings(mol)
                if not mol.HasSubstructMatch(_RING_DOUBLE_BOND):
                    return mol
    return molecules.parse(smiles)


_GENERATOR = rdFingerprintGenerator.GetMorganGenerator(radius=_RADIUS, fpSize=_N_BITS)
_RING_DOUBLE_BOND = Chem.MolFromSmarts("*=@*")
