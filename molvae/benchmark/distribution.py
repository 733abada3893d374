"""Fragments, scaffolds, properties and fingerprints of a set of molecules, computed once for all metrics.

The distributions of the two MOSES test sets are bundled with molvae.
"""

import gzip
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from molvae.benchmark.fcd import FcdStatistics
from molvae.bundled import bundled
from molvae.chem.fingerprints import Fingerprints
from molvae.chem.metrics import N_BITS, PROPERTY_NAMES, Description, describe, read_on_bits
from molvae.chem.molecules import Standardized, canonicalize
from molvae.errors import InputError
from molvae.files import replacing
from molvae.tables import kind_of
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

TRAIN_FILE, TEST_FILE = "moses_train.csv.gz", "moses_test.csv.gz"
MOSES_REFERENCES = {
    "Test": ("moses_test", "the MOSES test set"),
    "TestSF": ("moses_test_scaffolds", "the MOSES scaffold test set"),
}
"""Name in MOSES -> prefix of its bundled files, and description."""

Row = tuple[str | None, str | None]
"""A raw SMILES, and the reason why it is invalid if that is already known."""

Progress = Callable[[str], None]
"""Called with a description of each step before it starts."""

T = TypeVar("T")
R = TypeVar("R")

_STEP = 1e-4  # resolution of stored properties
_CHUNK_ROWS, _LARGE_CHUNK_ROWS = 200, 2000
_SECONDS_PER_ROW = 10.0


@dataclass(frozen=True)
class Distribution:
    """Counts of fragments and scaffolds in a set of molecules, duplicates included, and its properties.

    Parameters
    ----------
    fragments : mapping of str to int
        Canonical SMILES of a BRICS fragment -> count.
    scaffolds : mapping of str to int
        Canonical SMILES of a Bemis-Murcko scaffold -> count.
    properties : mapping of str to ndarray
        Values of each property of `molvae.chem.metrics.PROPERTY_NAMES`, in ascending order, without missing values.
    n : int
        Number of molecules.
    """

    fragments: Mapping[str, int]
    scaffolds: Mapping[str, int]
    properties: Mapping[str, np.ndarray]
    n: int

    def save(self, path: Path) -> None:
        """Write the distribution, properties with four decimals. The same distribution gives the same bytes.

        Parameters
        ----------
        path : Path
            File to write (.npz).
        """
        columns: dict[str, np.ndarray] = {"n": np.array(self.n, dtype=np.int64)}
        for name, counts in (("fragments", self.fragments), ("scaffolds", self.scaffolds)):
            names = sorted(counts)
            columns[name] = np.frombuffer("\n".join(names).encode(), dtype=np.uint8)
            columns[f"{name}_counts"] = np.array([counts[one] for one in names], dtype=np.int32)
        for name, values in self.properties.items():
            columns[name] = np.diff(np.round(values / _STEP).astype(np.int32), prepend=np.int32(0))
        with replacing(path) as part:
            np.savez_compressed(part, **columns)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the distribution that `save` wrote.

        Parameters
        ----------
        path : Path
            File to read.

        Returns
        -------
        Distribution
            The distribution.

        Raises
        ------
        InputError
            The file does not exist or has other content.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                counts = [_read_counts(content, name) for name in ("fragments", "scaffolds")]
                properties = {name: np.cumsum(content[name], dtype=np.int64) * _STEP for name in PROPERTY_NAMES}
                return cls(counts[0], counts[1], properties, int(content["n"]))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; create it with read_set(rows).distribution.save(path)") from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: not a distribution file ({error})") from None


@dataclass(frozen=True)
class MoleculeSet:
    """The valid molecules among n raw SMILES, and the data that the metrics need.

    Parameters
    ----------
    n : int
        Number of raw SMILES.
    smiles : list of str
        Canonical SMILES of the valid ones, in order, duplicates included.
    invalid_reasons : dict of str to int
        Kind of reason -> number of raw SMILES that are invalid for this reason.
    failed_filters : dict of str to int
        Filter of MOSES -> number of molecules for which it is the first filter that fails.
    bits : Fingerprints
        Morgan fingerprints of the valid molecules.
    distribution : Distribution
        Distribution of the valid molecules.
    """

    n: int
    smiles: list[str]
    invalid_reasons: dict[str, int]
    failed_filters: dict[str, int]
    bits: Fingerprints
    distribution: Distribution


