"""`molvae runs`: the runs of a folder, with the subcommands show, clean, pin and unpin."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..clock import parse_age, show_time
from ..run_dir import RUNS
from ..terminal import elapsed
from .declaration import Job, command

if TYPE_CHECKING:
    from ..run_states import RunState

group = typer.Typer(name="runs", rich_markup_mode=None)

Folder = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help=f"The folder of the runs. Default: {RUNS}.", show_default=False)
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of a run in the folder, latest, or a run folder.")
]
CampaignName = Annotated[
    str | None, typer.Option("--campaign", metavar="NAME", help="Only runs of this campaign. Default: of all.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: times in UTC, durations in seconds.")]


@group.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    *,
    folder: Folder = Path(RUNS),
    campaign: CampaignName = None,
    as_json: AsJson = False,
) -> "Job | None":
    """List runs, show one, or remove old ones.

    Without a subcommand: all runs of a folder, the newest first. The list is read from the run folders each time; a
    folder that cannot be read is a row with the reason.

    \b
    Examples:
      molvae runs
      molvae runs --campaign lead --json
      molvae runs show latest
      molvae runs clean --keep 30d --keep-best 5
    """
    if context.invoked_subcommand is not None:
        return None
    return command(_list)(folder=folder, campaign=campaign, as_json=as_json)


@group.command()
@command
def show(*, run: RunArgument, folder: Folder = Path(RUNS), as_json: AsJson = False) -> None:
    """Show one run: its stages with times and counts, why the search stopped, notes, files, and how to resume.

    Every file of a complete stage is compared with its sha256.

    \b
    Examples:
      molvae runs show latest
      molvae runs show lead-20261130-020000 --json
    """
    from ..run_description import describe_run, describe_run_text
    from ..run_states import find_any_run

    found = find_any_run(run, folder)
    if as_json:
        print(json.dumps(describe_run(found), indent=1, ensure_ascii=False))
    else:
        print(describe_run_text(found))


@group.command()
@command
def clean(
    *,
    keep: Annotated[
        str, typer.Option("--keep", metavar="AGE", help="Remove runs that are older, such as 30d, 12h or 8w.")
    ],
    keep_best: Annotated[
        int, typer.Option("--keep-best", min=0, metavar="N", help="Keep the N best runs of each campaign.")
    ] = 5,
    campaign: CampaignName = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove them, instead of a list of what would be removed.")
    ] = False,
    folder: Folder = Path(RUNS),
) -> None:
    """Remove old runs. Without --yes, print what would be removed, and how many bytes that frees.

    Never removed: a run that a process writes to, a pinned run, the one that `latest` links to, the last completed run
    of each campaign, and damaged runs.

    \b
    Examples:
      molvae runs clean --keep 30d --keep-best 5
      molvae runs clean --keep 8w --campaign lead --yes
    """
    from ..cleaning import clean as remove
    from ..cleaning import plan_cleaning

    cleaning = plan_cleaning(folder, max_age=parse_age(keep, "--keep"), n_best=keep_best, campaign=campaign)
    for line in _table(cleaning.removed):
        print(line)
    for one, reason in cleaning.kept:
        print(f"kept: {one.run} ({reason})")
    for path in cleaning.leftovers:
        print(f"left by an interrupted removal: {path.name}")
    n = len(cleaning.removed)
    if not n and not cleaning.leftovers:
        print(f"No run in {folder} has to be removed.")
    elif not yes:
        print(f"Would remove {_count(n)}: {_size(cleaning.n_bytes)}. Remove with --yes.")
    else:
        failed = remove(cleaning)
        for one, reason in failed:
            print(f"not removed: {one.run} ({reason})")
        print(f"Removed {_count(n - len(failed))}" + ("." if failed else f": {_size(cleaning.n_bytes)}."))


@group.command()
@command
def pin(*, run: RunArgument, folder: Folder = Path(RUNS)) -> None:
    """Let `molvae runs clean` keep a run.

    \b
    Examples:
      molvae runs pin latest
    """
    from ..run_states import find_any_run

    found = find_any_run(run, folder)
    found.pin()
    print(f"{found.path.name} is pinned.")


@group.command()
@command
def unpin(*, run: RunArgument, folder: Folder = Path(RUNS)) -> None:
    """Undo `molvae runs pin`.

    \b
    Examples:
      molvae runs unpin lead-20261130-020000
    """
    from ..run_states import find_any_run

    found = find_any_run(run, folder)
    found.unpin()
    print(f"{found.path.name} is not pinned.")


def _list(*, folder: Path, campaign: str | None, as_json: bool) -> None:
    from ..run_states import list_runs

    found = list_runs(folder, campaign)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
        return
    if not found:
        print(f"No runs{f' of the campaign {campaign}' if campaign else ''} in {folder}.")
        return
    for line in _table(found):
        print(line)
    marks = [text for text, is_used in _marks(found) if is_used]
    if marks:
        print(f"\n{', '.join(marks)}")


def _marks(found: "Sequence[RunState]") -> list[tuple[str, bool]]:
    return [("*: latest", any(one.is_latest for one in found)), ("!: pinned", any(one.is_pinned for one in found))]


def _table(found: "Sequence[RunState]") -> list[str]:
    """One line per run, and one with the reason below those that are not completed."""
    if not found:
        return []
    zone = datetime.now().astimezone().strftime("%Z")
    head = ["run", "state", "campaign", f"started ({zone})", "took", "scored", "passed", "best"]
    rows = []
    for one in found:
        rows.append(
            [
                f"{one.run}{'*' if one.is_latest else ''}{'!' if one.is_pinned else ''}",
                one.state,
                one.campaign,
                show_time(one.started),
                "" if one.seconds is None else elapsed(one.seconds),
                "" if one.n_scored is None else f"{one.n_scored:,}",
                "" if one.n_passed is None else f"{one.n_passed:,}",
                "" if one.best_score is None else f"{one.best_score:.3f}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(head, widths)]
    for one, row in zip(found, rows, strict=True):
        lines.append(_line(row, widths))
        if one.reason:
            lines.append(f"  {one.reason}")
    return lines


_N_TEXT = 4  # columns of text; the others are numbers


def _line(cells: list[str], widths: list[int]) -> str:
    texts = [
        cell.ljust(width) if number < _N_TEXT else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(texts).rstrip()


def _count(n: int) -> str:
    return "1 run" if n == 1 else f"{n:,} runs"


def _size(n_bytes: int) -> str:
    """Bytes, with the largest unit.

    Examples
    --------
    >>> _size(512), _size(2_500_000)
    ('512 bytes', '2.5 MB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} bytes"
