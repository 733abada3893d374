"""Features on disk: written in chunks, in bounded memory, and memory-mapped for training."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np

from molvae.errors import InputError
from molvae.feature_spec import MAX_DEGREE, PAD, FeatureSpec
from molvae.files import named_errors, write_text

SPEC_NAME = "features.json"
LABELS_NAME, LABELLED_NAME = "properties.npy", "labelled.npy"
DECODER_OUTPUT, ENCODER_INPUT, FINGERPRINTS = "decoder_output", "encoder_input", "fingerprints"
"""Names of the arrays; there is an encoder input only where it differs from the decoder output."""

_RAGGED = ("tokens", "graph")


@runtime_checkable
class Rows(Protocol):
    """Training data: the features and labels of n molecules, by row number."""

    @property
    def spec(self) -> FeatureSpec:
        """Kind and size of the decoder output."""
        ...

    @property
    def view_spec(self) -> FeatureSpec | None:
        """Kind and size of the encoder input, where it differs."""
        ...

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the p labels."""
        ...

    @property
    def labelled(self) -> np.ndarray:
        """Row numbers of the labelled rows, sorted."""
        ...

    @property
    def n_bits(self) -> int:
        """Length of the fingerprints of the labelled rows; 0: there are none."""
        ...

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens or atoms of each row, (n,); 1 for bits, counts and arrays."""
        ...

    def __len__(self) -> int: ...

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Decoder output as model input: ids, int64, or numbers, float32."""
        ...

    def views(self, rows: np.ndarray) -> np.ndarray | None:
        """Encoder input as model input; None if it is the decoder output."""
        ...

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels (len(rows), p) float32, NaN where one is missing."""
        ...

    def fingerprints(self, rows: np.ndarray) -> np.ndarray | None:
        """Fingerprints (len(rows), n_bits) float32, 0 for a row without one; None if no row has one."""
        ...


@dataclass(frozen=True)
class StoredArray:
    """Features of one representation of a library.

    Parameters
    ----------
    spec : FeatureSpec
        Kind and size of the features.
    data : ndarray
        Tokens or atoms of all rows, concatenated; or one row of numbers per molecule.
    offsets : ndarray of shape (n + 1,), optional
        Row i is ``data[offsets[i]:offsets[i + 1]]``; None for bits, counts and arrays.
    """

    spec: FeatureSpec
    data: np.ndarray
    offsets: np.ndarray | None

    def __len__(self) -> int:
        return len(self.data) if self.offsets is None else len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens or atoms of each row, (n,) int64; 1 for bits, counts and arrays."""
        return np.ones(len(self), np.int64) if self.offsets is None else np.diff(self.offsets)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Features as model input.

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
            Row numbers.

        Returns
        -------
        ndarray
            Ids (m, length of the longest row, ...), int64, padded with PAD; or numbers (m, F), float32.
        """
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
        """Open an array of a features folder, memory-mapped.

        Parameters
        ----------
        folder : Path
            The features folder.
        name : str
            Name of the array, such as DECODER_OUTPUT.
        spec : FeatureSpec
            Kind and size of the features.

        Returns
        -------
        StoredArray
            The array.

        Raises
        ------
        ValueError
            Data and lengths do not match.
        """
        data = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        if spec.kind not in _RAGGED:
            return cls(spec, data, None)
        lengths = np.load(folder / f"{name}_lengths.npy", allow_pickle=False)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if offsets[-1] != len(data):
            raise ValueError(f"{name}: data and lengths do not match")
        return cls(spec, data, offsets)


@dataclass(frozen=True)
class FeatureStore:
    """Features and labels of a whole library.

    Parameters
    ----------
    output : StoredArray
        Decoder output.
    view : StoredArray, optional
        Encoder input, where it differs.
    labelled : ndarray of int64, shape (m,)
        Row numbers of the labelled rows, sorted.
    label_rows : ndarray of shape (m, p), float32
        Labels of these rows.
    label_names : tuple of str
        Names of the p labels.
    label_bits : StoredArray, optional
        Fingerprints of the labelled rows.
    """

    output: StoredArray
    view: StoredArray | None
    labelled: np.ndarray
    label_rows: np.ndarray
    label_names: tuple[str, ...]
    label_bits: StoredArray | None = None

    def __len__(self) -> int:
        return len(self.output)

    @property
    def spec(self) -> FeatureSpec:
        """Kind and size of the decoder output."""
        return self.output.spec

    @property
    def view_spec(self) -> FeatureSpec | None:
        """Kind and size of the encoder input, where it differs."""
        return self.view.spec if self.view else None

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each row of the decoder output, with END, (n,) int64; 1 for bits, counts and arrays."""
        return self.output.lengths

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Decoder output as model input."""
        return self.output.rows(rows)

    def views(self, rows: np.ndarray) -> np.ndarray | None:
        """Encoder input as model input; None if it is the decoder output."""
        return self.view.rows(rows) if self.view else None

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels (len(rows), p) float32, NaN where one is missing."""
        labels = np.full((len(rows), len(self.label_names)), np.nan, np.float32)
        is_labelled, label_index = self._label_index(rows)
        labels[is_labelled] = self.label_rows[label_index]
        return labels

    @property
    def n_bits(self) -> int:
        """Length of the fingerprints of the labelled rows; 0: there are none."""
        return 0 if self.label_bits is None else self.label_bits.spec.width

    def fingerprints(self, rows: np.ndarray) -> np.ndarray | None:
        """Fingerprints (len(rows), n_bits) float32, 0 for a row without one; None if no row has one."""
        if self.label_bits is None:
            return None
        bits = np.zeros((len(rows), self.n_bits), np.float32)
        is_labelled, label_index = self._label_index(rows)
        bits[is_labelled] = self.label_bits.rows(label_index)
        return bits

    def _label_index(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether each row is labelled, and the indices of the labelled ones in `labelled`."""
        index = np.searchsorted(self.labelled, rows)
        index[index == len(self.labelled)] = 0
        is_labelled = self.labelled[index] == rows if len(self.labelled) else np.zeros(len(rows), bool)
        return is_labelled, index[is_labelled]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a features folder, memory-mapped.

        Parameters
        ----------
        folder : Path
            A folder that `FeatureWriter` or `molvae featurize` wrote.

        Returns
        -------
        FeatureStore
            The features.

        Raises
        ------
        InputError
            The folder has no features, or they are incomplete.
        """
        try:
            content = json.loads((folder / SPEC_NAME).read_text(encoding="utf-8"))
            n, names, view_spec = content["n"], tuple(content["properties"]), content[ENCODER_INPUT]
            output = StoredArray.open(folder, DECODER_OUTPUT, FeatureSpec(**content[DECODER_OUTPUT]))
            view = StoredArray.open(folder, ENCODER_INPUT, FeatureSpec(**view_spec)) if view_spec else None
            labelled = np.load(folder / LABELLED_NAME, allow_pickle=False) if names else np.zeros(0, np.int64)
            labels = (
                np.load(folder / LABELS_NAME, mmap_mode="r", allow_pickle=False)
                if names
                else np.zeros((0, 0), np.float32)
            )
            spec = content.get(FINGERPRINTS)
            bits = StoredArray.open(folder, FINGERPRINTS, FeatureSpec(**spec)) if spec else None
            n_bits = len(labels if bits is None else bits)
            if {len(output), len(view or output)} != {n} or {len(labels), n_bits} != {len(labelled)}:
                raise ValueError("arrays of different length")
        except (RecursionError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder}: features are missing or incomplete ({error}); compute them with `molvae featurize`"
            ) from None
        return cls(output, view, labelled, labels, names, bits)


