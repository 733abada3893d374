"""Write a candidate table as candidates.csv, .parquet and .sdf, and read it back."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.candidates.columns import CANDIDATE_COLUMNS, check_table, describe_column
from molvae.chem.drawing import sdf_record
from molvae.chem.molecule_table import MoleculeTable, with_structures
from molvae.errors import InputError, cannot_write, first_line
from molvae.files import replacing
from molvae.tables import csv_line, unescape_formula, unmark

CANDIDATE_FILES = ("candidates.csv", "candidates.parquet", "candidates.sdf")

_PART_ROWS = 1000
_SEPARATORS = ",;\t|"
_WHOLE = re.compile(r"-?[1-9]\d{0,17}|0")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_GROUPED = {mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+") for mark in ",."}
"""Numbers whose only marks can be thousands separators: `1,234`."""
_FLAGS = {
    True: ("true", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda", "sant", "sand", "sann", "tosi"),
    False: ("false", "falsch", "faux", "falso", "onwaar", "fałsz", "falskt", "falsk", "usann", "epätosi"),
}
"""How spreadsheets of several languages write a flag."""
_TYPES = {"text": np.dtype(object), "number": np.dtype(float), "integer": np.dtype(np.int64), "flag": np.dtype(bool)}
_ARROW = {"text": pa.string(), "number": pa.float64(), "integer": pa.int64(), "flag": pa.bool_()}


def write_candidates(folder: Path, table: pd.DataFrame) -> list[Path]:
    """Write candidates.csv, candidates.parquet and candidates.sdf; each file is written completely or not at all.

    The same table gives the same bytes. Columns are in the order of CANDIDATE_COLUMNS, rows in the order of the table.
    Only the Parquet file has the columns `check_*`; the two others have `failed_checks` and `reason`.
    Parquet holds numbers in full precision, CSV and SDF with six significant digits. In the CSV, an apostrophe precedes
    text that a spreadsheet would run as a formula; `read_candidates` removes it.

    Parameters
    ----------
    folder : Path
        Existing folder.
    table : DataFrame
        Candidate table, e.g. from `build_candidates`.

    Returns
    -------
    list of Path
        The files, in the order of CANDIDATE_FILES.

    Raises
    ------
    InputError
        The table is not a candidate table, or a file cannot be written.
    """
    table = arrange(check_table(table, CANDIDATE_COLUMNS, "candidates"))
    short = table[[name for name in table if not str(name).startswith("check_")]]
    writers: tuple[tuple[Callable[[pd.DataFrame, Path], None], pd.DataFrame], ...] = (
        (_write_csv, short),
        (_write_parquet, table),
        (_write_sdf, short),
    )
    paths = [folder / name for name in CANDIDATE_FILES]
    for path, (write, columns) in zip(paths, writers, strict=True):
        try:
            with replacing(path) as part:
                write(columns, part)
        except OSError as error:
            raise cannot_write(path, error) from error
    return paths


def read_candidates(path: Path, may_hold_more: bool = False) -> MoleculeTable:
    """Read a candidate table.

    Parameters
    ----------
    path : Path
        A candidates.csv or candidates.parquet, or a folder that holds one (Parquet is preferred).
    may_hold_more : bool, default=False
        Whether other columns are allowed. They come last. In a CSV file, such a column holds numbers if each cell is
        empty or is what Python writes for its number (`7`, `7.1`), else text: `007`, `1E05` and `7.10` stay as is.

    Returns
    -------
    MoleculeTable
        One row per candidate. Missing text is None, a missing number NaN.

    Raises
    ------
    InputError
        The file does not exist, is not a candidate table, or has a cell of the wrong type.
    """
    path = find_candidates(path)
    table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    known = arrange(check_table(table, CANDIDATE_COLUMNS, str(path), may_hold_more))
    others = table.drop(columns=list(known))
    rest = others.apply(to_numbers) if path.suffix.lower() == ".csv" else others
    return with_structures(pd.concat([known, rest], axis=1))


def column_names(path: Path) -> list[str]:
    """The names of the columns of a candidate table.

    Parameters
    ----------
    path : Path
        A candidates.csv or candidates.parquet, or a folder that holds one (Parquet is preferred).

    Returns
    -------
    list of str
        In the order of the file.

    Raises
    ------
    InputError
        The file does not exist, or is not a candidate table.
    """
    path = find_candidates(path)
    return [str(name) for name in (_read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path))]


def arrange(table: pd.DataFrame) -> pd.DataFrame:
    """The same candidates with columns in the documented order and of the documented types.

    Parameters
    ----------
    table : DataFrame
        Candidate table, as `check_table` accepts it.

    Returns
    -------
    DataFrame
        Columns are of type object (text), float64, int64 or bool; empty text is None.
    """
    columns = {
        name: pd.Series(
            [value if isinstance(value, str) and value else None for value in table[name]]
            if kind == "text"
            else table[name].to_numpy(dtype=_TYPES[kind], na_value=np.nan),
            dtype=_TYPES[kind],
        )
        for name, kind in known_columns(table).items()
    }
    return pd.DataFrame(columns)


def known_columns(names: Iterable[Hashable]) -> dict[str, str]:
    """The columns of molvae among those of a candidate table.

    Parameters
    ----------
    names : iterable of str
        Column names.

    Returns
    -------
    dict of str to str
        Name -> kind, in the documented order; columns of a family keep their order.
    """
    described = {str(name): describe_column(str(name)) for name in names}
    return {name: column.kind for column in CANDIDATE_COLUMNS for name, of in described.items() if of is column}


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    kinds = known_columns(table)
    are_text = [kinds[str(name)] == "text" for name in table]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_line(map(str, table)))
        for part in _parts(table):
            columns = [[_cell(value) for value in part[name]] for name in part]
            file.writelines(csv_line(cells, are_text) for cells in zip(*columns, strict=True))


def _parts(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows in parts, so that the text of a large table is never in memory as a whole."""
    for begin in range(0, len(table), _PART_ROWS):
        yield table.iloc[begin : begin + _PART_ROWS]


