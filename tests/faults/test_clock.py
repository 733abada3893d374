"""A clock that is set while a run is going on, and the changes of daylight saving time."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from molvae.pipeline.manifest import Manifest
from molvae.pipeline.run_dir import RunDir

from .harness import Lab, continue_process, results, stops


def set_clock(file: Path, seconds: float) -> None:
    """Add seconds to the clock of the commands that use the file."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(struct.pack("d", seconds))


@pytest.mark.slow
@pytest.mark.parametrize("step", [-7200.0, 7200.0], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_no_result_and_no_duration(step: float, lab: Lab, small: RunDir) -> None:
    clock = lab.folder / "clock"
    set_clock(clock, 0)
    run = lab.copy(small, "1-featurize")
    process = lab.start(
        "design",
        "--resume",
        "run",
        faults=[stops("rename", "3-search/checkpoint-*/state.bin", after=3)],
        environment={"FAULTS_CLOCK": str(clock)},
    )
    lab.wait_until_stopped(process)
    set_clock(clock, step)
    continue_process(process)
    ending = lab.finish(process)
    assert ending.code == 0, ending
    manifest = Manifest.read(run.search)
    assert manifest is not None
    assert 0 < manifest.seconds < 600
    assert results(run) == results(small)
    lab.heals(run, small)


def at(lab: Lab, time: str, zone: str, code: str) -> str:
    """The output of Python code that runs at a time, given in UTC."""
    import os
    import subprocess
    import sys

    clock = lab.folder / "clock"
    set_clock(clock, datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() - datetime.now(UTC).timestamp())
    env = os.environ | {"TZ": zone, "LD_PRELOAD": str(lab.library), "FAULTS_CLOCK": str(clock)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=lab.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


NAMES = """
from pathlib import Path
from molvae.pipeline import clock
from molvae.pipeline.run_dir import RunDir
for _ in range(2):
    print(RunDir.create_named(Path("runs"), "lead").path.name, clock.now()[:19])
"""


def test_names_of_run_folders_are_unique_when_an_hour_is_repeated(lab: Lab) -> None:
    """In Berlin, the clock shows 02:30 twice in the night of 25 October 2026."""
    first = at(lab, "2026-10-25T00:30:00", "Europe/Berlin", NAMES).splitlines()
    second = at(lab, "2026-10-25T01:30:00", "Europe/Berlin", NAMES).splitlines()
    names = [line.split()[0] for line in first + second]
    assert len(set(names)) == 4
    assert all(name.startswith("lead-20261025-0230") for name in names)
    times = [line.split()[1] for line in first + second]
    assert times == sorted(times), "times in the records are in UTC"
    assert times[0][:16] == "2026-10-25T00:30"
    assert times[3][:16] == "2026-10-25T01:30"


STARTS = """
import json, sys
from molvae.pipeline.deploy import next_starts
print(json.dumps([start.isoformat() for start in next_starts(sys.argv[1], "Europe/Berlin")]))
"""


@pytest.mark.parametrize(
    ("now", "cron", "starts"),
    [
        # summer time begins: there is no 02:30 on 29 March
        ("2026-03-28T12:00:00", "0 3 * * *", ["2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"]),
        ("2026-03-28T12:00:00", "30 2 * * *", ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]),
        # summer time ends: 02:30 occurs twice on 25 October, and the run starts once
        ("2026-10-24T12:00:00", "0 3 * * *", ["2026-10-25T03:00:00+01:00", "2026-10-26T03:00:00+01:00"]),
        ("2026-10-24T12:00:00", "30 2 * * *", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    ],
)
@pytest.mark.slow
def test_a_nightly_run_starts_once_a_night(now: str, cron: str, starts: list[str], lab: Lab) -> None:
    import json

    code = STARTS.replace("sys.argv[1]", repr(cron))
    assert json.loads(at(lab, now, "Europe/Berlin", code))[:2] == starts
