"""Terms that ADMET-AI predicts, where it is installed."""

from importlib.util import find_spec

import numpy as np
import pytest

from molvae.errors import InputError, MissingPackageError
from molvae.scoring.objective import Objective, ObjectiveSettings

needs_admet = pytest.mark.skipif(find_spec("admet_ai") is None, reason="needs molvae[admet]: admet-ai")
MOLECULES = ["CC(=O)Nc1ccc(O)cc1", "COc1ccc(CN2CCN(c3ccccn3)CC2)cc1", "invalid"]


def objective(**terms):
    return Objective(ObjectiveSettings.from_dict({"terms": terms}, "campaign.toml"))


def test_a_missing_package_is_named_with_the_extra(monkeypatch):
    monkeypatch.setattr("molvae.extras.find_spec", lambda name: None)
    monkeypatch.setattr("molvae.scoring.scorers.admet.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"admet-ai.*molvae\[admet\]"):
        objective(herg={"admet": "hERG"})


@needs_admet
@pytest.mark.parametrize(
    ("keys", "fact"),
    [({"admet": "herg"}, "did you mean hERG"), ({"admet": "xyz"}, "AMES"), ({"admet": "BBB_Martins"}, "shape")],
)
def test_an_endpoint_is_known_and_has_a_shape(keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=keys)


@needs_admet
@pytest.mark.slow  # importing chemprop takes several seconds
def test_the_values_are_those_of_admet_ai_in_any_batch():
    from admet_ai import ADMETModel

    terms = {"herg": {"admet": "hERG"}, "sol": {"admet": "Solubility_AqSolDB", "shape": "higher", "low": -5, "high": 0}}
    table = objective(**terms)(MOLECULES)
    expected = ADMETModel(include_physchem=False, drugbank_path=None, num_workers=0).predict(MOLECULES[:2])
    np.testing.assert_allclose(table["value_herg"][:2], expected["hERG"], atol=1e-5)
    np.testing.assert_allclose(table["value_sol"][:2], expected["Solubility_AqSolDB"], atol=1e-5)
    assert table["score_herg"][0] > table["score_herg"][1]
    assert (table["value_sol_std"][:2] > 0).all()
    assert table["unscored_reason"].notna().tolist() == [False, False, True]
    alone = objective(**terms)(MOLECULES[1:2])
    assert alone["value_herg"][0] == table["value_herg"][1]