@dataclass(frozen=True)
class Reference:
    """A reference set of molecules.

    Parameters
    ----------
    name : str
        Name in the metrics, e.g. "Test".
    origin : str
        Description, e.g. "the MOSES test set".
    statistics : FcdStatistics or None
        Statistics for the FCD; None for fewer than two molecules.
    bits : Fingerprints
        Morgan fingerprints.
    distribution : Distribution
        Distribution.
    """

    name: str
    origin: str
    statistics: FcdStatistics | None
    bits: Fingerprints
    distribution: Distribution

    @classmethod
    def of(
        cls,
        smiles: Sequence[str],
        name: str,
        origin: str,
        progress: Progress = lambda step: None,
        mapper: Mapper | None = None,
    ) -> Self:
        """Create a reference set from SMILES; about 7 ms of processor time per molecule.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        name : str
            Name in the metrics.
        origin : str
            Description.
        progress : callable, optional
            Called with a description of each step before it starts.
        mapper : Mapper, optional
            Applies functions to many molecules; by default in local processes.

        Returns
        -------
        Reference
            The reference set.

        Raises
        ------
        InputError
            No SMILES is valid.
        """
        progress(f"reading {len(smiles):,} molecules of the reference set")
        molecules = read_set(((one, None) for one in smiles), with_filters=False, mapper=mapper)
        if not molecules.smiles:
            raise InputError(f"reference: expected at least one molecule, got none in {origin}")
        if len(molecules.smiles) < 2:
            return cls(name, origin, None, molecules.bits, molecules.distribution)
        progress(f"computing ChemNet activations of {len(molecules.smiles):,} reference molecules")
        return cls(name, origin, FcdStatistics.of(molecules.smiles), molecules.bits, molecules.distribution)


def read_set(rows: Iterable[Row], with_filters: bool = True, mapper: Mapper | None = None) -> MoleculeSet:
    """The valid molecules among raw SMILES, with the data that the metrics need.

    Worker processes compute the data. A molecule that makes RDKit crash or hang counts as invalid.

    Parameters
    ----------
    rows : iterable of (str or None, str or None)
        Raw SMILES, each with the reason why it is invalid if that is already known.
    with_filters : bool, default=True
        Whether to apply the filters of MOSES.
    mapper : Mapper, optional
        Applies functions to many molecules; by default in local processes.

    Returns
    -------
    MoleculeSet
        The valid molecules, in order.
    """
    smiles: list[str] = []
    bits = Fingerprints(N_BITS)
    invalid, failed, fragments, scaffolds = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    values = {name: array("d") for name in PROPERTY_NAMES}
    n = 0
    for molecule in _map(partial(_describe, with_filters=with_filters), rows, _CHUNK_ROWS, mapper):
        n += 1
        if isinstance(molecule, WorkerFailure) or molecule.smiles is None:
            invalid[kind_of(molecule.reason or "")] += 1
            continue
        smiles.append(molecule.smiles)
        bits.append(molecule.on_bits)
        fragments.update(molecule.fragments)
        if molecule.scaffold is not None:
            scaffolds[molecule.scaffold] += 1
        if molecule.failed_filter is not None:
            failed[kind_of(molecule.failed_filter)] += 1
        for name, value in zip(PROPERTY_NAMES, molecule.properties, strict=True):
            if not math.isnan(value):
                values[name].append(value)
    properties = {name: np.sort(np.array(column)) for name, column in values.items()}
    distribution = Distribution(fragments, scaffolds, properties, len(smiles))
    return MoleculeSet(n, smiles, ranked(invalid), ranked(failed), bits, distribution)


