"""Which run a scheduled start resumes, and how a run ends."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.earlier import earlier_runs
from molvae.pipeline.manifest import Counts, Outcome, Plan
from molvae.pipeline.run_dir import PUBLISHED, RunDir

from molvae.errors import InputError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complete(run: RunDir, score: float = 0.5) -> None:
    """Complete the last stage of a run, as validate does; its only molecule has this score."""

    def body(folder: Path) -> Outcome:
        for name in PUBLISHED:
            (folder / name).write_text(name)
        pd.DataFrame({"score": [score]}).to_parquet(folder / "candidates.parquet")
        return Outcome(dict.fromkeys(PUBLISHED), Counts(into=0, kept=0))

    Plan("validate", 1, run.validate, {}, 0).carry_out(body)


def test_the_newest_unfinished_run_of_the_same_campaign_is_found() -> None:
    campaign = Campaign.load(None)
    assert runs.find_unfinished(campaign) is None
    first, second = runs.start(campaign, None), runs.start(campaign, None)
    other = runs.start(Campaign.load(None, ["seed=1"]), None)
    assert runs.find_unfinished(campaign) == second
    complete(second)
    assert runs.find_unfinished(campaign) == first
    hold = "import sys, time; from pathlib import Path; from molvae.pipeline.run_dir import RunDir\n"
    hold += "with RunDir(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    worker = subprocess.Popen([sys.executable, "-c", hold, str(first.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "held\n"
        assert runs.find_unfinished(campaign) is None, "another process holds its lock"
    finally:
        worker.kill()
        worker.wait()
    assert runs.find_unfinished(Campaign.load(None, ["seed=1"])) == other


def test_a_run_with_a_changed_file_is_not_complete() -> None:
    run = runs.start(Campaign.load(None), None)
    assert not runs.is_complete(run)
    complete(run)
    assert runs.is_complete(run)
    (run.validate / "report.html").write_text("edited")
    assert not runs.is_complete(run)


def test_a_link_that_cannot_be_updated_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(Campaign.load(None), Path("elsewhere"))
    complete(run)
    Path("runs/latest/mine").mkdir(parents=True)
    runs.finish(run)
    assert "runs/latest" in capsys.readouterr().err
    assert all(path.is_file() for path in run.published)


@pytest.mark.parametrize("score", [0.0, float("nan")])
def test_latest_does_not_link_to_a_run_without_a_score(score: float, capsys: pytest.CaptureFixture[str]) -> None:
    good, empty = runs.start(Campaign.load(None), Path("good")), runs.start(Campaign.load(None), Path("empty"))
    complete(good)
    complete(empty, score)
    runs.finish(good)
    runs.finish(empty)
    assert Path("runs/latest").resolve() == good.path
    assert "no molecule has a score above 0" in capsys.readouterr().err
    assert (empty.path / "candidates.parquet").is_file()


def test_two_runs_cannot_start_in_one_folder() -> None:
    runs.start(Campaign.load(None), Path("mine"))
    with pytest.raises(InputError, match="--resume mine"):
        runs.start(Campaign.load(None), Path("mine"))


def test_a_derived_run_takes_over_stages_and_leaves_the_other_run_alone() -> None:
    source = runs.start(Campaign.load(Path("lead_like.toml"), ["seed=3"]), None)
    complete(source)
    (source.search / "checkpoint-ab").mkdir(parents=True)
    source.featurize.mkdir()
    for path in (
        source.molecules,
        source.search / "checkpoint-ab" / "rounds.bin",
        source.search / ".part-x",
        source.log,
    ):
        path.write_bytes(b"1")
    before = {path: path.read_bytes() for path in source.path.rglob("*") if path.is_file()}
    run = runs.derive(source, ["checks.in_training=false"], None)
    assert {path: path.read_bytes() for path in source.path.rglob("*") if path.is_file()} == before
    found = Campaign.load(run.campaign)
    assert found.seed == 3
    assert found.checks.to_toml() != Campaign.load(source.campaign).checks.to_toml()
    assert run.molecules.samefile(source.molecules)
    assert runs.is_complete(source)
    assert not runs.is_complete(run), "the last stage runs again"
    rounds = "checkpoint-ab/rounds.bin"
    assert not (run.search / rounds).samefile(source.search / rounds), "a checkpoint grows in place"
    assert not (run.search / ".part-x").exists()
    assert not run.log.exists()
    assert earlier_runs(run) == earlier_runs(source) == (), "the other run does not count as an earlier one"
    with pytest.raises(InputError, match="budgt"):
        runs.derive(source, ["search.budgt=3"], None)
