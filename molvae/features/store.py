"""Features on disk: written chunk by chunk while a library streams through, read memory-mapped by the trainer."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np

from molvae.errors import InputError
from molvae.feature_spec import MAX_DEGREE, PAD, FeatureSpec

SPEC_NAME = "features.json"
LABELS_NAME, LABELLED_NAME = "properties.npy", "labelled.npy"
DECODER_OUTPUT, ENCODER_INPUT, FINGERPRINTS = "decoder_output", "encoder_input", "fingerprints"
"""Names of the arrays; there is an encoder input only where it differs from the decoder output."""

_RAGGED = ("tokens", "graph")


@runtime_checkable
class Rows(Protocol):
    """What a model is trained on: the features of n molecules, by row number.

    spec: of what is rebuilt; view_spec: of what the encoder reads, where that is something else.
    label_names: of the p labels; labelled: the numbers of the rows that have any, sorted.
    n_bits: of the labelled rows' fingerprints; 0: they have none.
    lengths: (n,) tokens of each row; 1 where rows are numbers.
    """

    @property
    def spec(self) -> FeatureSpec: ...  # noqa: D102 (said above)
    @property
    def view_spec(self) -> FeatureSpec | None: ...  # noqa: D102
    @property
    def label_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def labelled(self) -> np.ndarray: ...  # noqa: D102
    @property
    def n_bits(self) -> int: ...  # noqa: D102
    @property
    def lengths(self) -> np.ndarray: ...  # noqa: D102

    def __len__(self) -> int: ...

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """What is rebuilt, as a model takes it: ids int64, or numbers float32."""
        ...

    def views(self, rows: np.ndarray) -> np.ndarray | None:
        """What the encoder reads, as a model takes it; None where it reads what is rebuilt."""
        ...

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels (len(rows), p) float32, NaN where there is none."""
        ...

    def fingerprints(self, rows: np.ndarray) -> np.ndarray | None:
        """Fingerprints (len(rows), n_bits) float32 of 0 and 1, all 0 where a row has none; None where no row has."""
        ...


@dataclass(frozen=True)
class StoredArray:
    """The features of a library, of one kind.

    data: tokens or atoms of all rows end to end, of `offsets[i]` to `offsets[i + 1]`; or one row of numbers each.
    """

    spec: FeatureSpec
    data: np.ndarray
    offsets: np.ndarray | None

    def __len__(self) -> int:
        return len(self.data) if self.offsets is None else len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens or atoms of each row, (n,) int64; 1 where rows are numbers."""
        return np.ones(len(self), np.int64) if self.offsets is None else np.diff(self.offsets)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Ids (len(rows), longest of them, ...) int64, filled up with PAD; or numbers (len(rows), F) float32."""
        if self.offsets is None:
            chosen = self.data[rows]
            if self.spec.kind == "bits":
                chosen = np.unpackbits(chosen, axis=1, count=self.spec.width)
            return chosen.astype(np.float32)
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        column = np.arange(lengths.max())
        inside = column < lengths[:, None]
        x = self.data[np.where(inside, starts[:, None] + column, 0)].astype(np.int64)
        x[~inside] = PAD
        return x

    @classmethod
    def open(cls, folder: Path, name: str, spec: FeatureSpec) -> Self:
        """The array of a folder, memory-mapped.

        Raises:
            ValueError: its files do not belong together.
        """
        data = np.load(folder / f"{name}.npy", mmap_mode="r")
        if spec.kind not in _RAGGED:
            return cls(spec, data, None)
        lengths = np.load(folder / f"{name}_lengths.npy")
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if offsets[-1] != len(data):
            raise ValueError(f"{name}: lengths and data differ")
        return cls(spec, data, offsets)


