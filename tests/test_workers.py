import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest

from molvae import workers
from molvae.chem.molecules import Standardized, standardize
from molvae.errors import InputError, MolvaeError
from molvae.workers import LocalProcesses, Serial, WorkerFailure

ROOT = Path(workers.__file__).parents[2]

HOSTILE = '''
import os, signal, time

def double(row):
    if row == "exit": os._exit(3)
    if row == "abort": os.abort()
    if row == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if row == "segfault": os.kill(os.getpid(), signal.SIGSEGV)
    if row == "sleep": time.sleep(600)
    if row == "spin":
        while True: pass
    if row == "memory":
        hoard = []
        while True: hoard.append(bytearray(10_000_000))
    if row == "value": raise ValueError("bad row\\nsecond line")
    if row == "bug": raise AttributeError("a bug of ours")
    return row * 2

def environment(name):
    return os.environ[name]

def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
    return "done"

def once(path):
    """Kills the worker at the first call, then works, as on a machine that is briefly out of memory."""
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"

def pid(row):
    time.sleep(0.05)
    return os.getpid()
'''


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A module that the workers import through the parent's sys.path."""
    (tmp_path / "hostile_rows.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("hostile_rows", None)
    import hostile_rows

    return hostile_rows


def run(function, chunks, n_workers=None, **limits):
    return LocalProcesses(n_workers)(function, chunks, **limits)


def test_results_keep_the_order_of_rows():
    chunks = [["OCC", "C1CC"], [], ["NCC"], ["c1ccccc1O"] * 50]
    results = list(run(standardize, chunks, n_workers=2))
    assert [len(chunk) for chunk in results] == [2, 0, 1, 50]
    assert results[0][0] == Standardized("CCO")
    assert results[0][1].reason.startswith("invalid SMILES")
    assert results == [[standardize(raw) for raw in chunk] for chunk in chunks]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("exit", "crash: the worker exited with status 3"),
        ("abort", "crash: Aborted"),
        ("segfault", "crash: Segmentation fault"),
        ("kill", "crash: the worker was killed; the machine may be out of memory"),
        ("sleep", "timeout: not finished within 0.1 s"),
        ("spin", "timeout: not finished within 0.1 s"),
        ("memory", "out of memory: more than 300 MB"),
        ("value", "failed: ValueError: bad row"),
    ],
)
def test_a_failing_row_does_not_affect_the_others(hostile, row, reason):
    chunks = [list(range(20)), [*range(7), row, *range(7)], [1, 2]]
    seconds = 5 if row == "memory" else 0.1
    results = list(run(hostile.double, chunks, n_workers=2, seconds_per_row=seconds, megabytes=300))
    expected = [2 * i for i in range(7)]
    assert results == [[2 * i for i in range(20)], [*expected, WorkerFailure(reason), *expected], [2, 4]]


def test_the_loop_of_a_worker(hostile):
    """Run in this process: results, failures, a bug, and that the timers are stopped."""
    row_file = bytearray(8)
    results, error = workers._work(hostile.double, [1, "value", 3], 60, 100, row_file)
    assert results == [2, WorkerFailure("failed: ValueError: bad row"), 6]
    assert error is None
    assert workers._ROW.unpack(row_file) == (-1,)
    results, error = workers._work(hostile.double, [1, "bug", 3], 60, 100, row_file)
    assert results == []
    assert error.strip().endswith("AttributeError: a bug of ours")
    assert workers._ROW.unpack(row_file) == (1,)
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_many_bad_rows_in_one_chunk(hostile):
    rows = ["exit", 1, 2, "abort", "exit", 3, "kill"]
    (results,) = run(hostile.double, [rows], n_workers=1)
    assert [r if isinstance(r, int) else r.reason.split(":")[0] for r in results] == [
        "crash",
        2,
        4,
        "crash",
        "crash",
        6,
        "crash",
    ]


def test_a_row_that_kills_its_worker_on_unpickling_is_found_by_bisection(hostile):
    """The worker dies before it starts any row."""
    rows = [1, DiesWhenRead(), 3, 4]
    (results,) = run(hostile.double, [rows], n_workers=1)
    assert [results[0], *results[2:]] == [2, 6, 8]
    assert results[1] == WorkerFailure("crash: the worker exited with status 9")


class DiesWhenRead:
    def __reduce__(self):
        return os._exit, (9,)


def test_a_row_whose_worker_died_is_retried(hostile, tmp_path):
    assert list(run(hostile.once, [[str(tmp_path / "seen")]], n_workers=1)) == [["done"]]


def test_a_bug_is_raised_and_is_not_a_failed_row(hostile):
    with pytest.raises(MolvaeError, match="AttributeError: a bug of ours"):
        list(run(hostile.double, [[1, "bug"]], n_workers=1))


