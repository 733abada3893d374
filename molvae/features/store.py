"""Features on disk: written chunk by chunk while a library streams through, read memory-mapped by the trainer."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from molvae.errors import InputError
from molvae.feature_spec import PAD, FeatureSpec

SPEC_NAME = "features.json"
TOKENS_NAME = "tokens.npy"
LENGTHS_NAME = "lengths.npy"
LABELS_NAME = "properties.npy"


class Rows(Protocol):
    """What a model is trained on: the features of n molecules, by row number.

    labels: (n, p) float32, NaN where a molecule has no label; label_names: the p names.
    lengths: (n,) tokens of each row; 1 where rows are numbers.
    """

    @property
    def spec(self) -> FeatureSpec: ...  # noqa: D102 (said above)
    @property
    def labels(self) -> np.ndarray: ...  # noqa: D102
    @property
    def label_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def lengths(self) -> np.ndarray: ...  # noqa: D102

    def __len__(self) -> int: ...

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Features of some rows: token ids int64, or numbers float32."""
        ...


@dataclass(frozen=True)
class FeatureStore:
    """The token rows of a whole library, end to end in one array, and its property labels.

    tokens: (sum of lengths,) uint16, END included, no PAD.
    offsets: (n + 1,) int64; row i is tokens[offsets[i]:offsets[i + 1]].
    labels: (n, p) float32, NaN where a molecule has no label; p may be 0.
    label_names: the p property names.
    """

    spec: FeatureSpec
    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, END included: (n,) int64."""
        return np.diff(self.offsets)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Token ids (len(rows), longest of them) int64, filled up with PAD."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        column = np.arange(lengths.max())
        inside = column < lengths[:, None]
        places = np.where(inside, starts[:, None] + column, 0)
        return np.where(inside, self.tokens[places], PAD).astype(np.int64)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The features of a folder, memory-mapped.

        Raises:
            InputError: the folder holds no features, or only a part of them.
        """
        try:
            content = json.loads((folder / SPEC_NAME).read_text(encoding="utf-8"))
            tokens = np.load(folder / TOKENS_NAME, mmap_mode="r")
            lengths = np.load(folder / LENGTHS_NAME)
            n, names = content["n"], tuple(content["properties"])
            labels = np.load(folder / LABELS_NAME, mmap_mode="r") if names else np.zeros((n, 0), np.float32)
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"{folder}: no readable features here ({error}); make them with `molvae featurize`"
            ) from None
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if len(lengths) != n or len(labels) != n or offsets[-1] != len(tokens):
            raise InputError(f"{folder}: the feature files do not belong together; run `molvae featurize` again")
        return cls(FeatureSpec(**content["spec"]), tokens, offsets, labels, names)


class FeatureWriter:
    """Writes a FeatureStore chunk by chunk in bounded memory; the description, written last, makes it valid."""

    def __init__(self, folder: Path, spec: FeatureSpec, label_names: tuple[str, ...] = ()) -> None:
        self._folder, self._spec, self._names = folder, spec, label_names
        self._tokens = _GrowingArray(folder / TOKENS_NAME, np.dtype(np.uint16))
        self._lengths = _GrowingArray(folder / LENGTHS_NAME, np.dtype(np.uint16))
        self._labels = (
            _GrowingArray(folder / LABELS_NAME, np.dtype(np.float32), len(label_names)) if label_names else None
        )

    def write(self, x: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Append rows: x (n, length) token ids filled up with PAD; labels (n, p), NaN where there is none."""
        inside = x != PAD
        self._tokens.append(x[inside])
        self._lengths.append(inside.sum(1))
        if self._labels is not None:
            if labels is None or labels.shape != (len(x), len(self._names)):
                raise ValueError(f"expected labels of shape {(len(x), len(self._names))}")
            self._labels.append(labels)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for array in (self._tokens, self._lengths, self._labels):
            if array is not None:
                array.close()
        if kind is None:
            spec = {"kind": self._spec.kind, "width": self._spec.width, "length": self._spec.length}
            content = {"n": self._lengths.n, "spec": spec, "properties": self._names}
            (self._folder / SPEC_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


class _GrowingArray:
    """A .npy file that grows by rows; its header, which holds the length, is written when it is closed."""

    _HEADER = 128

    def __init__(self, path: Path, dtype: np.dtype, width: int | None = None) -> None:
        self.n = 0
        self._dtype, self._width = dtype, width
        self._file = path.open("wb")
        self._file.write(b"\0" * self._HEADER)

    def append(self, rows: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.n += len(rows)

    def close(self) -> None:
        shape = (self.n,) if self._width is None else (self.n, self._width)
        text = f"{{'descr': '{self._dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + (self._HEADER - 10).to_bytes(2, "little"))
        self._file.write(text.ljust(self._HEADER - 11).encode() + b"\n")
        self._file.close()
