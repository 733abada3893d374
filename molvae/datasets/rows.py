"""The rows of a molecule file, whatever its format."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

CHUNK_ROWS = 20_000
"""Number of rows per chunk, by default."""

SAMPLE_ROWS = 50
"""Number of rows that are looked at when a file is opened."""


class Row(NamedTuple):
    """A row of a molecule file.

    Parameters
    ----------
    id : str or None
        The user's id, as it is in the file; None if there is none.
    raw : str or None
        The SMILES, as it is in the file; of a mol block, its SMILES.
    reason : str or None
        Why the row is malformed.
    warning : str or None
        What was removed or repaired to read the row.
    """

    id: str | None
    raw: str | None
    reason: str | None = None
    warning: str | None = None


@dataclass(eq=False)
class MoleculeFile:
    """A molecule file; each iteration reads it again, in chunks, and raises InputError if it is truncated or damaged.

    Each chunk is a table with one row per molecule, in the order of the file: `row` (int64, number of the data row,
    from 1), `id` (None if there is none), `raw` (the SMILES in the file), `reason` (why the row is malformed; None if
    it is well formed), `warning` (what was removed or repaired to read the row). Empty lines at the end of a file are
    not rows.

    Parameters
    ----------
    path : Path
        The file.
    format : {"csv", "tsv", "smi", "parquet", "sdf"}
        Its format.
    columns : list of str
        Column names in the file.
    smiles_column : str
        Name of the SMILES column.
    id_column : str or None
        Name of the id column.
    notes : list of str
        Notes on unusual content and on automatic choices; more may be added while the file is read.
    chunk_rows : int
        Number of rows per chunk.
    read_rows : callable
        Returns an iterator over the rows of the file.
    read_fraction : callable
        Returns the share of the file that has been read.
    """

    path: Path
    format: str
    columns: list[str]
    smiles_column: str
    id_column: str | None
    notes: list[str]
    chunk_rows: int
    read_rows: Callable[[], Iterator[Row]] = field(repr=False)
    read_fraction: Callable[[], float] = field(repr=False)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        rows = self.read_rows()
        n_rows = 0
        while chunk := list(islice(rows, self.chunk_rows)):
            columns = zip(Row._fields, zip(*chunk, strict=True), strict=True)
            numbers = np.arange(n_rows + 1, n_rows + len(chunk) + 1, dtype=np.int64)
            yield pd.DataFrame({"row": numbers, **{name: string_column(values) for name, values in columns}})
            n_rows += len(chunk)

    @property
    def notes_without_options(self) -> list[str]:
        """The notes, without that on `--id-column`, for a command that has no such option."""
        return [note for note in self.notes if "--id-column" not in note]

    @property
    def fraction_read(self) -> float:
        """Share of the file that the last iteration has read, in [0, 1]."""
        return self.read_fraction()


def string_column(values: Iterable[str | None]) -> pd.Series:
    """Make a column of strings in which missing values are None, not NaN as in a string column of pandas.

    Parameters
    ----------
    values : iterable of str or None
        Values of the column.

    Returns
    -------
    Series
    """
    return pd.Series(list(values), dtype=object)
