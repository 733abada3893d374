"""Computed values of many molecules in a folder of the user, one file per function.

The name of a file is the hash of everything its values depend on: the molecules, the function, the code and the
versions. A file is therefore never outdated. One that cannot be read is computed and written again.
"""

import contextlib
import hashlib
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from molvae.files import replacing

MAX_BYTES = 1_000_000_000
"""Size of the folder above which the files that were written first are removed."""

_FORMAT = 1
_CODE = ("chem/*.py", "query/chemistry.py", "codec/*.py")


def cache_folder() -> Path | None:
    """The folder of the values.

    Returns
    -------
    Path or None
        That of the environment variable MOLVAE_CACHE, by default `molvae` in the user's cache folder; None if the
        variable is empty.
    """
    given = os.environ.get("MOLVAE_CACHE")
    if given is not None:
        return Path(given) / "query" if given else None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "molvae" / "query"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "molvae" / "query"


class ValueCache:
    """Stored values of functions for lists of molecules.

    Parameters
    ----------
    folder : Path or None
        Folder of the files; it is created when it is needed. None stores nothing. Neither does a folder that cannot be
        written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def path(self, molecules: str, *parts: str | None) -> Path | None:
        """The file of the values of one function.

        Parameters
        ----------
        molecules : str
            Hash of the molecules, from `molecules_key`.
        *parts : str or None
            What the values depend on: the function, its pattern, a codec.

        Returns
        -------
        Path or None
            None if nothing is stored.
        """
        if self._folder is None:
            return None
        text = json.dumps([_FORMAT, _code_key(), version("rdkit"), molecules, *parts])
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.npz"

    def load(self, path: Path | None) -> dict[str, np.ndarray] | None:
        """The arrays of a file.

        Parameters
        ----------
        path : Path or None
            The file.

        Returns
        -------
        dict of str to ndarray, or None
            None if there is no file, or it cannot be read.
        """
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def save(self, path: Path | None, arrays: dict[str, np.ndarray]) -> None:
        """Write a file, if the folder can be written.

        Parameters
        ----------
        path : Path or None
            The file.
        arrays : dict of str to ndarray
            Its arrays.
        """
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part, part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            self._shrink(path)

    def _shrink(self, newest: Path) -> None:
        files = sorted(newest.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        size = sum(file.stat().st_size for file in files)
        for file in files:
            if size <= MAX_BYTES:
                return
            if file != newest:
                size -= file.stat().st_size
                file.unlink(missing_ok=True)


def molecules_key(smiles: Sequence[str]) -> str:
    """A hash of a list of molecules.

    Parameters
    ----------
    smiles : sequence of str
        SMILES.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return hashlib.sha256("\n".join(smiles).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _code_key() -> str:
    """A hash of the code that computes the values."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for pattern in _CODE:
        for path in sorted(root.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()
