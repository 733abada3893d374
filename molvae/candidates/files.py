"""The files that people open: candidates.csv, .parquet and .sdf, and the way back into a table."""

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
from molvae.errors import InputError
from molvae.files import replacing

CANDIDATE_FILES = ("candidates.csv", "candidates.parquet", "candidates.sdf")

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_TO_QUOTE = re.compile(r'[",\r\n]')
_TYPES = {"text": np.dtype(object), "number": np.dtype(float), "integer": np.dtype(np.int64), "flag": np.dtype(bool)}
_ARROW = {"text": pa.string(), "number": pa.float64(), "integer": pa.int64(), "flag": pa.bool_()}


def write_candidates(folder: Path, table: pd.DataFrame) -> list[Path]:
    """The three files written, in the order of CANDIDATE_FILES, each whole or not at all.

    The same table gives the same bytes: columns stand in the order of CANDIDATE_COLUMNS, rows as they came, and no
    time, path or version is written. Parquet holds numbers exactly, CSV and SDF to six digits. In the CSV a text cell
    that a spreadsheet would run as a formula gets one apostrophe in front; `read_candidates` takes it off again.

    Raises:
        InputError: the table is no candidate table, or a file cannot be written.
    """
    table = arrange(check_table(table, CANDIDATE_COLUMNS, "candidates"))
    writers: tuple[Callable[[pd.DataFrame, Path], None], ...] = (_write_csv, _write_parquet, _write_sdf)
    paths = [folder / name for name in CANDIDATE_FILES]
    for path, write in zip(paths, writers, strict=True):
        try:
            with replacing(path) as part:
                write(table, part)
        except OSError as error:
            why = error.strerror or str(error)
            raise InputError(f"{path}: cannot be written ({why}); make room there or choose another folder") from None
    return paths


def read_candidates(path: Path, may_hold_more: bool = False) -> pd.DataFrame:
    """The candidates of a candidates.csv or candidates.parquet, or of a folder that holds one (Parquet first).

    Missing text is None, a missing number NaN; numbers are float64, counts int64, flags bool.
    may_hold_more: columns that somebody has added are read, too, as numbers where every cell is one, and stand last.

    Raises:
        InputError: there is no such file, it is no candidate table, or a cell is not of its column's kind.
    """
    path = _find(path)
    table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    known = arrange(check_table(table, CANDIDATE_COLUMNS, str(path), may_hold_more))
    return pd.concat([known, table.drop(columns=list(known)).apply(_as_numbers)], axis=1)


def arrange(table: pd.DataFrame) -> pd.DataFrame:
    """The same candidates with columns in documented order and of one type each; empty text becomes None."""
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
    """The kind of each known column, in documented order; members of a family in the order in which they came."""
    texts = [str(name) for name in names]
    return {
        name: column.kind
        for column in CANDIDATE_COLUMNS
        for name in texts
        if name == column.name or (column.name.endswith("*") and name.startswith(column.name[:-1]))
    }


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    kinds = _kinds(table)
    columns = [[_cell(value) for value in table[name]] for name in table]
    for place, name in enumerate(table):
        if kinds[str(name)] == "text":
            columns[place] = ["'" + text if _FORMULA.match(text) else text for text in columns[place]]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_csv_line(map(str, table)))
        file.writelines(map(_csv_line, zip(*columns, strict=True)))


def _csv_line(cells: Iterable[str]) -> str:
    """One line of CSV; csv.writer would leave a lone CR unquoted, and readers would end the line there."""
    quoted = ('"' + cell.replace('"', '""') + '"' if _TO_QUOTE.search(cell) else cell for cell in cells)
    return ",".join(quoted) + "\n"


def _cell(value: object) -> str:
    """A value as text: nothing for a missing one, six digits of a number."""
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
    """The text on one line, and not one that a reader of SDF takes for the next field or the end of the record."""
    line = " ".join(text.splitlines())
    return " " + line if line.startswith(("$$$$", ">")) else line


def _as_numbers(cells: pd.Series) -> pd.Series:
    """The same cells, as numbers where each is one or empty and not all are empty."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return numbers if numbers.notna().any() and (numbers.notna() | cells.isna()).all() else cells


def _find(path: Path) -> Path:
    """The table meant by a path: the file itself, or the one in the folder."""
    if path.is_dir():
        inside = [path / name for name in ("candidates.parquet", "candidates.csv") if (path / name).is_file()]
        if not inside:
            raise InputError(f"{path}: expected candidates.parquet or candidates.csv in it; is the run complete?")
        return inside[0]
    if not path.exists():
        raise InputError(f"{path}: no such file; give a candidates.csv, a candidates.parquet or the folder of a run")
    if not path.is_file():
        raise InputError(f"{path}: not a regular file; give a candidates.csv, a candidates.parquet or a run's folder")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{path}: expected candidates as .csv or .parquet, got {path.suffix or 'no extension'}")
    return path


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    for name, kind in _kinds(table.column_names).items():
        if kind in ("integer", "flag") and table[name].null_count:
            raise InputError(f"{path}: column {name}: expected {kind} in every row, got {table[name].null_count} empty")
    return pd.DataFrame({name: table[name].to_pandas() for name in table.column_names})


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as CSV UTF-8") from None
    except (csv.Error, OSError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None
    except ValueError:
        raise InputError(f"{path}: the file is empty; expected a header and one row per candidate") from None
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]} stands twice in the header; each name may stand once")
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
    return (cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell) or None


_READERS: dict[str, Callable[[str], object]] = {
    "text": _read_text,
    "number": lambda cell: float(cell or "nan"),
    "integer": int,
    "flag": lambda cell: {"true": True, "false": False}[cell.lower()],
}
