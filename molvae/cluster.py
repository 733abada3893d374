"""A mapper over the workers of an existing Dask cluster; each Dask worker runs rows in its own worker processes."""

import contextlib
import hashlib
import logging
import pickle
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from molvae.errors import InputError, MolvaeError, first_line
from molvae.extras import require
from molvae.shards import ShardStore, digest_of
from molvae.workers import StandingWorkers, WorkerFailure, pack_task

T = TypeVar("T")
R = TypeVar("R")

_PACKAGES = (
    "molvae", "rdkit", "numpy", "tokenizers", "selfies", "chembl-structure-pipeline", "dimorphite-dl", "vina", "meeko",
    "distributed",
)  # fmt: skip
_SHARDS_PER_THREAD = 3  # in flight: one runs, one waits on the worker, one is on its way
_POLL_SECONDS = 5.0
_MAX_LOSSES = 2
_NOT_FINAL = ("crash", "timeout", "out of memory")
_FAILED_AGAIN = "crash: every Dask worker that ran this row ended; the machines may be out of memory"


class DaskCluster:
    """Mapper over the workers of an existing Dask cluster.

    A chunk is a shard: one task of the cluster. A limited number of shards is in flight, and results keep the order of
    the rows. A row that crashes or exceeds a limit ends a process that the Dask worker has started for it, not the Dask
    worker. If a Dask worker is lost, its shards run again on another one.

    Parameters
    ----------
    address : str
        Address of the scheduler, as in ``"tcp://10.0.0.5:8786"``.
    store : Path or None, default=None
        Folder for the results of complete shards; a later call with equal rows reads them. None stores nothing.
    wait_seconds : float, default=60.0
        How long to wait for the scheduler, and for a worker while there is none.

    Attributes
    ----------
    is_cluster : bool
        True: the workers may be on other machines.

    Raises
    ------
    MissingPackageError
        Dask is not installed.
    """

    is_cluster = True

    def __init__(self, address: str, *, store: Path | None = None, wait_seconds: float = 60.0) -> None:
        require("distributed", 'runner kind = "dask"')
        self._address, self._wait_seconds = address, wait_seconds
        self._store = ShardStore(store) if store is not None else None
        self._client: Any = None
        self._n_threads, self._counted_at = 0, -float("inf")

    def connect(self) -> None:
        """Connect to the cluster, unless that is done; the first chunk does it otherwise.

        Raises
        ------
        InputError
            No scheduler answers at the address, or the versions of the cluster differ from those of this process.
        MolvaeError
            The cluster has no worker.
        """
        if self._client is not None:
            return
        from distributed import Client

        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # its errors are raised here, too
        try:
            self._client = Client(self._address, timeout=self._wait_seconds, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"no Dask scheduler at {self._address} ({first_line(error)}); start one with `dask scheduler` or "
                "correct the address"
            ) from None
        try:
            self._wait_for_workers()
            self._check_versions()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect from the cluster, which keeps running."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            client.close(timeout=2)
        except TimeoutError:  # the scheduler is gone
            client.status = "closed"  # else the client tries again, and prints the error, when it is deleted

    @property
    def n_workers(self) -> int:
        """Number of rows that the cluster processes at the same time: the threads of its workers."""
        self.connect()
        if time.monotonic() - self._counted_at > _POLL_SECONDS:
            self._n_threads, self._counted_at = sum(self._ask(self._client.nthreads).values()), time.monotonic()
        return max(1, self._n_threads)

    def __call__(
        self,
        function: Callable[[T], R],
        chunks: Iterable[Sequence[T]],
        *,
        seconds_per_row: float = 2.0,
        megabytes: int = 2000,
    ) -> Iterator[list[R | WorkerFailure]]:
        """The results of each chunk, in order; see `Mapper`.

        Besides the errors there, those of `connect`, and MolvaeError if the scheduler is gone or there is no worker for
        `wait_seconds`.
        """
        task = pack_task(function, seconds_per_row, megabytes)
        pending: deque[_Shard] = deque()
        try:
            for chunk in chunks:
                rows = list(chunk)
                shard = _Shard(digest_of(function, rows, environment()), task, rows, None)
                stored = self._store.read(shard.digest) if self._store else None
                if stored is not None and len(stored) == len(rows):
                    pending.append(shard._replace(results=stored))
                else:
                    pending.append(self._submit(shard))
                while pending and (pending[0].results is not None or len(pending) > self._n_in_flight()):
                    yield self._finish(pending.popleft())
            while pending:
                yield self._finish(pending.popleft())
        finally:
            futures = [shard.future for shard in pending if shard.future is not None]
            if futures:
                with contextlib.suppress(Exception):  # the scheduler may be gone; nothing waits for these shards
                    self._client.cancel(futures)

    def _n_in_flight(self) -> int:
        return _SHARDS_PER_THREAD * self.n_workers

    def _submit(self, shard: "_Shard") -> "_Shard":
        self.connect()
        future = self._ask(
            lambda: self._client.submit(
                run_shard, shard.task, shard.rows, environment(), key=f"molvae-{shard.digest}", pure=False
            )
        )
        return shard._replace(future=future)

    def _finish(self, shard: "_Shard", n_losses: int = 0) -> list[Any]:
        """The results of a shard, when it is complete. If it ends its workers, it is bisected."""
        if shard.results is not None:
            return shard.results
        payload = self._wait_for(shard)
        if payload is not None:
            results: list[Any] = pickle.loads(payload)
            if self._store and not any(map(_is_not_final, results)):
                self._store.write(shard.digest, payload)
            return results
        if len(shard.rows) > 1:
            middle = len(shard.rows) // 2
            found: list[Any] = []
            for part, rows in enumerate((shard.rows[:middle], shard.rows[middle:])):  # one by one: which of them is it?
                found += self._finish(self._submit(shard._replace(rows=rows, digest=f"{shard.digest}-{part}")))
            return found
        if n_losses + 1 < _MAX_LOSSES:
            return self._finish(self._submit(shard._replace(digest=f"{shard.digest}-again")), n_losses + 1)
        return [WorkerFailure(_FAILED_AGAIN)]

    def _wait_for(self, shard: "_Shard") -> bytes | None:
        """The results of a shard, pickled; None if the workers that ran it ended, several times."""
        from distributed import KilledWorker

        while True:
            try:
                return self._ask(lambda: shard.future.result(timeout=_POLL_SECONDS))
            except TimeoutError:
                self._wait_for_workers()
            except KilledWorker:
                return None

    def _wait_for_workers(self) -> None:
        """Wait until the cluster has a worker."""
        if self._ask(self._client.nthreads):
            return
        try:
            self._ask(lambda: self._client.wait_for_workers(1, timeout=self._wait_seconds))
        except TimeoutError:
            raise MolvaeError(
                f"the Dask cluster at {self._address} has no worker for {self._wait_seconds:g} s; start one with `dask "
                f"worker {self._address}`; results so far are kept for a resumption"
            ) from None

    def _check_versions(self) -> None:
        """Compare the versions of scheduler and workers with those of this process."""
        try:
            found = {"the scheduler": self._ask(lambda: self._client.run_on_scheduler(environment))}
            found |= {f"worker {name}": one for name, one in self._ask(lambda: self._client.run(environment)).items()}
        except ModuleNotFoundError as error:
            raise InputError(
                f"the Dask cluster at {self._address} has no package {error.name}; install molvae and its packages "
                "on every machine of the cluster"
            ) from None
        for name, theirs in found.items():
            _compare(theirs, environment(), f"{name} of the Dask cluster at {self._address}")

    def _ask(self, call: Callable[[], Any]) -> Any:
        """The result of a call of the client; an error of the connection becomes a sentence."""
        from distributed.comm import CommClosedError

        try:
            return call()
        except TimeoutError:
            raise
        except (CancelledError, CommClosedError, OSError) as error:
            problem = "the connection was lost" if isinstance(error, CancelledError) else first_line(error)
        except RuntimeError as error:
            if "Client" not in str(error) and "graph" not in str(error):
                raise
            problem = first_line(error)
        raise MolvaeError(
            f"the Dask scheduler at {self._address} is gone ({problem}); results so far are kept for a resumption"
        )


