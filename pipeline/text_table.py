"""A table as text for a terminal: as wide as the terminal, with rounded numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 50

_GAP = 2
_MIN_SMILES, _MAX_TEXT = 44, 32
_FIRST = ("run", "candidate_id", "smiles", "score")
_NEXT = ("passed", "failed_checks", "value_*", "nearest_reference_similarity")
_LAST = ("mol_weight", "logp", "tpsa", "qed", "sa_score", "predicted_score", "scaffold")


class TextTable(NamedTuple):
    """A table as text.

    Parameters
    ----------
    lines : list of str
        Header and rows.
    left_out : list of str
        Columns for which there is no room.
    """

    lines: list[str]
    left_out: list[str]


class _Column(NamedTuple):
    name: str
    cells: list[str]
    is_number: bool
    width: int
    min_width: int


def format_table(table: "pd.DataFrame", width: int, wanted: Sequence[str] | None = None) -> TextTable:
    """The first rows of a table as text.

    Parameters
    ----------
    table : DataFrame
        The table.
    width : int
        Columns of the terminal.
    wanted : sequence of str, optional
        For a candidate table with more columns than a reader wants: columns to show in addition to the usual ones. By
        default, all columns are shown in their order.

    Returns
    -------
    TextTable
        At most MAX_ROWS rows. Long SMILES and texts are cut, and columns without room are left out.
    """
    names = [str(name) for name in table] if wanted is None else _choose(table, wanted)
    columns = [_column(table, name) for name in names]
    shown: list[_Column] = []
    for column in columns:
        room = width - sum(one.min_width + _GAP for one in shown)
        if column.min_width <= room or not shown:
            shown.append(column)
    spare = width - sum(one.min_width + _GAP for one in shown) + _GAP
    widths = []
    for column in shown:
        more = min(column.width - column.min_width, max(spare, 0))
        widths.append(column.min_width + more)
        spare -= more
    lines = [
        "".join(
            _fit(cell, size, column.is_number) + " " * _GAP
            for cell, size, column in zip(row, widths, shown, strict=True)
        )
        for row in zip(*([column.name, *column.cells] for column in shown), strict=True)
    ]
    kept = {column.name for column in shown}
    return TextTable([line.rstrip() for line in lines], [name for name in map(str, table) if name not in kept])


def _choose(table: "pd.DataFrame", wanted: Sequence[str]) -> list[str]:
    """The columns that a reader looks at first: ids and score, those of the query, then what is usual and not empty."""
    is_full = table.notna().any().to_numpy()
    given = [name for name, full in zip(map(str, table), is_full, strict=True) if full or name.lower() in wanted]
    chosen: dict[str, None] = {}
    for name in (*_FIRST, *(one for one in given if one.lower() in wanted), *_NEXT, *_LAST):
        if name.endswith("*"):
            chosen |= dict.fromkeys(one for one in given if one.startswith(name[:-1]))
        elif name in given:
            chosen[name] = None
    return list(chosen) or given


def _column(table: "pd.DataFrame", name: str) -> _Column:
    from pandas.api import types
    from rich.cells import cell_len

    values = table[name].iloc[:MAX_ROWS]
    is_number = types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
    cells = _numbers(list(values)) if is_number else [_text(value) for value in values]
    width = max(map(cell_len, [name, *cells]))
    smallest = _MIN_SMILES if "smiles" in name or "scaffold" in name else _MAX_TEXT
    return _Column(name, cells, is_number, width, width if is_number else min(width, max(smallest, cell_len(name))))


def _numbers(values: Sequence[object]) -> list[str]:
    """Numbers of a column with the same number of decimals."""
    numbers = [float(value) for value in values if _is_present(value)]  # type: ignore[arg-type]
    finite = [abs(number) for number in numbers if abs(number) != float("inf")]
    largest = max(finite, default=0.0)
    decimals = 3 if largest <= 1 else 2 if largest < 100 else 1
    if all(number == int(number) for number in finite):
        decimals = 0
    form = f",.{decimals}f" if largest == 0 or 1e-2 <= largest < 1e15 else ".3g"
    if decimals == 0:
        form = ".0f"
    return [format(float(value), form) if _is_present(value) else "" for value in values]  # type: ignore[arg-type]


def _text(value: object) -> str:
    if not _is_present(value):
        return ""
    if str(value) in ("True", "False"):
        return "yes" if str(value) == "True" else "no"
    return "".join(character if character.isprintable() else " " for character in str(value))


def _is_present(value: object) -> bool:
    import pandas as pd

    return not (value is None or value is pd.NA or value is pd.NaT or value != value)


def _fit(cell: str, width: int, is_number: bool) -> str:
    """The cell with this width; a longer one is cut and ends in an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(cell) > width:
        return set_cell_size(cell, width - 1) + "…"
    space = " " * (width - cell_len(cell))
    return space + cell if is_number else cell + space