@dataclass(frozen=True)
class FeatureStore:
    """The features of a whole library, and its property labels.

    rebuilt, view: as in Rows; view is None where the encoder reads what is rebuilt.
    labelled: (m,) int64, numbers of the rows with labels, sorted; label_rows: (m, p) float32.
    label_bits: fingerprints (m, n_bits) of the same rows; None where there are none.
    """

    rebuilt: StoredArray
    view: StoredArray | None
    labelled: np.ndarray
    label_rows: np.ndarray
    label_names: tuple[str, ...]
    label_bits: StoredArray | None = None

    def __len__(self) -> int:
        return len(self.rebuilt)

    @property
    def spec(self) -> FeatureSpec:
        """Of what is rebuilt."""
        return self.rebuilt.spec

    @property
    def view_spec(self) -> FeatureSpec | None:
        """Of what the encoder reads, where that is something else."""
        return self.view.spec if self.view else None

    @property
    def lengths(self) -> np.ndarray:
        """Of what is rebuilt: tokens of each row, END included, (n,) int64; 1 where rows are numbers."""
        return self.rebuilt.lengths

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """What is rebuilt, as a model takes it."""
        return self.rebuilt.rows(rows)

    def views(self, rows: np.ndarray) -> np.ndarray | None:
        """What the encoder reads, as a model takes it; None where it reads what is rebuilt."""
        return self.view.rows(rows) if self.view else None

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels (len(rows), p) float32, NaN where there is none."""
        labels = np.full((len(rows), len(self.label_names)), np.nan, np.float32)
        is_labelled, places = self._places(rows)
        labels[is_labelled] = self.label_rows[places]
        return labels

    @property
    def n_bits(self) -> int:
        """Of the labelled rows' fingerprints; 0 where they have none."""
        return 0 if self.label_bits is None else self.label_bits.spec.width

    def fingerprints(self, rows: np.ndarray) -> np.ndarray | None:
        """Fingerprints (len(rows), n_bits) float32, all 0 where a row has none; None where no row has."""
        if self.label_bits is None:
            return None
        bits = np.zeros((len(rows), self.n_bits), np.float32)
        is_labelled, places = self._places(rows)
        bits[is_labelled] = self.label_bits.rows(places)
        return bits

    def _places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are labelled, bool like rows, and where among the labelled those stand."""
        places = np.searchsorted(self.labelled, rows)
        places[places == len(self.labelled)] = 0
        is_labelled = self.labelled[places] == rows if len(self.labelled) else np.zeros(len(rows), bool)
        return is_labelled, places[is_labelled]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The features of a folder, memory-mapped.

        Raises:
            InputError: the folder holds no features, or only a part of them.
        """
        try:
            content = json.loads((folder / SPEC_NAME).read_text(encoding="utf-8"))
            n, names = content["n"], tuple(content["properties"])
            rebuilt = StoredArray.open(folder, DECODER_OUTPUT, FeatureSpec(**content[DECODER_OUTPUT]))
            view = (
                StoredArray.open(folder, ENCODER_INPUT, FeatureSpec(**content[ENCODER_INPUT]))
                if content[ENCODER_INPUT]
                else None
            )
            labelled = np.load(folder / LABELLED_NAME) if names else np.zeros(0, np.int64)
            labels = np.load(folder / LABELS_NAME, mmap_mode="r") if names else np.zeros((0, 0), np.float32)
            spec = content.get(FINGERPRINTS)
            bits = StoredArray.open(folder, FINGERPRINTS, FeatureSpec(**spec)) if spec else None
            n_bits = len(labels if bits is None else bits)
            if {len(rebuilt), len(view or rebuilt)} != {n} or {len(labels), n_bits} != {len(labelled)}:
                raise ValueError("arrays of different length")
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder}: no readable features here, or not all of them ({error}); make them with `molvae featurize`"
            ) from None
        return cls(rebuilt, view, labelled, labels, names, bits)


