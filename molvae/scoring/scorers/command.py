"""A term that a command of the user computes, such as a docking script."""

import contextlib
import csv
import io
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.errors import InputError, MolvaeError
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import join, read_answer
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper

_MAX_SHOWN = 300
_MIN_FAILED = 20  # molecules before the share of failures counts
_log = logging.getLogger("molvae.scoring")


class CommandTerm(ShapedTerm):
    """A command: it reads SMILES from standard input, one per line, and writes one line per molecule, in order.

    A line of the output is a number, a JSON object such as ``{"value": -8.1, "pose": 3}``, or a CSV row under a header
    with a column `value`. ``{"value": null, "reason": "..."}`` marks a molecule without a value. Other columns are
    numbers and appear in the candidate table as `value_<term>_<column>`.

    The command runs without a shell. If it fails, each molecule of the batch is tried on its own, and those that fail
    again have no value.

    Parameters
    ----------
    command : tuple of str
        Program and arguments. Relative paths of files start at the campaign file.
    batch_size : int, default=32
        Largest number of molecules per call.
    seconds : float, default=60.0
        Time limit per molecule; the limit of a call is this times the number of its molecules.
    max_failed : float, default=0.8
        Share of molecules without a value above which the run stops; checked once 20 molecules have been tried.
    """

    command: tuple[str, ...] = Field(description="program and arguments")
    batch_size: int = Field(32, ge=1, le=100_000, description="largest number of molecules per call")
    seconds: float = Field(60.0, gt=0, description="time limit for each molecule")
    max_failed: float = Field(0.8, gt=0, le=1, description="share of molecules without a value that stops the run")

    @field_validator("command")
    @classmethod
    def _is_a_command(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not command or not command[0].strip():
            raise PydanticCustomError("command", 'expected a program and its arguments, as in ["python3", "dock.py"]')
        return command


class CommandScorer:
    """Runs a command of the user.

    Parameters
    ----------
    settings : CommandTerm
        Settings.

    Raises
    ------
    InputError
        There is no such program.
    """

    Settings: ClassVar[type[Term]] = CommandTerm

    def __init__(self, settings: CommandTerm) -> None:
        self._settings = settings
        self._where = Path(settings.command[0]).name
        program = shutil.which(settings.command[0])
        if program is None:
            raise InputError(f"command: {settings.command[0]}: no such program")
        self._command = [program, *settings.command[1:]]
        self._n, self._n_failed = 0, 0

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the files among the program and its arguments; see `Scorer.identity`."""
        return {part: sha256_of(Path(part)) for part in self._command if os.path.isfile(part)}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Run the command; see `Scorer.__call__`."""
        size = self._settings.batch_size
        found = join([self._score(smiles[begin : begin + size]) for begin in range(0, len(smiles), size)])
        self._n += len(smiles)
        self._n_failed += int(np.isnan(found.value).sum())
        if self._n >= _MIN_FAILED and self._n_failed > self._settings.max_failed * self._n:
            last = next(reason for reason in reversed(found.reasons) if reason) if any(found.reasons) else "no value"
            raise MolvaeError(
                f"command {self._where}: {self._n_failed} of {self._n} molecules have no value, more than "
                f"max_failed = {self._settings.max_failed:g}; the last reason: {last}"
            )
        return found

    def _score(self, smiles: Sequence[str]) -> Values:
        """The values of a batch; if the command fails, those of its molecules one by one."""
        run = self._run(smiles)
        if run.problem is None:
            return run.values
        _log.warning("command %s: %s; %d molecules, tried one by one", self._where, run.problem, len(smiles))
        if len(smiles) == 1:
            return Values(np.array([np.nan]), [run.problem])
        return join([self._alone(one) for one in smiles])

    def _alone(self, smiles: str) -> Values:
        run = self._run([smiles])
        return run.values if run.problem is None else Values(np.array([np.nan]), [run.problem])

    def _run(self, smiles: Sequence[str]) -> "_Run":
        """Run the command once."""
        limit = self._settings.seconds * len(smiles)
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write("".join(f"{one}\n" for one in smiles).encode())
            given.seek(0)
            try:
                process = subprocess.Popen(self._command, stdin=given, stdout=out, stderr=err, start_new_session=True)
            except OSError as error:
                raise InputError(f"command {self._where}: cannot be started: {error.strerror or error}") from error
            try:
                status = process.wait(timeout=limit)
                problem = None if status == 0 else f"exit status {status}{_tail(err)}"
            except subprocess.TimeoutExpired:
                problem = f"stopped after {limit:g} s{_tail(err)}"
            finally:
                _stop(process)
            if problem is None:
                try:
                    return _Run(_read_output(_text(out), len(smiles), f"command {self._where}"), None)
                except InputError as error:
                    problem = str(error)
        return _Run(Values(np.zeros(0), []), problem)


class _Run(NamedTuple):
    """The result of one call: values, or the problem if there are none."""

    values: Values
    problem: str | None


def _read_output(text: str, n: int, where: str) -> Values:
    """Read the standard output: numbers, lines of JSON, or CSV. Other lines between lines of JSON are ignored."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    objects = [line for line in lines if line.startswith("{")]
    if objects:
        return read_answer(_columns([_json(line, where) for line in objects]), n, where)
    if lines and _float(lines[0]) is None:
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO("\n".join(lines))))
        if not rows or "value" not in rows[0]:
            raise InputError(f"{where}: expected numbers, JSON or CSV with a column value, got {lines[0][:60]!r}")
        text_columns = ("reason", "smiles")
        parsed = [{k: v if k in text_columns else _float(v) for k, v in row.items() if k} for row in rows]
        return read_answer(_columns(parsed), n, where)
    return read_answer([_float(line) for line in lines], n, where)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _json(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        raise InputError(f"{where}: expected an object of JSON, got {line[:60]!r}") from None
    return dict(found)


def _float(text: str | None) -> float | None:
    """The number, NaN for an empty cell; None if the text is not a number."""
    if text is None or not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError:
        return None


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def _tail(stream: IO[bytes]) -> str:
    """The last line of standard error, as `: line`."""
    lines = [line.strip() for line in _text(stream).splitlines() if line.strip()]
    return f": {lines[-1][:_MAX_SHOWN]}" if lines else ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the command and the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
