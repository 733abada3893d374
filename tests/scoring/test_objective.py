import math

import numpy as np
import pandas as pd
import pytest

from molvae.chem import properties
from molvae.chem.fingerprints import tanimoto
from molvae.chem.properties import PROPERTIES, compute
from molvae.errors import InputError
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.scoring.scorers import registry
from molvae.scoring.scorers.properties import OTHER_TERMS

PHENETOLE, ETHANOL, PROPANAL, NITRO = "CCOc1ccccc1", "CCO", "CCC=O", "O=[N+]([O-])c1ccccc1"
MOLECULES = [PHENETOLE, ETHANOL, PROPANAL, NITRO, "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"]
QED = {"property": "qed", "shape": "higher", "low": 0, "high": 1}
LOGP = {"property": "logp", "shape": "window", "low": 1, "high": 3, "soft": 1}


def objective(combine="geometric_mean", **terms):
    return Objective(ObjectiveSettings.from_dict({"terms": terms, "combine": combine}, "campaign.toml"))


def test_one_row_per_molecule_with_values_desirabilities_and_score():
    table = objective(qed=QED, fat=LOGP)(MOLECULES)
    assert list(table) == ["value_qed", "score_qed", "value_fat", "score_fat", "score", "unscored_reason"]
    assert table.index.tolist() == list(range(5))
    expected = compute(MOLECULES, ["qed", "logp"])
    np.testing.assert_array_equal(table["value_qed"], expected["qed"])
    np.testing.assert_array_equal(table["value_fat"], expected["logp"])
    np.testing.assert_array_equal(table["score_qed"], table["value_qed"])


def test_no_molecules_give_an_empty_table():
    table = objective(qed=QED, core={"property": "substructure", "smarts": "c"})([])
    assert len(table) == 0
    assert list(table) == ["value_qed", "score_qed", "value_core", "score_core", "score", "unscored_reason"]


def test_the_geometric_mean_is_weighted_and_zero_if_a_term_is_zero():
    table = objective(qed=QED | {"weight": 3}, fat=LOGP)(MOLECULES)
    expected = (table["score_qed"] ** 3 * table["score_fat"]) ** 0.25
    np.testing.assert_allclose(table["score"], expected)
    assert table["score_fat"][1] == table["score"][1] == 0  # ethanol: logP -0.001


def test_the_arithmetic_mean_is_weighted_and_compensates():
    table = objective("arithmetic_mean", qed=QED | {"weight": 3}, fat=LOGP)(MOLECULES)
    np.testing.assert_allclose(table["score"], 0.75 * table["score_qed"] + 0.25 * table["score_fat"])
    assert table["score"][1] > 0


def test_pareto_keeps_the_weighted_terms_as_goals():
    core = {"property": "substructure", "smarts": "c"}
    scorer = objective("pareto", qed=QED, fat=LOGP, shown=LOGP | {"weight": 0}, core=core)
    assert scorer.settings.goals == ("qed", "fat")
    assert objective(qed=QED, fat=LOGP).settings.goals == ()
    table = scorer(MOLECULES)
    expected = (table["score_qed"] + table["score_fat"]) / 2 * table["score_core"]
    np.testing.assert_allclose(table["score"], expected)


def test_the_score_of_ideal_terms_is_1():
    easy = {"property": "heavy_atoms", "shape": "higher", "low": 0, "high": 1}
    for combine in ("geometric_mean", "arithmetic_mean"):
        assert objective(combine, a=easy, b=easy, c=easy | {"weight": 0.1})(MOLECULES)["score"].tolist() == [1.0] * 5


@pytest.mark.parametrize("combine", ["geometric_mean", "arithmetic_mean"])
def test_a_failed_term_makes_the_score_nan(combine, monkeypatch):
    def fails_on_nitro(mol):
        return math.nan if mol.GetNumHeavyAtoms() == 9 and mol.GetAtomWithIdx(1).GetFormalCharge() else 1.0

    broken = PROPERTIES["tpsa"].__class__("tpsa", fails_on_nitro, "", (0, 1), "")
    monkeypatch.setitem(PROPERTIES, "tpsa", broken)
    tpsa = {"property": "tpsa", "shape": "higher", "low": 0, "high": 1}
    zero = {"property": "rings", "shape": "higher", "low": 98, "high": 99}
    for others in ({}, {"qed": QED}, {"zero": zero}):
        table = objective(combine, tpsa=tpsa, **others)(MOLECULES)
        assert table["score"].isna().tolist() == [False, False, False, True, False]
        assert table["value_tpsa"].isna().tolist() == [False, False, False, True, False]
    table = objective(combine, tpsa=tpsa | {"weight": 0}, qed=QED)(MOLECULES)  # weight 0: shown, not counted
    assert table["score"].notna().all()


