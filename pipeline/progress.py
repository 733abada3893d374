"""The progress of a library call as a bar on the terminal."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from molvae.training.progress import Progress, Report

from . import terminal


@contextmanager
def bars() -> Iterator[Report]:
    """Show each step of a job as a bar.

    Yields
    ------
    callable
        Call it with the progress of the job.
    """
    with ExitStack() as stack:
        step, done, is_estimated = "", 0, False
        bar = terminal.Bar("", None, "")

        def report(progress: Progress) -> None:
            nonlocal step, done, is_estimated, bar
            if progress.step != step:
                stack.close()
                step, done, is_estimated = progress.step, 0, progress.total is None
                bar = stack.enter_context(terminal.bar(step, progress.total, "molecules"))
            bar.advance(progress.done - done)
            done = progress.done
            if is_estimated and progress.total:
                bar.expect(done / progress.total)

        yield report
