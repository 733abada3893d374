"""A campaign with an assay: held-out molecules, start molecules, controls, and one sentence for each mistake."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from molvae.pipeline import cli, runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.fit import fit
from molvae.pipeline.manifest import Manifest
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.search import search
from molvae.pipeline.validate import validate

from molvae.bundled import bundled
from molvae.candidates.files import read_candidates
from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.files import sha256_of
from molvae.workers import Serial

CAMPAIGN = """
name = "small"
[molecules]
path = "assay.csv"
[codec]
name = "moses"
[starts]
n = 6
below = "median"
[hold_out]
min_molecules = 4
similarity = 0.5
[controls]
methods = ["prior", "random_directions"]
[search]
budget = 24
batch_size = 6
proposals = 40
generations = 1
[search.evolution]
n_initial = 5
[objective.terms.potency]
assay = "assay.csv"
column = "pki"
fit = "ridge"
shape = "higher"
low = 5
high = 10
"""
STAGES = (fit, featurize, search, validate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a campaign and an assay of 150 molecules of the D4 set."""
    folder = tmp_path_factory.mktemp("assays")
    pd.read_csv(bundled("d4_ki.csv")).iloc[:150].to_csv(folder / "assay.csv", index=False)
    (folder / "my.toml").write_text(CAMPAIGN)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> RunDir:
    return run_stages(runs.start(Campaign.load(folder / "my.toml"), folder / "run"))


def run_stages(run: RunDir) -> RunDir:
    with run.lock():
        run.tidy()
        for stage in STAGES:
            stage(run)
    return run


def test_no_stage_sees_a_held_out_molecule(run: RunDir) -> None:
    held_out = pd.read_csv(run.held_out)
    series = held_out[held_out["scaffold"].notna()]
    assert len(series) >= 4
    assert series["scaffold"].nunique() == 1
    files = {
        "training": pd.read_csv(run.models / "potency" / "training.csv"),
        "starts": pd.read_csv(run.starts),
        "library": pd.read_parquet(run.molecules),
    }
    for name, table in files.items():
        similarity = tanimoto_matrix(*(morgan_bits(one["smiles"].tolist()) for one in (table, series)))
        assert similarity.max() < 0.5, name
        assert not set(table["smiles"]) & set(held_out["smiles"]), name
    assert len(files["training"]) + len(held_out) == 150
    manifest = Manifest.read(run.featurize)
    assert manifest is not None
    assert manifest.counts.dropped["held out"] == len(held_out)


def test_the_search_and_its_controls_start_from_the_weaker_half(run: RunDir) -> None:
    values = pd.read_csv(run.models / "potency" / "training.csv").set_index("smiles")["value"]
    proposals, controls = pd.read_parquet(run.proposals), pd.read_parquet(run.controls)
    starts = proposals["smiles"][proposals["round"] == 0].tolist()
    assert len(starts) == 6
    assert (values[starts] < values.median()).all()
    assert controls["method"].value_counts().to_dict() == {"prior": 24, "random_directions": 24}
    for _, table in controls.groupby("method"):
        assert table["smiles"].tolist()[:6] == starts
        assert table["smiles"].is_unique
    assert set(controls["move"].dropna()) == {"start", "prior", "line"}


def test_the_comparison_is_written_with_the_candidates(run: RunDir) -> None:
    table = pd.read_csv(run.comparison).set_index("name")
    assert list(table.index) == ["evolution", "prior", "random_directions", "start molecules", "training molecules"]
    assert table["n"].tolist()[:4] == [24, 24, 24, 6]
    candidates, controls = read_candidates(run.path), pd.read_parquet(run.controls)
    assert table.loc["evolution", "top10"] == pytest.approx(candidates["score"].nlargest(10).mean())
    prior = controls[controls["method"] == "prior"]
    assert table.loc["prior", "top10"] == pytest.approx(prior["score"].nlargest(10).mean())
    assert table.loc["training molecules", "n_similar"] == 0
    assert table.loc["training molecules", "highest_similarity"] < 0.5
    page = (run.path / "report.html").read_text()
    assert "random directions (control)" in page
    assert "Mean predicted" in page


def test_the_model_in_the_run_gives_the_scores(run: RunDir) -> None:
    from molvae.qsar import load_model

    candidates = read_candidates(run.path)
    predicted = load_model(run.models / "potency").predict(candidates["smiles"].tolist())
    np.testing.assert_allclose(candidates["value_potency"], predicted["value"] - predicted["std"], rtol=1e-6)
    assert (run.models / "potency" / "report.html").is_file()


def test_a_copied_run_that_lost_a_stage_gives_the_same_files(run: RunDir, folder: Path) -> None:
    shutil.copytree(run.path, folder / "moved" / "copy")
    copy = RunDir(folder / "moved" / "copy")
    copy.proposals.unlink()
    before = (copy.models / "potency" / "model.json").stat().st_mtime_ns
    run_stages(copy)
    assert (copy.models / "potency" / "model.json").stat().st_mtime_ns == before, "the model is not fitted again"
    for path in (run.controls, run.proposals, run.comparison, run.path / "candidates.csv"):
        assert sha256_of(path) == sha256_of(copy.path / path.relative_to(run.path)), path.name