def test_an_invalid_smiles_is_a_row_of_nan():
    every = {
        "qed": QED,
        "near": {"property": "similarity", "to": ETHANOL},
        "core": {"property": "substructure", "smarts": "c"},
        "alerts": {"property": "alerts"},
    }
    table = objective(**every)([ETHANOL, "C1CC", "", ETHANOL])
    reasons = table.pop("unscored_reason")
    assert reasons.notna().tolist() == [False, True, True, False]
    assert "qed" in reasons[1]
    assert table.loc[[1, 2]].isna().all(axis=None)
    pd.testing.assert_series_equal(table.loc[0], table.loc[3], check_names=False)
    assert table.loc[0].notna().all()


def test_similarity_is_to_the_most_similar_reference():
    near = {"property": "similarity", "to": [PHENETOLE, "OCC"]}
    value = objective(near=near)(MOLECULES)["value_near"]
    expected = np.maximum(tanimoto(PHENETOLE, MOLECULES), tanimoto(ETHANOL, MOLECULES))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert value[:2].tolist() == [1.0, 1.0]
    wider = objective(near=near | {"radius": 3, "to": PHENETOLE})(MOLECULES)["value_near"]
    assert wider[4] < tanimoto(PHENETOLE, MOLECULES)[4]


def test_similarity_may_have_bounds():
    keep = {"property": "similarity", "to": PHENETOLE, "shape": "higher", "low": 0.2, "high": 0.4}
    assert objective(keep=keep)(MOLECULES)["score"].tolist()[:2] == [1.0, 0.0]


@pytest.mark.parametrize("combine", ["geometric_mean", "arithmetic_mean"])
def test_a_substructure_is_a_condition_without_weight(combine):
    ring = {"property": "substructure", "smarts": "c1ccccc1"}
    nitro = {"property": "substructure", "smarts": "[N+](=O)[O-]", "wanted": False}
    table = objective(combine, qed=QED, ring=ring, nitro=nitro)(MOLECULES)
    assert table["value_ring"].tolist() == [1, 0, 0, 1, 1]
    assert table["score_ring"].tolist() == [1, 0, 0, 1, 1]
    assert table["value_nitro"].tolist() == [0, 0, 0, 1, 0]
    assert table["score_nitro"].tolist() == [1, 1, 1, 0, 1]
    np.testing.assert_allclose(table["score"], table["score_qed"] * [1, 0, 0, 0, 1])
    assert objective(combine, ring=ring, nitro=nitro)(MOLECULES)["score"].tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("limits", "scores"),
    [({"least": 2}, [0, 0, 1, 1]), ({"most": 2}, [1, 1, 1, 0]), ({"least": 1, "most": 2}, [0, 1, 1, 0])],
)
def test_a_substructure_can_be_counted(limits, scores):
    table = objective(halogens={"property": "substructure", "smarts": "[F,Cl]"} | limits)(["C", "CF", "FCCl", "FC(F)F"])
    assert table["value_halogens"].tolist() == [0, 1, 2, 3]
    assert table["score"].tolist() == scores


def test_alerts_of_the_chosen_catalogs_are_counted():
    table = objective(alerts={"property": "alerts"})([PHENETOLE, PROPANAL])
    assert table["value_alerts"].tolist() == [0, 1]  # BRENK: aldehyde
    assert table["score_alerts"].tolist() == [1.0, 0.5]
    assert objective(alerts={"property": "alerts", "catalogs": ["PAINS"]})([PROPANAL])["value_alerts"].tolist() == [0]


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_every_property_has_its_usual_range_as_default(name):
    term = {"property": name} if name == "alerts" else {"property": name, "shape": "window"}
    settings = ObjectiveSettings.from_dict({"terms": {"it": term}}, "campaign.toml").terms["it"]
    if name != "alerts":
        assert (settings.low, settings.high) == PROPERTIES[name].usual
    table = objective(it=term)(MOLECULES)
    assert table["score"].between(0, 1).all()


