"""Picked candidates in the wells of plates, and their files."""

from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from molvae.candidates.selection import PICK
from molvae.chem.drawing import sdf_record
from molvae.errors import InputError, cannot_write
from molvae.files import replacing
from molvae.tables import csv_line

PLATES = {24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24)}
"""Number of wells -> rows and columns of a plate."""


def list_wells(size: int) -> list[str]:
    """List the wells of a plate, row by row.

    Parameters
    ----------
    size : int
        Number of wells: 24, 48, 96 or 384.

    Returns
    -------
    list of str
        `A1`, `A2`, ...

    Raises
    ------
    InputError
        There is no such plate.

    Examples
    --------
    >>> list_wells(24)[:7]
    ['A1', 'A2', 'A3', 'A4', 'A5', 'A6', 'B1']
    """
    if size not in PLATES:
        raise InputError(f"plate: expected {', '.join(map(str, PLATES))} wells, got {size}")
    n_rows, n_columns = PLATES[size]
    return [f"{chr(ord('A') + row)}{column + 1}" for row in range(n_rows) for column in range(n_columns)]


def smallest_plate(n: int) -> int:
    """The smallest plate with enough wells.

    Parameters
    ----------
    n : int
        Number of molecules.

    Returns
    -------
    int
        Number of wells; 384 if no plate has enough.

    Examples
    --------
    >>> smallest_plate(24), smallest_plate(25), smallest_plate(1000)
    (24, 48, 384)
    """
    return next((size for size in PLATES if size >= n), max(PLATES))


def assign_wells(table: pd.DataFrame, size: int) -> pd.DataFrame:
    """Give each pick a well, row by row; a full plate is followed by the next one.

    Parameters
    ----------
    table : DataFrame
        The table of a selection of `pick_candidates`.
    size : int
        Number of wells of a plate: 24, 48, 96 or 384.

    Returns
    -------
    DataFrame
        The same rows with the columns `plate` (1, 2, ...; 0 for alternates) and `well` (None for alternates), after
        `role`.

    Raises
    ------
    InputError
        There is no such plate.
    """
    wells = list_wells(size)
    is_pick = (table["role"] == PICK).to_numpy()
    places = np.cumsum(is_pick) - 1
    plates = np.where(is_pick, places // size + 1, 0)
    names = [wells[place % size] if pick else None for place, pick in zip(places, is_pick, strict=True)]
    placed = table.drop(columns=[name for name in ("plate", "well") if name in table])
    after = list(placed).index("role") + 1
    placed.insert(after, "plate", plates)
    placed.insert(after + 1, "well", pd.Series(names, index=table.index, dtype=object))
    return placed


def write_picks(path: Path, table: pd.DataFrame, excel: bool = False) -> None:
    """Write picked candidates as .csv or .sdf; the file is written completely or not at all.

    Numbers have six significant digits, as in candidates.csv. The columns `check_*` are left out.

    Parameters
    ----------
    path : Path
        File to write.
    table : DataFrame
        The table of a selection, with or without wells.
    excel : bool, default=False
        Whether a .csv file begins with the mark by which Excel recognizes UTF-8.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    short = table[[name for name in table if not str(name).startswith("check_")]]
    try:
        is_sdf = path.suffix.lower() == ".sdf"
        encoding = "utf-8-sig" if excel and not is_sdf else "utf-8"
        with replacing(path) as part, part.open("w", encoding=encoding, newline="") as file:
            (_write_sdf if is_sdf else _write_csv)(file, short)
    except OSError as error:
        raise cannot_write(path, error) from error


def _write_csv(file: IO[str], table: pd.DataFrame) -> None:
    are_text = [not pd.api.types.is_numeric_dtype(table[name]) for name in table]
    columns = [_cells(str(name), table[name]) for name in table]
    file.write(csv_line(map(str, table)))
    file.writelines(csv_line(cells, are_text) for cells in zip(*columns, strict=True))


def _write_sdf(file: IO[str], table: pd.DataFrame) -> None:
    columns = {str(name): _cells(str(name), table[name]) for name in table}
    for row, smiles in enumerate(table["smiles"]):
        fields = {name: cells[row] for name, cells in columns.items()}
        file.write(sdf_record(smiles, fields["candidate_id"], fields))


def _cells(name: str, column: pd.Series) -> list[str]:
    """The values as text: empty if missing."""
    if name == "plate":
        return [str(value) if value else "" for value in column]
    return [
        "" if _is_missing(value) else f"{value:.6g}" if isinstance(value, float) else str(value) for value in column
    ]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
