"""A run that is killed at any moment and resumed has the same candidates, bit for bit."""

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.manifest import Manifest
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.search import search
from molvae.pipeline.validate import validate

from molvae.codec import ToyCodec
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.qsar import fit_assay

ROOT = Path(__file__).parents[2]

STAGES = """
import sys
from pathlib import Path
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.featurize import featurize
from molvae.pipeline.search import search
from molvae.pipeline.validate import validate
run = RunDir(Path(sys.argv[1]))
with run.lock():
    run.tidy()
    for stage in (featurize, search, validate):
        stage(run)
"""

MOMENTS = {
    "while featurizing": "1-featurize/.part-*",
    "before the first round": "3-search",
    "after some rounds": "3-search/checkpoint-*/rounds.bin",
    "while the state is replaced": "3-search/checkpoint-*/.part-*",
    "between two stages": "3-search/manifest.json",
    "while validating": "4-validate/candidates.csv",
    "while completing": "4-validate/report.html",
    "while publishing": "candidates.csv",
}
MIN_BYTES = {"after some rounds": 10_000}  # of the file: more than the arguments and the start molecules
MORE_MOMENTS = {"while validating", "before the first round", "while the state is replaced"}


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that has only its settings, with a small library and start molecules from it."""
    folder = tmp_path_factory.mktemp("runs")
    library = folder / "library.smi"
    library.write_text("CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\nnonsense e\nCCO f\n")
    changes = [
        f"molecules.path={library}",
        "search.budget=70",
        "search.proposals=40",
        "search.batch_size=20",
        "search.library_starts=3",
        "search.evolution.n_initial=5",
        "checks.in_training=false",
    ]
    return runs.start(Campaign.load(Path("lead_like.toml"), changes), folder / "started")


@pytest.fixture(scope="session")
def uninterrupted(started: RunDir) -> RunDir:
    return run_stages(copy(started, "uninterrupted"))


def copy(run: RunDir, name: str) -> RunDir:
    """Copy the run to another path, which must not change the results."""
    path = run.path.with_name(name)
    shutil.copytree(run.path, path)
    return RunDir(path)


def run_stages(run: RunDir) -> RunDir:
    with run.lock():
        run.tidy()
        for stage in (featurize, search, validate):
            stage(run)
    return run


def results(run: RunDir) -> dict[str, str]:
    files = [*run.published[:3], run.molecules, run.proposals, run.latent]
    return {path.name: sha256_of(path) for path in files}


def all_files(run: RunDir) -> set[str]:
    return {path.relative_to(run.path).as_posix() for path in run.path.rglob("*")}


def test_the_same_campaign_gives_the_same_candidates(started: RunDir, uninterrupted: RunDir) -> None:
    again = run_stages(copy(started, "again"))
    assert results(again) == results(uninterrupted)


def test_another_seed_gives_other_candidates(started: RunDir, uninterrupted: RunDir) -> None:
    other = copy(started, "other")
    other.campaign.write_text(other.campaign.read_text().replace("seed = 0", "seed = 1"))
    assert results(run_stages(other))["candidates.csv"] != results(uninterrupted)["candidates.csv"]


def test_every_row_of_the_library_is_kept_or_dropped_with_a_reason(uninterrupted: RunDir) -> None:
    manifest = Manifest.read(uninterrupted.featurize)
    assert manifest is not None
    assert manifest.counts.model_dump() == {
        "into": 6,
        "kept": 4,
        "dropped": {"invalid SMILES": 1, "duplicate": 1},
        "notes": {},
    }
    assert uninterrupted.featurize.joinpath("dropped.csv").read_text() == (
        "row,id,raw,reason\n5,e,nonsense,invalid SMILES: nonsense\n6,f,CCO,duplicate of row 1\n"
    )


def test_starts_count_towards_the_budget_and_ids_are_kept(uninterrupted: RunDir) -> None:
    from molvae.candidates.files import read_candidates

    table = read_candidates(uninterrupted.path)
    assert len(table) == 70
    assert set(table["nearest_reference"]) <= {"a", "b", "c", "d"}
    starts = table[table["round"] == 0]
    assert len(starts) == 3
    assert starts["check_in_reference"].str.startswith("in the reference library as ").all()


def test_candidates_contain_no_path_and_no_time(uninterrupted: RunDir) -> None:
    text = (uninterrupted.path / "candidates.csv").read_text()
    assert str(uninterrupted.path.parent) not in text
    assert time.strftime("%Y-%m") not in text


def test_a_complete_run_is_not_written_again(uninterrupted: RunDir) -> None:
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.path.rglob("*") if path.is_file()}
    run_stages(uninterrupted)
    after = {path: path.stat().st_mtime_ns for path in uninterrupted.path.rglob("*") if path.is_file()}
    del before[uninterrupted.path / ".lock"], after[uninterrupted.path / ".lock"]
    assert after == before


def test_only_damaged_stages_run_again(started: RunDir, uninterrupted: RunDir) -> None:
    run = copy(uninterrupted, "damaged")
    run.proposals.unlink()
    (run.path / "candidates.csv").write_text("edited")
    featurized = run.molecules.stat().st_mtime_ns
    run_stages(run)
    assert results(run) == results(uninterrupted)
    assert run.molecules.stat().st_mtime_ns == featurized


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # replaced since it was listed
        return 0


def kill_at(run: RunDir, pattern: str, n_bytes: int = 0) -> bool:
    """Kill the stages once a file of this name and size exists; return whether they were still running."""
    command = [sys.executable, "-c", STAGES, str(run.path)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    while process.poll() is None and not any(size_of(path) >= n_bytes for path in run.path.glob(pattern)):
        time.sleep(0.001)
    process.kill()
    return process.wait() < 0


@pytest.mark.parametrize(
    "moment", [pytest.param(name, marks=pytest.mark.slow) if name in MORE_MOMENTS else name for name in MOMENTS]
)
def test_a_killed_run_gives_the_same_results(moment: str, started: RunDir, uninterrupted: RunDir) -> None:
    is_late = MOMENTS[moment].startswith(("4-validate", "candidates"))
    run = copy(uninterrupted if is_late else started, moment.replace(" ", "-"))
    if is_late:  # starts at the last stage, to save time
        shutil.rmtree(run.validate)
        for path in run.published:
            path.unlink()
    assert kill_at(run, MOMENTS[moment], MIN_BYTES.get(moment, 0)), "the run ended before it was killed"
    assert not runs.is_complete(run) or moment in ("while publishing", "while completing")
    run_stages(run)
    assert results(run) == results(uninterrupted)
    assert all_files(run) == all_files(uninterrupted), "partial files are left"


@pytest.mark.slow
def test_a_run_killed_repeatedly_gives_the_same_results(started: RunDir, uninterrupted: RunDir) -> None:
    """At arbitrary moments, a little later each time."""
    run = copy(started, "killed-repeatedly")
    for attempt in range(40):
        command = [sys.executable, "-c", STAGES, str(run.path)]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
        try:
            if process.wait(3 + 0.35 * attempt) == 0:
                break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    run_stages(run)
    assert results(run) == results(uninterrupted)


SCORES = """
import time

