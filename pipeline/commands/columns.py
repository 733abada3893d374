"""`molvae columns`: the columns of the candidate table, and their meaning."""

from typing import Annotated

import typer

from .declaration import command


@command
def columns(
    *,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run, such as latest, or a candidate file. Default: all columns."),
    ] = None,
) -> None:
    """Print the columns of the candidate table, and their meaning.

    With RUN, prints only the columns of its table, with the names of its terms and checks.

    \b
    Examples:
      molvae columns
      molvae columns latest
    """
    import shutil
    import textwrap

    from molvae.candidates.columns import CANDIDATE_COLUMNS, Column, describe_column

    described: list[tuple[str, Column | None]] = [(column.name, column) for column in CANDIDATE_COLUMNS]
    if run is not None:
        from molvae.candidates.files import column_names

        from ..catalogue import find_tables

        names = list(dict.fromkeys(name for table in find_tables([run]) for name in column_names(table.path)))
        described = [(name, describe_column(name)) for name in names]
    width = max(len(name) for name, _ in described)
    room = max(shutil.get_terminal_size().columns - width - 10, 30)
    for name, column in described:
        kind, meaning = (column.kind, column.meaning.replace("`", "")) if column else ("", "a column of your own")
        first, *rest = textwrap.wrap(meaning, room)
        print(f"{name:<{width}} {kind:<8} {first}")
        for line in rest:
            print(f"{'':<{width}} {'':<8} {line}")
