"""What a set of molecules is like: its fragments, scaffolds, properties and fingerprints, counted once for all metrics.

The two test sets of the MOSES benchmark are counted beforehand, and come with molvae.
"""

import gzip
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from molvae.benchmark.fcd import FcdStatistics
from molvae.bundled import bundled
from molvae.chem.metrics import PROPERTY_NAMES, BitSets, Description, describe, read_on_bits
from molvae.chem.molecules import Standardized, canonicalize
from molvae.errors import InputError
from molvae.files import replacing
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

TRAIN_FILE, TEST_FILE = "moses_train.csv.gz", "moses_test.csv.gz"
MOSES_REFERENCES = {
    "Test": ("moses_test", "the MOSES test set"),
    "TestSF": ("moses_test_scaffolds", "the MOSES scaffold test set"),
}
"""Name in MOSES -> how the names of its bundled files begin, and what it is."""

Row = tuple[str | None, str | None]
"""A text, and the reason why it is no molecule where that is known beforehand."""

Tell = Callable[[str], None]

T = TypeVar("T")
R = TypeVar("R")

_STEP = 1e-4  # of stored properties: logP has four decimals, the others are not told apart further
_PIECE_ROWS, _QUICK_PIECE_ROWS = 200, 2000
_SECONDS_PER_ROW = 10.0


@dataclass(frozen=True)
class Distribution:
    """How often the molecules of a set, repeats included, have each fragment and scaffold, and their properties.

    fragments, scaffolds: canonical SMILES -> count. properties: of molvae.chem.metrics.PROPERTY_NAMES, values in
    ascending order; those that could not be computed are not among them. n: molecules.
    """

    fragments: Mapping[str, int]
    scaffolds: Mapping[str, int]
    properties: Mapping[str, np.ndarray]
    n: int

    def save(self, path: Path) -> None:
        """Write it, properties to four decimals: the same distribution, the same bytes."""
        columns: dict[str, np.ndarray] = {"n": np.array(self.n, dtype=np.int64)}
        for name, counts in (("fragments", self.fragments), ("scaffolds", self.scaffolds)):
            names = sorted(counts)
            columns[name] = np.frombuffer("\n".join(names).encode(), dtype=np.uint8)
            columns[f"{name}_counts"] = np.array([counts[text] for text in names], dtype=np.int32)
        for name, values in self.properties.items():
            columns[name] = np.diff(np.round(values / _STEP).astype(np.int32), prepend=np.int32(0))
        with replacing(path) as part:
            np.savez_compressed(part, **columns)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            InputError: there is no such file, or it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                counts = [_read_counts(content, name) for name in ("fragments", "scaffolds")]
                properties = {name: np.cumsum(content[name], dtype=np.int64) * _STEP for name in PROPERTY_NAMES}
                return cls(counts[0], counts[1], properties, int(content["n"]))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; read_set(rows).distribution.save(path) makes it") from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: expected the distribution of a set, got something else ({error})") from None


@dataclass(frozen=True)
class MoleculeSet:
    """The molecules among n texts, and what the metrics must know of them.

    smiles: canonical, in order, repeats included; bits: their fingerprints. invalid_reasons, objections: kind of reason
    -> how many are no molecules, or do not pass the filters, for it.
    """

    n: int
    smiles: list[str]
    invalid_reasons: dict[str, int]
    objections: dict[str, int]
    bits: BitSets
    distribution: Distribution


@dataclass(frozen=True)
class Reference:
    """A set of molecules that others are compared with.

    origin: what it is, in words. statistics: for the FCD; None where it has fewer than two molecules.
    """

    name: str
    origin: str
    statistics: FcdStatistics | None
    bits: BitSets
    distribution: Distribution

    @classmethod
    def of(cls, smiles: Sequence[str], name: str, origin: str, tell: Tell, mapper: Mapper | None = None) -> Self:
        """The reference that some canonical SMILES are; some 7 ms of processor time a molecule.

        Raises:
            InputError: there is no molecule among them.
        """
        tell(f"reading {len(smiles):,} molecules of the reference")
        molecules = read_set(((text, None) for text in smiles), with_filters=False, mapper=mapper)
        if not molecules.smiles:
            raise InputError(f"reference: expected at least one molecule, got none in {origin}")
        if len(molecules.smiles) < 2:
            return cls(name, origin, None, molecules.bits, molecules.distribution)
        tell(f"showing {len(molecules.smiles):,} molecules of the reference to ChemNet")
        return cls(name, origin, FcdStatistics.of(molecules.smiles), molecules.bits, molecules.distribution)


