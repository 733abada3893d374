"""Picked candidates as a page to print: structures in the wells of plates, and a list."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from molvae.candidates.plates import PLATES, list_wells
from molvae.chem.drawing import draw_svg
from molvae.errors import InputError
from molvae.report.labels import label
from molvae.report.page import render_page, write_page

_STYLES = ("page.css", "plates.css")
_PROPERTIES = ("mol_weight", "logp", "tpsa", "qed", "sa_score")
_SHEET_ROWS, _SHEET_COLUMNS = 8, 12  # a plate of 384 wells takes four sheets


@dataclass(frozen=True)
class _Row:
    """A pick or an alternate."""

    plate: int
    well: str | None
    place: str
    drawing: Markup
    candidate_id: str
    run: str | None
    score: float | None
    scaffold: int
    values: list[float]
    smiles: str
    reason: str


@dataclass(frozen=True)
class _Sheet:
    """A plate, or a quarter of one: the numbers of its columns, and its rows with their letters."""

    title: str
    columns: list[int]
    rows: list[tuple[str, list[_Row | None]]]


def write_plates(
    path: Path, table: pd.DataFrame, *, size: int, title: str, summary: Sequence[str] = (), notes: Sequence[str] = ()
) -> None:
    """Write picked candidates as one offline HTML page for A4: structures in their wells, then a list.

    A plate of 384 wells takes up to four sheets. The same table gives the same bytes. Text from the table is escaped.

    Parameters
    ----------
    path : Path
        File to write.
    table : DataFrame
        The table of `molvae.candidates.plates.assign_wells`.
    size : int
        Number of wells of a plate: 24, 48, 96 or 384, as given to `assign_wells`.
    title : str
        Heading.
    summary : sequence of str, default=()
        Sentences below the heading, e.g. those of `Selection.describe`.
    notes : sequence of str, default=()
        Sentences above the list.

    Raises
    ------
    InputError
        There is no such plate, the table has no wells, or the file cannot be written.

    Examples
    --------
    >>> from molvae.candidates.plates import assign_wells
    >>> selection = pick_candidates(candidates, 24)  # doctest: +SKIP
    >>> placed = assign_wells(selection.table, 24)  # doctest: +SKIP
    >>> write_plates(Path("plate.html"), placed, size=24, title="order")  # doctest: +SKIP
    """
    wells = list_wells(size)
    if "well" not in table or "plate" not in table:
        raise InputError("plates: the table has no columns plate and well; make it with assign_wells")
    rows = _rows(table)
    unknown = {row.well for row in rows if row.well} - set(wells)
    if unknown:
        raise InputError(f"plates: a plate of {size} wells has no well {min(unknown)}; give the size of assign_wells")
    text = render_page(
        "plates.html.j2",
        styles=_STYLES,
        title=title,
        summary=list(summary),
        notes=list(notes),
        sheets=_sheets(rows, size),
        rows=rows,
        properties=[name for name in _PROPERTIES if name in table],
        labels={name: label(name) for name in _PROPERTIES},
    )
    write_page(path, text)


def _rows(table: pd.DataFrame) -> list[_Row]:
    properties = [name for name in _PROPERTIES if name in table]
    n_plates = int(table["plate"].max())
    return [
        _Row(
            plate=int(row["plate"]),
            well=row["well"],
            place=f"{row['plate']}: {row['well']}" if n_plates > 1 else str(row["well"]),
            drawing=Markup(draw_svg(row["smiles"], 160, 110)),
            candidate_id=row["candidate_id"],
            run=row.get("run"),
            score=None if row["score"] != row["score"] else float(row["score"]),
            scaffold=int(row["scaffold_number"]),
            values=[float(row[name]) for name in properties],
            smiles=row["smiles"],
            reason=row["pick_reason"],
        )
        for row in table.to_dict("records")
    ]


def _sheets(rows: Sequence[_Row], size: int) -> list[_Sheet]:
    """The sheets with at least one molecule."""
    n_rows, n_columns = PLATES[size]
    by_well = {(row.plate, row.well): row for row in rows if row.well}
    n_plates = max((row.plate for row in rows), default=0)
    sheets = []
    for plate in range(1, n_plates + 1):
        for top in range(0, n_rows, _SHEET_ROWS):
            for left in range(0, n_columns, _SHEET_COLUMNS):
                letters = [chr(ord("A") + row) for row in range(top, min(top + _SHEET_ROWS, n_rows))]
                columns = list(range(left + 1, min(left + _SHEET_COLUMNS, n_columns) + 1))
                content = [(one, [by_well.get((plate, f"{one}{column}")) for column in columns]) for one in letters]
                if any(row for _, wells in content for row in wells):
                    name = f"Plate {plate} of {n_plates}, {size} wells" if n_plates > 1 else f"Plate of {size} wells"
                    part = f": {letters[0]}{columns[0]} to {letters[-1]}{columns[-1]}" if size > 96 else ""
                    sheets.append(_Sheet(name + part, columns, content))
    return sheets
