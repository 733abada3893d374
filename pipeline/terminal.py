"""Progress of a running job on stderr: a bar on a terminal, and one line per step everywhere; safe output."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from molvae.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Watcher = Callable[[str, int, int | None, str], None]
"""Called with the label of a bar, the units done, their total (None while it is unknown) and the text after them."""

_live: "Progress | None" = None
_is_on = False
_watch: Watcher | None = None


class _PrintableStream(io.TextIOWrapper):
    """Standard output or error; what a file or a user named cannot send commands to the terminal."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",  # a terminal that is not UTF-8 shows an escape for other characters
            newline="\n",
            line_buffering=stream.line_buffering or stream.isatty(),
            write_through=stream.write_through,
        )
        self.below = stream
        """The stream without this protection, for progress bars and for tables as data."""

    def write(self, text: str, /) -> int:
        super().write(printable(text))
        return len(text)

    def close(self) -> None:
        """Flush, but leave the stream below open: it belongs to others."""
        if not self.closed:
            self.flush()


def protect_output() -> None:
    """Let everything that this process prints be free of control characters.

    Standard output and error are replaced; `plain` gives the original ones.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _PrintableStream):
            stream.flush()
            setattr(sys, name, _PrintableStream(stream))


def plain(stream: TextIO) -> TextIO:
    """The stream without the protection of `protect_output`.

    Parameters
    ----------
    stream : TextIO
        Standard output or error.

    Returns
    -------
    TextIO
        The original stream; what was printed before is flushed.
    """
    stream.flush()
    return stream.below if isinstance(stream, _PrintableStream) else stream


@contextlib.contextmanager
def showing() -> Iterator[None]:
    """Show lines and bars on stderr inside the block; outside it, `show` and `bar` print nothing.

    Yields
    ------
    None
        While they are shown.
    """
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
    console = Console(file=plain(sys.stderr), highlight=False, soft_wrap=True)
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


@contextlib.contextmanager
def watching(watch: Watcher) -> Iterator[None]:
    """Call a function whenever a bar advances inside the block, also without a terminal.

    Parameters
    ----------
    watch : callable
        See `Watcher`; must return at once.

    Yields
    ------
    None
        While it is called.
    """
    global _watch
    before, _watch = _watch, watch
    try:
        yield
    finally:
        _watch = before


def show(line: str) -> None:
    """Show one line, above the bar if there is one.

    Parameters
    ----------
    line : str
        The line.
    """
    if _live is not None:
        _live.console.print(printable(line), markup=False)
    elif _is_on:
        print(line, file=sys.stderr, flush=True)


def report(line: str) -> None:
    """Print one line on stderr, also outside of `showing`: a result or a note of a finished command.

    Parameters
    ----------
    line : str
        The line.
    """
    print(line, file=sys.stderr)


def report_notes(read: Iterable[str], written: Iterable[str], out: Path) -> None:
    """Print the notes on the file that was read and on the one that was written.

    Parameters
    ----------
    read : iterable of str
        Notes on the input.
    written : iterable of str
        Notes on the output.
    out : Path
        The output file.
    """
    for note in read:
        report(f"note: {note}")
    for note in written:
        report(f"note: {out}: {note}")


class Bar:
    """A progress bar; without a terminal it is not shown.

    Parameters
    ----------
    label : str
        Text in front of the bar.
    total : int or None
        Number of units; None while it is unknown.
    unit : str
        Name of the unit.
    live : Progress or None, default=None
        The display; None without a terminal.
    task : TaskID or None, default=None
        The bar in the display.
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str,
        live: "Progress | None" = None,
        task: "TaskID | None" = None,
    ) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._live, self._task, self._done = live, task, 0

    def advance(self, n: int) -> None:
        """Advance the bar.

        Parameters
        ----------
        n : int
            Number of units.
        """
        self._done += n
        if self._live is not None and self._task is not None:
            self._live.advance(self._task, n)
        if _watch is not None:
            _watch(self._label, self._done, self._total, self._unit)

    def describe(self, unit: str) -> None:
        """Replace the text after the counts.

        Parameters
        ----------
        unit : str
            Name of the unit, and what else is known.
        """
        self._unit = unit
        if self._live is not None and self._task is not None:
            self._live.update(self._task, unit=unit)

    def expect(self, fraction_done: float) -> None:
        """Estimate the total where it is not known in advance.

        Parameters
        ----------
        fraction_done : float
            Share of the work that is done, in [0, 1].
        """
        if fraction_done <= 0:
            return
        self._total = round(self._done / min(fraction_done, 1.0))
        if self._live is not None and self._task is not None:
            self._live.update(self._task, total=self._total)


@contextlib.contextmanager
def bar(label: str, total: int | None, unit: str) -> Iterator[Bar]:
    """Show a bar while the block runs.

    Parameters
    ----------
    label : str
        Text in front of the bar.
    total : int or None
        Number of units; None while it is unknown.
    unit : str
        Name of the unit, in the plural.

    Yields
    ------
    Bar
        The bar.
    """
    if _live is None:
        yield Bar(label, total, unit)
        return
    live, task = _live, _live.add_task(label, total=total, unit=unit)
    try:
        yield Bar(label, total, unit, live, task)
    finally:
        live.remove_task(task)


def elapsed(seconds: float) -> str:
    """Format a duration.

    Parameters
    ----------
    seconds : float
        The duration.

    Returns
    -------
    str
        The duration in its two largest units.

    Examples
    --------
    >>> elapsed(3.21), elapsed(59.97), elapsed(83), elapsed(7260)
    ('3.2 s', '1 min 0 s', '1 min 23 s', '2 h 1 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