def read_set(rows: Iterable[Row], with_filters: bool = True, mapper: Mapper | None = None) -> MoleculeSet:
    """What some texts are, each described in a worker process: one that crashes or hangs RDKit is invalid, no more."""
    smiles: list[str] = []
    bits = BitSets()
    invalid, objections, fragments, scaffolds = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    values = {name: array("d") for name in PROPERTY_NAMES}
    n = 0
    for answer in _map(partial(_describe, with_filters=with_filters), rows, _PIECE_ROWS, mapper):
        n += 1
        if isinstance(answer, WorkerFailure) or answer.smiles is None:
            invalid[kind_of(answer.reason or "")] += 1
            continue
        smiles.append(answer.smiles)
        bits.append(answer.on_bits)
        fragments.update(answer.fragments)
        if answer.scaffold is not None:
            scaffolds[answer.scaffold] += 1
        if answer.objection is not None:
            objections[kind_of(answer.objection)] += 1
        for name, value in zip(PROPERTY_NAMES, answer.properties, strict=True):
            if value == value:
                values[name].append(value)
    properties = {name: np.sort(np.array(column)) for name, column in values.items()}
    distribution = Distribution(fragments, scaffolds, properties, len(smiles))
    return MoleculeSet(n, smiles, ranked(invalid), ranked(objections), bits, distribution)


def read_canonical(rows: Iterable[Row], mapper: Mapper | None = None) -> Iterator[str | None]:
    """For each row the canonical SMILES of its text as it stands, or None, in bounded memory."""
    for answer in _map(_canonicalize, rows, _QUICK_PIECE_ROWS, mapper):
        yield None if isinstance(answer, WorkerFailure) else answer.smiles


def load_moses_reference(name: str, mapper: Mapper | None = None) -> Reference:
    """A bundled test set of MOSES, by its name there: Test or TestSF; 15 seconds of processor time, for fingerprints.

    Raises:
        InputError: one of its files is not there.
    """
    stem, origin = MOSES_REFERENCES[name]
    bits = BitSets()
    lines = _read_lines(f"{stem}.csv.gz")
    for row, answer in enumerate(_map(read_on_bits, lines, _QUICK_PIECE_ROWS, mapper)):
        if isinstance(answer, WorkerFailure):
            raise InputError(f"{bundled(f'{stem}.csv.gz')}: row {row + 1}: no fingerprint: {answer.reason}")
        bits.append(answer)
    return Reference(
        name,
        origin,
        FcdStatistics.load(bundled(f"{stem}_fcd.npz")),
        bits,
        Distribution.load(bundled(f"{stem}_distribution.npz")),
    )


def load_test_smiles() -> list[str]:
    """The bundled MOSES test set, as SMILES.

    Raises:
        InputError: it is not there.
    """
    return list(_read_lines(TEST_FILE))


def read_moses_training_smiles() -> Iterator[str]:
    """The bundled MOSES training set, molecule by molecule.

    Raises:
        InputError: it is not there.
    """
    return _read_lines(TRAIN_FILE)


def kind_of(reason: str) -> str:
    """The kind of a reason, by which reasons are counted: what stands before its first colon."""
    return reason.split(":")[0]


def ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts, the largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _describe(row: Row, with_filters: bool) -> Description:
    text, reason = row
    return Description(reason=reason) if reason is not None else describe(text, with_filters)


def _canonicalize(row: Row) -> Standardized:
    text, reason = row
    return Standardized(None, reason) if reason is not None else canonicalize(text)


def _map(
    function: Callable[[T], R], rows: Iterable[T], piece_rows: int, mapper: Mapper | None
) -> Iterator[R | WorkerFailure]:
    iterator = iter(rows)
    pieces = iter(lambda: list(islice(iterator, piece_rows)), [])
    return chain.from_iterable((mapper or LocalProcesses())(function, pieces, seconds_per_row=_SECONDS_PER_ROW))


def _read_lines(name: str) -> Iterator[str]:
    """The SMILES of a bundled table of one column."""
    path = bundled(name)
    if not path.is_file():
        raise InputError(f"{path}: this bundled set is not there; give molecules of your own, or install molvae again")
    return _read_column(path)


def _read_column(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            yield line.rstrip("\n")


def _read_counts(content: Any, name: str) -> dict[str, int]:
    text = content[name].tobytes().decode()
    names = text.split("\n") if text else []
    return dict(zip(names, content[f"{name}_counts"].tolist(), strict=True))