class FeatureWriter:
    """Writes the folder of a FeatureStore in chunks, in bounded memory; `features.json` is written last.

    Parameters
    ----------
    folder : Path
        An existing folder.
    spec : FeatureSpec
        Kind and size of the decoder output.
    label_names : tuple of str, default=()
        Names of the p labels.
    view_spec : FeatureSpec, optional
        Kind and size of the encoder input, where it differs.
    n_bits : int, default=0
        Length of the fingerprints of labelled rows; 0: none are written.
    """

    def __init__(
        self,
        folder: Path,
        spec: FeatureSpec,
        label_names: tuple[str, ...] = (),
        view_spec: FeatureSpec | None = None,
        n_bits: int = 0,
    ) -> None:
        self._folder, self._names = folder, label_names
        self._output = _ArrayWriter(folder, DECODER_OUTPUT, spec)
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
        """Append rows.

        Parameters
        ----------
        x : ndarray of shape (n, ...)
            Decoder output, as returned by a featurizer.
        labels : ndarray of shape (n, p), optional
            Labels, NaN where one is missing. A row is labelled if it has any.
        view : ndarray of shape (n, ...), optional
            Encoder input, where it differs.
        bits : ndarray of shape (n, n_bits), optional
            Fingerprints; those of rows without labels are dropped.

        Raises
        ------
        ValueError
            An array is missing, unexpected, or not of the expected shape.
        """
        if (view is None) != (self._view is None) or (view is not None and len(view) != len(x)):
            raise ValueError(f"expected {'no view' if self._view is None else f'a view of {len(x)} rows'}")
        if self._labels is not None and self._labelled is not None:
            if labels is None or labels.shape != (len(x), len(self._names)):
                raise ValueError(f"expected labels of shape {(len(x), len(self._names))}")
            has_any = ~np.isnan(labels).all(1)
            self._labels.append(labels[has_any])
            self._labelled.append(self._output.n + np.flatnonzero(has_any))
            if self._bits is not None:
                if bits is None or bits.shape != (len(x), self._bits.spec.width):
                    raise ValueError(f"expected bits of shape {(len(x), self._bits.spec.width)}")
                self._bits.append(bits[has_any])
        self._output.append(x)
        if self._view is not None and view is not None:
            self._view.append(view)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for array in (self._output, self._view, self._labels, self._labelled, self._bits):
            if array is None:
                continue
            if kind is None:
                array.close()
            else:
                array.abandon()
        if kind is None:
            content = {
                "n": self._output.n,
                DECODER_OUTPUT: asdict(self._output.spec),
                ENCODER_INPUT: asdict(self._view.spec) if self._view else None,
                "properties": self._names,
                FINGERPRINTS: asdict(self._bits.spec) if self._bits else None,
            }
            write_text(self._folder / SPEC_NAME, json.dumps(content, indent=1) + "\n")


