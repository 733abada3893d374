"""Schedules: runs are scheduled at the printed times, and the command has the right exit code."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from molvae.pipeline import cli

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
    """`molvae serve`; the first line is the address and the password of its API."""
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


def post(url: str, auth: str, path: str, body: dict | None = None) -> Any:
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body or {}).encode(), method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Basic {base64.b64encode(auth.encode()).decode()}")
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:  # SQLite is locked: try again, as Prefect's client does
                raise
            time.sleep(1)


def wait_for(condition: Callable[[], Any], seconds: float = 600) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


def test_a_run_is_scheduled(tmp_path: Path) -> None:
    process = serve("lead_like.toml", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin", cwd=tmp_path)
    try:
        assert process.stdout is not None
        url, auth = process.stdout.readline().split()
        lines = [process.stdout.readline().rstrip() for _ in range(3)]
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d CES?T ", line) for line in lines), "each line has the zone"
        assert "'0 3 * * *'" in lines[0]
        assert "Europe/Berlin" in lines[0]
        assert len(re.findall(r"\w{3} \d{4}-\d\d-\d\d 03:00 CES?T", lines[1])) == 3
        deadline = time.monotonic() + 60
        runs: list[dict] = []
        while not runs and time.monotonic() < deadline:
            time.sleep(0.5)
            runs = post(url, auth, "flow_runs/filter")
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


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--cron", "0 25 * *", "--timezone", "UTC"], "--cron '0 25 * *': "),
        (["--every", "10s"], "--every '10s': "),
        (["--every", "6h", "--cron", "0 3 * * *"], "either --cron or --every, got both"),
        ([], "either --cron or --every, got none"),
        (["--every", "6h", "--overlap", "both"], "--overlap both: expected skip, queue, cancel"),
        (["--every", "6h", "--host", "0.0.0.0"], "add --ui"),
        (["--schedules", "nightly.toml"], "remove CAMPAIGN.toml"),
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
    from molvae.pipeline.deploy import print_line

    monkeypatch.setenv("TZ", "UTC")
    try:
        for zone in ("Europe/Berlin", "Asia/Kolkata", "America/New_York"):
            _use_zone(zone)
            now = datetime.now(ZoneInfo(zone))
            assert datetime.now().astimezone().utcoffset() == now.utcoffset()
            print_line("started")
            printed = capsys.readouterr().out
            assert printed.startswith(f"{now:%Y-%m-%d}")
            assert printed.endswith(f"{now:%Z} started\n")
            assert time.strftime("%H %Z") == f"{now:%H %Z}"
    finally:
        monkeypatch.undo()
        time.tzset()


OVERLAPPING = """
timezone = "Europe/Berlin"
parallel = 3
"""
for _policy in ("skip", "queue", "cancel"):
    OVERLAPPING += f"""
[campaigns.{_policy}]
campaign = "lead_like.toml"
cron = "0 3 1 1 *"
overlap = "{_policy}"
set = ["name={_policy}", "search.budget=200", "search.batch_size=10"]
"""


@pytest.mark.slow
def test_overlapping_runs_follow_the_policy(tmp_path: Path) -> None:
    """Three campaigns in one process: each gets a second start while its first run searches."""
    (tmp_path / "nightly.toml").write_text(OVERLAPPING)
    process = serve("--schedules", "nightly.toml", cwd=tmp_path)
    try:
        assert process.stdout is not None
        url, auth = process.stdout.readline().split()
        lines: list[str] = []
        threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True).start()
        wait_for(lambda: any("press Ctrl-C" in line for line in lines))
        found = wait_for(lambda: len(every := post(url, auth, "deployments/filter")) == 3 and every)
        ids = {one["name"]: one["id"] for one in found}

        def start(policy: str) -> str:
            return post(url, auth, f"deployments/{ids[policy]}/create_flow_run")["id"]

        def run(number: str) -> dict:
            wanted = {"flow_runs": {"id": {"any_": [number]}}}
            return post(url, auth, "flow_runs/filter", wanted)[0]

        first = {policy: start(policy) for policy in ids}
        for policy in ids:
            wait_for(lambda policy=policy: list(tmp_path.glob(f"runs/{policy}-*/3-search/checkpoint-*")))
        second = {policy: start(policy) for policy in ids}
        wait_for(lambda: run(second["skip"])["state"]["type"] == "CANCELLED")
        wait_for(lambda: run(first["cancel"])["state"]["type"] == "CANCELLED")
        for number in (first["skip"], first["queue"], second["queue"], second["cancel"]):
            wait_for(lambda number=number: run(number)["state"]["type"] == "COMPLETED")
        assert run(second["skip"])["state"]["name"] == "Skipped"
        assert "overlap = 'skip'" in run(second["skip"])["state"]["message"]
        assert "overlap = 'cancel'" in run(first["cancel"])["state"]["message"]
        assert run(first["queue"])["end_time"] <= run(second["queue"])["start_time"]
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d CES?T ", line) for line in lines)
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 143, error
    assert len(list(tmp_path.glob("runs/skip-*"))) == 1
    assert len(list(tmp_path.glob("runs/queue-*"))) == 2
    stopped, complete = sorted(tmp_path.glob("runs/cancel-*"))
    assert not (stopped / "candidates.csv").exists()
    assert not list(stopped.rglob(".part-*"))
    subprocess.run(
        [sys.executable, "-m", "molvae.pipeline.cli", "design", "--resume", stopped], cwd=tmp_path, check=True
    )
    assert (stopped / "candidates.csv").read_bytes() == (complete / "candidates.csv").read_bytes()


@pytest.mark.slow
def test_the_user_interface_needs_the_password(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = ["--every", "1d", "--timezone", "UTC", "--ui", "--host", "0.0.0.0", "--port", str(port)]
    process = serve("lead_like.toml", *options, cwd=tmp_path)
    try:
        assert process.stdout is not None
        url, auth = process.stdout.readline().split()
        assert url == f"http://127.0.0.1:{port}/api"
        lines = [process.stdout.readline() for _ in range(5)]
        assert auth in lines[2]
        assert "UTC warning: other machines reach" in lines[3]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
            assert "<html" in page.read().decode()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/flows/count", b"{}", timeout=60)
        assert refused.value.code == HTTPStatus.UNAUTHORIZED
        wait_for(lambda: post(url, auth, "deployments/count") == 1)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