def read_canonical(rows: Iterable[Row], mapper: Mapper | None = None) -> Iterator[str | None]:
    """Canonicalize raw SMILES in worker processes, in bounded memory, without standardization.

    Parameters
    ----------
    rows : iterable of (str or None, str or None)
        Raw SMILES, each with the reason why it is invalid if that is already known.
    mapper : Mapper, optional
        Applies functions to many molecules; by default in local processes.

    Yields
    ------
    str or None
        Canonical SMILES of each row, in order; None if it is invalid.
    """
    for row in _map(_canonicalize, rows, _LARGE_CHUNK_ROWS, mapper):
        yield None if isinstance(row, WorkerFailure) else row.smiles


def load_moses_reference(name: str, mapper: Mapper | None = None) -> Reference:
    """A bundled test set of MOSES; computing the fingerprints takes 15 seconds of processor time.

    Parameters
    ----------
    name : {"Test", "TestSF"}
        Name in MOSES.
    mapper : Mapper, optional
        Applies functions to many molecules; by default in local processes.

    Returns
    -------
    Reference
        The test set.

    Raises
    ------
    InputError
        A bundled file is missing.
    """
    prefix, origin = MOSES_REFERENCES[name]
    bits = Fingerprints(N_BITS)
    lines = _read_lines(f"{prefix}.csv.gz")
    for row, on_bits in enumerate(_map(read_on_bits, lines, _LARGE_CHUNK_ROWS, mapper)):
        if isinstance(on_bits, WorkerFailure):
            raise InputError(f"{bundled(f'{prefix}.csv.gz')}: row {row + 1}: no fingerprint: {on_bits.reason}")
        bits.append(on_bits)
    return Reference(
        name,
        origin,
        FcdStatistics.load(bundled(f"{prefix}_fcd.npz")),
        bits,
        Distribution.load(bundled(f"{prefix}_distribution.npz")),
    )


def load_test_smiles() -> list[str]:
    """The bundled MOSES test set.

    Returns
    -------
    list of str
        SMILES.

    Raises
    ------
    InputError
        The bundled file is missing.
    """
    return list(_read_lines(TEST_FILE))


def read_moses_training_smiles() -> Iterator[str]:
    """The bundled MOSES training set.

    Returns
    -------
    iterator of str
        SMILES.

    Raises
    ------
    InputError
        The bundled file is missing.
    """
    return _read_lines(TRAIN_FILE)


def ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Sort counts in descending order; equal counts by name.

    Parameters
    ----------
    counts : mapping of str to int
        Counts by name.

    Returns
    -------
    dict of str to int
        The same counts, sorted.
    """
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _describe(row: Row, with_filters: bool) -> Description:
    raw_smiles, reason = row
    return Description(reason=reason) if reason is not None else describe(raw_smiles, with_filters)


def _canonicalize(row: Row) -> Standardized:
    raw_smiles, reason = row
    return Standardized(None, reason) if reason is not None else canonicalize(raw_smiles)


def _map(
    function: Callable[[T], R], rows: Iterable[T], chunk_rows: int, mapper: Mapper | None
) -> Iterator[R | WorkerFailure]:
    iterator = iter(rows)
    chunks = iter(lambda: list(islice(iterator, chunk_rows)), [])
    return chain.from_iterable((mapper or LocalProcesses())(function, chunks, seconds_per_row=_SECONDS_PER_ROW))


def _read_lines(name: str) -> Iterator[str]:
    """The SMILES in a bundled file with one column."""
    path = bundled(name)
    if not path.is_file():
        raise InputError(f"{path}: bundled file is missing; give your own reference set, or reinstall molvae")
    return _read_column(path)


def _read_column(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            yield line.rstrip("\n")


def _read_counts(content: Mapping[str, np.ndarray], name: str) -> dict[str, int]:
    joined = content[name].tobytes().decode()
    names = joined.split("\n") if joined else []
    return dict(zip(names, content[f"{name}_counts"].tolist(), strict=True))
