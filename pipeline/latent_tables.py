"""Tables of latent vectors and of decoded molecules, as `molvae encode` and `molvae decode` write them."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.datasets.columns import few, find_id_column, find_named, shorten
from molvae.datasets.parquet import holds_whole_numbers
from molvae.datasets.records import SEPARATORS, read_records
from molvae.datasets.text_lines import TextLines
from molvae.errors import InputError, first_line
from molvae.inputs import latent_columns
from molvae.tables import Kinds, id_texts

from .tables import LATENT_ENDINGS

if TYPE_CHECKING:
    from molvae.codec import Codec, Decoded

DECODED: Kinds = {"raw_smiles": str, "smiles": str, "reason": str}
"""Columns of decoded molecules."""

_CHUNK_ROWS = 10_000
_EMPTY = "empty: no latent vector"


class LatentRows(NamedTuple):
    """Rows of a file of latent vectors.

    Parameters
    ----------
    ids : list of str or None
        Ids; None if a row has none.
    z : ndarray of shape (n, D)
        Latent vectors, float32; NaN in a row with a reason.
    reasons : list of str or None
        Why the latent vector of a row cannot be read.
    """

    ids: list[str | None]
    z: np.ndarray
    reasons: list[str | None]


@dataclass(frozen=True)
class LatentTable:
    """A file of latent vectors, read chunk by chunk.

    Parameters
    ----------
    id_column : str or None
        The column with the ids.
    chunks : iterator of LatentRows
        The rows.
    notes : list of str
        Notes on unusual content and on automatic choices; more may be added while the file is read.
    """

    id_column: str | None
    chunks: Iterator[LatentRows]
    notes: list[str]


def decoded_table(rows: "Iterable[Decoded]") -> pd.DataFrame:
    """Decoded molecules as a table.

    Parameters
    ----------
    rows : iterable of Decoded
        Return value of `Codec.decode` or `Codec.sample`.

    Returns
    -------
    DataFrame
        The columns of `DECODED`, one row per molecule, in order.
    """
    cells = [(row.raw_smiles, row.smiles, row.reason) for row in rows]
    return pd.DataFrame(cells, columns=list(DECODED), dtype=object)


def read_latent(source: Path, codec: "Codec", id_column: str | None = None) -> LatentTable:
    """Open a table of latent vectors.

    Parameters
    ----------
    source : Path
        A .parquet or .csv file. In a .csv file, columns may be separated by semicolons or tabs, and numbers may have a
        decimal comma.
    codec : Codec
        The codec that decodes the vectors.
    id_column : str or None, default=None
        The column with the ids; None looks for the usual names.

    Returns
    -------
    LatentTable
        The open file; each chunk is read when it is needed.

    Raises
    ------
    InputError
        The file cannot be read, its columns are not the latent dimensions of the codec, or it has no such id column.
    """
    if not source.is_file():
        problem = "is not a regular file" if source.exists() else "no such file"
        raise InputError(f"{source}: {problem}; give a table of latent vectors, as `molvae encode` writes it")
    if source.suffix.lower() not in LATENT_ENDINGS:
        raise InputError(f"{source}: expected latent vectors as {' or '.join(LATENT_ENDINGS)}")
    opened = _open_parquet(source) if source.suffix.lower() == ".parquet" else _open_csv(source)
    names = opened.names
    columns = [name for name in names if re.fullmatch(r"z_\d+", name)]
    expected = latent_columns(codec.n_latent)
    if sorted(columns) != expected:
        found = (
            f"{len(columns)} columns {columns[0]} to {columns[-1]}" if columns else f"columns {', '.join(names[:8])}"
        )
        raise InputError(
            f"{source}: expected the latent dimensions of codec {codec.name}, columns {expected[0]} to {expected[-1]}; "
            f"got {found}"
        )
    others = [name for name in names if name not in columns]
    if id_column is not None:
        id_column = others[find_named(source, others, id_column, "id")]
    elif (chosen := find_id_column(others, opened.notes)) is not None:
        id_column = others[chosen]
    elif others:
        opened.notes.append(f"no column is named like an id; --id-column chooses one of {few(others, 8)}")
    indices = [names.index(name) for name in expected]
    id_index = None if id_column is None else names.index(id_column)
    return LatentTable(id_column, opened.read(indices, id_index), opened.notes)


class _Opened(NamedTuple):
    """The column names of a file, notes, and a reader: from the columns of the latent dimensions and of the ids."""

    names: list[str]
    notes: list[str]
    read: Callable[[list[int], int | None], Iterator[LatentRows]]


def _open_parquet(source: Path) -> _Opened:
    try:
        parquet = pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{source}: cannot be read as a table ({first_line(error)})") from None
    names = parquet.schema_arrow.names

    def read(columns: list[int], id_index: int | None) -> Iterator[LatentRows]:
        is_whole = id_index is not None and holds_whole_numbers(parquet, names[id_index])
        for batch in parquet.iter_batches(_CHUNK_ROWS):
            n = batch.num_rows
            ids: list[str | None] = [None] * n if id_index is None else id_texts(batch.column(id_index), is_whole)
            cells = [batch.column(i) for i in columns]
            if all(pa.types.is_floating(column.type) or pa.types.is_integer(column.type) for column in cells):
                z = np.column_stack([column.to_numpy(zero_copy_only=False) for column in cells]).astype(np.float32)
                is_empty = np.asarray(np.isnan(z).all(axis=1))  # (n,)
                yield LatentRows(ids, z, [_EMPTY if one else None for one in is_empty])
            else:
                rows = zip(*(column.to_pylist() for column in cells), strict=True)
                texts = [["" if value is None else str(value) for value in row] for row in rows]
                yield LatentRows(ids, *_numbers(texts, [names[i] for i in columns]))

    return _Opened(names, [], read)


def _open_csv(source: Path) -> _Opened:
    if not source.stat().st_size:
        raise InputError(f"{source}: cannot be read as a table (it is empty)")
    lines = TextLines(source)
    head = list(islice(lines, 50))
    separator = max((",", ";", "\t"), key=lambda one: len(head[0].split(one)))
    if separator != ",":
        lines.notes.append(f"columns are separated by {SEPARATORS[separator]}")
    names = next((fields for fields, _ in read_records(iter(head[:1]), separator) if fields), [])
    names = [name.strip() for name in names]
    is_marked = not head[0].startswith('"')

    def read(columns: list[int], id_index: int | None) -> Iterator[LatentRows]:
        records = read_records(islice(lines.with_cr(), 1, None), separator, len(names), is_marked)
        dimensions = [names[i] for i in columns]
        while chunk := list(islice(records, _CHUNK_ROWS)):
            ids = [_id_of(fields, id_index) for fields, _ in chunk]
            texts = [[] if reason or fields is None else [fields[i] for i in columns] for fields, reason in chunk]
            z, reasons = _numbers(texts, dimensions)
            malformed = [reason.replace("SMILES", "latent vector") if reason else None for _, reason in chunk]
            yield LatentRows(ids, z, [first or second for first, second in zip(malformed, reasons, strict=True)])

    return _Opened(names, lines.notes, read)


def _id_of(fields: list[str] | None, id_index: int | None) -> str | None:
    name = "" if fields is None or id_index is None or id_index >= len(fields) else fields[id_index]
    return None if not name or name.isspace() else name


def _numbers(rows: list[list[str]], names: list[str]) -> tuple[np.ndarray, list[str | None]]:
    """Latent vectors (n, D), and why a row has none; a row without cells is NaN without a reason."""
    z = np.full((len(rows), len(names)), np.nan, np.float32)
    reasons: list[str | None] = [None] * len(rows)
    for i, row in enumerate(rows):
        if not row:
            continue
        try:
            z[i] = [float(cell) for cell in row]
        except ValueError:
            z[i], reasons[i] = _read_cells(row, names)
    return z, reasons


def _read_cells(row: list[str], names: list[str]) -> tuple[list[float] | float, str | None]:
    """The numbers of a row with empty cells or decimal commas, or NaN and the first cell that is no number."""
    if not any(cell.strip() for cell in row):
        return math.nan, _EMPTY
    numbers = []
    for name, cell in zip(names, row, strict=True):
        text = cell.strip()
        try:
            numbers.append(float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text))
        except ValueError:
            return math.nan, f"not a number: {name} is {shorten(text) or 'empty'}"
    return numbers, None
