"""Results of chunks of rows on disk, by a hash of what they were computed from, so that no chunk is computed twice."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from molvae.files import replacing

_DIGEST = hashlib.sha256().digest_size
_BUILTINS = {"complex", "frozenset", "set", "bytearray"}
_NUMPY = {"_reconstruct", "_frombuffer", "scalar", "ndarray", "dtype"}


class ShardStore:
    """A folder of results; a file that is damaged or that holds something else counts as missing.

    Parameters
    ----------
    folder : Path
        The folder; it is created with the first result.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, digest: str) -> list[Any] | None:
        """The results of a chunk.

        Parameters
        ----------
        digest : str
            What `digest_of` returned for the chunk.

        Returns
        -------
        list or None
            One result per row; None if they are not stored.
        """
        try:
            content = self._path(digest).read_bytes()
        except OSError:
            return None
        payload = content[_DIGEST:]
        if hashlib.sha256(payload).digest() != content[:_DIGEST]:
            return None
        try:
            results = _Loader(io.BytesIO(payload)).load()
        except (pickle.UnpicklingError, ImportError, AttributeError, TypeError, ValueError, EOFError):
            return None
        return results if isinstance(results, list) else None

    def write(self, digest: str, payload: bytes) -> None:
        """Store the results of a chunk.

        Parameters
        ----------
        digest : str
            What `digest_of` returned for the chunk.
        payload : bytes
            The list of results, pickled.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(hashlib.sha256(payload).digest() + payload)

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def digest_of(function: object, rows: object, environment: Mapping[str, str]) -> str:
    """Hash what the results of a chunk depend on.

    Parameters
    ----------
    function : callable
        The function that is applied to the rows; its name and its arguments count, its code by `environment`.
    rows : sequence
        The rows.
    environment : mapping of str to str
        Versions of packages.

    Returns
    -------
    str
        SHA-256 as hexadecimal digits; equal for equal arguments, in any process.

    Examples
    --------
    >>> digest_of(len, ["CCO"], {}) == digest_of(len, ["CC" + "O"], {}) != digest_of(len, ["CCO"], {"rdkit": "1"})
    True
    """
    buffer = io.BytesIO()
    hasher = _Hasher(buffer, protocol=5)
    hasher.fast = True  # without references to equal objects, which depend on how the rows were made
    hasher.dump((function, rows, sorted(environment.items())))
    return hashlib.sha256(buffer.getvalue()).hexdigest()


class _Hasher(pickle.Pickler):
    """Pickles dataclasses by their fields, without properties that they have cached."""

    def reducer_override(self, item: Any) -> Any:
        if is_dataclass(item) and not isinstance(item, type):
            return type(item), tuple(getattr(item, field.name) for field in fields(item))
        return NotImplemented


class _Loader(pickle.Unpickler):
    """Loads results only: numbers, strings, arrays, and dataclasses and named tuples of molvae."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.split(".")[0]
        if (package == "builtins" and name in _BUILTINS) or (package == "numpy" and name in _NUMPY):
            return super().find_class(module, name)
        if package == "molvae" and "." not in name:
            found = super().find_class(module, name)
            is_own = isinstance(found, type) and found.__module__.split(".")[0] == "molvae"  # not an imported name
            if is_own and (is_dataclass(found) or hasattr(found, "_fields")):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not a type of results")
