"""A table of molecules as an Excel workbook, with a drawing of each molecule."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from molvae.chem.drawing import draw_png
from molvae.errors import InputError
from molvae.files import replacing

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

MAX_DRAWN = 2_000
"""Number of rows with a drawing; more make a file that Excel opens slowly."""

_MAX_ROWS, _MAX_CHARACTERS = 1_048_575, 32_767  # limits of Excel
_WIDTH, _HEIGHT = 160, 110  # of a drawing, in pixels
_WIDEST = 60  # characters
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)  # the same table gives the same bytes


def write_workbook(path: Path, table: pd.DataFrame) -> list[str]:
    """Write a table as an Excel workbook; the file is written completely or not at all.

    Numbers are stored as numbers, in every language version of Excel, with six significant digits. No text is run as a
    formula or read as a date. The header is frozen and has filters. With a column `smiles`, the first column shows the
    structures.

    Parameters
    ----------
    path : Path
        File to write.
    table : DataFrame
        The table.

    Returns
    -------
    list of str
        Notes: what the format cannot hold.

    Raises
    ------
    InputError
        The table has more rows than Excel allows.
    """
    import xlsxwriter

    if len(table) > _MAX_ROWS:
        raise InputError(f"{path}: Excel holds at most {_MAX_ROWS:,} rows, got {len(table):,}; write a .csv")
    is_drawn = "smiles" in table
    names = [*(["structure"] if is_drawn else []), *map(str, table)]
    n_cut = 0
    with replacing(path) as part:
        workbook = xlsxwriter.Workbook(str(part), {"strings_to_formulas": False, "strings_to_urls": False})
        workbook.set_properties({"created": _CREATED})
        sheet = workbook.add_worksheet("molecules")
        bold, middle = workbook.add_format({"bold": True}), workbook.add_format({"valign": "vcenter"})
        for column, header in enumerate(names):
            sheet.write_string(0, column, header, bold)
        for column, name in enumerate(table, start=is_drawn):
            values = table[name].tolist()
            widths = [len(str(name))]
            for row, value in enumerate(values, start=1):
                n_cut += _write_cell(sheet, row, column, value, middle)
                widths.append(len(value) if isinstance(value, str) else 8)
            sheet.set_column(column, column, min(max(widths) + 2, _WIDEST))
        if is_drawn:
            _draw(sheet, table["smiles"].tolist()[:MAX_DRAWN])
        sheet.freeze_panes(1, int(is_drawn) + 1)
        sheet.autofilter(0, 0, len(table), max(len(names) - 1, 0))
        workbook.close()
    notes = [f"{n_cut:,} cells are cut to {_MAX_CHARACTERS:,} characters"] if n_cut else []
    if is_drawn and len(table) > MAX_DRAWN:
        notes.append(f"only the first {MAX_DRAWN:,} of {len(table):,} rows have a drawing")
    return notes


def _write_cell(sheet: "Worksheet", row: int, column: int, value: object, style: object) -> bool:
    """Write a value with its type; returns whether it was cut."""
    if value is None or value is pd.NA or value != value:
        return False
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value, style)
    elif isinstance(value, int | float) and abs(value) < 1e15:  # Excel has 15 digits
        sheet.write_number(row, column, float(f"{value:.6g}") if isinstance(value, float) else value, style)
    else:
        text = str(value)
        sheet.write_string(row, column, text[:_MAX_CHARACTERS], style)
        return len(text) > _MAX_CHARACTERS
    return False


def _draw(sheet: "Worksheet", smiles: list[object]) -> None:
    """Draw the molecules in the first column."""
    sheet.set_column_pixels(0, 0, _WIDTH + 4)
    for row, one in enumerate(smiles, start=1):
        sheet.set_row_pixels(row, _HEIGHT + 4)
        drawing = draw_png(one, _WIDTH, _HEIGHT) if isinstance(one, str) else b""
        if drawing:
            options = {"image_data": BytesIO(drawing), "x_offset": 2, "y_offset": 2, "object_position": 1}
            sheet.insert_image(row, 0, f"{row}.png", options)
