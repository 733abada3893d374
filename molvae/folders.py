"""New folders that appear whole or not at all, and locks for the folders that one process writes to."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from molvae.errors import InputError
from molvae.files import PART_PREFIX


def check_new_folder(path: Path) -> None:
    """Refuse a path that is not free for a new folder.

    Parameters
    ----------
    path : Path
        The folder to be made.

    Raises
    ------
    InputError
        `path` exists and is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: expected a new or empty folder; choose another folder (-o) or remove this one")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a draft folder that becomes `path` when the block ends without an error; otherwise nothing is left.

    Parameters
    ----------
    path : Path
        The new folder; its parent exists.

    Yields
    ------
    Path
        The draft, to write to.

    Raises
    ------
    InputError
        `path` exists and is not an empty folder, its parent does not exist, or another process is making it.
    """
    check_new_folder(path)
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: the folder {path.absolute().parent} does not exist; make it first")
    part = path.absolute().with_name(f"{PART_PREFIX}{path.absolute().name}")
    lock = part.with_name(f"{part.name}.lock")
    with folder_lock(lock, path):
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            yield part
            os.replace(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextmanager
def folder_lock(lock: Path, folder: Path) -> Iterator[None]:
    """Hold a POSIX record lock: it dies with the process and, unlike flock, is not shared by forked workers.

    Parameters
    ----------
    lock : Path
        The lock file; it is made where it does not exist.
    folder : Path
        The folder that is locked, for the error message.

    Yields
    ------
    None
        While the lock is held.

    Raises
    ------
    InputError
        Another process holds the lock.
    """
    with lock.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise InputError(
                f"{folder}: another molvae process is writing to this folder; wait until it ends or choose another"
            ) from None
        yield
