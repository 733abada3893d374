"""Atomic creation of folders, and locks that keep a second process from writing to a folder."""

import fcntl
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from molvae.errors import InputError, reason_of
from molvae.files import PART_PREFIX

_FLOCK = ("start", "length", "process", "type", "whence"), "qqihh"
"""The fields of struct flock and their types: those of macOS."""
if sys.platform == "linux":
    _FLOCK = ("type", "whence", "start", "length", "process"), "hhqqi"


def check_new_folder(path: Path) -> None:
    """Raise an error if a new folder cannot be created at a path.

    Parameters
    ----------
    path : Path
        The folder to create.

    Raises
    ------
    InputError
        `path` exists and is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: expected a new or empty folder; choose another folder (-o) or remove this one")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Create a draft folder that becomes `path` when the block ends without an error; on an error it is removed.

    Parameters
    ----------
    path : Path
        The new folder; its parent must exist.

    Yields
    ------
    Path
        The draft, to write to.

    Raises
    ------
    InputError
        `path` exists and is not an empty folder, its parent does not exist, or another process is creating it.
    """
    check_new_folder(path)
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: the folder {path.absolute().parent} does not exist; create it first")
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
    """Hold a POSIX record lock, which ends with the process and, unlike flock, is not inherited by forked workers.

    Parameters
    ----------
    lock : Path
        The lock file; created if it does not exist.
    folder : Path
        The folder that is locked, for the error message.

    Yields
    ------
    None
        While the lock is held.

    Raises
    ------
    InputError
        Another process holds the lock, or the file system has no locks.
    """
    with lock.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise InputError(
                f"{folder}: another molvae process is writing to it; wait until it ends, or choose another folder"
            ) from None
        except OSError as error:  # such as ENOLCK and EOPNOTSUPP; without a lock, two processes could write to it
            raise InputError(
                f"{folder}: the file system has no locks ({reason_of(error)}), so molvae cannot keep a second process "
                "from writing to it; choose a folder on another file system, or mount this one with locks"
            ) from error
        yield


def lock_holder(lock: Path) -> int | None:
    """The process that holds a lock of `folder_lock`; the lock is only looked at.

    Parameters
    ----------
    lock : Path
        The lock file. This process must not hold the lock, because closing the file would release it.

    Returns
    -------
    int or None
        Number of the process, or 0 if it is on another machine; None if no process holds the lock.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    names, form = _FLOCK
    question = {"type": fcntl.F_WRLCK, "whence": os.SEEK_SET}
    try:
        with lock.open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *(question.get(name, 0) for name in names)))
    except FileNotFoundError:
        return None
    found = dict(zip(names, struct.unpack(form, answer), strict=True))
    return None if found["type"] == fcntl.F_UNLCK else max(int(found["process"]), 0)