def test_two_terms_may_use_one_property():
    table = objective(not_too_greasy=LOGP, polar=LOGP | {"low": -2, "high": 0})(MOLECULES)
    np.testing.assert_array_equal(table["value_not_too_greasy"], table["value_polar"])
    assert table["score_polar"][1] == 1


def test_batches_and_repeated_calls_give_equal_numbers():
    scorer = objective(qed=QED, fat=LOGP | {"weight": 0.3}, near={"property": "similarity", "to": PHENETOLE})
    whole = scorer(MOLECULES)
    pd.testing.assert_frame_equal(scorer(MOLECULES), whole, check_exact=True)
    chunks = pd.concat([scorer(MOLECULES[:2]), scorer(MOLECULES[2:])], ignore_index=True)
    pd.testing.assert_frame_equal(chunks, whole, check_exact=True)


def test_saved_settings_are_complete_and_read_back(tmp_path):
    settings = ObjectiveSettings.from_dict(
        {
            "terms": {
                "sa": {"property": "sa_score", "shape": "lower"},
                "alerts": {"property": "alerts"},
                "near": {"property": "similarity", "to": PHENETOLE},
                "core": {"property": "substructure", "smarts": "c1ccccc1"},
                "potency": {
                    "property": "mol_weight",
                    "shape": "lower",
                    "low": 1,
                    "high": 1e3,
                    "scale": "log",
                    "power": 2,
                },
            }
        },
        "campaign.toml",
    )
    path = tmp_path / "objective.toml"
    path.write_text(settings.to_toml())
    assert ObjectiveSettings.from_toml(path) == settings
    assert settings.terms["alerts"].catalogs == ("PAINS", "BRENK")
    assert "soft" not in settings.to_toml()


@pytest.mark.parametrize(
    ("term", "problem"),
    [
        ({"property": "logP", "shape": "higher"}, r"\[terms.it\] property: .*logp\?"),
        ({"property": "zzz", "shape": "higher"}, r"property: .*alerts, aromatic"),
        ({"property": "qed"}, r"\[terms.it\] shape: "),
        ({"property": "qed", "shape": "highr"}, r"shape: .*'higher', 'lower' or 'window'"),
        ({"property": "qed", "shape": "higher", "low": 0.2}, r"\[terms.it\] high: "),
        ({"property": "qed", "shape": "higher", "low": 2, "high": 1}, r"high: .*\(2.0\)"),
        ({"property": "qed", "shape": "higher", "low": math.nan, "high": 1}, r"low: "),
        ({"property": "qed", "shape": "higher", "to": "C"}, r"to: .*qed.*: high, low, power"),
        ({"property": "qed", "shape": "higher", "power": 0}, r"power: .* 0"),
        (LOGP | {"soft": -1}, r"soft: .* 0"),
        (LOGP | {"low": 0, "scale": "log"}, r"scale: .* 0"),
        (QED | {"weight": math.nan}, r"\[terms.it\] weight: .*finite"),
        (QED | {"weight": math.inf}, r"\[terms.it\] weight: .*finite"),
        (QED | {"weight": -1}, r"\[terms.it\] weight: .* 0"),
        (QED | {"weight": 0}, r"terms: .*it\.weight"),
        (QED | {"wieght": 1}, r"\[terms.it\] wieght: .*weight\?"),
        ({"property": "similarity"}, r"\[terms.it\] to_file: .*neither"),
        ({"property": "similarity", "to": "CC", "to_file": "a.smi"}, r"\[terms.it\] to_file: .*both"),
        ({"property": "similarity", "to": "C1CC"}, r"to: .*C1CC"),
        ({"property": "similarity", "to": []}, r"to: "),
        ({"property": "similarity", "to": ["CC", "C(C)(C)(C)(C)C"]}, r"to: .*atom 1"),
        ({"property": "similarity", "to": "CC", "radius": -1}, r"radius: .* 0"),
        ({"property": "substructure"}, r"\[terms.it\] smarts: "),
        ({"property": "substructure", "smarts": "c1cc"}, r"smarts: .*'c1cc'"),
        ({"property": "substructure", "smarts": "C", "shape": "higher"}, r"shape: .*substructure"),
        ({"property": "substructure", "smarts": "C", "weight": 2}, r"weight: .*condition"),
        ({"property": "substructure", "smarts": "C", "least": 3, "most": 2}, r"most: .*\(3\)"),
        ({"property": "substructure", "smarts": "C", "least": 3, "wanted": False}, r"most: .*most = 0"),
        ({"property": "alerts", "catalogs": ["PAIN"]}, r"catalogs: .*PAINS\?"),
        ({"property": "alerts", "catalogs": []}, r"catalogs: .*BRENK"),
        (3, r"\[terms\] it: "),
    ],
)
def test_an_invalid_term_is_refused_by_its_key(term, problem):
    with pytest.raises(InputError, match=rf"^campaign.toml .*{problem}"):
        objective(it=term)


