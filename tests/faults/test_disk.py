"""Disks that are full, read-only or broken."""

import errno
import resource
import shutil

import pytest
from molvae.pipeline.run_dir import RunDir

from .harness import Lab, fails, fill, fills_disk, free_space, mounted, read_only, use_all_inodes

STAGES = ("1-featurize", "3-search", "4-validate")
LARGE_OUTPUTS = {
    "3-search/.part-proposals-*": 1,
    "3-search/.part-latent-*": 1,
    "4-validate/.part-candidates-*.csv": 2,
    "4-validate/.part-candidates-*.parquet": 2,
    "4-validate/.part-candidates-*.sdf": 2,
    "4-validate/.part-report-*": 2,
    ".part-candidates-*.sdf": 3,
    ".part-report-*": 3,
}
"""Name while the file is written -> number of stages that are complete before."""


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_OUTPUTS)
def test_a_disk_that_is_full_in_a_large_file(name: str, lab: Lab, large: RunDir) -> None:
    with mounted(lab.folder / "disk", "size=100m") as disk:
        run = lab.copy(large, *STAGES[: LARGE_OUTPUTS[name]], to=disk / "run")
        ending = lab.resume(run, faults=[fills_disk(name, left=200_000)], mount=disk)
        ending.is_refused("no space left on device", "free some space", "resume with")
        assert name.split("part-")[1].split("-")[0] in ending.last_line, "the file is named"
        assert not list(run.path.rglob(".part-*"))
        free_space(disk)
        lab.heals(run, large)


ERRORS = {
    errno.EIO: "input/output error; the disk may be failing",
    errno.EDQUOT: "disk quota exceeded; free some space",
    errno.EROFS: "read-only file system; choose a folder",
}
FILES = ("proposals", "latent", "candidates", "report", "manifest")
QUICK = ("report", errno.EIO)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param(
            name, error, id=f"{name}-{errno.errorcode[error]}", marks=[pytest.mark.slow] * ((name, error) != QUICK)
        )
        for name in FILES
        for error in ERRORS
    ],
)
def test_a_file_that_cannot_be_written(name: str, error: int, lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, *STAGES[: 1 if name in ("proposals", "latent") else 2])
    ending = lab.resume(run, faults=[fails("write", f".part-{name}-*", error)])
    ending.is_refused(f"{name}.", ERRORS[error], "resume with: molvae design --resume run")
    lab.heals(run, small)


@pytest.mark.slow
@pytest.mark.parametrize("event", ["fsync", "rename"])
@pytest.mark.parametrize("name", ["proposals", "rounds", "state", "candidates", "manifest"])
def test_a_file_that_cannot_be_completed(event: str, name: str, lab: Lab, small: RunDir) -> None:
    """The disk reports at fsync that it has lost what was written, or refuses the new name."""
    if event == "rename" and name == "rounds":
        return  # it is appended to
    run = lab.copy(small, *STAGES[: 2 if name == "candidates" else 1])
    pattern = f"3-search/*{name}*" if name in ("rounds", "state") else f"*{name}*"
    ending = lab.resume(run, faults=[fails(event, pattern)])
    ending.is_refused("input/output error; the disk may be failing", "resume with: molvae design --resume run")
    lab.heals(run, small)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["full", "no inodes"])
def test_a_disk_without_any_space(space: str, lab: Lab, small: RunDir) -> None:
    """Not even the log of the run can be written."""
    with mounted(lab.folder / "disk", "size=400k,nr_inodes=20") as disk:
        run = lab.copy(small, *STAGES[:2], to=disk / "run")
        if space == "full":
            fill(disk)
        else:
            use_all_inodes(disk)
        ending = lab.resume(run)
        ending.is_refused("no space left on device", "free some space")
        assert ("it has no inodes" in ending.last_line) == (space == "no inodes")
        shutil.rmtree(disk / "ballast")
    # The disk is too small for the report, so the run is completed elsewhere.


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, *STAGES[:2])
    with read_only(run.path):
        ending = lab.resume(run)
        ending.is_refused("read-only file system; choose a folder that you can write to")
    lab.heals(run, small)


@pytest.mark.slow
def test_a_limit_of_file_sizes(lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, *STAGES[:2])
    limit = (100_000, 100_000)
    ending = lab.resume(run, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    ending.is_refused("candidates.sdf: cannot be written: file too large; raise the limit", "resume with")
    lab.heals(run, small)


@pytest.mark.slow
def test_a_log_that_cannot_be_written_does_not_stop_the_run(lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, *STAGES[:2])
    ending = lab.resume(run, faults=[fails("write", "run.log", errno.ENOSPC)])
    assert ending.code == 0, ending
    assert ending.err.count("run.log: the log cannot be written: no space left on device") == 1
    assert "Traceback" not in ending.err
    lab.heals(run, small)
