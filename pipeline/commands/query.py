"""`molvae query`: SQL queries of the candidate tables of one or many runs."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molvae.errors import InputError

from .. import terminal
from .declaration import command

if TYPE_CHECKING:
    import pandas as pd

    from molvae.query.request import Answer

_EXAMPLE = 'molvae query latest "passed order by score desc limit 10"'


@command
def query(
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN... SQL",
            help="One or more runs, then the query. A run is latest, a run folder, its name in runs/, a folder of "
            "runs, a pattern, or a candidates.csv or .parquet. The query is a condition, or a select; @FILE reads it "
            "from a file.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Output: .csv, .xlsx, .parquet, .smi, .sdf, .html."),
    ] = None,
    excel: Annotated[bool, typer.Option("--excel", help="Write a .csv that Excel reads as UTF-8.")] = False,
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec", metavar="CODEC", help="Codec for latent_distance and domain. Default: the codec of the runs."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Time limit; reading the tables does not count.")] = 60.0,
    memory: Annotated[
        float, typer.Option("--memory", metavar="GB", help="Memory limit; the memory of the tables does not count.")
    ] = 2.0,
    functions: Annotated[bool, typer.Option("--functions", help="List the functions of molecules, and exit.")] = False,
) -> None:
    """Query the candidates of one or many runs with SQL.

    The table is named candidates. `molvae columns` lists its columns; a query also has run, campaign and date.
    Functions such as similar_to('SMILES'), has('SMARTS') and scaffold() use the column smiles, or another column given
    first. Prints a table on a terminal and CSV in a pipe.

    \b
    Examples:
      molvae query latest "passed and value_logp < 2 limit 10"
      molvae query latest "has('c1ccncc1') order by score desc"
      molvae query runs/lead-* "passed and score > 0.8" -o best.xlsx
      molvae query latest "select scaffold(), max(score) from candidates
        group by all order by 2 desc"
      molvae query --functions
    """
    if functions:
        _print_functions()
        return
    from molvae.query.process import ask

    from ..catalogue import find_tables
    from ..query_sources import query_sources
    from ..result_files import RESULT_ENDINGS, to_plain, write_result
    from ..tables import check_ending

    runs, sql = _split(words or [])
    if out is not None:
        check_ending(out, RESULT_ENDINGS)
    if excel and (out is None or out.suffix.lower() != ".csv"):
        raise InputError("--excel: expected an output file that ends in .csv, such as -o result.csv")
    answer = ask(query_sources(find_tables(runs)), sql, seconds, gigabytes=memory, codec=codec)
    assert answer.table is not None  # ask() raises an error instead
    table = to_plain(answer.table)
    for note in answer.notes:
        terminal.report(f"note: {note}")
    if out is not None:
        write_result(table, out, title=f"molvae query: {sql}", excel=excel)
        terminal.report(f"{len(table):,} rows: {out}")
    elif sys.stdout.isatty():
        _print(table, answer)
    else:
        _print_csv(table)


def _split(words: Sequence[str]) -> tuple[list[str], str]:
    """The runs and the query, which comes last."""
    if len(words) < 2:
        given = f", got only {words[0]}" if words else ""
        raise InputError(f"Missing argument: expected RUN... SQL{given}; e.g. {_EXAMPLE}")
    *runs, sql = words
    if sql.startswith("@"):
        return runs, _read(Path(sql[1:]))
    if " " not in sql.strip() and (Path(sql).exists() or (Path("runs") / sql).exists()):
        raise InputError(f"expected the query as the last argument, got the path {sql}; e.g. {_EXAMPLE}")
    return runs, sql


def _read(path: Path) -> str:
    """The query in a file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"@{path}: expected a query as UTF-8 text") from None
    except OSError as error:
        raise InputError(f"@{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None


def _print(table: "pd.DataFrame", answer: "Answer") -> None:
    """Print the first rows as a table as wide as the terminal."""
    import shutil

    from ..text_table import MAX_ROWS, format_table

    if not len(table):
        print("no rows")
        return
    wanted = answer.used if answer.is_condition else None
    text = format_table(table, shutil.get_terminal_size().columns, wanted)
    print("\n".join(text.lines))
    notes = [f"{len(table):,} rows, the first {MAX_ROWS} are shown"] if len(table) > MAX_ROWS else []
    if text.left_out:
        n = len(text.left_out)
        named = [name for name in text.left_out if not answer.is_condition or name.lower() in answer.used]
        notes.append(f"{n} more column{'s' if n > 1 else ''}{' (' + ', '.join(named) + ')' if named else ''}")
    if notes:
        terminal.report("; ".join([*notes, "-o FILE writes all"]))


def _print_csv(table: "pd.DataFrame") -> None:
    """Print a table as CSV, for another program: text as it is, numbers with as many digits as they need."""
    from molvae.tables import cell_text, csv_line

    from ..result_files import kinds_of

    output = terminal.plain(sys.stdout)
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(encoding="utf-8")  # in every language, as in a file
    kinds = kinds_of(table)
    columns = [[cell_text(value, kinds[str(name)]) for value in table[name]] for name in table]
    output.write(csv_line(kinds))
    output.writelines(map(csv_line, zip(*columns, strict=True)))
    output.flush()


def _print_functions() -> None:
    import shutil
    import textwrap

    from molvae.query.functions import list_functions

    functions = list_functions().values()
    width = max(len(one.call) for one in functions)
    room = max(shutil.get_terminal_size().columns - width - 10, 30)
    for one in functions:
        first, *rest = textwrap.wrap(one.meaning, room)
        print(f"{one.call:<{width}} {one.kind:<8} {first}")
        for line in rest:
            print(f"{'':<{width}} {'':<8} {line}")
