"""run.log: the log of a run; every resume appends to it."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from molvae.errors import reason_of
from molvae.printable import printable

log = logging.getLogger("pipeline")


class LogFile(logging.FileHandler):
    """A log file; if it cannot be written, the run goes on, and the terminal says so once.

    Prefect replaces the handlers of the process if it finds none of a class whose name begins with a letter.

    Parameters
    ----------
    path : Path
        The file; lines are appended.
    """

    _is_broken = False

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        """Print one line on stderr in place of a traceback.

        Parameters
        ----------
        record : LogRecord
            The line that could not be written.
        """
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_broken:
            self._is_broken = True
            print(f"note: {self.baseFilename}: the log cannot be written: {reason_of(error)}", file=sys.stderr)

    def close(self) -> None:
        """Close the file; what it cannot hold is lost."""
        with contextlib.suppress(OSError):
            super().close()


class _LineFormatter(logging.Formatter):
    """Formats records without control characters; its further lines are indented, so none looks like a record."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record)).replace("\n", "\n    ")


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log to a file inside the block, including the logs of Prefect and Python warnings.

    Prefect does not log to the terminal if it finds this handler, so enter the block before importing Prefect.

    Parameters
    ----------
    path : Path
        The log file; lines are appended.

    Yields
    ------
    None
        While the handler is active.
    """
    handler = LogFile(path)
    handler.setFormatter(
        _LineFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%Y-%m-%d %H:%M:%S %Z")
    )
    root = logging.getLogger()
    handlers_before = [*root.handlers]
    root.handlers[:] = [handler]
    levels_before = {name: logging.getLogger(name).level for name in ("pipeline", "molvae")}
    for name in levels_before:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        for name, level in levels_before.items():
            logging.getLogger(name).setLevel(level)
        root.handlers[:] = handlers_before
        handler.close()
