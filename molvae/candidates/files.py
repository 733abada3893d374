"""Write a candidate table as candidates.csv, .parquet and .sdf, and read it back."""

import csv
import re
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.candidates.columns import CANDIDATE_COLUMNS, check_table
from molvae.chem.drawing import mol_block
from molvae.errors import InputError, first_line
from molvae.files import replacing
from molvae.tables import escape_formula, unescape_formula

CANDIDATE_FILES = ("candidates.csv", "candidates.parquet", "candidates.sdf")

_TO_QUOTE = re.compile(r'[",\r\n]')
_TYPES = {"text": np.dtype(object), "number": np.dtype(float), "integer": np.dtype(np.int64), "flag": np.dtype(bool)}
_ARROW = {"text": pa.string(), "number": pa.float64(), "integer": pa.int64(), "flag": pa.bool_()}


def write_candidates(folder: Path, table: pd.DataFrame) -> list[Path]:
    """Write candidates.csv, candidates.parquet and candidates.sdf; each file is written completely or not at all.

    The same table gives the same bytes. Columns are in the order of CANDIDATE_COLUMNS, rows in the order of the table.
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
    writers: tuple[Callable[[pd.DataFrame, Path], None], ...] = (_write_csv, _write_parquet, _write_sdf)
    paths = [folder / name for name in CANDIDATE_FILES]
    for path, write in zip(paths, writers, strict=True):
        try:
            with replacing(path) as part:
                write(table, part)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"{path}: cannot be written ({reason}); free some space or choose another folder"
            ) from None
    return paths


def read_candidates(path: Path, may_hold_more: bool = False) -> pd.DataFrame:
    """Read a candidate table.

    Parameters
    ----------
    path : Path
        A candidates.csv or candidates.parquet, or a folder that holds one (Parquet is preferred).
    may_hold_more : bool, default=False
        Whether other columns are allowed. They come last, as numbers if every cell is a number or empty.

    Returns
    -------
    DataFrame
        One row per candidate. Missing text is None, a missing number NaN.

    Raises
    ------
    InputError
        The file does not exist, is not a candidate table, or has a cell of the wrong type.
    """
    path = _find(path)
    table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    known = arrange(check_table(table, CANDIDATE_COLUMNS, str(path), may_hold_more))
    return pd.concat([known, table.drop(columns=list(known)).apply(_as_numbers)], axis=1)


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
        for name, kind in _kinds(table).items()
    }
    return pd.DataFrame(columns)


def _kinds(names: Iterable[Hashable]) -> dict[str, str]:
    """The kind of each known column, in the documented order; columns of a family keep their order."""
    given = [str(name) for name in names]
    return {
        name: column.kind
        for column in CANDIDATE_COLUMNS
        for name in given
        if name == column.name or (column.name.endswith("*") and name.startswith(column.name[:-1]))
    }


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    kinds = _kinds(table)
    columns = [[_cell(value) for value in table[name]] for name in table]
    for i, name in enumerate(table):
        if kinds[str(name)] == "text":
            columns[i] = list(map(escape_formula, columns[i]))
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_csv_line(map(str, table)))
        file.writelines(map(_csv_line, zip(*columns, strict=True)))


def _csv_line(cells: Iterable[str]) -> str:
    """One line of CSV; csv.writer does not quote a single CR, which readers interpret as the end of the line."""
    quoted = ('"' + cell.replace('"', '""') + '"' if _TO_QUOTE.search(cell) else cell for cell in cells)
    return ",".join(quoted) + "\n"


def _cell(value: object) -> str:
    """A value as text: empty if missing, a number with six significant digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return str(value)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in _kinds(table).items()])
    columns = [pa.array(table[field.name], type=field.type, from_pandas=True) for field in schema]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path, compression="zstd")


def _write_sdf(table: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in table.to_dict("records"):
            file.write(mol_block(row["smiles"], title=_one_line(row["candidate_id"])))
            for name, value in row.items():
                file.write(f">  <{name}>\n{_one_line(_cell(value))}\n\n")
            file.write("$$$$\n")


def _one_line(text: str) -> str:
    """The text on one line; a space precedes text that an SDF reader would read as a field or the end of a record."""
    line = " ".join(text.splitlines())
    return " " + line if line.startswith(("$$$$", ">")) else line


def _as_numbers(cells: pd.Series) -> pd.Series:
    """The same cells, as numbers if each is a number or empty and not all are empty."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return numbers if numbers.notna().any() and (numbers.notna() | cells.isna()).all() else cells


def _find(path: Path) -> Path:
    """The file of a path: the path itself, or the file in the folder."""
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
    for name, kind in _kinds(table.column_names).items():
        if kind in ("integer", "flag") and table[name].null_count:
            raise InputError(
                f"{path}: column {name}: expected {kind} in every row, got {table[name].null_count} empty cells"
            )
    return pd.DataFrame({name: table[name].to_pandas() for name in table.column_names})


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 file (byte {error.start}); save it as CSV UTF-8") from None
    except (csv.Error, OSError) as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from None
    except ValueError:
        raise InputError(f"{path}: the file is empty; expected a header and one row per candidate") from None
    repeated = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]} occurs twice in the header; names must be unique")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InputError(f"{path}, row {number}: expected {len(header)} cells as in the header, got {len(row)}")
    kinds = _kinds(header)
    cells = dict(zip(header, zip(*rows, strict=True) if rows else ((),) * len(header), strict=True))
    return pd.DataFrame(
        {name: _from_cells(cells[name], kinds.get(name, "text"), f"{path}: column {name}") for name in header}
    )


def _from_cells(cells: Iterable[str], kind: str, where: str) -> pd.Series:
    values = []
    for row, cell in enumerate(cells, start=1):
        try:
            values.append(_READERS[kind](cell))
        except (ValueError, KeyError):
            raise InputError(f"{where}, row {row}: expected {kind}, got {cell!r}") from None
    return pd.Series(values, dtype=_TYPES[kind])


def _read_text(cell: str) -> str | None:
    return unescape_formula(cell) or None


_READERS: dict[str, Callable[[str], object]] = {
    "text": _read_text,
    "number": lambda cell: float(cell or "nan"),
    "integer": int,
    "flag": lambda cell: {"true": True, "false": False}[cell.lower()],
}
