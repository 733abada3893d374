"""Tables written atomically, chunk by chunk, as .csv, .smi or .parquet; the text of a cell comes back as it was."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.files import replacing
from molvae.inputs import align

Kinds = dict[str, type]
"""Column name -> str, int, float (single precision), np.float64 or bool; None is a missing value of a str column."""

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float32(), np.float64: pa.float64(), bool: pa.bool_()}
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_TO_QUOTE = re.compile(r'[",\r\n]')


class TableWriter(Protocol):
    """Writes a table chunk by chunk."""

    @property
    def notes(self) -> list[str]:
        """What the format cannot hold, with the number of rows."""
        ...

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
        Appends rows to the file; `notes` says what the format cannot hold.
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


def id_texts(column: pa.Array, is_whole: bool) -> list[str | None]:
    """The ids of a column of a Parquet file as text.

    Parameters
    ----------
    column : Array
        Ids of any type.
    is_whole : bool
        Whether floats of this column are whole numbers, as pandas stores integers if some are missing; they are written
        without a decimal point.

    Returns
    -------
    list of str or None
        One per row; None where there is no id.

    Examples
    --------
    >>> id_texts(pa.array([101.0, None]), True), id_texts(pa.array(["007"]), False)
    (['101', None], ['007'])
    """
    return [_id_text(value, is_whole) for value in column.to_pylist()]


def _id_text(value: Any, is_whole: bool) -> str | None:
    if isinstance(value, float):
        text = "" if value != value else f"{value:.0f}" if is_whole else repr(value)
    else:
        text = value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return None if not text or text.isspace() else text


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


def csv_line(cells: Iterable[str], are_text: Iterable[bool] | None = None) -> str:
    """One line of CSV, with its end.

    A text that a spreadsheet would run as a formula gets an apostrophe and, as its mark, quotation marks; the readers
    of molvae remove both. A single CR is quoted, too, because readers interpret it as the end of the line.

    Parameters
    ----------
    cells : iterable of str
        The content of the cells.
    are_text : iterable of bool, optional
        Whether each cell is text; other cells, such as negative numbers, are never formulas. By default no cell is.

    Returns
    -------
    str
        The line.

    Examples
    --------
    >>> print(csv_line(["-12", "a b", "-1"], [True, True, False]), end="")
    "'-12",a b,-1
    """
    if are_text is None:
        return ",".join(map(_quoted, cells)) + "\n"
    marked = (_marked(cell) if is_text else cell for cell, is_text in zip(cells, are_text, strict=True))
    return ",".join(marked) + "\n"


def unmark(cells: list[str], line: str) -> list[str]:
    """Remove the apostrophes that `csv_line` added from the cells of a line.

    Parameters
    ----------
    cells : list of str
        The cells, without quotation marks.
    line : str
        The record as it is in the file.

    Returns
    -------
    list of str
        The text of the cells.

    Examples
    --------
    >>> unmark(["'-12", "'-13"], csv_line(["-12", "'-13"], [True, True]))
    ['-12', "'-13"]
    """
    return [
        cell[1:] if cell.startswith("'") and _FORMULA.match(cell) and _in_quotes(cell) in line else cell
        for cell in cells
    ]


def _marked(cell: str) -> str:
    return _in_quotes(f"'{cell}") if _FORMULA.match(cell) else _quoted(cell)


def _quoted(cell: str) -> str:
    return _in_quotes(cell) if _TO_QUOTE.search(cell) else cell


def _in_quotes(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self.notes: list[str] = []

    def write(self, table: pd.DataFrame) -> None:
        arrays = [pa.array(table[field.name], type=field.type, from_pandas=True) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


class _Csv:
    def __init__(self, file: IO[str], kinds: Kinds) -> None:
        self._kinds, self._file = kinds, file
        self._file.write(csv_line(kinds))
        self.notes: list[str] = []

    def write(self, table: pd.DataFrame) -> None:
        columns = []
        for name, kind in self._kinds.items():
            texts = [cell_text(value, kind) for value in table[name]]
            columns.append(list(map(_marked, texts)) if kind is str else texts)
        self._file.writelines(",".join(cells) + "\n" for cells in zip(*columns, strict=True))


class _Smi:
    """A line is a SMILES, a space and the id; an id that looks like a CXSMILES extension follows an empty one."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._n_changed = self._n_left_out = 0

    @property
    def notes(self) -> list[str]:
        changed = f"{self._n_changed:,} ids have line breaks, tabs or spaces at an end, which .smi cannot hold: changed"
        left_out = f"{self._n_left_out:,} rows without a SMILES are left out, because .smi cannot hold them"
        return [note for n, note in ((self._n_changed, changed), (self._n_left_out, left_out)) if n]

    def write(self, table: pd.DataFrame) -> None:
        ids = table["id"] if "id" in table else [None] * len(table)
        for smiles, name in zip(table["smiles"], ids, strict=True):
            if not isinstance(smiles, str):
                self._n_left_out += 1
                continue
            given = name if isinstance(name, str) and name.strip() else ""
            label = re.sub(r"[\t\n\r\x0b\x0c]", " ", given).strip(" ")
            self._n_changed += label != given
            if label.startswith("|"):
                label = f"||\t{label}"
            self._file.write(f"{smiles} {label}\n" if label else f"{smiles}\n")


def cell_text(value: Any, kind: type) -> str:
    """The text of a value.

    Parameters
    ----------
    value : object
        A value of a table.
    kind : type
        The kind of its column; see `Kinds`.

    Returns
    -------
    str
        Empty if it is missing. A float of single precision has nine significant digits, which restore it exactly;
        others have as many as needed.

    Examples
    --------
    >>> cell_text(0.1, np.float64), cell_text(None, str)
    ('0.1', '')
    """
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    ):
        return ""
    if kind is np.float64:
        return repr(float(value))
    return f"{value:.9g}" if kind is float else str(value)


def read_numbers(answer: Any, n: int, where: str, labels: Sequence[str] | None = None) -> np.ndarray:
    """Convert what a function of the user returned to numbers.

    Parameters
    ----------
    answer : sequence of float
        One number per molecule; None, NA and NaN are missing. The row labels of a Series have to be numbers from 0, or
        `labels`, in any order.
    n : int
        Number of molecules.
    where : str
        What gave the answer, for error messages.
    labels : sequence of str, optional
        SMILES of the molecules, in order.

    Returns
    -------
    ndarray of shape (n,)
        Numbers, float64.

    Raises
    ------
    InputError
        It is not a sequence of n numbers, or a Series with other row labels.

    Examples
    --------
    >>> read_numbers([1, None], 2, "score").tolist()
    [1.0, nan]
    """
    if isinstance(answer, str | bytes | Mapping) or not hasattr(answer, "__iter__"):
        raise InputError(f"{where}: expected a list of {n} numbers, got {_show(answer)}")
    if getattr(answer, "ndim", 1) != 1:
        raise InputError(f"{where}: expected one number per molecule, got an array of shape {answer.shape}")
    items = list(align(answer, None, n, where, [] if labels is None else [pd.Index(labels)]))
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
