"""What a person sees on the terminal while a job runs: one moving bar on a terminal, one line a step everywhere."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_live: "Progress | None" = None
_is_on = False


@contextlib.contextmanager
def showing() -> Iterator[None]:
    """Inside the block steps and bars are shown on stderr; outside of any such block they are silent."""
    global _live, _is_on
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    _is_on = True
    if not console.is_terminal:
        try:
            yield
        finally:
            _is_on = False
        return
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as _live:
        try:
            yield
        finally:
            _live, _is_on = None, False


def say(line: str) -> None:
    """Show one line, above the bar where there is one."""
    if _live is not None:
        _live.console.print(line, markup=False)
    elif _is_on:
        print(line, file=sys.stderr, flush=True)


def report(line: str) -> None:
    """Print one line on stderr: a result or a note of a command that has finished.

    Parameters
    ----------
    line : str
        The line.
    """
    print(line, file=sys.stderr)


class Bar:
    """A bar that moves; without a terminal it does nothing."""

    def __init__(self, live: "Progress | None", task: "TaskID | None") -> None:
        self._live, self._task, self._done = live, task, 0

    def advance(self, n: int) -> None:
        """Move by n units."""
        self._done += n
        if self._live is not None and self._task is not None:
            self._live.advance(self._task, n)

    def expect(self, fraction_done: float) -> None:
        """Tell how much of the whole is done by now, where the total is not known beforehand."""
        if self._live is not None and self._task is not None and fraction_done > 0:
            self._live.update(self._task, total=round(self._done / min(fraction_done, 1.0)))


@contextlib.contextmanager
def bar(label: str, total: int | None, unit: str) -> Iterator[Bar]:
    """A bar for the block.

    total: None while nobody knows how much there is.
    """
    if _live is None:
        yield Bar(None, None)
        return
    live, task = _live, _live.add_task(label, total=total, unit=unit)
    try:
        yield Bar(live, task)
    finally:
        live.remove_task(task)


def elapsed(seconds: float) -> str:
    """A duration as people write it.

    Example:
        >>> elapsed(3.21), elapsed(83), elapsed(7260)
        ('3.2 s', '1 min 23 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
