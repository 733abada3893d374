"""Values of a scorer on disk, by molecule, shared by runs.

A cache is a folder with one folder per scorer, named by the hash of what its values depend on; `scorer.json` in it says
what that is. Every process appends to a file of its own and reads those of the others, so any number of runs can share
a cache, also on a network file system.

A line of a file is a checksum, the SMILES and the result as JSON, separated by tabs. A process that is killed leaves at
most an incomplete last line, which is ignored. A line whose checksum is wrong is reported and ignored.

The key of a molecule is the SMILES as the scorer gets it. An InChIKey would be the same for tautomers and for some
stereoisomers, which a scorer can tell apart; and a scorer may depend on the SMILES itself. Another SMILES of the same
molecule is computed again, which takes time but is never wrong.
"""

import hashlib
import json
import logging
import math
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from molvae.errors import InputError, reason_of
from molvae.files import named_errors, replacing

_VERSION = 1
_SUFFIX = ".tsv"
_N_DIGITS = 16  # of a checksum
_log = logging.getLogger("molvae.scoring")


class Result(NamedTuple):
    """What a scorer returned for one molecule.

    Parameters
    ----------
    value : float
        The raw value; NaN if there is none.
    reason : str or None
        Why there is no value.
    extra : mapping of str to float, default={}
        Further columns; NaN where there is no number.
    """

    value: float
    reason: str | None
    extra: Mapping[str, float] = {}


class ScoreCache:
    """The stored results of one scorer.

    Parameters
    ----------
    folder : Path
        Folder of the cache; it is created if it does not exist.
    scorer : mapping of str to Any
        What the values depend on, as JSON can hold it: class and settings of the scorer, hashes of its files.

    Raises
    ------
    InputError
        The folder cannot be created or written.
    """

    def __init__(self, folder: Path, scorer: Mapping[str, Any]) -> None:
        text = json.dumps({"version": _VERSION, **scorer}, indent=1, sort_keys=True)
        self.path = folder / hashlib.sha256(text.encode()).hexdigest()[:32]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / "scorer.json").exists():
                with replacing(self.path / "scorer.json") as part:
                    part.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cache: {folder}: cannot be written: {reason_of(error)}") from error
        self._lines: dict[str, bytes] = {}  # SMILES -> JSON; parsed when it is needed
        self._n_read: dict[Path, int] = {}  # bytes read of each file
        self._damaged: set[Path] = set()
        self._file: Path | None = None

    def find(self, smiles: Sequence[str]) -> dict[str, Result]:
        """Look up molecules, including those that other processes have stored since the last call.

        Parameters
        ----------
        smiles : sequence of str
            SMILES as the scorer gets them.

        Returns
        -------
        dict of str to Result
            The stored results, by SMILES.
        """
        self._read_new_lines()
        return {one: _read(self._lines[one]) for one in smiles if one in self._lines}

    def add(self, results: Mapping[str, Result]) -> None:
        """Store results; they survive a crash of the process or the machine from then on.

        Parameters
        ----------
        results : mapping of str to Result
            By SMILES. A result that is already stored is not stored again.

        Raises
        ------
        OSError
            The file cannot be written, for example because the disk is full.
        """
        new = {one: _write(result) for one, result in results.items() if one not in self._lines and _fits(one)}
        if not new:
            return
        lines = b"".join(_seal(one.encode() + b"\t" + text) for one, text in new.items())
        path, self._file = self._file or self._new_file(), None  # if writing fails, the next attempt has a new file
        with named_errors(path), path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._file = path
        self._lines |= new
        self._n_read[path] = self._n_read.get(path, 0) + len(lines)

    def _new_file(self) -> Path:
        """A name that no other process uses; in the order of time, so that of two results the older one counts."""
        return self.path / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(6)}{_SUFFIX}"

    def _read_new_lines(self) -> None:
        for path in sorted(self.path.glob(f"*{_SUFFIX}")):
            begin = self._n_read.get(path, 0)
            try:
                if path.stat().st_size <= begin:
                    continue
                with path.open("rb") as file:
                    file.seek(begin)
                    content = file.read()
            except OSError as error:
                self._report(path, f"cannot be read ({error.strerror or error}) and is ignored")
                continue
            whole, newline, _ = content.rpartition(b"\n")  # another process may still be writing the last line
            self._n_read[path] = begin + len(whole) + len(newline)
            lines = whole.split(b"\n") if newline else []
            opened = [_open(line) for line in lines]
            for line in filter(None, opened):
                smiles, _, text = line.partition(b"\t")
                self._lines.setdefault(smiles.decode(), text)
            if None in opened:
                self._report(path, f"damaged; {opened.count(None)} of {len(lines)} lines are ignored")

    def _report(self, path: Path, problem: str) -> None:
        if path not in self._damaged:
            self._damaged.add(path)
            _log.warning("cache: %s: %s; the values are computed again", path, problem)


def _seal(content: bytes) -> bytes:
    """A line with its checksum."""
    return hashlib.sha256(content).hexdigest()[:_N_DIGITS].encode() + b"\t" + content + b"\n"


def _open(line: bytes) -> bytes | None:
    """The content of a line; None if its checksum is wrong."""
    return line[_N_DIGITS + 1 :] if _seal(line[_N_DIGITS + 1 :])[:-1] == line else None


def _fits(smiles: str) -> bool:
    return not any(character in smiles for character in "\t\n") and smiles.isascii()


def _write(result: Result) -> bytes:
    extra = {name: None if math.isnan(number) else number for name, number in result.extra.items()}
    content = {"value": None if math.isnan(result.value) else result.value, "reason": result.reason, "extra": extra}
    return json.dumps({name: cell for name, cell in content.items() if cell not in (None, {})}).encode()


def _read(text: bytes) -> Result:
    """The result; JSON restores every float exactly."""
    content = json.loads(text)
    extra = {name: math.nan if number is None else float(number) for name, number in content.get("extra", {}).items()}
    return Result(float(content.get("value", math.nan)), content.get("reason"), extra)