class _Shard(NamedTuple):
    """A chunk in flight: `future` if the cluster computes it, or `results` from the store."""

    digest: str
    task: bytes
    rows: list[Any]
    results: list[Any] | None
    future: Any = None


_workers = StandingWorkers()


def run_shard(task: bytes, rows: Sequence[Any], expected: dict[str, str]) -> bytes:
    """Process a shard, in a Dask worker.

    Parameters
    ----------
    task : bytes
        The function and its limits; see `pack_task`.
    rows : sequence
        The rows.
    expected : dict of str to str
        What `environment` returns in the process that needs the results.

    Returns
    -------
    bytes
        The list of results, pickled.

    Raises
    ------
    InputError
        The versions of packages differ from the expected ones.
    MolvaeError
        The function has a bug, or no worker process can start.
    """
    _compare(environment(), expected, f"a Dask worker on {platform.node()}")
    return pickle.dumps(_workers.run(task, rows), protocol=5)


@cache
def environment() -> dict[str, str]:
    """Describe what results depend on besides function and rows.

    Returns
    -------
    dict of str to str
        Versions of Python and of packages, and a hash of the source files of molvae.
    """
    source = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*.py")):
        if path.relative_to(source).parts[0] not in ("pipeline", "data"):
            digest.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes())
    versions = {name: _installed(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions, "molvae's source": digest.hexdigest()[:12]}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _compare(found: dict[str, str], expected: dict[str, str], where: str) -> None:
    differ = [
        f"{name} {found.get(name, 'unknown')} (here {mine})"
        for name, mine in expected.items()
        if found.get(name) != mine
    ]
    if differ:
        raise InputError(f"{where} has {', '.join(differ)}; install the same versions on all machines")


def _is_not_final(result: object) -> bool:
    """Whether a row might succeed at another attempt."""
    return isinstance(result, WorkerFailure) and result.reason.startswith(_NOT_FINAL)
