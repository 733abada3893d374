import pytest

from molvae.errors import InputError

ACID = {"property": "functional_group", "group": "carboxylic acid"}
MOLECULES = ["CCC", "CC(=O)O", "OC(=O)CC(=O)O", "CC(=O)[O-]", "C1CC"]


@pytest.mark.parametrize(
    ("keys", "values", "scores"),
    [
        ({}, [0, 1, 1, 1], [0, 1, 1, 1]),
        ({"wanted": False}, [0, 1, 1, 1], [1, 0, 0, 0]),
        ({"least": 2}, [0, 1, 2, 1], [0, 0, 1, 0]),
        ({"most": 1}, [0, 1, 2, 1], [1, 1, 0, 1]),
        ({"least": 1, "most": 1}, [0, 1, 2, 1], [0, 1, 0, 1]),
    ],
)
def test_a_functional_group_is_a_condition(objective, keys, values, scores):
    table = objective(it=ACID | keys)(MOLECULES)
    assert table["value_it"].tolist()[:4] == values
    assert table["score"].tolist()[:4] == scores
    assert "C1CC" in table["unscored_reason"][4]


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({"group": "carboxilic acid"}, r"\[terms\.it\] group: .*did you mean carboxylic acid\?"),
        ({"group": "Carboxylic Acid"}, r"group: .*did you mean carboxylic acid\?"),
        ({"group": "zzzz"}, r"group: .*known functional groups: .*amide"),
        ({"group": ""}, r"group: "),
        ({"group": 3}, r"\[terms\.it\] group: "),
        ({"group": ["amide"]}, r"group: "),
        ({"least": 3, "most": 2}, r"most: .*\(3\)"),
        ({"least": 1, "wanted": False}, r"most: .*most = 0"),
        ({"least": -1}, r"least: "),
        ({"weight": 0.5}, r"weight: .*condition"),
        ({"smarts": "C"}, r"smarts: .*not a key of functional_group; its keys: group"),
        ({"shape": "lower"}, r"shape: .*functional_group"),
    ],
)
def test_an_invalid_term_is_refused(objective, keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=ACID | keys)


def test_the_group_is_required(objective):
    with pytest.raises(InputError, match=r"group: missing"):
        objective(it={"property": "functional_group"})
