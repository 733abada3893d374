"""Atomic writes: a file is written under a temporary name, flushed to disk, and renamed."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PART_PREFIX = ".part-"
"""Prefix of the temporary name of a file."""


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
        part.open("xb").close()
    except OSError as error:
        error.filename = str(path)  # the user knows this name
        raise
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


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
