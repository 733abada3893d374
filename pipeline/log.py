"""run.log: what happened in a run, every start and resume one after the other."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("pipeline")


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Everything that is logged inside the block, Prefect's part and every Python warning included, goes to the file.

    Prefect leaves the terminal alone when it finds this handler, so it must be entered before Prefect is imported.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    before = [*root.handlers]
    root.handlers[:] = [handler]
    levels = {name: logging.getLogger(name).level for name in ("pipeline", "molvae")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.handlers[:] = before
        handler.close()
