"""The list of runs: their states, their results and their times, read from the folders alone."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from molvae.pipeline import cli, runs
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.run_states import RunState, find_any_run, list_runs, state_of

from molvae.errors import InputError


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user of the machine can read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def by_name(folder: Path) -> dict[str, RunState]:
    return {one.run: one for one in list_runs(folder)}


def test_each_state_is_found_with_its_reason(run_folders: Any) -> None:
    run_folders.complete("done", day=5)
    run_folders.start("stopped", day=4)
    failed = run_folders.start("failed", day=3)
    with pytest.raises(InputError), runs.recording_failure(failed):
        raise InputError("library.csv: no column with SMILES")
    damaged = run_folders.complete("damaged", day=2)
    (damaged.validate / "candidates.sdf").unlink()
    with run_folders.held(run_folders.start("held", day=1)):
        found = by_name(run_folders.folder)
    assert {name: one.state for name, one in found.items()} == {
        "done": "completed", "stopped": "unfinished", "failed": "failed", "damaged": "damaged", "held": "running",
    }  # fmt: skip
    assert found["failed"].reason == "library.csv: no column with SMILES"
    assert "candidates.sdf: missing" in found["damaged"].reason
    assert by_name(run_folders.folder)["held"].state == "unfinished", "the lock ended with its process"


def test_a_completed_run_has_its_results_and_times(run_folders: Any) -> None:
    run = run_folders.complete("one", day=3, best=0.75)
    run.pin()
    (run_folders.folder / "latest").symlink_to("one")
    (one,) = list_runs(run_folders.folder)
    assert (one.campaign, one.n_scored, one.n_passed, one.best_score) == ("lead", 2, 2, 0.75)
    assert (one.started, one.completed) == ("1970-01-04T00:00:00.000Z",) * 2
    assert one.is_latest
    assert one.is_pinned
    run.unpin()
    assert not state_of(run).is_pinned


def test_a_copied_run_keeps_its_time_of_completion(run_folders: Any) -> None:
    run_folders.complete("one", day=3)
    shutil.copytree(
        run_folders.folder / "one", run_folders.folder / "copy", copy_function=shutil.copyfile
    )  # with new times of the files
    assert {one.completed for one in list_runs(run_folders.folder)} == {"1970-01-04T00:00:00.000Z"}


def test_a_run_of_an_earlier_release_is_listed(run_folders: Any) -> None:
    run = run_folders.complete("old", best=0.25)
    run_folders.change_manifest(run, started=None, finished=None, facts=None)
    run.start.unlink()
    os.utime(run.validate / "manifest.json", (run_folders.day, run_folders.day))
    os.utime(run.campaign, (run_folders.day / 2, run_folders.day / 2))
    one = state_of(run)
    assert (one.state, one.completed, one.started) == (
        "completed", "1970-01-02T00:00:00.000Z", "1970-01-01T12:00:00.000Z",
    )  # fmt: skip
    assert one.best_score == 0.25


def test_the_newest_run_comes_first_and_a_campaign_can_be_chosen(run_folders: Any) -> None:
    for name, campaign, day in (("b", "lead", 1), ("a", "lead", 3), ("c", "other", 2)):
        run_folders.complete(name, campaign, day=day)
    (run_folders.folder / "notes").mkdir()
    (run_folders.folder / ".removed-x").mkdir()
    assert [one.run for one in list_runs(run_folders.folder)] == ["a", "c", "b"]
    assert [one.run for one in list_runs(run_folders.folder, "lead")] == ["a", "b"]
    with pytest.raises(InputError, match="no such folder"):
        list_runs(run_folders.folder / "gone")


@pytest.mark.parametrize(
    ("file", "content", "state"),
    [
        ("campaign.toml", b"\xff name = ", "damaged"),
        ("4-validate/manifest.json", b"{", "damaged"),
        ("4-validate/manifest.json", b"[]", "damaged"),
        ("4-validate/candidates.csv", b"", "damaged"),
        ("start.json", b"[1]", "completed"),
        ("start.json", b'{"created": "' + b"9" * 50 + b'"}', "completed"),
    ],
)
def test_a_damaged_file_is_a_row_and_stops_nothing(run_folders: Any, file: str, content: bytes, state: str) -> None:
    run_folders.complete("good")
    (run_folders.complete("bad").path / file).write_bytes(content)
    found = by_name(run_folders.folder)
    assert (found["good"].state, found["bad"].state) == ("completed", state)
    assert bool(found["bad"].reason) == (state == "damaged")


def test_a_folder_without_permission_is_a_row_and_skipped_by_a_query(
    public_folder: Path, run_folders: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from molvae.pipeline.catalogue import find_tables

    for name in ("closed", "open"):
        type(run_folders)(public_folder).complete(name)
    (public_folder / "closed").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # root may read everything
    try:
        found = by_name(public_folder)
        tables = find_tables([public_folder])
    finally:
        os.seteuid(user)
        (public_folder / "closed").chmod(0o755)
    assert {name: one.state for name, one in found.items()} == {"closed": "damaged", "open": "completed"}
    assert "permission denied" in found["closed"].reason
    assert [table.run for table in tables] == ["open"]
    assert "closed: cannot be read and is skipped (permission denied)" in capsys.readouterr().err


def test_a_query_skips_a_truncated_table_and_a_run_that_is_being_removed(
    run_folders: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from molvae.pipeline.catalogue import find_tables

    for name in ("good", "bad", ".removed-old"):
        run_folders.complete(name)
    table = run_folders.folder / "bad" / "candidates.parquet"
    table.write_bytes(table.read_bytes()[:-8])
    assert [one.run for one in find_tables([run_folders.folder])] == ["good"]
    assert "bad: cannot be read and is skipped" in capsys.readouterr().err


def test_a_failure_is_forgotten_at_the_next_start(run_folders: Any) -> None:
    run = run_folders.start("one")
    with pytest.raises(OSError, match="full"), runs.recording_failure(run):
        raise OSError(28, "Disk full", "candidates.csv")
    assert str(state_of(run).reason).startswith("candidates.csv: no space left on device; free some space")
    with pytest.raises(KeyboardInterrupt), runs.recording_failure(run):
        raise KeyboardInterrupt
    assert state_of(run).state == "unfinished", "a stop request is no failure"


def test_a_run_is_found_by_its_name_its_folder_and_latest(run_folders: Any) -> None:
    run = run_folders.start("one")
    (run_folders.folder / "latest").symlink_to("one")
    for word in ("one", "latest", "runs/one", str(run.path)):
        assert find_any_run(word, Path("runs")) == run
    with pytest.raises(InputError, match="no such run"):
        find_any_run("two", Path("runs"))


def test_the_commands_list_show_and_pin(run_folders: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_folders.complete("one", best=0.75)
    run_folders.start("two", "other", day=2)
    assert cli._run(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["two", "unfinished", "other"]
    assert "stopped in" in lines[2]
    assert lines[3].split()[-3:] == ["2", "2", "0.750"]
    assert cli._run(["runs", "--json", "--campaign", "lead"]) == 0
    assert [one["best_score"] for one in json.loads(capsys.readouterr().out)] == [0.75]
    assert cli._run(["runs", "show", "two"]) == 0
    assert "molvae design --resume runs/two" in capsys.readouterr().out
    (run_folders.folder / "one" / "4-validate" / "report.html").write_text("report.html of 0ne")  # of the same size
    assert cli._run(["runs", "show", "one", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(one["stage"], one["state"]) for one in shown["stages"]] == [
        ("4-validate", "damaged: report.html (changed)")
    ]
    assert cli._run(["runs", "pin", "one"]) == 0
    assert RunDir(run_folders.folder / "one").is_pinned
    assert cli._run(["runs", "unpin", "one"]) == 0
    assert not RunDir(run_folders.folder / "one").is_pinned
    assert cli._run(["runs", "show", "three"]) == 2
