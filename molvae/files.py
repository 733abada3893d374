"""Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PART_PREFIX = ".part-"
"""How the name of every file that is still being written begins."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` once the block has ended without an error.

    Whoever reads `path` meanwhile, or after a crash, finds the old content whole. On an error nothing is left behind.

    Raises:
        OSError: as the system says it (no space, read-only, no such folder).
    """
    part = path.with_name(f"{PART_PREFIX}{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    part.open("xb").close()
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut; file systems that cannot sync a folder are left as they are."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
