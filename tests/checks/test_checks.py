import tomllib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from molvae.checks.checks import CHECKS, PASS, UNREAD, ChecksSettings, run_checks
from molvae.chem.molecules import canonicalize
from molvae.chem.properties import PROPERTIES
from molvae.errors import InputError

LIDOCAINE = "CCN(CC)CC(=O)Nc1c(C)cccc1C"
ALANINE, L_ALANINE, D_ALANINE = "CC(N)C(=O)O", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"


def only(*names: str) -> ChecksSettings:
    """Settings in which no other check takes part."""
    asked = {"in_domain": 99} if "in_domain" in names else {}
    return ChecksSettings.from_dict({name: False for name in CHECKS if name not in names} | asked, "test")


def call_ions_strange(smiles: Sequence[str], percentile: float) -> list[str | None]:
    return [f"a charge, beyond {percentile:g} %" if "+" in text else None for text in smiles]


def reason(smiles: str, settings: ChecksSettings, **libraries: object) -> str | None:
    return run_checks([smiles], settings, **libraries).loc[0, "reason"]


@pytest.mark.parametrize(
    ("check", "smiles", "expected"),
    [
        ("mol_weight", "C" * 60, "MW 843.6 > 500 Da"),
        ("mol_weight", "CCO", "MW 46.1 < 150 Da"),
        ("logp", "C" * 60, "logP 23.7 > 5"),
        ("tpsa", "OCC(O)C(O)C(O)C(O)C(O)C(O)CO", "TPSA 161.8 > 140 Å²"),
        ("hbd", "OCC(O)C(O)C(O)C(O)C(O)CO", "H-bond donors 7 > 5"),
        ("rotatable_bonds", "C" * 20, "rotatable bonds 17 > 10"),
        ("rings", ".".join(["c1ccccc1"] * 7), "rings 7 > 6"),
        ("ring_size", "C1CCCCCCCC1", "ring of 9 atoms > 8"),
        (
            "sa_score",
            "C[C@]12CC[C@H]3[C@@H](CC[C@@]45O[C@@H]4C(O)=C(C#N)C[C@]35C)[C@@H]1CC[C@@H]2O",
            "SA score 5.3 > 5",
        ),
        ("charge", "C[NH3+]", "net charge +1"),
        ("charge", "CC(=O)[O-]", "net charge -1"),
        ("elements", "C[Se]C[Te]C", "element Se, Te"),
        ("fragments", "CCO.CCN.C", "3 fragments"),
        ("radicals", "C[CH2]", "radical: 1 unpaired electron"),
        ("radicals", "[CH2]C[CH2]", "radical: 2 unpaired electrons"),
        ("alerts", "CCC=O", "BRENK: aldehyde"),
        ("alerts", "O=C1C=CC(=O)C=C1", "BRENK: chinone 1; PAINS: quinone A"),
    ],
)
def test_the_reason_says_what_is_wrong_and_the_limit(check: str, smiles: str, expected: str) -> None:
    found = reason(smiles, only(check))
    assert found is not None
    assert found.startswith(expected)


@pytest.mark.parametrize("check", list(CHECKS))
def test_a_drug_passes_every_check(check: str) -> None:
    table = run_checks([LIDOCAINE], only(check), domain=call_ions_strange)
    assert table[f"check_{check}"].tolist() == [PASS]
    assert table["passed"].tolist() == [True]
    assert table["reason"].tolist() == [None]


def test_a_value_close_to_the_bound_is_shown_apart_from_it() -> None:
    assert (
        reason(LIDOCAINE, only("mol_weight").model_copy(update={"mol_weight": (0.0, 234.34)}))
        == "MW 234.343 > 234.34 Da"
    )


@pytest.mark.parametrize("outcome", [float("nan"), ValueError("odd molecule")])
def test_a_property_that_cannot_be_computed_fails(monkeypatch: pytest.MonkeyPatch, outcome: object) -> None:
    def fail(mol: object) -> float:
        if isinstance(outcome, Exception):
            raise outcome
        return float("nan")

    monkeypatch.setitem(PROPERTIES, "logp", replace(PROPERTIES["logp"], function=fail))
    assert reason(LIDOCAINE, only("logp")) == "logP could not be computed"


def test_bounds_belong_to_the_range() -> None:
    assert reason("C1CCCCCCC1", only("ring_size")) is None
    assert reason("C[NH3+]", only("charge").model_copy(update={"charge": (-1.0, 1.0)})) is None


def test_reasons_are_joined_in_the_order_of_the_checks() -> None:
    table = run_checks(["C[NH2+]CCCCCCCC=O"], ChecksSettings())
    assert table.loc[0, "reason"].startswith("net charge +1; BRENK: ")
    assert table.loc[0, "check_charge"] == "net charge +1"
    assert table.loc[0, "check_rings"] == PASS


