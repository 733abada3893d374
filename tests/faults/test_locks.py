"""Several processes at one run, processes that sleep or are gone, and file systems without locks."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from molvae.pipeline.run_dir import RunDir

from .harness import Lab, continue_process, fails, kills, results, stops


@pytest.mark.slow
def test_a_run_is_refused_while_another_process_writes_to_it(lab: Lab, small: RunDir) -> None:
    """The first process is stopped by SIGSTOP in the search; it continues, and its run is whole."""
    run = lab.copy(small, "1-featurize")
    first = lab.start("design", "--resume", "run", faults=[stops("rename", "3-search/checkpoint-*/state.bin", after=3)])
    lab.wait_until_stopped(first)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    second = lab.resume(run)
    second.is_refused("another molvae process is writing to it")
    after = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    changed = {path.name for path in before if after.get(path) != before[path]}
    assert changed <= {".lock", "run.log", "failure.json"}, "the second process has changed the files of the first"
    time.sleep(20)  # longer than the limits of time of the workers for one molecule
    continue_process(first)
    ending = lab.finish(first)
    assert ending.code == 0, ending
    assert results(run) == results(small)
    lab.heals(run, small)


@pytest.mark.slow
def test_the_lock_of_a_dead_process_is_no_obstacle(lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, "1-featurize")
    assert lab.resume(run, faults=[kills("rename", "3-search/checkpoint-*/state.bin", after=3)]).code == -signal.SIGKILL
    assert (run.path / ".lock").exists()
    lab.heals(run, small)


def test_the_lock_of_a_living_process_is_respected(lab: Lab, small: RunDir) -> None:
    """A process that has stopped by SIGSTOP still holds its lock; the lock ends with the process."""
    from molvae.errors import InputError

    run = lab.copy(small, "1-featurize")
    code = (
        "import sys, time; from pathlib import Path; from molvae.folders import folder_lock\n"
        "with folder_lock(Path('.lock'), Path('.')): print('locked', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=run.path, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(InputError, match="another molvae process"), run.lock():
        pass
    assert run.is_locked()
    holder.kill()
    holder.communicate()
    assert not run.is_locked()
    with run.lock():
        pass


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL], ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_named(error: int, lab: Lab, small: RunDir) -> None:
    """As some network file systems are mounted: a run there would not be protected from a second one."""
    run = lab.copy(small, "1-featurize")
    ending = lab.resume(run, faults=[fails("lock", "run/.lock", error)])
    ending.is_refused("run: the file system has no locks", "choose a folder on another file system")
    lab.heals(run, small)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["1-featurize/manifest.json", "3-search/checkpoint-*/state.bin"])
def test_a_run_that_is_moved_while_it_is_stopped(moment: str, lab: Lab, small: RunDir) -> None:
    run = lab.copy(small)
    assert lab.resume(run, faults=[kills("rename", moment, after=2 * ("state" in moment))]).code == -signal.SIGKILL
    moved = RunDir(lab.folder / "elsewhere" / "moved")
    moved.path.parent.mkdir()
    shutil.move(run.path, moved.path)
    lab.heals(moved, small)


@pytest.mark.slow
def test_a_run_that_is_moved_while_it_is_running(lab: Lab, small: RunDir) -> None:
    """It ends with the name of the file that it does not find; the moved folder is resumed."""
    run = lab.copy(small)
    process = lab.start(
        "design", "--resume", "run", faults=[stops("rename", "3-search/checkpoint-*/state.bin", after=3)]
    )
    lab.wait_until_stopped(process)
    moved = RunDir(lab.folder / "moved")
    os.rename(run.path, moved.path)
    continue_process(process)
    ending = lab.finish(process)
    ending.is_refused("run/3-search", "no such file or directory")
    assert not run.path.exists(), "nothing is written to the old place"
    lab.heals(moved, small)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_library_that_is_gone_or_changed_between_attempts(change: str, lab: Lab, small: RunDir) -> None:
    """The stage that read it is complete, so the run keeps what it has read, and says so."""
    library = lab.folder / "library.smi"
    shutil.copyfile(small.path.parent / "library.smi", library)
    run = lab.copy(small)
    text = run.campaign.read_text()
    run.campaign.write_text(text.replace(str(small.path.parent / "library.smi"), str(library)))
    assert lab.resume(run, faults=[kills("rename", "3-search/checkpoint-*/state.bin", after=2)]).code == -signal.SIGKILL
    if change == "removed":
        library.unlink()
    else:
        library.write_text("CCCCCO g\n")
    ending = lab.resume(run)
    assert ending.code == 0, ending
    assert f"{library}: " in ending.err
    assert "the run keeps the 4 molecules" in ending.err
    assert results(run) == results(small)