def filled_lengths(x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Number of tokens or atoms of each row of features.

    Parameters
    ----------
    x : ndarray of shape (n, ...)
        Features, as returned by a featurizer.
    spec : FeatureSpec
        Their kind and size.

    Returns
    -------
    ndarray of shape (n,), int64
        Lengths; 1 for bits, counts and arrays.
    """
    if spec.kind not in _RAGGED:
        return np.ones(len(x), np.int64)
    ids = x if spec.kind == "tokens" else x[:, :, 0]
    lengths: np.ndarray = (ids != PAD).sum(1)
    return lengths


def model_input(x: np.ndarray, spec: FeatureSpec, longest: int) -> np.ndarray:
    """Features as model input.

    Parameters
    ----------
    x : ndarray of shape (n, ...)
        Features, as returned by a featurizer.
    spec : FeatureSpec
        Their kind and size.
    longest : int
        Number of tokens or atoms of the longest row; further columns are cut off.

    Returns
    -------
    ndarray
        Ids, int64, or numbers, float32.
    """
    return x[:, :longest].astype(np.int64) if spec.kind in _RAGGED else x.astype(np.float32)


class _ArrayWriter:
    """Writes a StoredArray: tokens and atoms without their padding, bits packed eight to a byte."""

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

    def abandon(self) -> None:
        self._data.abandon()
        if self._lengths is not None:
            self._lengths.abandon()


class _GrowingArray:
    """A .npy file that grows by rows; its header, with the number of rows, is written on closing."""

    _HEADER = 128

    def __init__(self, path: Path, dtype: type[np.generic], tail: tuple[int, ...] = ()) -> None:
        self.n = 0
        self._path, self._dtype, self._tail = path, np.dtype(dtype), tail
        self._file = path.open("wb")
        self._file.write(b"\0" * self._HEADER)

    def append(self, rows: np.ndarray) -> None:
        with named_errors(self._path):
            self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.n += len(rows)

    def close(self) -> None:
        with named_errors(self._path):
            self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def abandon(self) -> None:
        """Close the file without its header; after an error, the bytes that are still in memory are lost."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _write_header(self) -> None:
        header = f"{{'descr': '{self._dtype.str}', 'fortran_order': False, 'shape': {(self.n, *self._tail)}, }}"
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + (self._HEADER - 10).to_bytes(2, "little"))
        self._file.write(header.ljust(self._HEADER - 11).encode() + b"\n")
