"""Rows through a function in worker processes, so that a molecule which crashes or hangs RDKit costs one row only.

The workers are plain subprocesses, not multiprocessing's: a script needs no `if __name__ == "__main__"`, nothing of the
parent (threads, torch) is copied, and they end by themselves when the parent does, however it ends.
"""

import json
import mmap
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from typing import Any, NoReturn, TypeVar

from molvae.errors import InputError, MolvaeError

T = TypeVar("T")
R = TypeVar("R")

_WALL_PER_CPU = 10
_STRIKES = 2
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=256"}  # RDKit frees many small things: a tenth faster
_UNTIMED = 0.02  # of a row's time, may have gone by on the timers that it begins with
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from molvae.workers import _serve; "
    "_serve(*map(int, sys.argv[2:]))"
)


@dataclass(frozen=True)
class WorkerFailure:
    """What stands in the place of a row's result when the row crashed, hung or exhausted its worker."""

    reason: str


def map_rows(
    function: Callable[[T], R],
    chunks: Iterable[Sequence[T]],
    n_workers: int | None = None,
    seconds_per_row: float = 2.0,
    megabytes: int = 2000,
) -> Iterator[list[R | WorkerFailure]]:
    """For each chunk of rows the list of results, in order; a row that could not be finished is a WorkerFailure.

    The function takes one row, and lives in a module that can be imported (no lambda). Chunks of some hundred rows keep
    the cost of passing them small; at most a few chunks are read ahead. A row may use `seconds_per_row` of processor
    time (ten times that by the clock) and `megabytes` beyond what the worker had at its start. A row over a limit, or
    one that ends its worker, is tried once more alone, so that a busy machine costs no molecule. An exception by which
    RDKit speaks of a molecule (ValueError, RuntimeError, MemoryError, ...) fails its row.

    n_workers: default one per core.

    Raises:
        MolvaeError: the workers cannot start, or the function has a fault (TypeError, AttributeError, ...).
    """
    n_workers = n_cores() if n_workers is None else n_workers
    if n_workers < 1:
        raise InputError(f"n_workers: expected 1 or more, got {n_workers}")
    if not seconds_per_row > 0:
        raise InputError(f"seconds_per_row: expected more than 0, got {seconds_per_row}")
    crew = _Crew(pickle.dumps((function, seconds_per_row, megabytes)), seconds_per_row, megabytes)
    threads = ThreadPoolExecutor(n_workers, thread_name_prefix="molvae-pool")  # each waits for one worker
    pending: deque[Future[list[Any]]] = deque()
    try:
        for chunk in chunks:
            pending.append(threads.submit(crew.run, list(chunk)))
            if len(pending) > n_workers + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        crew.close()
        threads.shutdown(wait=True, cancel_futures=True)
        crew.release()


def n_cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Crew:
    """The idle workers of one call; a thread borrows one, and puts it back unless it died."""

    def __init__(self, task: bytes, seconds: float, megabytes: int) -> None:
        self._task = task
        self._seconds = seconds
        self._megabytes = megabytes
        self._idle: LifoQueue[_Worker] = LifoQueue()
        self._all: list[_Worker] = []
        self._is_closed = False

    def run(self, rows: list[Any]) -> list[Any]:
        """The results of one chunk, found span by span: a row on which a worker died is set apart from the rest."""
        results: list[Any] = [None] * len(rows)
        strikes: dict[int, int] = {}
        spans = [(0, len(rows))] if rows else []
        while spans:
            start, stop = spans.pop()
            answer = self._ask(rows[start:stop])
            if isinstance(answer, list):
                results[start:stop] = answer
                continue
            bad = start + answer.row
            if not start <= bad < stop:  # it died before or after its rows: halve until one is left
                bad, middle = start, (start + stop) // 2
                if stop - start > 1:
                    spans += [(middle, stop), (start, middle)]
                    continue
            strikes[bad] = strikes.get(bad, 0) + 1
            if strikes[bad] < _STRIKES:
                spans += [(bad + 1, stop), (bad, bad + 1), (start, bad)]
            else:
                results[bad] = WorkerFailure(answer.reason)
                spans += [(bad + 1, stop), (start, bad)]
            spans = [span for span in spans if span[0] < span[1]]
        return results

    def close(self) -> None:
        """Ends every worker at once, so that the threads which wait for one end as well."""
        self._is_closed = True
        for worker in list(self._all):
            worker.kill()

    def release(self) -> None:
        for worker in self._all:
            worker.release()

    def _ask(self, rows: list[Any]) -> "list[Any] | _Death":
        try:
            worker = self._idle.get_nowait()
        except Empty:
            worker = _Worker(self._task)
            self._all.append(worker)
            if self._is_closed:
                worker.kill()
            worker.wait_until_ready()
        try:
            answer = worker.ask(rows)
        except (EOFError, OSError):
            row, status = worker.bury()
            if self._is_closed:
                raise MolvaeError("the worker pool was closed") from None
            self._all.remove(worker)
            worker.release()
            return _Death(row, self._explain(status))
        self._idle.put(worker)
        return answer

    def _explain(self, status: int) -> str:
        if status in (-signal.SIGPROF, -signal.SIGALRM):
            return f"too slow: not done after {self._seconds:g} s"
        if status == -signal.SIGKILL:
            return "crash: the worker was killed, perhaps because the machine ran out of memory"
        if status < 0:
            return f"crash: {signal.strsignal(-status) or f'signal {-status}'}"
        return f"crash: the worker ended with exit code {status}"


