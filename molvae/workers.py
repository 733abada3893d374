"""Mappers: apply a function to many rows, in worker processes or in this one; a failing row does not affect the others.

A molecule can crash or hang RDKit. The workers are plain subprocesses, not those of multiprocessing: a script needs no
`if __name__ == "__main__"`, no state of the parent (threads, torch) is copied, and they end with the parent, even if it
is killed.
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
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from typing import Any, NoReturn, Protocol, TypeVar

from molvae.errors import InputError, MolvaeError, first_line

T = TypeVar("T")
R = TypeVar("R")

_WALL_PER_CPU = 10
_MAX_DEATHS = 2
_MAX_STARTS, _START_PAUSE = 3, 1.0
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=256"}  # RDKit frees many small blocks: 10 % faster
_TIMER_SLACK = 0.02  # share of the time limit that may already have elapsed when a row starts
# -P in every command line below: modules of the working folder, such as a json.py that came with data, are not run
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from molvae.workers import _serve; "
    "_serve(*map(int, sys.argv[2:]))"
)


@dataclass(frozen=True)
class WorkerFailure:
    """The result of a row that raised an error, crashed its worker or exceeded a limit.

    Parameters
    ----------
    reason : str
        Why there is no result; the part before the first colon is the kind.
    """

    reason: str


class Mapper(Protocol):
    """Applies a function to chunks of rows; results keep the order of the rows."""

    def __call__(
        self,
        function: Callable[[T], R],
        chunks: Iterable[Sequence[T]],
        *,
        seconds_per_row: float = 2.0,
        megabytes: int = 2000,
    ) -> Iterator[list[R | WorkerFailure]]:
        """The results of each chunk, in order.

        Parameters
        ----------
        function : callable
            Takes one row. It must be importable (no lambda) and picklable, because it may run in another process.
        chunks : iterable of sequences of rows
            Read lazily. With a few hundred rows per chunk, the cost of passing them to the workers is small.
        seconds_per_row : float, default=2.0
            Limit of CPU time per row; the limit of wall-clock time is ten times as long.
        megabytes : int, default=2000
            Limit of memory per worker, in addition to what it uses when it starts.

        Yields
        ------
        list
            One result per row of the chunk. It is a `WorkerFailure` if the row raises an error of the kinds that RDKit
            raises (ValueError, RuntimeError, MemoryError, ...), crashes its worker or exceeds a limit.

        Raises
        ------
        MolvaeError
            The function has a bug (TypeError, AttributeError, ...), or the workers cannot start.
        """
        ...


@dataclass(frozen=True)
class LocalProcesses:
    """Mapper over worker processes on this machine.

    At most a few chunks are read ahead. A row that crashes its worker or exceeds a time limit is retried once by
    itself, so that no molecule is lost because the machine is busy.

    Parameters
    ----------
    n_workers : int or None, default=None
        Number of worker processes; None starts one per available core.

    Raises
    ------
    InputError
        `n_workers` is below 1.
    """

    n_workers: int | None = None

    def __post_init__(self) -> None:
        if self.n_workers is not None and self.n_workers < 1:
            raise InputError(f"n_workers: expected 1 or more, got {self.n_workers}")

    def __call__(
        self,
        function: Callable[[T], R],
        chunks: Iterable[Sequence[T]],
        *,
        seconds_per_row: float = 2.0,
        megabytes: int = 2000,
    ) -> Iterator[list[R | WorkerFailure]]:
        """The results of each chunk, in order; see `Mapper`."""
        n_workers = self.n_workers or n_cores()
        pool = _Pool(pack_task(function, seconds_per_row, megabytes), seconds_per_row)
        threads = ThreadPoolExecutor(n_workers, thread_name_prefix="molvae-pool")  # each waits for one worker
        pending: deque[Future[list[R | WorkerFailure]]] = deque()
        try:
            for chunk in chunks:
                pending.append(threads.submit(pool.run, list(chunk)))
                if len(pending) > n_workers + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.close()
            threads.shutdown(wait=True, cancel_futures=True)
            pool.release()


@dataclass(frozen=True)
class Serial:
    """Mapper in this process, without limits of time and memory: a row that crashes or hangs RDKit is not isolated.

    For tests and small inputs, for which starting worker processes takes longer than the work.
    """

    def __call__(
        self,
        function: Callable[[T], R],
        chunks: Iterable[Sequence[T]],
        *,
        seconds_per_row: float = 2.0,
        megabytes: int = 2000,
    ) -> Iterator[list[R | WorkerFailure]]:
        """The results of each chunk, in order; see `Mapper`. The limits are ignored."""
        for chunk in chunks:
            try:
                results = [_apply(function, row) for row in chunk]
            except Exception as error:
                raise _program_error(traceback.format_exc()) from error
            yield results


class StandingWorkers:
    """Worker processes that stay for later chunks, for a process that receives chunks one by one, in several threads.

    Parameters
    ----------
    n_tasks : int, default=4
        Number of functions whose workers stay; those of the least recently used one end first.
    """

    def __init__(self, n_tasks: int = 4) -> None:
        self._n_tasks = n_tasks
        self._pools: dict[bytes, _Pool] = {}  # the least recently used first
        self._lock = threading.Lock()

    def run(self, task: bytes, rows: Sequence[Any]) -> list[Any]:
        """The results of one chunk; a row that crashes its worker or exceeds a limit is a `WorkerFailure`.

        Parameters
        ----------
        task : bytes
            What `pack_task` returned.
        rows : sequence
            The rows.

        Returns
        -------
        list
            One result per row; see `Mapper`.

        Raises
        ------
        MolvaeError
            The function has a bug, or a worker cannot start.
        """
        with self._lock:
            pool = self._pools.pop(task, None) or _Pool(task, pickle.loads(task)[1])
            self._pools[task] = pool
            pool.n_users += 1
            spare = [key for key, one in self._pools.items() if not one.n_users]
            surplus = [self._pools.pop(key) for key in spare[: max(0, len(self._pools) - self._n_tasks)]]
        try:
            for one in surplus:
                one.close()
                one.release()
            return pool.run(list(rows))
        finally:
            with self._lock:
                pool.n_users -= 1

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()
            pool.release()


def pack_task(function: Callable[[T], R], seconds_per_row: float, megabytes: int) -> bytes:
    """Pickle a function with its limits, for workers.

    Parameters
    ----------
    function, seconds_per_row, megabytes
        As for `Mapper`.

    Returns
    -------
    bytes
        What `StandingWorkers.run` takes.

    Raises
    ------
    InputError
        `seconds_per_row` is not above 0.
    """
    if not seconds_per_row > 0:
        raise InputError(f"seconds_per_row: expected more than 0, got {seconds_per_row}")
    return pickle.dumps((function, seconds_per_row, megabytes))


def n_cores() -> int:
    """Number of CPU cores available to this process.

    Returns
    -------
    int
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _apply(function: Callable[[T], R], row: T, megabytes: int | None = None) -> R | WorkerFailure:
    try:
        return function(row)
    except MemoryError:
        return WorkerFailure("out of memory" + (f": more than {megabytes:,} MB" if megabytes else ""))
    except (ValueError, RuntimeError, ArithmeticError) as error:
        return WorkerFailure(f"failed: {type(error).__name__}: {first_line(error)}")


