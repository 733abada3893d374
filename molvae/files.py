"""Atomic writes: a file is written under a temporary name, flushed to disk, and renamed."""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

PART_PREFIX = ".part-"
"""Prefix of the temporary name of a file."""
_PROBE_BYTES = 1_000_000


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file atomically: it replaces `path` when the block ends without an error.

    Until then, and after a crash, `path` keeps its old content. On an error the temporary file is removed.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Path
        Temporary file in the same folder, to write to.

    Raises
    ------
    OSError
        The file cannot be written, e.g. because the disk is full or the folder does not exist.
    """
    part = path.with_name(f"{PART_PREFIX}{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        with named_errors(path, part):
            part.open("xb").close()
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):  # the error of the block is the one to report
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def named_errors(path: Path, written: Path | None = None) -> Iterator[None]:
    """Give the errors of writing a file its name and their number; Python and libraries give them without.

    Parameters
    ----------
    path : Path
        The file as the user knows it.
    written : Path or None
        The file that the block writes, if it has another name.

    Yields
    ------
    None
        While the file is written.

    Raises
    ------
    OSError
        The error of the block, with number and file name. The errors of other files are unchanged.
    """
    written = written or path
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(written), written):
            raise
        number = error.errno or _write_once_more(written)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _write_once_more(path: Path) -> int | None:
    """The number of the error that writing to the file gives; numpy raises errors without one."""
    try:
        with path.open("ab", buffering=0) as file:
            file.write(bytes(_PROBE_BYTES))
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8 with LF line ends.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        Its content.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system has no links.

    Parameters
    ----------
    source : Path
        A file that is never changed in place.
    target : Path
        Its second name, which does not exist; its folder is created.

    Raises
    ------
    OSError
        `source` does not exist, or `target` cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of the content of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename survives a power failure; no effect if the file system does not support it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
