"""Run folders: creation, the lock, and the link `latest`."""

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


def test_runs_within_one_second_get_different_folders(tmp_path: Path) -> None:
    runs = [RunDir.create_named(tmp_path / "runs", "nightly") for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    assert all(run.path.name.startswith("nightly-") for run in runs)


def test_create_accepts_an_empty_folder_or_the_folder_of_a_killed_start(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    RunDir.create(folder)
    (folder / ".lock").touch()
    (folder / ".part-campaign-ab12.toml").touch()
    assert RunDir.create(folder).path == folder


def test_create_refuses_a_folder_with_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="--out"):
        RunDir.create(tmp_path)


def test_create_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="--out"):
        RunDir.create(tmp_path / "run")


def test_create_refuses_a_run_and_names_the_command_to_resume(tmp_path: Path) -> None:
    write_campaign(RunDir.create(tmp_path / "run"), "")
    with pytest.raises(InputError, match="molvae design --resume"):
        RunDir.create(tmp_path / "run")


@pytest.mark.parametrize(("name", "part"), [("gone", "gone: "), (".", r"campaign\.toml")])
def test_open_refuses_a_folder_without_a_run(tmp_path: Path, name: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        RunDir.open(tmp_path / name)


def test_lock_excludes_other_processes_and_ends_with_its_process(tmp_path: Path) -> None:
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


def test_worker_processes_do_not_keep_the_lock(tmp_path: Path) -> None:
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


def test_the_process_that_holds_the_lock_can_acquire_it_again(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    with run.lock(), run.lock():
        pass
    with run.lock():
        pass


def test_publish_restores_changed_and_removed_files(tmp_path: Path) -> None:
    run = complete(RunDir.create(tmp_path / "run"))
    run.publish()
    (run.path / "candidates.csv").write_text("edited")
    (run.path / "report.html").unlink()
    run.publish()
    assert [path.read_text() for path in run.published] == [f"x {name}" for name in PUBLISHED]


def test_latest_links_to_the_run_completed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (complete(RunDir.create_named(Path("runs"), "a")) for _ in range(2))
    os.utime(first.validate / "manifest.json", (1000, 1000))
    first.link_latest()
    assert Path("runs/latest").resolve() == first.path
    second.link_latest()
    assert Path("runs/latest").resolve() == second.path
    first.link_latest()
    assert Path("runs/latest").resolve() == second.path
    assert os.readlink("runs/latest") == second.path.name, "a relative link survives moving the folder"


def test_latest_follows_the_recorded_times_and_not_those_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (complete(RunDir.create_named(Path("runs"), "a")) for _ in range(2))
    for run, hour in ((first, 1), (second, 2)):
        (run.validate / "manifest.json").write_text(f'{{"finished": "2026-11-30T0{hour}:00:00.000Z"}}')
    os.utime(second.validate / "manifest.json", (1000, 1000))
    second.link_latest()
    first.link_latest()
    assert Path("runs/latest").resolve() == second.path
    (first.validate / "manifest.json").write_text('{"finished": "at night"}')
    assert first.completed_at() == (first.validate / "manifest.json").stat().st_mtime


def test_latest_of_a_run_elsewhere_is_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = complete(RunDir.create(tmp_path / "elsewhere" / "mine"))
    run.link_latest()
    assert (tmp_path / "runs" / "latest").resolve() == run.path


def test_clear_folder_keeps_the_given_names(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "old").mkdir()
    for name in ("manifest.json", "checkpoint/a", "old/b"):
        (tmp_path / name).touch()
    clear_folder(tmp_path, {"checkpoint"})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