def _program_error(text: str) -> MolvaeError:
    """The exception for a bug in a mapped function, with its traceback as a note."""
    error = MolvaeError(f"error in the program, not in the data: {text.strip().splitlines()[-1]}")
    error.add_note(text)
    return error


class _Pool:
    """The workers of one call; each thread takes an idle worker, and puts it back unless it died."""

    def __init__(self, task: bytes, seconds: float) -> None:
        self._task = task
        self._seconds = seconds
        self._idle: LifoQueue[_Worker] = LifoQueue()
        self._all: list[_Worker] = []
        self._is_closed = False
        self.n_users = 0  # threads that run chunks, if the pool is one of several

    def run(self, rows: list[Any]) -> list[Any]:
        """The results of one chunk. If a worker dies, its row is run separately from the others."""
        results: list[Any] = [None] * len(rows)
        n_deaths: dict[int, int] = {}
        spans = [(0, len(rows))] if rows else []
        while spans:
            start, stop = spans.pop()
            answer = self._ask(rows[start:stop])
            if isinstance(answer, list):
                results[start:stop] = answer
                continue
            bad = start + answer.row
            if not start <= bad < stop:  # the worker died before or after its rows: bisect
                bad, middle = start, (start + stop) // 2
                if stop - start > 1:
                    spans += [(middle, stop), (start, middle)]
                    continue
            n_deaths[bad] = n_deaths.get(bad, 0) + 1
            if n_deaths[bad] < _MAX_DEATHS:
                spans += [(bad + 1, stop), (bad, bad + 1), (start, bad)]
            else:
                results[bad] = WorkerFailure(answer.reason)
                spans += [(bad + 1, stop), (start, bad)]
            spans = [span for span in spans if span[0] < span[1]]
        return results

    def close(self) -> None:
        """Kill every worker, so that the threads that wait for them end too."""
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
            worker = self._start()
        try:
            answer = worker.ask(rows)
        except (EOFError, OSError):
            row, status = worker.wait()
            if self._is_closed:
                raise MolvaeError("the worker pool was closed") from None
            self._all.remove(worker)
            worker.release()
            return _Death(row, self._explain(status))
        self._idle.put(worker)
        return answer

    def _start(self) -> "_Worker":
        """A worker that is ready; one that is killed while it starts, as if memory runs out, is started again."""
        for n_left in reversed(range(_MAX_STARTS)):
            worker = _Worker(self._task)
            self._all.append(worker)
            if self._is_closed:
                worker.kill()
            if worker.wait_until_ready(may_be_killed=bool(n_left) and not self._is_closed):
                break
            self._all.remove(worker)
            worker.release()
            time.sleep(_START_PAUSE)
        return worker

    def _explain(self, status: int) -> str:
        if status in (-signal.SIGPROF, -signal.SIGALRM):
            return f"timeout: not finished within {self._seconds:g} s"
        if status == -signal.SIGKILL:
            return "crash: the worker was killed; the machine may be out of memory"
        if status < 0:
            return f"crash: {signal.strsignal(-status) or f'signal {-status}'}"
        return f"crash: the worker exited with status {status}"