def test_a_search_killed_in_a_control_gives_the_same_files(
    run: RunDir, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from molvae.search.optimizers.prior_draws import PriorDraws

    shutil.copytree(run.path, folder / "killed")
    killed = RunDir(folder / "killed")
    shutil.rmtree(killed.search)
    tell, n_told = PriorDraws.tell, 0

    def stop_early(self: PriorDraws, results: object) -> None:
        nonlocal n_told
        n_told += 1
        if n_told > 2:
            raise KeyboardInterrupt
        tell(self, results)  # type: ignore[arg-type]

    monkeypatch.setattr(PriorDraws, "tell", stop_early)
    with pytest.raises(KeyboardInterrupt):
        search(killed)
    assert list(killed.search.glob("checkpoint-*/prior/rounds.bin"))
    assert not killed.proposals.exists()
    monkeypatch.undo()
    run_stages(killed)
    for path in (run.controls, run.proposals, run.path / "candidates.csv"):
        assert sha256_of(path) == sha256_of(killed.path / path.relative_to(run.path)), path.name


def test_another_assay_makes_other_models_and_another_search(run: RunDir, folder: Path) -> None:
    shutil.copytree(run.path, folder / "changed")
    changed = RunDir(folder / "changed")
    table = pd.read_csv(folder / "assay.csv")
    table["pki"] = 14 - table["pki"]
    table.to_csv(folder / "other.csv", index=False)
    text = changed.campaign.read_text().replace(str(folder / "assay.csv"), str(folder / "other.csv"))
    changed.campaign.write_text(text)
    fit(changed, Serial())
    assert sha256_of(changed.held_out) != sha256_of(run.held_out)
    manifest = Manifest.read(run.search)
    assert manifest is not None
    models = [one.models / "potency" / "model.json" for one in (run, changed)]
    assert manifest.inputs["model potency"].sha256 == sha256_of(models[0]) != sha256_of(models[1])


def test_a_bundled_table_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(CAMPAIGN.replace("assay.csv", "d4_ki.csv"))
    campaign = Campaign.load(tmp_path / "my.toml")
    assert campaign.assays["potency"].assay == campaign.molecules.path == bundled("d4_ki.csv")
    (tmp_path / "d4_ki.csv").write_text("smiles,pki\n")
    assert Campaign.load(tmp_path / "my.toml").molecules.path == tmp_path / "d4_ki.csv", "a file comes first"


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        (["objective.terms.potency.column=pic50"], "no target column pic50"),
        (["objective.terms.potency.assay=few.csv"], "at least 10 molecules"),
        (["hold_out.min_molecules=100"], "at least 100 molecules"),
        (["hold_out.n_series=3", "hold_out.similarity=0.05"], "are left"),
        (["hold_out.term=activity"], "[hold_out] term"),
        (["starts.below=2"], "no molecule of"),
        (["starts.above=12", "starts.below=14"], "above 12"),
        (["starts.below=weak"], "[starts] below"),
        (["starts.term=potency", "starts.path=assay.csv"], "not both"),
        (['controls.methods=["random_direction"]'], "did you mean random_directions"),
        (['controls.methods=["prior", "prior"]'], "more than once"),
        (["objective.terms.potency.fit=svm"], "known: gaussian_process"),
    ],
)
def test_a_mistake_is_one_sentence_before_the_run(
    changes: list[str], fact: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "few.csv").write_text("smiles,pki\nCCO,5\nCCN,6\n")
    options = [part for change in changes for part in ("--set", change)]
    assert cli._run(["design", "my.toml", "--out", "new", *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("molvae: ")
    assert fact in lines[0]
    assert not (folder / "new").exists()


def test_the_method_of_the_search_is_no_control(folder: Path) -> None:
    assert Campaign.load(folder / "my.toml").control_methods == ("prior", "random_directions")
    assert Campaign.load(folder / "my.toml", ["search.method=prior"]).control_methods == ("random_directions",)


def test_sections_need_an_assay(tmp_path: Path) -> None:
    from molvae.errors import InputError

    text = CAMPAIGN.split("[objective")[0].replace('path = "assay.csv"', "")
    (tmp_path / "my.toml").write_text(text + '[objective.terms.qed]\nproperty = "qed"\nshape = "higher"\n')
    with pytest.raises(InputError, match=r"\[hold_out\] needs a term with an assay"):
        runs.load(tmp_path / "my.toml", [])


def test_start_molecules_of_another_table(folder: Path) -> None:
    from molvae.pipeline.assays import read_assays

    changes = [f"starts.path={folder / 'assay.csv'}", "starts.column=pki", "starts.above=8", "starts.below=9"]
    found = read_assays(Campaign.load(folder / "my.toml", changes), Serial())
    assert found.starts is not None
    assert found.held_out is not None
    assert found.starts["value"].between(8, 9, inclusive="neither").all()
    assert not found.held_out.covers(found.starts["smiles"].tolist()).any()
