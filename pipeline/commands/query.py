"""`molvae query`: SQL queries of a candidate table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molvae.errors import InputError

from .. import terminal
from .declaration import command

if TYPE_CHECKING:
    import pandas as pd

    from molvae.tables import Kinds

_PRINTED_ROWS = 50


@command
def query(
    *,
    candidates: Annotated[
        Path, typer.Argument(metavar="CANDIDATES", help="candidates.csv, candidates.parquet or a run folder.")
    ],
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="A where clause (order by and limit may follow), or a select.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Output file: .csv, .smi or .parquet.")
    ] = None,
) -> None:
    """Query a candidate table with SQL.

    The functions similar_to('SMILES') and has('SMARTS') can be used in the query. Prints a table on a terminal and CSV
    in a pipe.

    \b
    Examples:
      molvae query runs/latest "passed and value_logp < 2 limit 10"
      molvae query runs/latest "has('c1ccncc1') order by score desc"
      molvae query runs/latest "select round, max(score) from candidates
        group by round"
    """
    from molvae.query import query as run_query

    from ..tables import MOLECULE_ENDINGS, check_ending

    if out is not None:
        check_ending(out, MOLECULE_ENDINGS)
    table = run_query(candidates, sql)
    if out is not None:
        _write(table, out)
        terminal.report(f"{len(table):,} rows: {out}")
    elif sys.stdout.isatty():
        _print(table)
    else:
        _print_csv(table)


def _print(table: "pd.DataFrame") -> None:
    """Print the first rows as a table as wide as the terminal."""
    import shutil

    import pandas as pd

    with pd.option_context("display.width", shutil.get_terminal_size().columns, "display.max_colwidth", 48):
        print(table.head(_PRINTED_ROWS).to_string(index=False, na_rep="") if len(table) else "no rows")
    if len(table) > _PRINTED_ROWS:
        terminal.report(f"{len(table):,} rows, the first {_PRINTED_ROWS} are shown; -o FILE writes all")


def _print_csv(table: "pd.DataFrame") -> None:
    """Print a table as CSV, for another program: text as it is, numbers with as many digits as they need."""
    from molvae.tables import cell_text, csv_line

    kinds = _kinds(table)
    columns = [[cell_text(value, kinds[str(name)]) for value in table[name]] for name in table]
    sys.stdout.write(csv_line(kinds))
    sys.stdout.writelines(map(csv_line, zip(*columns, strict=True)))


def _write(table: "pd.DataFrame", out: Path) -> None:
    """Write a table; a .smi file holds the SMILES and the ids."""
    from molvae.datasets.columns import find_id_column
    from molvae.tables import cell_text, writing

    if out.suffix.lower() == ".smi":
        if "smiles" not in table:
            raise InputError(f"-o {out}: .smi needs a column smiles; got {', '.join(map(str, table))}")
        names = [str(name) for name in table]
        found = find_id_column(names)
        if found is None:
            terminal.report(f"note: {out}: no column is named like an id (such as candidate_id): SMILES only")
        else:
            terminal.report(f"note: {out}: ids from column {names[found]}")
            table = table.assign(id=table.iloc[:, found].map(lambda value: cell_text(value, str) or None))
    with writing(out, _kinds(table)) as writer:
        writer.write(table)
    for note in writer.notes:
        terminal.report(f"note: {out}: {note}")


def _kinds(table: "pd.DataFrame") -> "Kinds":
    """The kinds of the columns, by their dtypes."""
    import numpy as np
    from pandas.api import types

    kinds: Kinds = {}
    for name in table:
        column = table[name]
        is_flag, is_whole = types.is_bool_dtype(column), types.is_integer_dtype(column)
        is_number = types.is_numeric_dtype(column)
        kinds[str(name)] = bool if is_flag else int if is_whole else np.float64 if is_number else str
    return kinds
