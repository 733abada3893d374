"""A table as text for a terminal: as wide as the terminal, with rounded numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 50

_GAP = 2
_MIN_SMILES, _WIDE_SMILES, _MAX_TEXT = 24, 64, 24
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
    is_structure: bool
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
    needed, others = ([str(name) for name in table], []) if wanted is None else _choose(table, wanted)
    shown, room = _add([_column(table, name) for name in needed], [], width)
    widths = {column.name: column.min_width for column in shown}
    for column in shown:  # a whole structure says more than another column
        if column.is_structure:
            more = min(max(min(column.width, _WIDE_SMILES) - widths[column.name], 0), max(room, 0))
            widths[column.name] += more
            room -= more
    more_shown, room = _add([_column(table, name) for name in others], shown, room)
    for column in more_shown:
        more = min(column.width - widths.setdefault(column.name, column.min_width), max(room, 0))
        widths[column.name] += more
        room -= more
    lines = [
        "".join(
            _fit(cell, widths[column.name], column.is_number) + " " * _GAP
            for cell, column in zip(row, more_shown, strict=True)
        )
        for row in zip(*([column.name, *column.cells] for column in more_shown), strict=True)
    ]
    return TextTable([line.rstrip() for line in lines], [name for name in map(str, table) if name not in widths])


def _add(columns: Sequence[_Column], shown: Sequence[_Column], room: int) -> tuple[list[_Column], int]:
    """The columns that are shown, with those that fit, and the room that is left."""
    result = list(shown)
    for column in columns:
        needed = column.min_width + (_GAP if result else 0)
        if needed <= room or not result:
            result.append(column)
            room -= needed
    return result, room


def _choose(table: "pd.DataFrame", wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that a reader looks at first, ids, score and those of the query, and what is usual and not empty."""
    is_full = table.notna().any().to_numpy()
    given = [name for name, full in zip(map(str, table), is_full, strict=True) if full or name.lower() in wanted]
    first = [*(name for name in _FIRST if name in given), *(name for name in given if name.lower() in wanted)]
    if not first:
        return given, []
    others = []
    for name in (*_NEXT, *_LAST):
        others += [one for one in given if one == name or (name.endswith("*") and one.startswith(name[:-1]))]
    return list(dict.fromkeys(first)), [name for name in dict.fromkeys(others) if name not in first]


def _column(table: "pd.DataFrame", name: str) -> _Column:
    from pandas.api import types
    from rich.cells import cell_len

    values = table[name].iloc[:MAX_ROWS]
    is_number = types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
    cells = _numbers(list(values)) if is_number else [_text(value) for value in values]
    width = max(map(cell_len, [name, *cells]))
    is_structure = not is_number and ("smiles" in name or "scaffold" in name)
    smallest = max(_MIN_SMILES if is_structure else _MAX_TEXT, cell_len(name))
    return _Column(name, cells, is_number, is_structure, width, width if is_number else min(width, smallest))


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