def test_a_function_that_workers_cannot_import_is_an_error(hostile, tmp_path):
    (tmp_path / "hostile_rows.py").write_text("raise ImportError('not here')")
    with pytest.raises(MolvaeError, match="ImportError: not here"):
        list(run(hostile.double, [[1]], n_workers=1))


@pytest.mark.parametrize("arguments", [{"n_workers": 0}, {"seconds_per_row": 0}, {"seconds_per_row": float("nan")}])
def test_limits_out_of_range_are_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        list(run(standardize, [["C"]], **arguments))


def test_serial_gives_the_results_of_worker_processes(hostile):
    chunks = [[1, "value", 3], [], [4]]
    assert list(Serial()(hostile.double, iter(chunks))) == list(run(hostile.double, iter(chunks), n_workers=1))
    with pytest.raises(MolvaeError, match="AttributeError: a bug of ours"):
        list(Serial()(hostile.double, [[1, "bug"]]))


def test_serial_reads_one_chunk_at_a_time(hostile):
    taken = []
    results = Serial()(hostile.double, ([taken.append(i) or i] for i in range(9)))
    assert next(results) == [0]
    assert taken == [0]


@pytest.mark.parametrize("mapper", [LocalProcesses(), LocalProcesses(2), Serial()])
def test_mappers_can_be_pickled(mapper):
    assert pickle.loads(pickle.dumps(mapper)) == mapper


def test_workers_use_one_thread_each(hostile):
    assert list(run(hostile.environment, [["OMP_NUM_THREADS"]], n_workers=1)) == [["1"]]


def test_the_environment_overrides_the_allocator_settings(hostile, monkeypatch):
    asked = [["GLIBC_TUNABLES"]]
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert list(run(hostile.environment, asked, n_workers=1)) == [["glibc.malloc.tcache_count=256"]]
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    assert list(run(hostile.environment, asked, n_workers=1)) == [["glibc.malloc.arena_max=1"]]


def test_the_time_limit_holds_for_each_row(hostile):
    rows = [0.0, 0.15, 0.0, 0.15, 0.15, 0.15]
    assert list(run(hostile.busy, [rows], n_workers=1, seconds_per_row=0.3)) == [["done"] * 6]


def test_all_workers_are_used_and_then_end(hostile):
    pids = {pid for chunk in run(hostile.pid, [[0, 1]] * 12, n_workers=2) for pid in chunk}
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)


def test_reading_ahead_is_bounded(hostile):
    taken = []

    def chunks():
        for i in range(100):
            taken.append(i)
            yield [i]

    results = run(hostile.double, chunks(), n_workers=2)
    assert next(results) == [0]
    assert len(taken) <= 5
    results.close()
    assert len(taken) <= 5


def test_an_error_while_chunks_are_read_ends_the_workers(hostile):
    def chunks():
        yield [1]
        yield [2]
        raise InputError("truncated file")

    with pytest.raises(InputError, match="truncated file"):
        list(run(partial(hostile.double), chunks(), n_workers=2))


def test_workers_print_nothing(hostile, capfd):
    list(run(hostile.double, [["abort", "value", "exit"]], n_workers=1))
    list(run(standardize, [["c1cccc1", "C1CC"]], n_workers=1))
    assert capfd.readouterr() == ("", "")


SCRIPT = """
    import sys
    from hostile_rows import pid
    from molvae.workers import LocalProcesses
    workers = set()
    try:  # without `if __name__ == "__main__"`
        for chunk in LocalProcesses(2)(pid, ([0] for _ in range(10_000))):
            if len(workers) < 2:
                workers.update(chunk)
                if len(workers) == 2:
                    print(*workers, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_workers_end_with_their_parent_and_print_nothing(hostile, tmp_path, number, status):
    script = tmp_path / "unguarded.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.send_signal(number)
        _, stderr = parent.communicate(timeout=60)
    assert parent.returncode == status
    assert stderr == ""
    deadline = time.monotonic() + 10
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_standing_workers_stay_for_later_chunks_and_bisect_crashes(hostile):
    standing = workers.StandingWorkers(n_tasks=2)
    try:
        task = workers.pack_task(hostile.pid, 5, 300)
        assert standing.run(task, [0]) == standing.run(task, [1])
        double = workers.pack_task(hostile.double, 5, 300)
        assert standing.run(double, [1, "exit", 3]) == [2, WorkerFailure("crash: the worker exited with status 3"), 6]
        before = standing.run(task, [0])
        standing.run(workers.pack_task(hostile.busy, 5, 300), [0.0])  # a third function: double is used least recently
        assert standing.run(task, [0]) == before
        assert len(standing._pools) == 2
        with pytest.raises(MolvaeError, match="AttributeError"):
            standing.run(double, ["bug"])
    finally:
        standing.close()
