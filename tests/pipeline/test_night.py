"""Where the search of a run starts, its budget, and a continued search that is killed and resumed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign, RunSection
from molvae.pipeline.earlier import record_start
from molvae.pipeline.manifest import Counts, Entry, Manifest, Outcome, Plan
from molvae.pipeline.night import Night, plan_night
from molvae.pipeline.run_dir import RunDir

from molvae.errors import InputError
from molvae.files import sha256_of

ROOT = Path(__file__).parents[2]
STAGES = """
import sys
from pathlib import Path
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.search import search
with RunDir(Path(sys.argv[1])).lock():
    search(RunDir(Path(sys.argv[1])))
"""
SETTINGS: dict[str, Any] = {
    "search": {"budget": 20, "method": "evolution"},
    "objective": {"terms": {"qed": {"low": 0.2}}},
}


def campaign(*changes: str, total: int | None = None) -> Campaign:
    more = [] if total is None else [f"run.total_budget={total}"]
    return Campaign.load(Path("lead_like.toml"), ["search.budget=20", 'run.continue_from="last"', *more, *changes])


def plan(run: RunDir, settings: dict[str, Any] = SETTINGS, *, seed: int = 0, sha256: str = "c0dec") -> Plan:
    return Plan("search", 3, run.search, settings, seed, {"codec": Entry(path="druglike", sha256=sha256)})


def search_of(run: RunDir, n_scored: int = 20, *, budget: int = 20, has_state: bool = True) -> None:
    """The search stage of a run, as a continued run reads it."""

    def body(folder: Path) -> Outcome:
        names = ["proposals.parquet", *(["state/rounds.bin", "state/state.bin"] if has_state else [])]
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{name} {n_scored}")
        return Outcome(dict.fromkeys(names), Counts(into=90, kept=n_scored), facts={"budget": budget})

    plan(run).carry_out(body)


def start_next(run_folders: Any, name: str = "next") -> RunDir:
    run = RunDir.create(run_folders.folder / name)
    record_start(run, "lead", continues=True)
    return run


def next_night(run_folders: Any, total: int | None = None, **changes: Any) -> Night:
    run = start_next(run_folders)
    return plan_night(run, campaign(total=total), plan(run, **changes))


def test_the_first_night_starts_anew_within_the_total_budget(run_folders: Any) -> None:
    run = start_next(run_folders)
    for total, budget in ((None, 20), (50, 20), (10, 10)):
        assert plan_night(run, campaign(total=total), plan(run)) == Night(run.earlier_search / "state", (), budget, ())


def test_the_next_night_continues_the_last_complete_run(run_folders: Any) -> None:
    search_of(run_folders.complete("a", day=1), 15)
    search_of(run_folders.complete("b", day=2), 20)
    search_of(run_folders.start("c", day=3), 99)
    night = next_night(run_folders)
    assert [path.read_text() for path in night.state_files] == ["state/rounds.bin 20", "state/state.bin 20"]
    assert night.budget == 40
    assert "b, in which 20 molecules" in night.notes[0]
    shutil.rmtree(run_folders.folder / "b")
    assert (
        plan_night(RunDir(run_folders.folder / "next"), campaign(), plan(RunDir(run_folders.folder / "next"))) == night
    )


@pytest.mark.parametrize(
    ("total", "budget", "words"), [(35, 35, "continues"), (20, 20, "used up"), (10, 20, "used up")]
)
def test_the_total_budget_limits_the_night(run_folders: Any, total: int, budget: int, words: str) -> None:
    search_of(run_folders.complete("a"))
    night = next_night(run_folders, total)
    assert night.budget == budget
    assert len(night.state_files) == 2
    (note,) = night.notes
    assert words in note


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"sha256": "an0ther"}, "codec"),
        ({"settings": SETTINGS | {"objective": {"terms": {"qed": {"low": 0.3}}}}}, "objective.terms.qed.low"),
        ({"settings": SETTINGS | {"objective": {"terms": {"logp": {"low": 0.2}}}}}, "objective.terms.logp.low"),
    ],
)
def test_a_changed_search_starts_anew_and_says_what_changed(run_folders: Any, changes: dict, name: str) -> None:
    search_of(run_folders.complete("a"))
    night = next_night(run_folders, **changes)
    assert (night.state_files, night.budget) == ((), 20)
    assert name in night.notes[0]
    assert "a: changed since then" in night.notes[0]


def test_another_budget_does_not_start_anew(run_folders: Any) -> None:
    search_of(run_folders.complete("a"))
    settings = SETTINGS | {"search": SETTINGS["search"] | {"budget": 7}, "run": {"continue_from": "last"}}
    assert len(next_night(run_folders, settings=settings).state_files) == 2


@pytest.mark.parametrize(
    ("damage", "words"), [("no state", "kept no state"), ("changed", "damaged"), ("gone", "incomplete")]
)
def test_a_state_that_is_missing_or_damaged_starts_anew(run_folders: Any, damage: str, words: str) -> None:
    run = run_folders.complete("a")
    search_of(run, has_state=damage != "no state")
    if damage == "changed":
        (run.search_state / "state.bin").write_text("state/state.bin 21")
    elif damage == "gone":
        (run.search_state / "rounds.bin").unlink()
    night = next_night(run_folders)
    assert (night.state_files, night.budget) == ((), 20)
    assert words in night.notes[0]


def test_a_total_budget_needs_a_campaign_that_continues() -> None:
    with pytest.raises(InputError, match="continue_from"):
        RunSection.from_dict({"total_budget": 10}, "my.toml")


def run_stages(run: RunDir) -> None:
    from molvae.pipeline.featurize import featurize
    from molvae.pipeline.search import search
    from molvae.pipeline.validate import validate

    with run.lock():
        for stage in (featurize, search, validate):
            stage(run)


@pytest.mark.slow
def test_a_continued_night_that_is_killed_gives_the_same_candidates(tmp_path: Path) -> None:
    (tmp_path / "library.smi").write_text("CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\n")
    settings = campaign(
        f"molecules.path={tmp_path / 'library.smi'}", "search.budget=40", "search.proposals=40", "search.batch_size=10",
        "search.library_starts=3", "search.evolution.n_initial=5", "checks.in_training=false", total=100,
    )  # fmt: skip
    first = runs.start(settings, tmp_path / "runs" / "one")
    run_stages(first)
    whole = runs.start(settings, tmp_path / "runs" / "two")
    killed = RunDir(Path(shutil.copytree(whole.path, tmp_path / "runs" / "killed")))
    run_stages(whole)
    size = (killed.earlier_search / "state" / "rounds.bin").stat().st_size
    shutil.copytree(whole.featurize, killed.featurize)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", STAGES, str(killed.path)], env=environment)
    while process.poll() is None and not any(
        path.stat().st_size > size + 20_000 for path in killed.search.glob("checkpoint-*/rounds.bin")
    ):
        time.sleep(0.001)
    process.kill()
    assert process.wait() < 0, "the run ended before it was killed"
    shutil.rmtree(first.path)  # nothing of the earlier run is needed any more
    run_stages(killed)
    for name in ("candidates.csv", "candidates.parquet"):
        assert sha256_of(killed.path / name) == sha256_of(whole.path / name)
    assert sha256_of(killed.latent) == sha256_of(whole.latent)
    assert not list(killed.search.glob("checkpoint-*"))
    table = pd.read_csv(whole.path / "candidates.csv")
    assert len(table) == 80
    assert (table["first_run"] == "one").sum() == 40
    last = runs.start(settings, tmp_path / "runs" / "three")
    run_stages(last)
    assert len(pd.read_csv(last.path / "candidates.csv")) == 100
    used_up = runs.start(settings, tmp_path / "runs" / "four")
    run_stages(used_up)
    table = pd.read_csv(used_up.path / "candidates.csv")
    assert len(table) == 100
    assert table["first_seen"].notna().all()
    manifest = Manifest.read(used_up.search)
    assert manifest is not None
    assert manifest.counts.kept == 100
    notes = json.loads(used_up.history.read_text())["notes"]
    assert "the total budget of 100 molecules is used up, so no molecule was scored in this run" in notes
