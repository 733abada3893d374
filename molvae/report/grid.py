"""A table as one offline HTML file: sorted, filtered and exported in the browser, with structures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from molvae.candidates.columns import CANDIDATE_COLUMNS
from molvae.chem.drawing import draw_svg
from molvae.chem.molecules import parse
from molvae.report.labels import label, unit
from molvae.report.page import render_page, write_page

GRID_STYLES = ("page.css", "vendor/tabulator_simple.min.css", "grid.css")
GRID_SCRIPTS = ("vendor/tabulator.min.js", "structures.js", "grid.js")
"""Files of a page with a grid."""

_HIDDEN = (
    "failed_checks",
    "raw_smiles",
    "inchikey",
    "latent_row",
    "parent_smiles",
    "mate_id",
    "mate_smiles",
    "nearest_reference_smiles",
    "predicted_std",
    "unscored_reason",
)
"""Columns of molvae that are hidden at first; the reader shows them by the menu of the columns."""
_MAX_CHOICES, _MAX_PRINTED, _MAX_PRINTED_COLUMNS = 12, 40, 8


@dataclass(frozen=True)
class GridColumn:
    """A column of a grid.

    Parameters
    ----------
    name : str
        Name in the table and in exported files.
    title : str
        Its header.
    kind : {"text", "number", "integer", "flag"}
        Type of the values.
    visible : bool
        Whether it is shown at first.
    digits : int or None
        Decimals of a number; None: three significant digits.
    hint : str
        Description.
    unit : str
        Unit.
    choices : list of str or None
        Values to filter by, of a text with few.
    longest : int
        Length of its longest text.
    smiles : bool
        Whether it holds SMILES.
    """

    name: str
    title: str
    kind: str
    visible: bool
    digits: int | None
    hint: str
    unit: str
    choices: list[str] | None
    longest: int
    smiles: bool


def write_grid(path: Path, table: pd.DataFrame, *, title: str, notes: Sequence[str] = ()) -> None:
    """Write a table as one offline HTML page, with structures if it has a column of SMILES.

    The page sorts, filters by number, text, substructure and similarity, selects rows, and exports them as CSV and SDF.
    Structures are those of the column `smiles`, else of the first column of SMILES whose name contains `smiles` or
    `scaffold`. The same table gives the same bytes. Text from the table is escaped.

    Parameters
    ----------
    path : Path
        File to write.
    table : DataFrame
        Any table; its row labels are ignored.
    title : str
        Heading.
    notes : sequence of str, default=()
        Sentences above the table.

    Raises
    ------
    InputError
        The file cannot be written.

    Examples
    --------
    >>> table = pd.DataFrame({"smiles": ["CCO", "c1ccccc1"], "logp": [-0.0, 1.7]})
    >>> write_grid(Path("molecules.html"), table, title="two molecules")  # doctest: +SKIP
    """
    data = grid_data(table, name=path.stem)
    columns: list[GridColumn] = [GridColumn(**column) for column in data["columns"]]
    place = data["smiles"]
    printed = [number for number, column in enumerate(columns) if column.visible and number != place]
    printed = printed[: _MAX_PRINTED_COLUMNS - 1] + ([] if place is None else [place])
    rows = [
        _Printed(
            Markup("") if place is None else Markup(draw_svg(data["values"][place][row], 160, 110)),
            [_Cell(_text(data["values"][number][row], columns[number]), columns[number].smiles) for number in printed],
        )
        for row in range(min(len(table), _MAX_PRINTED))
    ]
    text = render_page(
        "grid.html.j2",
        styles=GRID_STYLES,
        scripts=GRID_SCRIPTS,
        data=data,
        has_structures=place is not None,
        title=title,
        notes=list(notes),
        n=len(table),
        printed=[columns[number] for number in printed],
        rows=rows,
    )
    write_page(path, text)


@dataclass(frozen=True)
class _Cell:
    """A cell of the printed table."""

    text: str
    is_smiles: bool


@dataclass(frozen=True)
class _Printed:
    """A row of the printed table."""

    drawing: Markup
    cells: list[_Cell]


def grid_data(table: pd.DataFrame, *, name: str, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """A table as the script of the grid reads it.

    Parameters
    ----------
    table : DataFrame
        Any table.
    name : str
        Name of exported files, without extension.
    hidden : sequence of str, default=()
        Further columns that are hidden at first.

    Returns
    -------
    dict
        `name`; `columns`, one dict per column, see `GridColumn`; `values`, one list per column; `smiles` and `id`, the
        positions of these columns, or None. Numbers have six significant digits, as in CSV; a missing value is None.
    """
    table = table.reset_index(drop=True)
    names = [str(one) for one in table]
    columns, values = [], []
    for number, one in enumerate(names):
        kind, cells = _cells(table.iloc[:, number])
        columns.append(_column(one, kind, cells, names, hidden))
        values.append(cells)
    texts = [column.kind == "text" for column in columns]
    return {
        "name": name,
        "columns": [asdict(column) for column in columns],
        "values": values,
        "smiles": _find(names, texts, ("smiles",), values),
        "id": _find(names, texts, ("candidate_id", "id", "name")),
    }


def _find(
    names: list[str], texts: list[bool], wanted: Sequence[str], values: list[list[Any]] | None = None
) -> int | None:
    """The position of the first text column with one of these names; with `values`, else of one that holds SMILES."""
    lower = [name.lower() if is_text else "" for name, is_text in zip(names, texts, strict=True)]
    for one in wanted:
        if one in lower:
            return lower.index(one)
    return next(
        (
            number
            for number, name in enumerate(lower)
            if values is not None and ("smiles" in name or "scaffold" in name) and _are_smiles(values[number])
        ),
        None,
    )


def _are_smiles(cells: list[Any]) -> bool:
    """Whether the first texts of a column are SMILES."""
    known = [cell for cell in cells if cell][:5]
    try:
        return bool([parse(cell) for cell in known])
    except ValueError:
        return False


def _cells(series: pd.Series) -> tuple[str, list[Any]]:
    """The kind of a column, and its values for JSON."""
    if pd.api.types.is_bool_dtype(series):
        return "flag", [None if pd.isna(value) else bool(value) for value in series]
    if pd.api.types.is_integer_dtype(series):
        return "integer", [None if pd.isna(value) else int(value) for value in series]
    if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_complex_dtype(series):
        numbers = series.to_numpy(float, na_value=np.nan)
        return "number", [float(f"{value:.6g}") if np.isfinite(value) else None for value in numbers]
    values = [None if _is_missing(value) else value for value in series]
    if any(value is not None for value in values) and all(isinstance(value, bool | None) for value in values):
        return "flag", values
    return "text", [None if value is None else str(value).encode("utf-8", "replace").decode() for value in values]


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, str) and not value)
        or (np.isscalar(value) and value != value)
        or value is pd.NA
    )


def _column(name: str, kind: str, cells: list[Any], names: list[str], hidden: Sequence[str]) -> GridColumn:
    is_hidden = (
        name in _HIDDEN
        or name in hidden
        or name.startswith(("score_", "check_"))
        or f"value_{name}" in names  # the same number as a term
    )
    is_smiles = kind == "text" and ("smiles" in name.lower() or name.lower() == "scaffold")
    measure = unit(name)
    title = label(name)
    title = title if title == "logP" else title[:1].upper() + title[1:]
    choices = None
    if kind == "text" and not is_smiles:
        parts = {part for cell in cells if cell for part in (cell.split(", ") if name == "failed_checks" else [cell])}
        if name == "failed_checks" or (len(parts) <= _MAX_CHOICES and len(parts) < len(cells) / 2):
            choices = sorted(part for part in parts if name == "failed_checks" or ", " not in part) or None
    return GridColumn(
        name,
        f"{title}, {measure}" if measure else title,
        kind,
        not is_hidden,
        _digits(cells) if kind == "number" else None,
        _MEANINGS.get(name, ""),
        measure,
        choices,
        max((len(cell) for cell in cells if cell), default=0) if kind == "text" else 0,
        is_smiles,
    )


def _digits(cells: list[Any]) -> int | None:
    """Decimals that suit the size of the numbers."""
    known = [abs(cell) for cell in cells if cell is not None]
    if not known:
        return None
    largest = max(known)
    if all(cell == int(cell) for cell in known):
        return 0
    if largest <= 1:
        return 3 if largest >= 0.01 else None
    return 1 if largest >= 100 else 2


def _text(value: Any, column: GridColumn) -> str:
    """A value as the printed table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if column.digits is None else f"{value:.{column.digits}f}"
    return str(value)


_MEANINGS = {column.name: column.meaning for column in CANDIDATE_COLUMNS}
