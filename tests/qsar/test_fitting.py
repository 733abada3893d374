"""The folder of a model: complete, loadable, and different for different data."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.qsar import AssayModel, fit_assay, load_model
from molvae.workers import Serial

Write = Callable[..., Path]
SMILES = ["CCN(CC)CC(=O)Nc1c(C)cccc1C", "xx", None, "CC(=O)Nc1ccc(O)cc1.Cl", "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O"]


@pytest.fixture(scope="module")
def fitted(molecules: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AssayModel]:
    """A model of 150 molecules, of which one row is censored and one molecule has a wide spread."""
    folder = tmp_path_factory.mktemp("fitted")
    table = molecules.astype({"pIC50": str})
    more = pd.DataFrame({"smiles": [molecules["smiles"][3], molecules["smiles"][4]], "pIC50": [">9", "0.1"]})
    table = pd.concat([table, more]).reset_index(drop=True)
    table["split"] = np.where(np.arange(len(table)) % 4, "train", "test")
    table.to_csv(folder / "assay.csv", index=False)
    return folder / "model", fit_assay(folder / "assay.csv", folder / "model", split_column="split", mapper=Serial())


def test_folder_has_the_card_and_every_row(fitted: tuple[Path, AssayModel]) -> None:
    folder, model = fitted
    names = {"model.json", "training.csv", "card.json", "report.html", "out_of_fold.csv", "dropped.csv"}
    assert {path.name for path in folder.iterdir()} == names
    card = json.loads((folder / "card.json").read_text())
    assert card == model.card
    data = card["data"]
    assert (data["n_rows"], data["n_molecules"], data["n_dropped"], data["n_wide"]) == (152, 149, 3, 1)
    assert data["dropped"] == {"measurements disagree": 2, "censored": 1}
    dropped = pd.read_csv(folder / "dropped.csv")
    assert dropped["row"].tolist() == [5, 151, 152]
    assert list(dropped) == ["row", "id", "smiles", "value", "reason"]
    for split in ("random", "scaffold", "given"):
        metrics = card["evaluation"][split]
        assert metrics["rmse"] < metrics["baseline_rmse"], split
        assert 0.4 < metrics["within_1_std"] <= metrics["within_2_std"] <= 1
    assert [card["evaluation"][split]["n"] for split in ("random", "scaffold", "given")] == [149, 149, 37]
    table = pd.read_csv(folder / "out_of_fold.csv")
    rmse = np.sqrt(((table["measured"] - table["scaffold_predicted"]) ** 2).mean())
    assert rmse == pytest.approx(card["evaluation"]["scaffold"]["rmse"], abs=1e-3)


def test_report_is_one_file_with_the_metrics(fitted: tuple[Path, AssayModel]) -> None:
    folder, model = fitted
    html = (folder / "report.html").read_text()
    assert "http:" not in html
    assert "https:" not in html
    assert f"{model.card['evaluation']['scaffold']['rmse']:.3f}" in html
    assert html.count("<svg") == 6
    assert "pIC50 (-log10(mol/L))" in html
    assert "rows not used: censored" in html
    assert "nan" not in html.lower().replace("nanumber", "")


def test_notebooks_show_the_model_in_one_line_with_its_errors(fitted: tuple[Path, AssayModel]) -> None:
    model = fitted[1]
    assert repr(model) == "AssayModel('gaussian_process', pIC50 (-log10(mol/L)), 149 molecules)"
    html = model._repr_html_()
    assert html.count("<th>scaffold</th>") == html.count("<th>rmse</th>") == 1
    assert f"{model.card['evaluation']['scaffold']['rmse']:.3g}" in html


def test_loaded_model_gives_the_same_predictions(fitted: tuple[Path, AssayModel]) -> None:
    folder, model = fitted
    loaded = load_model(folder)
    pd.testing.assert_frame_equal(loaded.predict(SMILES), model.predict(SMILES), check_exact=True)
    for name in ("name", "target", "unit", "task", "sha256", "card"):
        assert getattr(loaded, name) == getattr(model, name)
    assert (model.target, model.unit, model.name) == ("pIC50", "-log10(mol/L)", "gaussian_process")


def test_predictions_have_a_row_per_molecule(fitted: tuple[Path, AssayModel], molecules: pd.DataFrame) -> None:
    _, model = fitted
    table = model.predict(SMILES)
    assert list(table) == ["value", "std", "similarity"]
    assert table["value"].isna().tolist() == table["std"].isna().tolist() == [False, True, True, False, False]
    salt, free = model.predict(["CC(=O)Nc1ccc(O)cc1.Cl", "CC(=O)Nc1ccc(O)cc1"]).to_numpy()
    np.testing.assert_array_equal(salt, free)
    near = model.predict([molecules["smiles"][10]])
    assert near["similarity"][0] == 1
    assert table["similarity"][4] < 0.4
    assert table["std"][4] > 1.5 * near["std"][0]
    assert len(model.predict([])) == 0


def test_sha256_changes_with_the_data_and_only_with_it(molecules: pd.DataFrame, write: Write, tmp_path: Path) -> None:
    digests = []
    for number, shift in enumerate((0.0, 0.0, 0.01)):
        table = molecules[:30].copy()
        table.loc[0, "pIC50"] += shift
        model = fit_assay(write(table), tmp_path / f"model{number}", model="ridge", mapper=Serial())
        digests.append(model.sha256)
    assert digests[0] == digests[1]
    assert digests[2] != digests[0]


@pytest.mark.parametrize("name", ["ridge", "forest", "latent"])
def test_other_models_are_stored_without_pickle(
    name: str, molecules: pd.DataFrame, write: Write, tmp_path: Path
) -> None:
    settings: dict[str, object] = {"forest": {"n_trees": 10}, "latent": {"codec": "moses"}}.get(name, {})  # type: ignore
    model = fit_assay(write(molecules[:60]), tmp_path / "model", model=name, settings=settings, seed=3, mapper=Serial())
    pd.testing.assert_frame_equal(load_model(tmp_path / "model").predict(SMILES), model.predict(SMILES))
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".csv", ".html"}


def test_classes_get_probabilities_and_their_metrics(molecules: pd.DataFrame, write: Write, tmp_path: Path) -> None:
    table = molecules.assign(active=np.where(molecules["pIC50"] > 6, "active", "inactive"))[["smiles", "active"]]
    model = fit_assay(write(table), tmp_path / "model", mapper=Serial())
    assert (model.task, model.unit) == ("classification", "probability")
    assert model.predict(table["smiles"].tolist())["value"].between(0, 1).all()
    metrics = model.card["evaluation"]["random"]
    assert metrics["roc_auc"] > 0.7
    assert metrics["pr_auc"] > metrics["baseline_pr_auc"]
    assert metrics["brier"] < metrics["baseline_brier"]
    assert "ROC-AUC" in (tmp_path / "model" / "report.html").read_text()


def test_one_scaffold_has_no_scaffold_split(write: Write, tmp_path: Path) -> None:
    table = pd.DataFrame({"smiles": ["C" * n + "O" for n in range(1, 16)], "pIC50": np.linspace(4, 8, 15)})
    card = fit_assay(write(table), tmp_path / "model", mapper=Serial()).card
    assert card["evaluation"]["scaffold"] == {"n": 0}
    assert any("scaffold" in warning for warning in card["warnings"])


def test_changed_and_foreign_folders_are_refused(fitted: tuple[Path, AssayModel], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_model(tmp_path / "gone")
    with pytest.raises(InputError, match=r"no model\.json"):
        load_model(tmp_path)
    copy = shutil.copytree(fitted[0], tmp_path / "copy")
    text = (copy / "training.csv").read_text()
    (copy / "training.csv").write_text(text.replace("6.", "7.", 1))
    with pytest.raises(InputError, match="changed since the model was fitted"):
        load_model(copy)
    (copy / "model.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99"):
        load_model(copy)
    (copy / "model.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_model(copy)


def test_an_existing_folder_and_an_unknown_setting_are_refused_first(write: Write, tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "file").touch()
    with pytest.raises(InputError, match="new or empty folder"):
        fit_assay(missing, tmp_path / "model")
    with pytest.raises(InputError, match="did you mean n_trees"):
        fit_assay(missing, tmp_path / "other", model="forest", settings={"ntrees": 3})


def test_too_many_molecules_are_refused_before_the_evaluation(
    molecules: pd.DataFrame, write: Write, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="150 molecules; the model gaussian_process supports at most 140"):
        fit_assay(write(molecules), tmp_path / "model", settings={"max_molecules": 140}, mapper=Serial())
    assert not (tmp_path / "model").exists()
