"""query(): a query in a process of its own, which is killed if it exceeds its limits."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd

from molvae.errors import InputError, MolvaeError
from molvae.query.cache import cache_folder
from molvae.query.memory import EXIT_CODE
from molvae.query.request import LOADED, OUT_OF_MEMORY, OUT_OF_TIME, Answer, Request, Source

MAX_CELLS = 20_000_000

_GRACE_SECONDS = 1.0
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from molvae.query.engine import serve; "
    "serve(int(sys.argv[2]))"
)


def query(
    sources: "Path | str | Source | Sequence[Path | str | Source]",
    text: str,
    seconds: float = 60.0,
    *,
    gigabytes: float = 2.0,
    codec: "str | Path | None" = None,
) -> pd.DataFrame:
    """Select rows of the candidate tables of one or many runs with SQL.

    A query is a condition, as after WHERE (ORDER BY and LIMIT may follow), or a complete SELECT ... FROM candidates ...
    in DuckDB's SQL, with joins, WITH, aggregates and window functions. The rows of all tables are combined, and
    columns are matched by name; a column that a run lacks is NULL there. The columns `run`, `campaign` and `date` say
    which run a row is from.

    Functions of molecules, such as `similar_to('SMILES')`, `has('SMARTS')` and `scaffold()`, are listed in
    `molvae.query.functions.FUNCTIONS`. They use the column `smiles`; to use another column, put it first:
    `similar_to(nearest_reference_smiles, 'CCO')`.

    A query cannot access files, the network, settings or other tables. It runs in a process of its own, which later
    queries use again.

    Parameters
    ----------
    sources : Path, str, Source, or a sequence of them
        Each is a candidates.csv or candidates.parquet, or the folder of a run. A `Source` also gives campaign, date,
        latent vectors and codec; `molvae.pipeline.query_sources.query_sources` makes it from a run that `find_tables`
        finds by name or pattern.
    text : str
        The query.
    seconds : float, default=60.0
        Time limit; reading the tables does not count.
    gigabytes : float, default=2.0
        Memory limit; the memory of the tables does not count. On macOS, the process is ended within a tenth of a second
        after it exceeds the limit.
    codec : str, Path or None, default=None
        Name or folder of the codec for `latent_distance` and `domain`; None uses the codec of the runs.

    Returns
    -------
    DataFrame
        One row per selected candidate with all columns, or the result of the SELECT; in the order of the query. A
        condition returns `run`, `campaign` and `date` only for several runs. Your own columns have the types of
        `read_candidates`; decimal numbers in a CSV file (`7.10`) are text in the result, but numbers in the query.
        ``attrs["notes"]`` lists columns that some runs lack and values that could not be computed.

    Raises
    ------
    InputError
        The query is invalid, exceeds a limit, or returns more than MAX_CELLS cells.

    Examples
    --------
    >>> query("runs/latest", "passed and has('c1ccncc1') order by score desc")  # doctest: +SKIP
    """
    answer = ask(sources, text, seconds, gigabytes=gigabytes, codec=codec)
    if answer.table is None:
        raise InputError(answer.problem)
    answer.table.attrs = {"notes": answer.notes}
    return answer.table


def ask(
    sources: "Path | str | Source | Sequence[Path | str | Source]",
    text: str,
    seconds: float = 60.0,
    *,
    gigabytes: float = 2.0,
    codec: "str | Path | None" = None,
) -> Answer:
    """As `query`, with notes and with the columns that the query names.

    Parameters
    ----------
    sources, text, seconds, gigabytes, codec
        As for `query`.

    Returns
    -------
    Answer
        With a table.

    Raises
    ------
    InputError
        As for `query`.
    """
    if not seconds > 0 or not gigabytes > 0:
        raise InputError(f"query: limits: expected more than 0, got {seconds:g} s and {gigabytes:g} GB")
    given = [sources] if isinstance(sources, Path | str | Source) else list(sources)
    described = [one if isinstance(one, Source) else Source(Path(one)) for one in given]
    request = Request(described, text, seconds, gigabytes, MAX_CELLS, codec, cache_folder(), Path.cwd())
    answer = _ask(request)
    if answer.is_program_error:
        error = MolvaeError(f"error in the program, not in the query: {answer.problem.strip().splitlines()[-1]}")
        error.add_note(answer.problem)
        raise error
    if answer.table is None:
        raise InputError(answer.problem)
    return answer


_lock = threading.Lock()
_process: "_Process | None" = None


def _ask(request: Request) -> Answer:
    """The answer of the process; it is started if there is none, and ended if this call is interrupted."""
    global _process
    with _lock:
        if _process is None or not _process.is_usable():
            close_process(_process)
            _process = _Process()
        is_done = False
        try:
            answer = _process.ask(request)
            is_done = not answer.is_last
            return answer
        finally:
            if not is_done:
                close_process(_process)


def close_process(process: "_Process | None" = None) -> None:
    """End the process of the queries; the next query starts another one.

    Parameters
    ----------
    process : _Process or None, default=None
        The process; None takes the one that is running.
    """
    global _process
    ended = process or _process
    if ended is not None:
        ended.close()
    if ended is _process:
        _process = None


atexit.register(close_process)


class _Process:
    """The process and the connection to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._owner = os.getpid()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(),),
                env=os.environ | _THREADS,
                start_new_session=True,  # Ctrl-C reaches only the parent, which ends this process
            )
        self._connection = Connection(ours.detach())

    def is_usable(self) -> bool:
        """Whether it runs and belongs to this process, which may be a fork."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, request: Request) -> Answer:
        """The answer to a query. The time limit begins when the tables are read."""
        try:
            self._connection.send(request)
            message = self._connection.recv()
            if message == LOADED:
                if not self._connection.poll(request.seconds + _GRACE_SECONDS):
                    return Answer(None, OUT_OF_TIME.format(seconds=request.seconds), is_last=True)
                message = self._connection.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            if status in (EXIT_CODE, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
                return Answer(None, OUT_OF_MEMORY.format(gigabytes=request.gigabytes), is_last=True)
            raise MolvaeError(f"the process of the query ended with status {status}: {self._end_of_stderr()}") from None
        return message

    def close(self) -> None:
        """End the process at once."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        self._connection.close()
        self._stderr.close()

    def _end_of_stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()[-500:]
