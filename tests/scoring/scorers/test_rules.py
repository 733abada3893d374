import pytest

from molvae.chem.rules import RULES
from molvae.errors import InputError

ATORVASTATIN = "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O"
DIAZEPAM = "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"


@pytest.mark.parametrize("name", RULES)
def test_violated_limits_are_counted(objective, name):
    table = objective(it={"property": name})([ATORVASTATIN, DIAZEPAM, "C1CC"])
    violated = {"lipinski": 2, "veber": 1, "ghose": 4, "reos": 3, "lead_like": 3, "rule_of_three": 4}[name]
    assert table["value_it"].tolist()[:2] == [violated, int(name == "rule_of_three")]
    assert table["score"].tolist()[:2] == [max(0, 1 - violated / 2), 0.5 if name == "rule_of_three" else 1]
    assert "C1CC" in table["unscored_reason"][2]


def test_the_limits_can_be_changed(objective):
    table = objective(it={"property": "lipinski", "low": 1, "high": 3})([ATORVASTATIN, DIAZEPAM])
    assert table["score"].tolist() == [0.5, 1.0]


def test_the_partial_cns_mpo_is_from_0_to_4(objective):
    table = objective(it={"property": "cns_mpo_4_of_6"})([DIAZEPAM, "C1CC"])
    assert table["value_it"][0] == pytest.approx(3.557, abs=2e-3)
    assert table["score"][0] == pytest.approx(table["value_it"][0] / 4)
    assert "C1CC" in table["unscored_reason"][1]


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({"property": "Lipinski"}, r"\[terms\.it\] property: .*lipinski\?"),
        ({"property": "leadlike", "shape": "lower"}, r"property: .*lead_like\?"),
        ({"property": "cns_mpo", "shape": "higher"}, r"property: .*cns_mpo_4_of_6\?"),
        ({"property": "lipinski", "smarts": "C"}, r"smarts: .*not a key of lipinski"),
        ({"property": "veber", "shape": "windw"}, r"shape: "),
        ({"property": "ghose", "high": 1}, r"low: "),
        ({"property": "reos", "weight": -1}, r"weight: "),
        ({"property": "cns_mpo_4_of_6", "ph": 7}, r"ph: .*not a key of cns_mpo_4_of_6"),
    ],
)
def test_an_invalid_term_is_refused(objective, keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=keys)
