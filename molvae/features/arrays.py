"""Any numeric table as features, and back: spectra, images, descriptors."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec


@dataclass(frozen=True)
class ArrayFeaturizer:
    """Rows of numbers, centred and brought to size, and back.

    mean: (F,); scale: () or (F,), what the centred numbers are divided by.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def from_corpus(cls, table: np.ndarray, scale: Literal["whole", "columns"] = "whole") -> Self:
        """Centre of a table (n, F), and its size: one for the whole, which keeps the table's shape, or one a column.

        Raises:
            InputError: the table is empty, has no columns, or holds NaN or infinity.
        """
        table = _checked(table, None)
        if not len(table):
            raise InputError("table: expected at least one row, got none")
        mean = table.mean(0)
        deviation = (table - mean).std(0) if scale == "columns" else (table - mean).std()
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    @property
    def spec(self) -> FeatureSpec:
        """Numbers in rows of as many columns as the table had."""
        return FeatureSpec("array", len(self.mean))

    def encode(self, table: np.ndarray) -> np.ndarray:
        """Features (n, F) float32.

        Raises:
            InputError: another number of columns, or NaN or infinity.
        """
        return ((_checked(table, len(self.mean)) - self.mean) / self.scale).astype(np.float32)

    def decode(self, x: np.ndarray) -> np.ndarray:
        """The table (n, F) float64 of features."""
        table: np.ndarray = x.astype(np.float64) * self.scale + self.mean
        return table


@dataclass(frozen=True)
class ArrayRows:
    """Rows of numbers in memory, for training: x (n, F) float32; label_rows (n, p) float32."""

    x: np.ndarray
    spec: FeatureSpec
    label_rows: np.ndarray
    label_names: tuple[str, ...] = ()
    view_spec: FeatureSpec | None = None

    @classmethod
    def of(cls, x: np.ndarray, spec: FeatureSpec) -> Self:
        """Rows without labels, which the encoder reads as they are."""
        return cls(np.ascontiguousarray(x, np.float32), spec, np.zeros((len(x), 0), np.float32))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def lengths(self) -> np.ndarray:
        """All alike: (n,)."""
        return np.ones(len(self.x), np.int64)

    @property
    def n_bits(self) -> int:
        """No row has a fingerprint."""
        return 0

    @property
    def labelled(self) -> np.ndarray:
        """All rows, where there are labels."""
        return np.arange(len(self.x) if self.label_names else 0)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Numbers (len(rows), F) float32."""
        chosen: np.ndarray = self.x[rows]
        return chosen

    def views(self, rows: np.ndarray) -> None:
        """The encoder reads what is rebuilt."""

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels (len(rows), p) float32, NaN where there is none."""
        chosen: np.ndarray = self.label_rows[rows]
        return chosen

    def fingerprints(self, rows: np.ndarray) -> None:
        """There are none."""


def _checked(table: np.ndarray, n_columns: int | None) -> np.ndarray:
    table = np.asarray(table, np.float64)
    if table.ndim != 2 or table.shape[1] == 0 or (n_columns is not None and table.shape[1] != n_columns):
        wanted = "columns" if n_columns is None else n_columns
        raise InputError(f"table: expected shape (n, {wanted}), got {table.shape}")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0]
        raise InputError(f"table: row {row}, column {column} holds {table[row, column]}; fill or drop such rows first")
    return table
