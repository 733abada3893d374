"""`molvae diff`: what a run found that an earlier one did not."""

from pathlib import Path
from typing import Annotated

import typer

from molvae.errors import InputError

from .. import terminal
from .declaration import command

_ENDINGS = (".html", ".csv", ".xlsx", ".parquet")


@command
def diff(
    *,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EARLIER] LATER",
            help="One or two runs: latest, a folder, a name or a file. One run: compared with the run before it.",
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Page with structures (.html) or table of molecules (.csv, .xlsx, .parquet).",
        ),
    ] = None,
) -> None:
    """Compare two runs: new, lost and better molecules and scaffolds.

    One run is compared with the last complete run of the same campaign before it; without a run, it is latest.
    Scores under different objectives are not comparable; the settings that differ are listed.

    \b
    Examples:
      molvae diff
      molvae diff runs/monday runs/tuesday
      molvae diff latest -o diff.html -o diff.csv
    """
    from molvae.candidates.comparison import compare_candidates

    from ..catalogue import find_previous, find_table
    from ..run_dir import LATEST
    from ..tables import check_ending

    words = runs or [LATEST]
    if len(words) > 2:
        raise InputError(f"expected one or two runs, got {len(words)}")
    files = out or []
    for path in files:
        check_ending(path, _ENDINGS)
    later = find_table(words[-1])
    earlier = find_table(words[0]) if len(words) == 2 else find_previous(later)
    if earlier.path.resolve() == later.path.resolve():
        raise InputError(f"{words[0]} and {words[-1]} are the same run; give two runs, the earlier one first")
    comparison = compare_candidates(earlier.path, later.path)
    print(comparison if not files else "\n".join(comparison.answer))
    for path in files:
        if path.suffix.lower() == ".html":
            from molvae.report.pages import write_comparison  # imports jinja2

            write_comparison(path, comparison)
            terminal.report(f"{comparison.earlier} and {comparison.later}: {path}")
        else:
            from ..result_files import write_result

            write_result(comparison.molecules, path, title="")
            terminal.report(f"{len(comparison.molecules):,} molecules: {path}")