def test_an_invalid_objective_is_refused():
    for data, problem in (
        ({}, "campaign.toml terms: "),
        ({"terms": {}}, r"terms: .*\[objective\.terms\.qed\]"),
        ({"terms": {"my term": QED}}, "terms: my term: "),
        ({"terms": {"qed": QED}, "combine": "mean"}, "combine: .*'geometric_mean', 'arithmetic_mean' or 'pareto'"),
        ({"terms": {"qed": QED}, "combine": "pareto"}, "combine: .*two terms"),
        ({"terms": {"qed": QED}, "combin": "x"}, r"combin: .*combine\?"),
    ):
        with pytest.raises(InputError, match=problem):
            ObjectiveSettings.from_dict(data, "campaign.toml")


def test_settings_cannot_be_changed():
    settings = objective(qed=QED).settings
    with pytest.raises(ValueError, match="frozen"):
        settings.terms["qed"].weight = 3


PLUGIN = """
from molvae.chem.properties import Property

def count(mol):
    return sum(atom.GetAtomicNum() in (9, 17, 35, 53) for atom in mol.GetAtoms())

halogens = Property("halogens", lambda mol: count(mol), "", (0, 4), "")
broken = "not a property"
"""


def test_a_property_of_another_package_can_be_a_term(install_plugin):
    install_plugin("halo", "molvae.properties", PLUGIN, halogens="halogens")
    scorer = objective(halo={"property": "halogens", "shape": "lower"}, qed=QED)
    assert (scorer.settings.terms["halo"].low, scorer.settings.terms["halo"].high) == (0, 4)
    table = scorer(["Clc1ccc(F)cc1", "CCO", "C1CC"])
    assert table["value_halo"].tolist()[:2] == [2, 0]
    assert table["score_halo"].tolist()[:2] == [0.5, 1]
    assert table.drop(columns="unscored_reason").loc[2].isna().all()
    with pytest.raises(InputError, match=r"\[terms\.it\] property: .*halogens\?"):
        objective(it={"property": "halogen", "shape": "lower"})


def test_an_unusable_property_plugin_does_not_affect_builtin_properties(install_plugin):
    install_plugin("halo", "molvae.properties", PLUGIN, halogens="broken")
    assert objective(qed=QED)(MOLECULES)["score"].notna().all()
    with pytest.raises(InputError, match=r"halogens .*package halo.*Property, got str"):
        objective(it={"property": "halogens", "shape": "lower"})


@pytest.mark.parametrize("name", ["qed", "similarity"])
def test_a_property_plugin_cannot_replace_a_builtin_term(install_plugin, name):
    install_plugin("halo", "molvae.properties", PLUGIN, **{name: "halogens"})
    with pytest.raises(InputError, match=f"{name} .*package halo"):
        objective(it={"property": "unknown", "shape": "lower"})


def test_the_terms_with_a_scorer_of_their_own_are_known_everywhere():
    """The registry, the hint for an unknown property, and the names that a plug-in cannot take agree."""
    assert set(registry.SPECIAL) == set(OTHER_TERMS)
    assert set(OTHER_TERMS) <= {*properties._RESERVED, *PROPERTIES}