def score(smiles):
    time.sleep(0.01 * len(smiles))
    return {"value": [one.count("N") + len(one) / 7 for one in smiles], "n_o": [one.count("O") for one in smiles]}
"""
PROGRAM = """
import json, sys, time
for line in sys.stdin:
    time.sleep(0.01)
    smiles = line.strip()
    print(json.dumps({"value": None if "Cl" in smiles else len(smiles) / 3, "reason": "chlorine"}))
"""


@pytest.fixture(scope="session")
def started_costly(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that has only its settings; its terms are a function, a command and a model."""
    folder = tmp_path_factory.mktemp("costly")
    (folder / "my_scores.py").write_text(SCORES)
    (folder / "program.py").write_text(PROGRAM)
    molecules = ToyCodec().molecules[:100]
    assay = pd.DataFrame({"smiles": molecules, "pIC50": [4 + 0.5 * one.count("c") for one in molecules]})
    assay.to_csv(folder / "assay.csv", index=False)
    fit_assay(folder / "assay.csv", folder / "model", target="pIC50")
    (folder / "library.smi").write_text("CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\n")
    shape = 'shape = "higher"\nlow = 0\nhigh = 10\n'
    (folder / "my.toml").write_text(
        f"""
[molecules]
path = "library.smi"
[search]
budget = 70
proposals = 40
batch_size = 20
library_starts = 3
[checks]
in_training = false
[objective]
cache = "scores"
[objective.terms.function]
python = "my_scores.py:score"
batch_size = 7
{shape}
[objective.terms.command]
command = ["{sys.executable}", "program.py"]
batch_size = 3
processes = 2
{shape}
[objective.terms.model]
model = "model"
cache = true
{shape}"""
    )
    return runs.start(Campaign.load(folder / "my.toml"), folder / "started")


def with_cache(run: RunDir, name: str) -> RunDir:
    """A copy of the run with a cache of its own."""
    run = copy(run, name)
    text = run.campaign.read_text()
    run.campaign.write_text(text.replace(str(run.path.parent / "scores"), str(run.path.parent / f"scores-{name}")))
    return run


