"""`molvae qsar fit` and `molvae qsar predict`: their output, and one sentence for each error."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.bundled import bundled
from molvae.chem.properties import compute
from molvae.qsar import load_model


def run(*arguments: str) -> int:
    return cli._run(list(arguments))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    smiles = pd.read_csv(bundled("moses_test.csv.gz"), nrows=60).iloc[:, 0].tolist()
    values = 10 ** (3 - compute(smiles, ["logp"])["logp"])
    table = pd.DataFrame({"Structure SMILES": smiles, "IC50 (nM)": values.astype(str), "note": "x"})
    table.loc[0, "IC50 (nM)"] = ">100000"
    table.loc[1, "IC50 (nM)"] = "n.d."
    table.to_csv("assay.csv", index=False)


def test_fit_and_predict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("qsar", "fit", "assay.csv", "--model", "ridge", "-o", "model") == 0
    lines = capsys.readouterr().err.splitlines()
    assert "60 rows, 58 molecules, IC50 (nM) in -log10(mol/L)" in lines
    assert "  1 rows not used: censored" in lines
    assert "  1 rows not used: not a number" in lines
    assert any(line.startswith("note: the target is read from column IC50 (nM)") for line in lines)
    assert any(line.startswith("note: the values of IC50 (nM) are converted from nM") for line in lines)
    assert [line for line in lines if line.startswith("scaffold split: RMSE ")]
    Path("library.csv").write_text("name,smiles\na,CCN(CC)CC(=O)Nc1c(C)cccc1C\nb,xx\nc,CC(=O)Nc1ccc(O)cc1.Cl\n")
    assert run("qsar", "predict", "model", "library.csv", "-o", "out.csv") == 0
    table = pd.read_csv("out.csv")
    assert list(table) == ["id", "smiles", "value", "std", "similarity", "reason"]
    assert table["id"].tolist() == ["a", "b", "c"]
    direct = load_model("model").predict(["CCN(CC)CC(=O)Nc1c(C)cccc1C", "xx", "CC(=O)Nc1ccc(O)cc1"])
    np.testing.assert_allclose(table[["value", "std", "similarity"]], direct, rtol=1e-6)
    assert "invalid SMILES" in table["reason"][1]
    lines = capsys.readouterr().err.splitlines()
    assert "3 rows, 2 predicted, IC50 (nM) in -log10(mol/L): out.csv" in lines
    assert "  1 not predicted: invalid SMILES" in lines


def test_settings_reach_the_model() -> None:
    arguments = ["--model", "forest", "--set", "n_trees=7", "--set", "feature_share=0.2", "--seed", "5"]
    assert run("qsar", "fit", "assay.csv", "-o", "model", *arguments) == 0
    card = json.loads(Path("model/card.json").read_text())
    assert (card["settings"]["n_trees"], card["settings"]["feature_share"], card["seed"]) == (7, 0.2, 5)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["fit", "gone.csv", "-o", "model"], "gone.csv"),
        (["fit", "assay.csv", "--target", "pKi", "-o", "model"], "no target column pKi"),
        (["fit", "assay.csv", "--target", "note", "-o", "model"], "60 not a number"),
        (["fit", "assay.csv", "--model", "svm", "-o", "model"], "known: gaussian_process"),
        (["fit", "assay.csv", "--unit", "kg", "-o", "model"], "unit kg"),
        (["fit", "assay.csv", "--set", "n_trees", "-o", "model"], "KEY=VALUE"),
        (["fit", "assay.csv", "--set", "n_noise=0", "-o", "model"], "n_noise"),
        (["fit", "assay.csv", "--split-column", "fold", "-o", "model"], "no split column fold"),
        (["fit", "assay.csv", "-o", "no/model"], "no/model"),
        (["predict", "gone", "assay.csv", "-o", "out.csv"], "gone"),
        (["predict", ".", "assay.csv", "-o", "out.csv"], "no model.json"),
        (["predict", "gone", "assay.csv", "-o", "out.txt"], ".parquet or .csv"),
        (["predict", "gone"], "INPUT"),
    ],
)
def test_errors_are_one_sentence(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("qsar", *arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("  ")]
    assert len(lines) == 1
    assert lines[0].startswith("molvae: ")
    assert part in lines[0]
    assert not Path("model").exists()
    assert not Path("out.csv").exists()
