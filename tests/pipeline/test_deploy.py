"""Schedules: runs are scheduled at the printed times, and the command has the right exit code."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC
from pathlib import Path

import pytest
from molvae.pipeline import cli

from molvae.errors import InputError

# The command, in a process that also prints the address of its private API.
SERVE = """
import os, sys, threading, time
def print_api():
    while "PREFECT_API_AUTH_STRING" not in os.environ:
        time.sleep(0.1)
    print(os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"], flush=True)
threading.Thread(target=print_api, daemon=True).start()
from molvae.pipeline import cli
cli.main(sys.argv[1:])
"""


def serve(*options: str, cwd: Path) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=env,
    )


def read_runs(url: str, auth: str) -> list[dict]:
    request = urllib.request.Request(f"{url}/flow_runs/filter", b"{}", method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Basic {base64.b64encode(auth.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_a_run_is_scheduled(tmp_path: Path) -> None:
    process = serve("lead_like.toml", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin", cwd=tmp_path)
    try:
        assert process.stdout is not None
        url, auth = process.stdout.readline().split()
        lines = [process.stdout.readline().rstrip() for _ in range(5)]
        assert "'0 3 * * *'" in lines[0]
        assert "Europe/Berlin" in lines[0]
        assert all(re.fullmatch(r"  \w{3} \d{4}-\d\d-\d\d 03:00 CES?T", line) for line in lines[1:4])
        deadline = time.monotonic() + 60
        runs: list[dict] = []
        while not runs and time.monotonic() < deadline:
            time.sleep(0.5)
            runs = read_runs(url, auth)
        assert {run["state"]["type"] for run in runs} == {"SCHEDULED"}
        assert len(runs) >= 3
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 143
    assert error == "molvae: stopped by SIGTERM\n"


@pytest.mark.slow
def test_a_scheduled_run_resumes_after_the_schedule_was_killed(tmp_path: Path) -> None:
    options = ["--cron", "* * * * *", "--set", "search.budget=300", "--set", "search.batch_size=10"]
    first = serve("lead_like.toml", *options, cwd=tmp_path)
    deadline = time.monotonic() + 150
    while not list(tmp_path.glob("runs/*/3-search/checkpoint-*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.kill()
    first.communicate()
    time.sleep(3)
    (run,) = (path.parent for path in tmp_path.glob("runs/*/campaign.toml"))
    assert not (run / "report.html").exists(), "the run ends when the schedule is killed"
    second = serve("lead_like.toml", *options, cwd=tmp_path)
    try:
        assert second.stdout is not None
        lines = iter(second.stdout.readline, "")
        assert next(line for line in lines if str(run) in line).endswith(f"{run} resumed\n")
        assert next(line for line in lines if str(run) in line).endswith(f"{run} completed\n")
    finally:
        second.send_signal(signal.SIGINT)
        _, error = second.communicate(timeout=60)
    assert second.returncode == 130
    assert error == "molvae: stopped\n"
    assert (tmp_path / "runs" / "latest").resolve() == run


@pytest.mark.parametrize("cron", ["0 25 * * *", "every night", "0 3 30 2 *", "0 3 * * * *", ""])
def test_an_invalid_schedule_is_refused(cron: str) -> None:
    from molvae.pipeline.deploy import next_starts

    with pytest.raises(InputError, match=r"--cron .*minute hour day month weekday"):
        next_starts(cron, "UTC")


def test_start_times_follow_daylight_saving_time() -> None:
    from molvae.pipeline.deploy import next_starts

    starts = next_starts("0 3 * * *", "Europe/Berlin", 300)
    assert {start.hour for start in starts} == {3}
    assert {start.astimezone(UTC).hour for start in starts} == {1, 2}


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--cron", "0 25 * * *", "--timezone", "UTC"], "--cron '0 25 * * *': "),
        (["--cron", "0 3 * * *", "--timezone", "Europe/Nowhere"], "--timezone Europe/Nowhere: "),
        (["--cron", "0 3 * * *", "--set", "search.budgt=1"], "[search] budgt: "),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    options: list[str],
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli._run(["serve", "lead_like.toml", *options]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1


def test_times_are_in_the_given_zone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a machine in UTC, the terminal, the logs and the run folders have the time of the zone, with its name."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from molvae.pipeline.commands.serve import _use_zone
    from molvae.pipeline.deploy import _print

    monkeypatch.setenv("TZ", "UTC")
    try:
        for zone in ("Europe/Berlin", "Asia/Kolkata", "America/New_York"):
            _use_zone(zone)
            now = datetime.now(ZoneInfo(zone))
            assert datetime.now().astimezone().utcoffset() == now.utcoffset()
            _print("started")
            printed = capsys.readouterr().out
            assert printed.startswith(f"{now:%Y-%m-%d}")
            assert printed.endswith(f"{now:%Z} started\n")
            assert time.strftime("%H %Z") == f"{now:%H %Z}"
    finally:
        monkeypatch.undo()
        time.tzset()