def _cell(value: object) -> str:
    """A value as text: empty if missing, a number with six significant digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return str(value)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in known_columns(table).items()])
    columns = [pa.array(table[field.name], type=field.type, from_pandas=True) for field in schema]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path, compression="zstd")


def _write_sdf(table: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for part in _parts(table):
            for row in part.to_dict("records"):
                fields = {str(name): _cell(value) for name, value in row.items()}
                file.write(sdf_record(row["smiles"], row["candidate_id"], fields))


def to_numbers(cells: pd.Series) -> pd.Series:
    """The cells of a column of the user, as numbers if their text follows from the numbers.

    Parameters
    ----------
    cells : Series of str or None
        Text of each cell.

    Returns
    -------
    Series
        Integers (int64, or Int64 if cells are empty), floats (float64), or the same cells.

    Examples
    --------
    >>> to_numbers(pd.Series(["7", "-12"])).tolist(), to_numbers(pd.Series(["007", "7.10"])).tolist()
    ([7, -12], ['007', '7.10'])
    """
    texts = [text for text in cells if isinstance(text, str)]
    if not texts:
        return cells
    if all(map(_WHOLE.fullmatch, texts)):
        is_full = len(texts) == len(cells)
        whole = [int(text) if isinstance(text, str) else None for text in cells]
        return pd.Series(whole, cells.index, "int64" if is_full else "Int64", cells.name)
    if all(map(_is_float, texts)):
        return pd.Series(
            [float(text) if isinstance(text, str) else np.nan for text in cells], cells.index, name=cells.name
        )
    return cells


def _is_float(text: str) -> bool:
    """Whether Python writes this text for a finite number that is not an integer."""
    try:
        return repr(float(text)) == text and np.isfinite(float(text))
    except ValueError:
        return False


def find_candidates(path: Path) -> Path:
    """The file of a candidate table.

    Parameters
    ----------
    path : Path
        A candidates.csv or candidates.parquet, or a folder that holds one (Parquet is preferred).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        There is no such file.
    """
    if path.is_dir():
        inside = [path / name for name in ("candidates.parquet", "candidates.csv") if (path / name).is_file()]
        if not inside:
            raise InputError(
                f"{path}: expected a candidates.parquet or candidates.csv in this folder; the run may be incomplete"
            )
        return inside[0]
    if not path.exists():
        raise InputError(f"{path}: no such file; give a candidates.csv, a candidates.parquet or the folder of a run")
    if not path.is_file():
        raise InputError(
            f"{path}: not a regular file; give a candidates.csv, a candidates.parquet or the folder of a run"
        )
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{path}: expected candidates as .csv or .parquet, got {path.suffix or 'no extension'}")
    return path


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({first_line(error)})") from None
    for name, kind in known_columns(table.column_names).items():
        if kind in ("integer", "flag") and table[name].null_count:
            raise InputError(
                f"{path}: column {name}: expected {kind} in every row, got {table[name].null_count} empty cells"
            )
    return pd.DataFrame({name: to_pandas(table[name]) for name in table.column_names})


def to_pandas(column: pa.ChunkedArray) -> pd.Series:
    """A column of a table of pyarrow, with the same values.

    Parameters
    ----------
    column : ChunkedArray
        The column.

    Returns
    -------
    Series
        Integers stay integers if some are missing (Int64), because a float does not hold large ones.
    """
    if pa.types.is_decimal(column.type) and column.type.scale == 0:  # sums of integers
        values = column.to_pylist()
        is_small = all(value is None or abs(value) < 2**63 for value in values)
        return pd.Series([None if v is None else int(v) for v in values], dtype="Int64" if is_small else object)
    if pa.types.is_integer(column.type) and column.null_count:
        return pd.Series(column.to_pylist(), dtype="Int64")
    return column.to_pandas()


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 file (byte {error.start}); save it as CSV UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from None
    if text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n"):  # a line that Excel reads and writes
        separator, text = text[4], text[5:].lstrip("\r\n")
    else:
        separator = _find_separator(text)
    header, *rows = list(_records(text, separator, path)) or [_Record([], "")]
    names, rows = _check_shape(header.cells, rows, path)
    kinds = known_columns(names)
    is_marked = not header.line.startswith('"')  # only then did molvae quote the cells that it marked
    columns: dict[str, list[str]] = {name: [] for name in names}
    for row in rows:
        cells = unmark(row.cells, row.line) if is_marked else row.cells
        for name, cell, raw in zip(names, cells, row.cells, strict=True):
            # molvae has written its own columns, even if a spreadsheet has removed the quotation marks since
            columns[name].append(unescape_formula(raw) if name in kinds else cell)
    _refuse_groups({name: columns[name] for name in names if kinds.get(name) == "number"}, separator, path)
    return pd.DataFrame(
        {name: _from_cells(columns[name], kinds.get(name, "text"), f"{path}: column {name}") for name in names}
    )


def _check_shape(names: list[str], rows: "list[_Record]", path: Path) -> "tuple[list[str], list[_Record]]":
    """The names and the rows without empty columns at the end, which spreadsheets write."""
    if not names:
        raise InputError(f"{path}: the file is empty; expected a header and one row per candidate")
    for number, row in enumerate(rows, start=1):
        if len(row.cells) != len(names):
            raise InputError(
                f"{path}, row {number}: expected {len(names)} cells as in the header, got {len(row.cells)}"
            )
    n = len(names)
    while n > 1 and not names[n - 1] and not any(row.cells[n - 1] for row in rows):
        n -= 1
    names, rows = names[:n], [row._replace(cells=row.cells[:n]) for row in rows]
    if "" in names:
        raise InputError(f"{path}: column {names.index('') + 1} has no name; name it, or delete the column")
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]} occurs twice in the header; names must be unique")
    return names, rows


class _Record(NamedTuple):
    """A record of a CSV file: its cells without quotation marks, and its text."""

    cells: list[str]
    line: str


def _find_separator(text: str) -> str:
    """The separator that gives the most columns of a candidate table, by the first line."""
    names = {column.name for column in CANDIDATE_COLUMNS}
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return max(_SEPARATORS, key=lambda one: len(names & {name.strip('"') for name in first.split(one)}))


def _records(text: str, separator: str, path: Path) -> Iterator[_Record]:
    """The records of a CSV file. Of a line without a separator and quotation marks nothing is lost."""
    cell = re.compile(rf'(?:"((?:[^"]|"")*)"|([^"\r\n{re.escape(separator)}]*))({re.escape(separator)}|\r\n|\n|\r|\Z)')
    cells: list[str] = []
    begin = position = 0
    while position < len(text):
        found = cell.match(text, position)
        if found is None:
            number = text.count("\n", 0, position) + 1
            raise InputError(f"{path}: not a readable CSV file (line {number}: unmatched or misplaced quotation mark)")
        quoted, plain, end = found.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if end == separator and position < len(text):
            continue
        if end == separator:
            cells.append("")
        if any(cells):  # spreadsheets write empty lines with and without separators
            yield _Record(cells, text[begin:position])
        cells, begin = [], position


def _from_cells(cells: Sequence[str], kind: str, where: str) -> pd.Series:
    values = []
    for row, cell in enumerate(cells, start=1):
        try:
            values.append(_READERS[kind](cell))
        except (ValueError, KeyError):
            family = re.search(r"column ((?:value|score)_)", where)
            hint = f"; if the column is yours, rename it: {family[1]}... holds numbers of molvae" if family else ""
            raise InputError(f"{where}, row {row}: expected {kind}, got {cell!r}{hint}") from None
    return pd.Series(values, dtype=_TYPES[kind])


def _refuse_groups(columns: Mapping[str, Sequence[str]], separator: str, path: Path) -> None:
    """Refuse `1,234` and `1.234` where the mark can be a thousands separator, by the other numbers of the file."""
    cells = [cell for column in columns.values() for cell in column]
    is_comma = any(_DECIMAL_COMMA.fullmatch(cell) and not _GROUPED[","].fullmatch(cell) for cell in cells)
    if not is_comma and separator != ",":
        return
    grouped = _GROUPED["." if is_comma else ","]
    for name, column in columns.items():
        for row, cell in enumerate(column, start=1):
            if grouped.fullmatch(cell):
                raise InputError(
                    f"{path}: column {name}, row {row}: {cell} can have a decimal or a thousands separator; save "
                    "numbers with one decimal separator and without thousands separators"
                )


def _read_number(cell: str) -> float:
    """A number; a spreadsheet in another language writes a decimal comma."""
    if re.match(r"-?0\d", cell) or "_" in cell:
        raise ValueError("a number has no leading zeros and no underscores")
    return float(cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell or "nan")


def _read_integer(cell: str) -> int:
    if _WHOLE.fullmatch(cell) is None:  # at most 18 digits, as int64 holds them
        raise ValueError("not an integer")
    return int(cell)


_FLAG_OF = {word: flag for flag, words in _FLAGS.items() for word in words}
_READERS: dict[str, Callable[[str], object]] = {
    "text": lambda cell: cell or None,
    "number": _read_number,
    "integer": _read_integer,
    "flag": lambda cell: _FLAG_OF[cell.lower()],
}