class FeatureWriter:
    """Writes a FeatureStore chunk by chunk in bounded memory; the description, written last, makes it valid."""

    def __init__(
        self,
        folder: Path,
        spec: FeatureSpec,
        label_names: tuple[str, ...] = (),
        view_spec: FeatureSpec | None = None,
        n_bits: int = 0,
    ) -> None:
        self._folder, self._names = folder, label_names
        self._rebuilt = _ArrayWriter(folder, DECODER_OUTPUT, spec)
        self._view = _ArrayWriter(folder, ENCODER_INPUT, view_spec) if view_spec else None
        self._labels = _GrowingArray(folder / LABELS_NAME, np.float32, (len(label_names),)) if label_names else None
        self._labelled = _GrowingArray(folder / LABELLED_NAME, np.int64) if label_names else None
        self._bits = _ArrayWriter(folder, FINGERPRINTS, FeatureSpec("bits", n_bits)) if label_names and n_bits else None

    def write(
        self,
        x: np.ndarray,
        labels: np.ndarray | None = None,
        view: np.ndarray | None = None,
        bits: np.ndarray | None = None,
    ) -> None:
        """Append rows: x and view as featurizers make them; labels (n, p), NaN where there is none; bits (n, n_bits).

        A row is labelled where any of its labels is there; of the others, bits are left out.
        """
        if (view is None) != (self._view is None) or (view is not None and len(view) != len(x)):
            raise ValueError(f"expected {'no view' if self._view is None else f'a view of {len(x)} rows'}")
        if self._labels is not None and self._labelled is not None:
            if labels is None or labels.shape != (len(x), len(self._names)):
                raise ValueError(f"expected labels of shape {(len(x), len(self._names))}")
            has_any = ~np.isnan(labels).all(1)
            self._labels.append(labels[has_any])
            self._labelled.append(self._rebuilt.n + np.flatnonzero(has_any))
            if self._bits is not None:
                if bits is None or bits.shape != (len(x), self._bits.spec.width):
                    raise ValueError(f"expected bits of shape {(len(x), self._bits.spec.width)}")
                self._bits.append(bits[has_any])
        self._rebuilt.append(x)
        if self._view is not None and view is not None:
            self._view.append(view)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for array in (self._rebuilt, self._view, self._labels, self._labelled, self._bits):
            if array is not None:
                array.close()
        if kind is None:
            content = {
                "n": self._rebuilt.n,
                DECODER_OUTPUT: asdict(self._rebuilt.spec),
                ENCODER_INPUT: asdict(self._view.spec) if self._view else None,
                "properties": self._names,
                FINGERPRINTS: asdict(self._bits.spec) if self._bits else None,
            }
            (self._folder / SPEC_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def filled_lengths(x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Tokens or atoms of each row of features, (n,) int64; 1 where rows are numbers."""
    if spec.kind not in _RAGGED:
        return np.ones(len(x), np.int64)
    ids = x if spec.kind == "tokens" else x[:, :, 0]
    lengths: np.ndarray = (ids != PAD).sum(1)
    return lengths


def model_input(x: np.ndarray, spec: FeatureSpec, longest: int) -> np.ndarray:
    """Rows of features as a model takes them: ids int64, no longer than the longest; or numbers float32."""
    return x[:, :longest].astype(np.int64) if spec.kind in _RAGGED else x.astype(np.float32)


class _ArrayWriter:
    """Writes a StoredArray: of tokens and atoms only those that are there, of bits eight to a byte."""

    def __init__(self, folder: Path, name: str, spec: FeatureSpec) -> None:
        self.spec, self.n = spec, 0
        shapes: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            "tokens": ((), np.uint16),
            "graph": ((1 + 2 * MAX_DEGREE,), np.uint16),
            "bits": ((-(-spec.width // 8),), np.uint8),
            "counts": ((spec.width,), np.uint8),
            "array": ((spec.width,), np.float32),
        }
        tail, dtype = shapes[spec.kind]
        self._data = _GrowingArray(folder / f"{name}.npy", dtype, tail)
        is_ragged = spec.kind in _RAGGED
        self._lengths = _GrowingArray(folder / f"{name}_lengths.npy", np.uint16) if is_ragged else None

    def append(self, x: np.ndarray) -> None:
        self.n += len(x)
        if self._lengths is not None:
            lengths = filled_lengths(x, self.spec)
            self._lengths.append(lengths)
            self._data.append(x[np.arange(x.shape[1]) < lengths[:, None]])
        else:
            self._data.append(np.packbits(x.astype(bool), axis=1) if self.spec.kind == "bits" else x)

    def close(self) -> None:
        self._data.close()
        if self._lengths is not None:
            self._lengths.close()


class _GrowingArray:
    """A .npy file that grows by rows; its header, which holds the length, is written when it is closed."""

    _HEADER = 128

    def __init__(self, path: Path, dtype: type[np.generic], tail: tuple[int, ...] = ()) -> None:
        self.n = 0
        self._dtype, self._tail = np.dtype(dtype), tail
        self._file = path.open("wb")
        self._file.write(b"\0" * self._HEADER)

    def append(self, rows: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.n += len(rows)

    def close(self) -> None:
        text = f"{{'descr': '{self._dtype.str}', 'fortran_order': False, 'shape': {(self.n, *self._tail)}, }}"
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + (self._HEADER - 10).to_bytes(2, "little"))
        self._file.write(text.ljust(self._HEADER - 11).encode() + b"\n")
        self._file.close()
