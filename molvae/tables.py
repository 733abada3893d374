"""Tables written atomically, chunk by chunk, as .csv, .smi or .parquet."""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.files import replacing

Kinds = dict[str, type]
"""Column name -> str, int, float or bool; None is a missing value of a str column."""

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float32(), bool: pa.bool_()}
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


class TableWriter(Protocol):
    """Writes a table chunk by chunk."""

    def write(self, table: pd.DataFrame) -> None:
        """Append rows."""
        ...


@contextmanager
def writing(path: Path, kinds: Kinds) -> Iterator[TableWriter]:
    """Open a writer; the file replaces an older one when the block ends without an error.

    Parameters
    ----------
    path : Path
        A file name that ends in .csv, .parquet or .smi. A .smi file holds the rows that have a SMILES: the SMILES and,
        where there is one, the id.
    kinds : dict of str to type
        The columns, in order; other columns of a table are not written.

    Yields
    ------
    TableWriter
        Appends rows to the file.
    """
    with replacing(path) as part, ExitStack() as stack:
        ending = path.suffix.lower()
        if ending == ".parquet":
            schema = pa.schema([(name, _ARROW[kind]) for name, kind in kinds.items()])
            yield _Parquet(stack.enter_context(pq.ParquetWriter(part, schema, compression="zstd")), schema)
        else:
            file = stack.enter_context(part.open("w", encoding="utf-8", newline=""))
            yield _Csv(file, kinds) if ending == ".csv" else _Smi(file)


def kind_of(reason: str) -> str:
    """The kind of a reason, used to count reasons: the text before a colon or a row number.

    Parameters
    ----------
    reason : str
        Why a molecule was dropped, or a warning about it.

    Returns
    -------
    str
        The reason without its details.

    Examples
    --------
    >>> kind_of("too long: 1,200 characters"), kind_of("duplicate of row 12")
    ('too long', 'duplicate')
    """
    return re.split(r":| of row \d", reason, maxsplit=1)[0]


def escape_formula(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula; `unescape_formula` removes it.

    Parameters
    ----------
    text : str
        Content of a cell.

    Returns
    -------
    str
        The content to write to a CSV file.

    Examples
    --------
    >>> escape_formula("=1+1"), escape_formula("CCO")
    ("'=1+1", 'CCO')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_formula(cell: str) -> str:
    """Remove the apostrophe that `escape_formula` added.

    Parameters
    ----------
    cell : str
        Content of a cell of a CSV file.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> unescape_formula("'=1+1"), unescape_formula("'quoted'")
    ('=1+1', "'quoted'")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema

    def write(self, table: pd.DataFrame) -> None:
        arrays = [pa.array(table[field.name], type=field.type, from_pandas=True) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


class _Csv:
    """Floats have nine significant digits, which restore a float32 exactly; text is escaped by `escape_formula`."""

    def __init__(self, file: IO[str], kinds: Kinds) -> None:
        self._kinds = kinds
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(kinds)

    def write(self, table: pd.DataFrame) -> None:
        columns = [[_cell(value, kind) for value in table[name]] for name, kind in self._kinds.items()]
        self._writer.writerows(zip(*columns, strict=True))


class _Smi:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, table: pd.DataFrame) -> None:
        ids = table["id"] if "id" in table else [None] * len(table)
        for smiles, name in zip(table["smiles"], ids, strict=True):
            if isinstance(smiles, str):
                label = f" {' '.join(name.split())}" if isinstance(name, str) and name.strip() else ""
                self._file.write(f"{smiles}{label}\n")


def _cell(value: object, kind: type) -> str:
    if value is None or value != value:  # the latter is NaN
        return ""
    if kind is float:
        return f"{value:.9g}"
    return escape_formula(str(value)) if kind is str else str(value)


def read_numbers(answer: Any, n: int, where: str) -> np.ndarray:
    """Convert what a function of the user returned to numbers.

    Parameters
    ----------
    answer : sequence of float
        One number per molecule; None, NA and NaN are missing.
    n : int
        Number of molecules.
    where : str
        What gave the answer, for error messages.

    Returns
    -------
    ndarray of shape (n,)
        Numbers, float64.

    Raises
    ------
    InputError
        It is not a sequence of n numbers.

    Examples
    --------
    >>> read_numbers([1, None], 2, "score").tolist()
    [1.0, nan]
    """
    if isinstance(answer, str | bytes | Mapping) or not hasattr(answer, "__iter__"):
        raise InputError(f"{where}: expected a list of {n} numbers, got {_show(answer)}")
    if getattr(answer, "ndim", 1) != 1:
        raise InputError(f"{where}: expected one number per molecule, got an array of shape {answer.shape}")
    items = list(answer)
    if len(items) != n:
        raise InputError(f"{where}: expected {n} numbers, one per molecule, got {len(items)}")
    return np.array([_number(item, row, where) for row, item in enumerate(items)], dtype=float)


def _number(item: Any, row: int, where: str) -> float:
    if item is None or item is pd.NA:
        return math.nan
    try:
        if isinstance(item, str | bytes):
            raise TypeError
        return float(item)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{where}, row {row} (counted from 0): expected a number, None or NaN, got {_show(item)}"
        ) from None


def _show(item: Any) -> str:
    text = repr(item)
    return f"{type(item).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
