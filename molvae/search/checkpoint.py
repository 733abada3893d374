"""The checkpoint of a search: a folder with an append-only file and a small file that is replaced with each record.

`rounds.bin` holds the arguments of the search, then one record per call of `Search.ask` and `Search.tell`. `state.bin`
holds the state after the last complete record and the size of `rounds.bin` at that time. Bytes beyond that size are
from an interrupted call and are removed. Every record starts with its length and a checksum.
"""

import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from molvae.errors import InputError, cannot_write, reason_of
from molvae.files import PART_PREFIX, replacing

_FORMAT = 2
_ROUNDS, _STATE, _VALUES = "rounds.bin", "state.bin", "values.json"
_HEADER = struct.Struct(">QI")  # length of the content, checksum of the length and the content


class Record(NamedTuple):
    """Values and arrays that are written together.

    Parameters
    ----------
    values : dict
        Values that JSON can hold.
    arrays : dict of str to ndarray
        Arrays by name.
    """

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Checkpoint:
    """An open checkpoint folder; create it with `open`.

    Parameters
    ----------
    path : Path
        The folder.
    size : int
        Size of the complete records, in bytes.
    records : list of Record
        The complete records.
    state : Record or None
        State after the last of them; None if there is none.
    """

    def __init__(self, path: Path, size: int, records: list[Record], state: Record | None) -> None:
        self.path, self.records, self.state = path, records, state
        self._size = size

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a checkpoint, or create one.

        Parameters
        ----------
        path : Path
            Folder; it is created if it is missing. Its parent folder must exist.

        Returns
        -------
        Checkpoint
            With all complete records.

        Raises
        ------
        InputError
            The folder cannot be written, holds other files, is from another release, or is damaged.
        """
        try:
            path.mkdir(exist_ok=True)
            for part in path.glob(f"{PART_PREFIX}*"):
                part.unlink()
            if not any(path.iterdir()):
                cls(path, 0, [], None)._write_state(Record({}, {}))
            return cls._read(path)
        except FileExistsError:
            raise InputError(f"{path}: expected a folder with the checkpoint of a search, got a file") from None
        except OSError as error:
            raise InputError(f"{path}: the checkpoint cannot be read or written: {reason_of(error)}") from error

    @classmethod
    def _read(cls, path: Path) -> Self:
        state_file, rounds_file = path / _STATE, path / _ROUNDS
        if not state_file.exists():
            raise InputError(
                f"{path}: expected a new or empty folder, or the checkpoint of a search; no {_STATE} in it"
            )
        state, *others = _unpack(state_file.read_bytes(), state_file) or [Record({}, {})]
        if others or "format" not in state.values:
            raise _damaged(state_file, "expected one record with a format")
        if state.values["format"] != _FORMAT:
            raise InputError(
                f"{state_file}: written by another release (format {state.values['format']}, expected {_FORMAT})"
            )
        size = int(state.values["size"])
        content = rounds_file.read_bytes() if rounds_file.exists() else b""
        if len(content) < size:
            raise _damaged(rounds_file, f"{len(content):,} of {size:,} bytes")
        if len(content) > size:
            os.truncate(rounds_file, size)
        return cls(path, size, _unpack(content[:size], rounds_file), state if size else None)

    def append(self, record: Record, state: Record) -> None:
        """Append a record and replace the state; after an interruption, a reader finds both or neither.

        Parameters
        ----------
        record : Record
            What is new since the last record.
        state : Record
            The state after it.

        Raises
        ------
        InputError
            The files cannot be written, or another process has written to them.
        """
        content = _pack(record)
        try:
            with (self.path / _ROUNDS).open("ab") as file:
                if file.tell() != self._size:
                    raise InputError(
                        f"{self.path}: another process writes to this checkpoint; give each search a separate folder"
                    )
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._size += len(content)
            self._write_state(state)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _write_state(self, state: Record) -> None:
        values = {"format": _FORMAT, "size": self._size} | state.values
        with replacing(self.path / _STATE) as part:
            part.write_bytes(_pack(Record(values, state.arrays)))


def _pack(record: Record) -> bytes:
    text = json.dumps(record.values, allow_nan=False)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **record.arrays, **{_VALUES: np.frombuffer(text.encode(), np.uint8)})
    content = buffer.getvalue()
    return _HEADER.pack(len(content), _checksum(content)) + content


def _unpack(content: bytes, path: Path) -> list[Record]:
    """All records of a file's content."""
    records: list[Record] = []
    begin = 0
    while begin < len(content):
        where = f"record {len(records)}"
        start = begin + _HEADER.size
        if start > len(content):
            raise _damaged(path, f"{where} is incomplete")
        length, checksum = _HEADER.unpack(content[begin:start])
        begin = start + length
        if begin > len(content) or _checksum(content[start:begin]) != checksum:
            raise _damaged(path, f"wrong checksum of {where}")
        records.append(_parse(content[start:begin], path, where))
    return records


def _parse(content: bytes, path: Path, where: str) -> Record:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return Record(json.loads(arrays.pop(_VALUES).tobytes()), arrays)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise _damaged(path, f"{where}: {error}") from None


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: damaged: {problem}; delete the checkpoint to start again, or give another path")


def _checksum(content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(len(content).to_bytes(8)))
