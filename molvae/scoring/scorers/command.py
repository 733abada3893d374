"""A term that a command of the user computes, such as a docking script."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import IO, Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import hash_files, read_answer
from molvae.scoring.scorers.batches import MAX_MEGABYTES, in_threads, is_cluster, on_cluster, score_batches
from molvae.scoring.term import CostlyTerm, Term
from molvae.workers import Mapper

_MAX_SHOWN = 300
_POLL_SECONDS = 0.2


class CommandTerm(CostlyTerm):
    """A command: it reads SMILES from standard input, one per line, and writes one line per molecule, in order.

    A line of the output is a number, a JSON object such as ``{"value": -8.1, "pose": 3}``, or a CSV row under a header
    with a column `value`. ``{"value": null, "reason": "..."}`` marks a molecule without a value. With the SMILES in
    `smiles`, lines may have any order. Other columns are numbers and appear in the candidate table as
    `value_<term>_<column>`.

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
    processes : int, default=1
        Number of calls at the same time on this machine; on a Dask cluster, each worker thread makes a call.
    files : tuple of Path, default=()
        Files that the command uses, besides those among its arguments; if one changes, values are computed again.
    """

    command: tuple[str, ...] = Field(description="program and arguments")
    batch_size: int = Field(32, ge=1, le=100_000, description="largest number of molecules per call")
    seconds: float = Field(60.0, gt=0, description="time limit for each molecule")
    processes: int = Field(1, ge=1, le=1000, description="number of calls at the same time")
    files: tuple[Path, ...] = Field((), description="further files that the command uses")

    not_in_scores: ClassVar[frozenset[str]] = CostlyTerm.not_in_scores | {"processes"}
    not_in_values: ClassVar[frozenset[str]] = CostlyTerm.not_in_values | {"batch_size", "seconds"}

    @property
    def n_per_step(self) -> int:
        """Largest number of molecules between two writes to the cache."""
        return self.batch_size * self.processes

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
        There is no such program or file.
    """

    Settings: ClassVar[type[Term]] = CommandTerm

    def __init__(self, settings: CommandTerm) -> None:
        self._settings = settings
        self._where = f"command {Path(settings.command[0]).name}"
        program = shutil.which(settings.command[0])
        if program is None:
            raise InputError(f"command: {settings.command[0]}: no such program")
        self._command = [program, *settings.command[1:]]
        named = [part for part in self._command if os.path.isfile(part)]
        self._identity = hash_files(named, "command") | hash_files(settings.files, "files")

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the files among the program and its arguments, and of `files`; see `Scorer.identity`."""
        return self._identity

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Run the command; see `Scorer.__call__`."""
        one = self._settings
        if is_cluster(mapper):
            call_all = on_cluster(mapper, self, one.model_dump_json(), one.seconds * one.batch_size)
        else:
            call_all = in_threads(self.score_batch, one.processes)
        return score_batches(smiles, one.batch_size, call_all, self._where)

    def score_batch(self, smiles: Sequence[str], is_stopped: Event) -> Values | str:
        """Run the command once.

        Parameters
        ----------
        smiles : sequence of str
            SMILES.
        is_stopped : Event
            Asks to stop the command.

        Returns
        -------
        Values or str
            The values, or why there are none.
        """
        limit = self._settings.seconds * len(smiles)
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write("".join(f"{one}\n" for one in smiles).encode())
            given.seek(0)
            try:
                process = subprocess.Popen(self._command, stdin=given, stdout=out, stderr=err, start_new_session=True)
            except OSError as error:
                raise InputError(f"{self._where}: cannot be started: {error.strerror or error}") from error
            try:
                problem = _wait(process, limit, (out, err), is_stopped)
            finally:
                _stop(process)
            if problem is not None:
                return f"{problem}{_tail(err)}"
            try:
                return _read_output(_text(out), smiles, self._where)
            except InputError as error:
                return str(error)


def _wait(
    process: "subprocess.Popen[bytes]", limit: float, outputs: Sequence[IO[bytes]], is_stopped: Event
) -> str | None:
    """Wait for the command; its error, or None."""
    end = time.monotonic() + limit
    status = None
    while status is None:
        left = end - time.monotonic()
        if left <= 0 or is_stopped.is_set():
            return f"stopped after {limit:g} s"
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(timeout=min(left, _POLL_SECONDS))
        if any(os.fstat(output.fileno()).st_size > MAX_MEGABYTES * 1_000_000 for output in outputs):
            return f"wrote more than {MAX_MEGABYTES} MB"
    return None if status == 0 else f"exit status {status}"


def _read_output(text: str, smiles: Sequence[str], where: str) -> Values:
    """Read the standard output: numbers, lines of JSON, or CSV. Other lines between lines of JSON are ignored."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    objects = [line for line in lines if line.startswith("{")]
    if objects:
        return read_answer(_columns([_json(line, where) for line in objects]), smiles, where)
    if lines and not isinstance(_cell(lines[0]), float):
        reader = csv.DictReader(io.StringIO("\n".join(lines)))
        if "value" not in (reader.fieldnames or ()):
            raise InputError(f"{where}: expected numbers, JSON or CSV with a column value, got {lines[0][:60]!r}")
        text_columns = ("reason", "smiles")
        rows = [{k: v if k in text_columns else _cell(v) for k, v in row.items() if k} for row in reader]
        return read_answer({name: [row.get(name) for row in rows] for name in reader.fieldnames or ()}, smiles, where)
    return read_answer([_cell(line) for line in lines], smiles, where)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _json(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{where}: expected an object of JSON, got {line[:60]!r}") from None
    return dict(found)


def _cell(text: str | None) -> float | str | None:
    """The number in a cell, None for an empty one, else its text."""
    if text is None or not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _text(stream: IO[bytes]) -> str:
    """What the command wrote; a byte order mark is skipped, and bytes that are not UTF-8 are replaced."""
    stream.seek(0)
    return stream.read(MAX_MEGABYTES * 1_000_000).decode("utf-8-sig", errors="replace")


def _tail(stream: IO[bytes]) -> str:
    """The last line of standard error, as `: line`."""
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - 10_000))
    lines = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    return f": {lines[-1][:_MAX_SHOWN]}" if lines else ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the command and the processes that it started; one that has left its session stays."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