@pytest.mark.slow
def test_a_killed_run_with_costly_scorers_gives_the_same_results(started_costly: RunDir) -> None:
    whole = run_stages(with_cache(started_costly, "whole"))
    expected = results(whole)
    text = whole.path.joinpath("candidates.csv").read_text()
    assert "chlorine" in text
    assert "value_function_n_o" in text
    for pattern, n_bytes in (("3-search/checkpoint-*/rounds.bin", 10_000), ("../scores-killed/*/*.tsv", 3_000)):
        run = with_cache(started_costly, "killed")
        assert kill_at(run, pattern, n_bytes), "the run ended before it was killed"
        assert results(run_stages(run)) == expected
        shutil.rmtree(run.path)
        shutil.rmtree(run.path.parent / "scores-killed")
    answered = with_cache(started_costly, "answered")
    shutil.copytree(whole.path.parent / "scores-whole", answered.path.parent / "scores-answered")
    assert results(run_stages(answered)) == expected
    manifest = Manifest.read(answered.search)
    assert manifest is not None
    assert manifest.counts.notes == {f"{name} from the cache": 70 for name in ("function", "command", "model")}
    without = copy(started_costly, "without")
    lines = without.campaign.read_text().splitlines(keepends=True)
    without.campaign.write_text("".join(line for line in lines if not line.startswith('cache = "')))
    assert results(run_stages(without)) == expected


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("vina") and find_spec("dockstring")), reason="needs the extra docking")
def test_a_killed_run_that_docks_gives_the_same_results(tmp_path: Path) -> None:
    (tmp_path / "library.smi").write_text("CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\n")
    (tmp_path / "my.toml").write_text(
        """
[molecules]
path = "library.smi"
[search]
budget = 8
proposals = 20
batch_size = 4
library_starts = 2
[search.constraints.properties]
mol_weight = [0, 250]
[objective.terms.dock]
target = "DRD2"
exhaustiveness = 1
n_saved = 2
low = -12.0
high = -3.0
"""
    )
    started = runs.start(Campaign.load(tmp_path / "my.toml"), tmp_path / "started")
    whole = run_stages(copy(started, "whole"))
    run = copy(started, "killed")
    assert kill_at(run, "3-search/checkpoint-*/rounds.bin", 1_000), "the run ended before it was killed"
    assert results(run_stages(run)) == results(whole)
    assert (run.path / "poses.sdf").read_bytes() == (whole.path / "poses.sdf").read_bytes()
    assert (run.path / "poses.sdf").read_text().count("$$$$") > 0


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_library_that_is_gone_or_changed_is_named_and_its_molecules_are_kept(
    change: str, uninterrupted: RunDir, caplog: pytest.LogCaptureFixture
) -> None:
    run = copy(uninterrupted, f"library-{change}")
    library = run.path.parent / f"library-{change}.smi"
    shutil.copyfile(run.path.parent / "library.smi", library)
    run.campaign.write_text(run.campaign.read_text().replace("library.smi", library.name))
    manifest = json.loads((run.featurize / "manifest.json").read_text().replace("library.smi", library.name))
    del manifest["checksum"]  # as in manifests of earlier releases
    (run.featurize / "manifest.json").write_text(json.dumps(manifest))
    if change == "gone":
        library.unlink()
    else:
        library.write_text("CCO a\n")
    with caplog.at_level("WARNING", "pipeline"):
        kept = featurize(run)
    assert kept.reused
    assert sha256_of(run.molecules) == sha256_of(uninterrupted.molecules)
    (warning,) = [record.message for record in caplog.records if library.name in record.message]
    assert ("no such file" in warning) == (change == "gone")
    old, new = sha256_of(run.path.parent / "library.smi")[:12], "" if change == "gone" else sha256_of(library)[:12]
    assert (old in warning and new in warning) == (change == "changed")


def test_another_library_in_the_settings_is_read(uninterrupted: RunDir) -> None:
    run = copy(uninterrupted, "other-library")
    other = run.path.parent / "other.smi"
    other.write_text("CCO a\nCCN b\n")
    run.campaign.write_text(run.campaign.read_text().replace("library.smi", other.name))
    assert featurize(run).counts.kept == 2


def test_a_library_that_is_gone_before_it_was_read_stops_the_run(started: RunDir) -> None:
    run = copy(started, "never-read")
    run.campaign.write_text(run.campaign.read_text().replace("library.smi", "gone.smi"))
    with pytest.raises(InputError, match=r"gone\.smi"):
        featurize(run)
