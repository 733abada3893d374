"""What a run records of earlier runs when it starts: their molecules, with the date and the name of the first run."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.earlier import earlier_runs, read_seen, record_start
from molvae.pipeline.manifest import Manifest
from molvae.pipeline.run_dir import RunDir

TINY = [
    "search.budget=24", "search.proposals=20", "search.batch_size=8", "search.library_starts=2",
    "search.evolution.n_initial=4", "checks.in_training=false",
]  # fmt: skip


def start(run_folders: Any, name: str, campaign: str = "lead") -> RunDir:
    run = RunDir.create(run_folders.folder / name)
    record_start(run, campaign)
    return run


def seen(run: RunDir) -> dict[str, tuple[str, str]]:
    return {row.smiles: (row.first_seen[:10], row.first_run) for row in read_seen(run).itertuples()}


def test_molecules_of_complete_runs_of_the_campaign_count_with_their_first_run(run_folders: Any) -> None:
    run_folders.complete("a", day=1, smiles=("CCO", "CCN"))
    run_folders.complete("b", day=2, smiles=("CCN", "CCC"))
    run_folders.complete("c", "other", day=1, smiles=("CCCl",))
    run_folders.start("d", day=3)
    run = start(run_folders, "e")
    assert seen(run) == {"CCC": ("1970-01-03", "b"), "CCN": ("1970-01-02", "a"), "CCO": ("1970-01-02", "a")}
    assert earlier_runs(run) == ("a", "b")


def test_the_first_run_and_a_run_elsewhere_have_no_earlier_run(run_folders: Any, tmp_path: Path) -> None:
    assert seen(start(run_folders, "first")) == {}
    run_folders.complete("a")
    elsewhere = RunDir.create(tmp_path / "elsewhere" / "x")
    shutil.copytree(run_folders.folder / "a", tmp_path / "elsewhere" / "a")
    record_start(elsewhere, "lead")
    assert not elsewhere.earlier_molecules.exists()
    assert earlier_runs(elsewhere) == ()


def test_removed_runs_count_if_a_later_run_has_recorded_them(run_folders: Any) -> None:
    run_folders.complete("a", day=1, smiles=("CCO",))
    later = start(run_folders, "b")
    record = (later.start.read_bytes(), later.earlier_molecules.read_bytes())
    shutil.rmtree(later.path)
    later = run_folders.complete("b", day=2, smiles=("CCN",))
    later.start.write_bytes(record[0])
    later.earlier_molecules.parent.mkdir()
    later.earlier_molecules.write_bytes(record[1])
    shutil.rmtree(run_folders.folder / "a")
    run = start(run_folders, "c")
    assert seen(run) == {"CCO": ("1970-01-02", "a"), "CCN": ("1970-01-03", "b")}
    assert earlier_runs(run) == ("a", "b")


def test_an_unreadable_earlier_run_is_a_note(run_folders: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_folders.complete("a", smiles=("CCO",))
    bad = run_folders.complete("bad", day=2)
    (bad.validate / "candidates.parquet").write_bytes(b"PAR1")
    (run_folders.complete("worse", day=3).validate / "manifest.json").write_text("[]")
    shutil.copyfile(bad.validate / "candidates.parquet", run_folders.folder / "worse/4-validate/candidates.parquet")
    assert set(seen(start(run_folders, "c"))) == {"CCO"}
    assert "bad: not readable, so its molecules count as new" in capsys.readouterr().err


def test_a_killed_start_leaves_a_folder_that_can_be_used(run_folders: Any) -> None:
    run_folders.complete("a")
    start(run_folders, "b")  # without settings: the process ended here
    assert seen(start(run_folders, "b")) == dict.fromkeys(("CCO", "CCN"), ("1970-01-02", "a"))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[RunDir]:
    """Two nights of one campaign with different seeds, and the second one again, with nothing before it."""
    from molvae.pipeline.featurize import featurize
    from molvae.pipeline.search import search
    from molvae.pipeline.validate import validate

    folder = tmp_path_factory.mktemp("nights")
    (folder / "library.smi").write_text("CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\n")
    changes = [*TINY, f"molecules.path={folder / 'library.smi'}"]
    found = []
    for seed, out in ((0, "runs/one"), (1, "runs/two"), (1, "elsewhere/two")):
        run = runs.start(Campaign.load(Path("lead_like.toml"), [*changes, f"seed={seed}"]), folder / out)
        with run.lock():
            for stage in (featurize, search, validate):
                stage(run)
        found.append(run)
    return found


@pytest.mark.slow
def test_candidates_of_the_second_night_are_marked_and_nothing_else_changes(nights: list[RunDir]) -> None:
    from molvae.pipeline.run_states import state_of
    from molvae.pipeline.summary import summarize

    one, two, alone = (pd.read_csv(run.path / "candidates.csv") for run in nights)
    again = set(one["smiles"]) & set(two["smiles"])
    assert again, "both nights start from molecules of the library"
    is_seen = two["smiles"].isin(again)
    assert (two["first_run"] == "one").equals(is_seen)
    assert two["first_seen"].notna().equals(is_seen)
    assert one["first_seen"].isna().all()
    columns = ["first_seen", "first_run"]
    pd.testing.assert_frame_equal(two.drop(columns=columns), alone.drop(columns=columns))
    state = state_of(nights[1])
    assert (state.n_new, state.n_seen) == (24 - len(again), len(again))
    assert f"{24 - len(again)} new, {len(again)} seen before" in summarize(nights[1], "two")
    assert "earlier run" not in summarize(nights[0], "one")


@pytest.mark.slow
def test_the_library_is_read_once_and_shared_by_runs_in_one_folder(nights: list[RunDir]) -> None:
    one, two, alone = (Manifest.read(run.featurize) for run in nights)
    assert one is not None
    assert two is not None
    assert alone is not None
    assert (one.reused_from, two.reused_from, alone.reused_from) == ("", "one", "")
    assert (two.counts, two.outputs) == (one.counts, one.outputs)
    assert nights[0].molecules.samefile(nights[1].molecules)
    shutil.rmtree(nights[0].path)
    assert two.is_whole(nights[1].featurize), "a removed run takes nothing away"
