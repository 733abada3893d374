"""Numeric tables (spectra, images, descriptors) as features, and back."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec


@dataclass(frozen=True)
class ArrayFeaturizer:
    """Standardizes rows of numbers, and inverts the standardization.

    Parameters
    ----------
    mean : ndarray of shape (F,)
        Mean of each column.
    scale : ndarray of shape () or (F,)
        Divisor of the centered numbers.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def from_corpus(cls, table: np.ndarray, scale: Literal["whole", "columns"] = "whole") -> Self:
        """A featurizer with the mean and the standard deviation of a table.

        Parameters
        ----------
        table : ndarray of shape (n, F)
            Training rows.
        scale : {"whole", "columns"}, default="whole"
            One standard deviation for the whole table, which keeps the relative scale of its columns, or one per
            column.

        Returns
        -------
        ArrayFeaturizer
            The featurizer.

        Raises
        ------
        InputError
            The table is empty, has no columns, or contains NaN or infinity.
        """
        table = _checked(table, None)
        if not len(table):
            raise InputError("table: expected at least one row, got none")
        mean = table.mean(0)
        deviation = (table - mean).std(0) if scale == "columns" else (table - mean).std()
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    @property
    def spec(self) -> FeatureSpec:
        """Kind "array" with F columns."""
        return FeatureSpec("array", len(self.mean))

    def encode(self, table: np.ndarray) -> np.ndarray:
        """Standardize rows.

        Parameters
        ----------
        table : ndarray of shape (n, F)
            Rows of numbers.

        Returns
        -------
        ndarray of shape (n, F), float32
            Features.

        Raises
        ------
        InputError
            The table has a different number of columns, or contains NaN or infinity.
        """
        return ((_checked(table, len(self.mean)) - self.mean) / self.scale).astype(np.float32)

    def decode(self, x: np.ndarray) -> np.ndarray:
        """Invert the standardization.

        Parameters
        ----------
        x : ndarray of shape (n, F)
            Features.

        Returns
        -------
        ndarray of shape (n, F), float64
            Rows in the units of the original table.
        """
        table: np.ndarray = x.astype(np.float64) * self.scale + self.mean
        return table


@dataclass(frozen=True)
class ArrayRows:
    """Rows of numbers in memory as training data; see `molvae.features.store.Rows`.

    Parameters
    ----------
    x : ndarray of shape (n, F), float32
        Features.
    spec : FeatureSpec
        Kind and size of the features.
    label_rows : ndarray of shape (n, p), float32
        Labels, NaN where one is missing.
    label_names : tuple of str, default=()
        Names of the p labels.
    view_spec : FeatureSpec, optional
        None: the encoder reads `x`.
    """

    x: np.ndarray
    spec: FeatureSpec
    label_rows: np.ndarray
    label_names: tuple[str, ...] = ()
    view_spec: FeatureSpec | None = None

    @classmethod
    def of(cls, x: np.ndarray, spec: FeatureSpec) -> Self:
        """Rows without labels and without a view.

        Parameters
        ----------
        x : ndarray of shape (n, F)
            Features.
        spec : FeatureSpec
            Kind and size of the features.

        Returns
        -------
        ArrayRows
            The rows.
        """
        return cls(np.ascontiguousarray(x, np.float32), spec, np.zeros((len(x), 0), np.float32))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def lengths(self) -> np.ndarray:
        """Ones of shape (n,)."""
        return np.ones(len(self.x), np.int64)

    @property
    def n_bits(self) -> int:
        """0: no row has a fingerprint."""
        return 0

    @property
    def labelled(self) -> np.ndarray:
        """Numbers of the labelled rows: all, or none where there are no labels."""
        return np.arange(len(self.x) if self.label_names else 0)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Features (len(rows), F) float32."""
        chosen: np.ndarray = self.x[rows]
        return chosen

    def views(self, rows: np.ndarray) -> None:
        """None: the encoder reads the features of `rows`."""

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels (len(rows), p) float32, NaN where one is missing."""
        chosen: np.ndarray = self.label_rows[rows]
        return chosen

    def fingerprints(self, rows: np.ndarray) -> None:
        """None: no row has a fingerprint."""


def _checked(table: np.ndarray, n_columns: int | None) -> np.ndarray:
    table = np.asarray(table, np.float64)
    if table.ndim != 2 or table.shape[1] == 0 or (n_columns is not None and table.shape[1] != n_columns):
        wanted = "columns" if n_columns is None else n_columns
        raise InputError(f"table: expected shape (n, {wanted}), got {table.shape}")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"table: row {row}, column {column} holds {table[row, column]}; impute or drop such rows first"
        )
    return table
