"""A term whose model is fitted to an assay table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.bundled import bundled
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.qsar import fit_assay
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.workers import Serial

SMILES = ["COc1ccccc1N1CCN(Cc2c[nH]c3ccccc23)CC1", "CCO", "invalid"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pd.read_csv(bundled("d4_ki.csv"), nrows=60).to_csv(tmp_path / "assay.csv", index=False)
    return tmp_path / "assay.csv"


def objective(**term: object) -> Objective:
    shape = {"shape": "higher", "low": 6, "high": 9}
    return Objective(ObjectiveSettings.from_dict({"terms": {"potency": shape | term}}, "my.toml"), Serial())


@pytest.mark.parametrize("fit", ["gaussian_process", "ridge"])
def test_it_predicts_what_the_model_folder_predicts(fit: str, table: Path, tmp_path: Path) -> None:
    fit_assay(table, tmp_path / "model", "pki", model=fit, mapper=Serial())
    fitted = objective(assay=str(table), column="pki", fit=fit, pessimism=0.5)
    expected = objective(model=str(tmp_path / "model"), pessimism=0.5)(SMILES)
    pd.testing.assert_frame_equal(fitted(SMILES), expected)
    assert np.isfinite(expected["value_potency_std"][:2]).all()
    assert fitted.identity() == {str(table): sha256_of(table)}


@pytest.mark.parametrize(
    ("term", "fact"),
    [
        ({"model": "x"}, "model and assay"),
        ({"fit": "svm"}, "known: gaussian_process"),
        ({"column": "pKd"}, "no target column pKd"),
        ({"column": "id"}, "not a number"),
        ({"assay": "gone.csv"}, "gone.csv"),
    ],
)
def test_wrong_keys_are_refused(term: dict[str, str], fact: str, table: Path) -> None:
    with pytest.raises(InputError, match=fact):
        objective(**({"assay": str(table)} | term))(SMILES)