@dataclass(frozen=True)
class _Death:
    row: int  # index among the rows sent; -1 if none had started
    reason: str


class _Worker:
    """One subprocess, its connection, and the file to which it writes the index of its current row."""

    def __init__(self, task: bytes) -> None:
        ours, theirs = socket.socketpair()
        self._files = ExitStack()
        self._row_file = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._row_file.write(_ROW.pack(-1))
        self._row_file.flush()
        self._stderr = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        arguments = [json.dumps(sys.path), str(theirs.fileno()), str(self._row_file.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(), self._row_file.fileno()),
                env=_ALLOCATOR | os.environ | _THREADS,
                start_new_session=True,  # Ctrl-C reaches only the parent, which ends the workers
            )
        self._connection = self._files.enter_context(Connection(ours.detach()))
        self._task = task

    def wait_until_ready(self, may_be_killed: bool) -> bool:
        """Wait; False if the worker was killed and this is no error."""
        try:
            self._connection.send_bytes(self._task)
            problem = self._connection.recv()
        except (EOFError, OSError):
            _, status = self.wait()
            is_killed = status == -signal.SIGKILL
            if is_killed and may_be_killed:
                return False
            problem = (
                "it was killed; the machine may be out of memory"
                if is_killed
                else f"it exited with status {status}; {self._end_of_stderr()}"
            )
        if problem:
            self.kill()
            raise MolvaeError(f"a worker process could not start: {problem}")
        return True

    def ask(self, rows: list[Any]) -> list[Any]:
        self._connection.send(rows)
        results, problem = self._connection.recv()
        if problem:
            raise _program_error(problem)
        return results

    def wait(self) -> tuple[int, int]:
        """The row that a dead worker was processing, and its exit status."""
        status = self._process.wait()
        (row,) = _ROW.unpack(os.pread(self._row_file.fileno(), _ROW.size, 0))
        return row, status

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Close the files of a dead worker."""
        self._files.close()

    def _end_of_stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()[-500:]


_ROW = struct.Struct("q")


def _serve(connection_fd: int, row_fd: int) -> NoReturn:
    """The main loop of a worker: receive the function, then process chunks until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(connection_fd)
    row_file = mmap.mmap(row_fd, _ROW.size)
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
        connection.send(_work(function, rows, seconds, megabytes, row_file))


def _work(
    function: Callable[[T], R], rows: Sequence[T], seconds: float, megabytes: int, row_file: mmap.mmap | bytearray
) -> tuple[list[R | WorkerFailure], str | None]:
    """The results of some rows, and the traceback if the function has a bug.

    A timer whose signal is not handled ends the process, even inside RDKit's C++ code. Very fast rows share one timer.
    """
    results: list[R | WorkerFailure] = []
    next_timer = 0.0
    for index, row in enumerate(rows):
        row_file[:] = _ROW.pack(index)
        now = time.monotonic()
        if now >= next_timer:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, _WALL_PER_CPU * seconds)
            next_timer = now + _TIMER_SLACK * seconds
        try:
            results.append(_apply(function, row, megabytes))
        except Exception:
            _stop_timers()
            return [], traceback.format_exc()
    _stop_timers()
    row_file[:] = _ROW.pack(-1)
    return results, None


def _stop_timers() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(megabytes: int) -> None:
    """Limit the address space to `megabytes` more than is in use now; no effect on macOS, where this does not work."""
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
