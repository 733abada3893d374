"""Run folders: who may begin one, who may write to it, and where `latest` points."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from molvae.pipeline.run_dir import PUBLISHED, RunDir, clear_folder, write_campaign

from molvae.errors import InputError

HOLD_LOCK = """
import sys, time
from pathlib import Path
from molvae.pipeline.run_dir import RunDir
with RunDir(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def complete(run: RunDir, text: str = "x") -> RunDir:
    write_campaign(run, "name = 'a'\n")
    run.validate.mkdir(exist_ok=True)
    for name in PUBLISHED:
        (run.validate / name).write_text(f"{text} {name}")
    (run.validate / "manifest.json").write_text("{}")
    return run


def test_two_runs_of_one_second_get_different_folders(tmp_path: Path) -> None:
    runs = [RunDir.create_named(tmp_path / "runs", "nightly") for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    assert all(run.path.name.startswith("nightly-") for run in runs)


def test_create_takes_an_empty_folder_or_what_a_killed_start_left(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    RunDir.create(folder)
    (folder / ".lock").touch()
    (folder / ".part-campaign-ab12.toml").touch()
    assert RunDir.create(folder).path == folder


def test_create_refuses_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        RunDir.create(tmp_path)


def test_create_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        RunDir.create(tmp_path / "run")


def test_create_tells_how_to_go_on_with_a_run(tmp_path: Path) -> None:
    write_campaign(RunDir.create(tmp_path / "run"), "")
    with pytest.raises(InputError, match="molvae design --resume"):
        RunDir.create(tmp_path / "run")


@pytest.mark.parametrize(("name", "said"), [("gone", "no such folder"), (".", "no run here")])
def test_open_refuses_what_is_no_run(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        RunDir.open(tmp_path / name)


def test_lock_keeps_another_process_out_and_dies_with_it(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    holder = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(run.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another molvae process is writing"), run.lock():
            pass
        assert run.is_locked()
    finally:
        holder.kill()
        holder.wait()
    with run.lock():
        assert not run.is_locked()


def test_lock_is_not_held_on_by_worker_processes(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    with run.lock():
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        assert subprocess.run([sys.executable, "-c", HOLD_LOCK.replace("60", "0"), str(run.path)]).returncode == 0
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_lock_may_be_taken_again_by_its_holder(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    with run.lock(), run.lock():
        pass
    with run.lock():
        pass


def test_publish_restores_what_was_changed_or_removed(tmp_path: Path) -> None:
    run = complete(RunDir.create(tmp_path / "run"))
    run.publish()
    (run.path / "candidates.csv").write_text("edited")
    (run.path / "report.html").unlink()
    run.publish()
    assert [place.read_text() for place in run.published] == [f"x {name}" for name in PUBLISHED]


def test_latest_points_to_the_run_completed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (complete(RunDir.create_named(Path("runs"), "a")) for _ in range(2))
    os.utime(first.validate / "manifest.json", (1000, 1000))
    first.point_latest()
    assert Path("runs/latest").resolve() == first.path
    second.point_latest()
    assert Path("runs/latest").resolve() == second.path
    first.point_latest()
    assert Path("runs/latest").resolve() == second.path
    assert os.readlink("runs/latest") == second.path.name, "relative, so that the folder can be moved"


def test_latest_of_a_run_elsewhere_stands_in_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = complete(RunDir.create(tmp_path / "elsewhere" / "mine"))
    run.point_latest()
    assert (tmp_path / "runs" / "latest").resolve() == run.path


def test_clear_folder_keeps_what_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "old").mkdir()
    for name in ("manifest.json", "checkpoint/a", "old/b"):
        (tmp_path / name).touch()
    clear_folder(tmp_path, {"checkpoint"})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
