"""The state of a search as one file, whole or not at all: arrays and JSON in an .npz, nothing that could run code."""

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from molvae.errors import InputError
from molvae.files import replacing

_FORMAT = 1
_VALUES = "values.json"


class Checkpoint(NamedTuple):
    """values: what JSON can hold; arrays: numbers, by name."""

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file; whoever reads it at any moment finds this state or the one before.

    Raises:
        InputError: it cannot be written there.
    """
    text = json.dumps({"format": _FORMAT} | checkpoint.values, allow_nan=False)
    arrays = {**checkpoint.arrays, _VALUES: np.frombuffer(text.encode(), dtype=np.uint8)}
    try:
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise InputError(f"{path}: the search's state cannot be written ({error.strerror or error})") from None


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The state last written; None where there is no such file.

    Raises:
        InputError: it cannot be read, or is no state of a search of this release.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        values = json.loads(arrays.pop(_VALUES).tobytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: expected the state of a search, which cannot be read from it ({error}); "
            "delete it to begin again, or give another path"
        ) from None
    if values.get("format") != _FORMAT:
        raise InputError(f"{path}: written by another release (format {values.get('format')}, expected {_FORMAT})")
    return Checkpoint(values, arrays)