def test_a_known_molecule_is_named_as_the_user_knows_it() -> None:
    settings = only("in_reference", "in_training")
    assert reason("CCO", settings, reference={"CCO": "CHEMBL545"}) == "in the reference library as CHEMBL545"
    assert reason("CCO", settings, reference={"CCO": None}) == "in the reference library"
    assert reason("CCO", settings, reference=["CCO"]) == "in the reference library"
    assert reason("CCO", settings, training=["CCO"]) == "in the training set"
    assert reason("CCO", settings, reference={"CCN": "x"}, training=["CCC"]) is None
    assert reason("CCO", settings) is None


@pytest.mark.parametrize(
    ("smiles", "member", "expected"),
    [
        (ALANINE, L_ALANINE, "in the reference library as ALA, stereo aside"),
        (L_ALANINE, ALANINE, "in the reference library as ALA, stereo aside"),
        (L_ALANINE, L_ALANINE, "in the reference library as ALA"),
        (L_ALANINE, D_ALANINE, None),
        ("CC=CCl", "C/C=C/Cl", "in the reference library as ALA, stereo aside"),
    ],
)
def test_stereo_left_open_on_one_side_is_no_novelty(smiles: str, member: str, expected: str | None) -> None:
    assert reason(smiles, only("in_reference"), reference={member: "ALA"}) == expected


def test_the_exact_member_is_named_before_its_isomer() -> None:
    library = {L_ALANINE: "isomer", ALANINE: "exact", D_ALANINE: "other"}
    assert reason(ALANINE, only("in_reference"), reference=library) == "in the reference library as exact"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c1ccc", "does not parse: not a SMILES: c1ccc"),
        ("C(C)(C)(C)(C)C", "does not parse: impossible valence"),
        ("", "does not parse: empty: no SMILES"),
        (None, "does not parse: empty: no SMILES"),
        ("CCO CCN", "does not parse: white space inside"),
        ("C" * 5000, "does not parse: too long: 5,000 characters"),
    ],
)
def test_a_text_that_does_not_parse_is_a_row_with_a_reason(text: str, expected: str) -> None:
    table = run_checks([LIDOCAINE, text, LIDOCAINE], ChecksSettings())
    assert table["passed"].tolist() == [True, False, True]
    assert table.loc[1, "reason"].startswith(expected)
    assert (table.filter(like="check_").loc[1] == UNREAD).all()


def test_a_check_that_is_off_has_no_column() -> None:
    table = run_checks([LIDOCAINE], only("logp"))
    assert list(table) == ["check_logp", "passed", "reason"]
    assert list(run_checks([LIDOCAINE], only())) == ["passed", "reason"]


def test_no_molecules_give_no_rows_and_all_columns() -> None:
    table = run_checks([], ChecksSettings())
    assert len(table) == 0
    assert list(table) == [*(f"check_{name}" for name in CHECKS if name != "in_domain"), "passed", "reason"]


def test_the_domain_is_asked_only_when_wanted_and_by_the_percentile_that_is_set() -> None:
    assert "check_in_domain" not in run_checks([LIDOCAINE], ChecksSettings(), domain=call_ions_strange)
    settings = only("in_domain").model_copy(update={"in_domain": 97.5})
    table = run_checks(["C[NH3+]", "c1ccc", LIDOCAINE], settings, domain=call_ions_strange)
    assert table["check_in_domain"].tolist() == ["a charge, beyond 97.5 %", UNREAD, PASS]
    assert table["passed"].tolist() == [False, False, True]
    with pytest.raises(InputError, match="in_domain: expected the domain of a codec"):
        run_checks([LIDOCAINE], settings)


def test_settings_survive_a_round_trip_through_toml() -> None:
    settings = ChecksSettings(mol_weight=False, alerts=["nih"], sa_score=0, charge=[-1, 1])
    assert settings.alerts == ("NIH",)
    assert ChecksSettings.from_dict(tomllib.loads(settings.to_toml()), "again") == settings


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mol_weight", [500, 100], r"mol_weight: expected \[lowest, highest\], two numbers in this order"),
        ("mol_weight", [100], "mol_weight: expected"),
        ("mol_weight", [0, float("nan")], "mol_weight: expected"),
        ("logp", True, "logp: expected"),
        ("in_domain", 100, "in_domain: expected a percentile between 0 and 100"),
        ("in_domain", True, "in_domain: expected a percentile"),
        ("sa_score", "low", "sa_score: expected the highest number"),
        ("sa_score", True, "sa_score: expected the highest number"),
        ("elements", [], "elements: expected a list of element symbols"),
        ("alerts", ["PAIN"], r"alerts: unknown rule set PAIN; did you mean PAINS\?"),
        ("alerts", "PAINS", "alerts: expected a list of rule sets"),
        ("alerts", ["xyz"], "unknown rule set xyz; known: PAINS, BRENK, NIH, CHEMBL"),
        ("mol_wieght", [0, 1], r"mol_wieght: unknown key; did you mean mol_weight\?"),
    ],
)
def test_a_wrong_setting_is_said(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChecksSettings.from_dict({key: value}, "campaign.toml [checks]")


def test_the_cases_above_are_canonical() -> None:
    for smiles in (LIDOCAINE, ALANINE, L_ALANINE, D_ALANINE):
        assert canonicalize(smiles).smiles == smiles