@dataclass(frozen=True)
class _Death:
    row: int  # of those asked, -1 where none had begun
    reason: str


class _Worker:
    """One subprocess, its connection, and the board on which it writes the row that it is about to do."""

    def __init__(self, task: bytes) -> None:
        ours, theirs = socket.socketpair()
        self._files = ExitStack()
        self._board = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._board.write(_ROW.pack(-1))
        self._board.flush()
        self._stderr = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path), str(theirs.fileno()), str(self._board.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(), self._board.fileno()),
                env=_ALLOCATOR | os.environ | _THREADS,
                start_new_session=True,  # Ctrl-C reaches the parent alone, and it ends the workers
            )
        self._connection = self._files.enter_context(Connection(ours.detach()))
        self._task = task

    def wait_until_ready(self) -> None:
        try:
            self._connection.send_bytes(self._task)
            problem = self._connection.recv()
        except (EOFError, OSError):
            _, status = self.bury()
            problem = f"it ended with status {status}; {self._last_words()}"
        if problem:
            self.kill()
            raise MolvaeError(f"a worker process could not start: {problem}")

    def ask(self, rows: list[Any]) -> list[Any]:
        self._connection.send(rows)
        answer, fault = self._connection.recv()
        if fault:
            error = MolvaeError(f"a fault in the program, not in the molecules: {fault.strip().splitlines()[-1]}")
            error.add_note(fault)
            raise error
        return answer

    def bury(self) -> tuple[int, int]:
        """The row at which a dead worker stood, and its exit status."""
        status = self._process.wait()
        (row,) = _ROW.unpack(os.pread(self._board.fileno(), _ROW.size, 0))
        return row, status

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Closes what belonged to a worker that is dead."""
        self._files.close()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()[-500:]


_ROW = struct.Struct("q")


def _serve(connection_fd: int, board_fd: int) -> NoReturn:
    """The worker's life: the task once, then chunk after chunk until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(connection_fd)
    board = mmap.mmap(board_fd, _ROW.size)
    try:
        function, seconds, megabytes = pickle.loads(connection.recv_bytes())
        _limit_memory(megabytes)
        _silence_rdkit()
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
        os._exit(1)
    connection.send(None)
    while True:
        try:
            rows = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        connection.send(_work(function, rows, seconds, megabytes, board))


def _work(
    function: Callable[[Any], Any], rows: list[Any], seconds: float, megabytes: int, board: Any
) -> tuple[list[Any], str | None]:
    """The results of some rows, and a fault of the program where there was one.

    A timer whose signal nobody handles ends the process even in the midst of RDKit's own code. It runs on over rows
    that take next to no time.
    """
    results: list[Any] = []
    set_again = 0.0
    for index, row in enumerate(rows):
        board[:] = _ROW.pack(index)
        now = time.monotonic()
        if now >= set_again:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, _WALL_PER_CPU * seconds)
            set_again = now + _UNTIMED * seconds
        try:
            results.append(function(row))
        except MemoryError:
            results.append(WorkerFailure(f"too much memory: more than {megabytes:,} MB"))
        except (ValueError, RuntimeError, ArithmeticError) as error:
            first_line = next(iter(str(error).strip().splitlines()), "")
            results.append(WorkerFailure(f"failed: {type(error).__name__}: {first_line}"))
        except Exception:
            _stop_timers()
            return [], traceback.format_exc()
    _stop_timers()
    board[:] = _ROW.pack(-1)
    return results, None


def _stop_timers() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(megabytes: int) -> None:
    """A limit on address space beyond what is in use now; macOS has none that works, and goes without."""
    import resource

    try:
        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = in_use + megabytes * 1_000_000
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _silence_rdkit() -> None:
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
