"""The limits of time and memory hold, and the process of the queries ends with the program."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import write_candidates
from molvae.errors import InputError
from molvae.query import process, query
from molvae.query.memory import EXIT_CODE

FOREVER = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r"

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory limit holds on Linux")


@pytest.fixture
def run(candidates: pd.DataFrame, tmp_path: Path) -> Path:
    write_candidates(tmp_path, candidates)
    return tmp_path


@needs_proc
@pytest.mark.parametrize(
    "text",
    [
        "select unnest(range(1000000000))",
        "select length(repeat('x', 2000000000) || repeat('y', 2000000000))",
    ],
    ids=["unnest", "repeat"],
)
def test_a_query_that_needs_too_much_memory_ends_with_one_sentence(
    run: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli._run(["query", str(run), text, "--memory", "0.5"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "0.5 GB of memory" in error
    assert len(query(run, "score > 0.5")) == 2, "the next query runs"


@pytest.mark.parametrize(("megabytes", "code"), [(300, EXIT_CODE), (10, 0)])
def test_a_process_whose_memory_cannot_be_limited_is_watched(megabytes: int, code: int) -> None:
    """As on macOS."""
    program = (
        "import time; from molvae.query.memory import watched_memory\n"
        f"with watched_memory(0.1):\n  x = bytearray(b'x') * {megabytes}_000_000; time.sleep(0.5)"
    )
    # on Linux, a process inherits the peak of the process that starts it, here a shell
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, program]
    assert subprocess.run(command, check=False).returncode == code


def test_a_recursive_query_that_never_ends_is_stopped(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    assert cli._run(["query", str(run), FOREVER, "--seconds", "0.3"]) == 2
    assert "stopped after 0.3 s" in capsys.readouterr().err
    assert time.monotonic() - begin < 10


def test_functions_of_molecules_stop_at_the_time_limit(candidates: pd.DataFrame, tmp_path: Path) -> None:
    rows = pd.concat([candidates.iloc[[0]]] * 400, ignore_index=True)
    rows["candidate_id"] = [f"C{n}" for n in range(len(rows))]
    rows["smiles"] = ["C" * (n % 100 + 1) + "N" + "C" * (n // 100 + 40) for n in range(len(rows))]
    write_candidates(tmp_path, rows)
    with pytest.raises(InputError, match=r"stopped after 0\.05 s"):
        query(tmp_path, "select sum(qed() + sa_score() + np_score()) from candidates", seconds=0.05)


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"seconds": -1}, {"gigabytes": 0}, {"seconds": float("nan")}])
def test_limits_must_be_positive(run: Path, limits: dict[str, float]) -> None:
    with pytest.raises(InputError, match="more than 0"):
        query(run, "score > 0", **limits)


def test_queries_use_the_same_process_which_starts_again_after_it_was_killed(run: Path) -> None:
    query(run, "score > 0")
    first = process._process._process.pid
    query(run, "score > 0.5")
    assert process._process._process.pid == first
    os.kill(first, signal.SIGKILL)
    process._process._process.wait()
    assert len(query(run, "score > 0.5")) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_the_process_of_the_query_ends_with_the_command(run: Path, number: signal.Signals) -> None:
    code = f"from molvae.pipeline import cli; cli.main(['query', {str(run)!r}, {FOREVER!r}])"
    command = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (children := _children(command.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    command.send_signal(number)
    _, error = command.communicate(timeout=20)
    if number == signal.SIGINT:
        assert command.returncode == 130
        assert error == "molvae: stopped\n"
    while any(map(_is_running, children)) and time.monotonic() < deadline + 10:
        time.sleep(0.05)
    assert children
    assert not any(map(_is_running, children))


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(one) for one in listed.stdout.split()]


def _is_running(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")
