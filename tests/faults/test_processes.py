"""Worker processes that are killed or out of memory, and the memory of the run itself."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest
from molvae.pipeline.run_dir import RunDir

from molvae.codec import load_codec
from molvae.workers import LocalProcesses, WorkerFailure

from .harness import Lab, results

ROOT = Path(__file__).parents[2]


def square_slowly(row: int) -> int:
    time.sleep(0.002)
    return row * row


def use_memory(row: int) -> int:
    return len(bytearray(row * 1_000_000))


def children_of(pid: int) -> list[int]:
    """Process ids of the workers of a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == pid and b"molvae.workers" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_rows_of_a_killed_worker_are_computed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does if memory runs out: every row has its result, in order."""
    monkeypatch.syspath_prepend(ROOT)  # workers import the function from this file
    chunks = [range(start, start + 50) for start in range(0, 500, 50)]
    results, n_killed = [], 0
    for chunk in LocalProcesses(2)(square_slowly, chunks):
        results += chunk
        for worker in children_of(os.getpid())[:1] if n_killed < 3 else ():  # none while another one is started
            os.kill(worker, signal.SIGKILL)
            n_killed += 1
    assert n_killed > 0
    assert results == [row * row for row in range(500)]


def test_a_row_that_needs_too_much_memory_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    rows = [1, 2, 5_000, 3]
    (found,) = LocalProcesses(1)(use_memory, [rows], megabytes=500)
    assert found == [1_000_000, 2_000_000, WorkerFailure("out of memory: more than 500 MB"), 3_000_000]


@pytest.mark.slow
def test_workers_that_are_killed_change_no_candidate(lab: Lab, small: RunDir) -> None:
    """The first two while they start, the others every 20 seconds, ready or not."""
    run = lab.copy(small)
    process = lab.start("design", "--resume", "run")
    n_killed = 0
    while process.poll() is None:
        for worker in children_of(process.pid)[:1] if n_killed < 6 else ():
            os.kill(worker, signal.SIGKILL)
            n_killed += 1
            time.sleep(0.5 if n_killed < 2 else 20)
        time.sleep(0.05)
    ending = lab.finish(process)
    assert ending.code == 0, ending
    assert n_killed > 1
    assert results(run) == results(small)
    lab.heals(run, small)


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [300, 700])
def test_a_limit_of_memory_is_named(megabytes: int, lab: Lab, small: RunDir) -> None:
    """It is reached while packages are imported."""
    run = lab.copy(small, "1-featurize")
    limit = (megabytes * 1_000_000, megabytes * 1_000_000)
    ending = lab.resume(run, before=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))
    ending.is_refused("cannot allocate memory; close other programs", code=1)
    lab.heals(run, small)


def test_a_codec_that_needs_too_much_memory_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch raises; a real limit stops the codec at another place each time, also inside of libraries."""

    def build(*arguments: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 512000 bytes")

    monkeypatch.setattr("molvae.codec.storage.build", build)
    with pytest.raises(MemoryError):
        load_codec("moses")
