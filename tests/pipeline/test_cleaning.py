"""`molvae runs clean`: what it removes, what it never removes, and what an interruption leaves."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from molvae.pipeline import cli
from molvae.pipeline.cleaning import clean, plan_cleaning
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.run_states import list_runs

DAY = 86_400.0


@pytest.fixture
def folder(run_folders: Any) -> Path:
    """Five completed runs of two campaigns and an unfinished one; `latest` links to the third."""
    for day, best in ((1, 0.9), (2, 0.3), (3, 0.5), (4, 0.4)):
        run_folders.complete(f"lead-{day}", day=day, best=best)
    run_folders.complete("other-1", "other", day=1)
    run_folders.start("lead-0", day=0.5)
    folder: Path = run_folders.folder
    (folder / "latest").symlink_to("lead-3")
    return folder


def plan(folder: Path, *, n_best: int = 0, days: float = 0, campaign: str | None = None) -> tuple[set[str], set[str]]:
    """Names of the runs that would be removed ten days after the first one, and of those that are kept."""
    found = plan_cleaning(folder, max_age=days * DAY, n_best=n_best, campaign=campaign, now=10 * DAY)
    return {one.run for one in found.removed}, {one.run for one, _ in found.kept}


def test_old_runs_are_removed_except_latest_and_the_last_of_each_campaign(folder: Path) -> None:
    assert plan(folder) == ({"lead-0", "lead-1", "lead-2"}, {"lead-3", "lead-4", "other-1"})
    assert plan(folder, days=8.5)[0] == {"lead-0", "lead-1"}
    assert plan(folder, days=30) == (set(), set())
    assert plan(folder, campaign="other") == (set(), {"other-1"})


def test_the_best_runs_and_pinned_ones_are_kept(folder: Path) -> None:
    assert plan(folder, n_best=1)[0] == {"lead-0", "lead-2"}
    RunDir(folder / "lead-2").pin()
    assert plan(folder, n_best=1)[0] == {"lead-0"}


def test_a_run_in_use_is_kept_also_if_it_began_after_the_plan(folder: Path, run_folders: Any) -> None:
    cleaning = plan_cleaning(folder, max_age=0, now=10 * DAY)
    with run_folders.held(RunDir(folder / "lead-0")):
        assert "lead-0" in plan(folder)[1]
        failed = clean(cleaning)
    assert [one.run for one, _ in failed] == ["lead-0"]
    assert sorted(path.name for path in folder.iterdir()) == ["latest", "lead-0", "lead-3", "lead-4", "other-1"]


def test_bytes_count_shared_files_once_and_only_if_all_their_names_go(folder: Path) -> None:
    before = plan_cleaning(folder, max_age=0, now=10 * DAY).n_bytes
    big = folder / "lead-1" / "big"
    big.write_bytes(b"x" * 1_000_000)
    os.link(big, folder / "lead-2" / "big")
    assert plan_cleaning(folder, max_age=0, now=10 * DAY).n_bytes - before == pytest.approx(1_000_000, rel=0.01)
    os.link(big, folder / "lead-4" / "big")
    assert plan_cleaning(folder, max_age=0, now=10 * DAY).n_bytes == before


def test_an_interrupted_removal_leaves_no_run_and_is_finished_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            clean(plan_cleaning(folder, max_age=0, now=10 * DAY))
    assert len(list_runs(folder)) == 5
    left = list(folder.glob(".removed-*"))
    assert len(left) == 1
    assert not (left[0] / "campaign.toml").exists()
    cleaning = plan_cleaning(folder, max_age=30 * DAY, now=10 * DAY)
    assert (cleaning.removed, cleaning.leftovers) == ((), tuple(left))
    assert cleaning.n_bytes > 0
    clean(cleaning)
    assert not left[0].exists()


def test_the_command_only_says_what_it_would_remove_unless_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert cli._run(["runs", "clean", "--keep", "30d", "--keep-best", "1"]) == 0
    out = capsys.readouterr().out
    assert "Would remove 2 runs" in out
    assert "lead-2" in out
    assert sorted(folder.rglob("*")) == before
    assert cli._run(["runs", "clean", "--keep", "30d", "--keep-best", "1", "--yes"]) == 0
    assert {path.name for path in folder.iterdir()} == {"latest", "lead-1", "lead-3", "lead-4", "other-1"}
    assert cli._run(["runs", "clean", "--keep", "soon"]) == 2
