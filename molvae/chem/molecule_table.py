"""Tables of molecules: pandas tables that notebooks show with structures."""

from collections.abc import Callable, Hashable
from html import escape
from typing import Any

import pandas as pd

from molvae.inputs import SMILES_NAMES, plain_name

N_DRAWN = 20
"""Largest number of rows that are drawn."""
_N_COLUMNS = 12
_N_DRAWN_COLUMNS = 3
_CELL = 'style="text-align:left;vertical-align:middle;white-space:normal;max-width:24em"'
_WIDTH = 210  # of a drawing, in pixels
_SMILES = (
    f'<div style="width:{_WIDTH}px;white-space:normal;overflow-wrap:anywhere;font:11px/1.3 monospace;opacity:.75;'
    'text-align:left">'
)


class MoleculeTable(pd.DataFrame):
    """A pandas table that a notebook shows with structures.

    It is a `pandas.DataFrame` in all other respects, and tables derived from it, such as `table.head(5)` or
    `table[table["qed"] > 0.7]`, also show structures. Columns with SMILES are found by their names. At most 20 rows and
    12 columns are shown, and the others are counted; `pandas.DataFrame(table)` shows the plain table.

    Parameters
    ----------
    data : DataFrame or mapping
        The table, or its columns; like the other parameters, as for `pandas.DataFrame`.
    index, columns : Index or sequence, optional
        Row labels and column names.
    dtype : dtype, optional
        Type of all columns.
    copy : bool, optional
        Whether the data are copied.

    Examples
    --------
    >>> table = MoleculeTable({"smiles": ["CCO", "CCN"], "pki": [5.1, 6.2]})
    >>> table.head(1)._repr_html_().count("<svg")
    1
    """

    @property
    def _constructor(self) -> Callable[..., "MoleculeTable"]:
        return MoleculeTable

    def _repr_html_(self) -> str | None:
        """The table as HTML; the plain one of pandas without a column of SMILES."""
        drawn = drawn_columns(self)
        if not drawn or not len(self) or not pd.get_option("display.notebook_repr_html"):
            return super()._repr_html_()  # type: ignore[misc]
        return table_html(self, drawn)


def with_structures(table: pd.DataFrame) -> MoleculeTable:
    """A table as a `MoleculeTable`, with its `attrs`.

    Parameters
    ----------
    table : DataFrame
        Any table.

    Returns
    -------
    MoleculeTable
        The same rows, columns and row labels.
    """
    drawn = MoleculeTable(table)
    drawn.attrs = table.attrs
    return drawn


def drawn_columns(table: pd.DataFrame) -> list[int]:
    """Positions of the columns of a table that are drawn as structures, at most three.

    Parameters
    ----------
    table : DataFrame
        Any table.

    Returns
    -------
    list of int
        Columns with the names of SMILES columns, and `query_smiles`; without any, those that end with `_smiles`.
    """
    names = [str(name).lower() for name in table.columns]
    drawn = [i for i, name in enumerate(names) if plain_name(name) in SMILES_NAMES or name == "query_smiles"]
    return (drawn or [i for i, name in enumerate(names) if name.endswith("_smiles")])[:_N_DRAWN_COLUMNS]


def table_html(table: pd.DataFrame, drawn: list[int], n_rows: int = N_DRAWN, n_columns: int = _N_COLUMNS) -> str:
    """HTML of a table with structures, without scripts, style sheets or links.

    A structure that is equal to the one above it is not repeated, and columns without any value are not shown.

    Parameters
    ----------
    table : DataFrame
        Any table.
    drawn : list of int
        Positions of the columns with SMILES.
    n_rows : int, default=20
        Largest number of rows that are shown.
    n_columns : int, default=12
        Largest number of columns that are shown.

    Returns
    -------
    str
        HTML.
    """
    empty = [i for i in range(table.shape[1]) if table.iloc[:, i].isna().all()]
    filled = [i for i in range(table.shape[1]) if i not in empty]
    shown = sorted([*drawn, *(i for i in filled if i not in drawn)][:n_columns])
    head = "".join(f"<th {_CELL}>{escape(str(table.columns[i]))}</th>" for i in shown)
    columns = [table.iloc[:n_rows, i].tolist() for i in shown]
    lines = []
    for row, label in enumerate(table.index[:n_rows]):
        cells = [
            _structure(values[row], values[row - 1] if row else None) if i in drawn else format_cell(values[row])
            for i, values in zip(shown, columns, strict=True)
        ]
        lines.append(
            f"<tr><th>{escape(_label(label))}</th>" + "".join(f"<td {_CELL}>{cell}</td>" for cell in cells) + "</tr>"
        )
    notes = []
    if len(table) > n_rows:
        notes.append(f"The first {n_rows} of {len(table):,} rows are shown.")
    notes += [
        f"{what}: {escape(_list_names([str(table.columns[i]) for i in others if i not in shown]))}."
        for what, others in (("More columns", filled), ("Columns without values", empty))
        if set(others) - set(shown)
    ]
    note = f"<p>{' '.join(notes)}</p>" if notes else ""
    return (
        f'<div style="overflow-x:auto"><table class="dataframe"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>{note}</div>"
    )


def structure_html(smiles: object) -> str:
    """A structure with its SMILES below it, as HTML.

    Parameters
    ----------
    smiles : object
        SMILES; a value that is not a SMILES is shown as text.

    Returns
    -------
    str
        HTML; "" for a missing value.
    """
    from molvae.chem.drawing import draw_colored_svg  # imports RDKit

    text = format_cell(smiles)
    svg = draw_colored_svg(smiles, _WIDTH, 130) if isinstance(smiles, str) else ""
    return f"{svg}{_SMILES}{text}</div>" if text else ""


def format_cell(value: Any) -> str:
    """A value of a table as HTML: numbers with four significant digits, "" for a missing value.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        Escaped text.
    """
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _structure(smiles: object, above: object) -> str:
    return '<div style="text-align:center">&#8243;</div>' if smiles == above and smiles else structure_html(smiles)


def _list_names(names: list[str], n: int = 8) -> str:
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")


def _label(label: Hashable) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
