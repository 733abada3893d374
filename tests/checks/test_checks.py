from collections.abc import Callable
from dataclasses import replace

import pytest

from molvae.checks.check import PASS, CheckContext
from molvae.checks.checks import CHECKS
from molvae.checks.run import run_checks
from molvae.checks.settings import ChecksSettings
from molvae.chem.molecules import canonicalize
from molvae.chem.properties import PROPERTIES

Only = Callable[..., ChecksSettings]

LIDOCAINE = "CCN(CC)CC(=O)Nc1c(C)cccc1C"
ALANINE, L_ALANINE, D_ALANINE = "CC(N)C(=O)O", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"


def reason(smiles: str, settings: ChecksSettings, context: CheckContext | None = None) -> str | None:
    return run_checks([smiles], settings, context).loc[0, "reason"]


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
        ("stability", "CNC(=O)O", "unstable: carbamic acid"),
        ("unseen_rings", "C1Cc2ccccc2N1N1Cc2ccccc21", "ring system c1ccc2c(c1)CN2 not in MOSES or ChEMBL"),
        ("require", "[Na+].[Cl-]", "lacks [#6]"),
        ("forbid", "C[Se]CC=O", "contains [Se]; contains [CX3H1]=O"),
        ("alerts", "CCC=O", "BRENK: aldehyde"),
        ("alerts", "O=C1C=CC(=O)C=C1", "BRENK: chinone 1; PAINS: quinone A"),
    ],
)
def test_reason_has_the_value_and_the_limit(only: Only, check: str, smiles: str, expected: str) -> None:
    found = reason(smiles, only(check))
    assert found is not None
    assert found.startswith(expected)


@pytest.mark.parametrize("check", list(CHECKS))
def test_a_drug_passes_every_check(only: Only, fake_codec: type, check: str) -> None:
    table = run_checks([LIDOCAINE], only(check), CheckContext([], fake_codec([])))
    assert table[f"check_{check}"].tolist() == [PASS]
    assert table["passed"].tolist() == [True]
    assert table["reason"].tolist() == [None]


def test_digits_distinguish_a_value_from_the_limit(only: Only) -> None:
    assert reason(LIDOCAINE, only(mol_weight=(0.0, 234.34))) == "MW 234.343 > 234.34 Da"


@pytest.mark.parametrize("outcome", [float("nan"), ValueError("unusual molecule")])
def test_a_property_that_cannot_be_computed_fails(only: Only, monkeypatch: pytest.MonkeyPatch, outcome: object) -> None:
    def fail(mol: object) -> float:
        if isinstance(outcome, Exception):
            raise outcome
        return float("nan")

    monkeypatch.setitem(PROPERTIES, "logp", replace(PROPERTIES["logp"], function=fail))
    assert reason(LIDOCAINE, only("logp")) == "logP could not be computed"


def test_both_ends_of_a_range_pass(only: Only) -> None:
    assert reason("C1CCCCCCC1", only("ring_size")) is None
    assert reason("C[NH3+]", only(charge=(-1, 1))) is None


def test_known_molecules_fail_with_their_id(only: Only, fake_codec: type) -> None:
    settings = only("in_reference", "in_training")

    def found(reference: object, training: object = ()) -> str | None:
        return reason("CCO", settings, CheckContext(reference, fake_codec(training)))

    assert found({"CCO": "CHEMBL545"}) == "in the reference library as CHEMBL545"
    assert found({"CCO": None}) == "in the reference library"
    assert found(["CCO"]) == "in the reference library"
    assert found([], ["CCO"]) == "in the training set"
    assert found({"CCN": "x"}, ["CCC"]) is None


@pytest.mark.parametrize(
    ("smiles", "member", "expected"),
    [
        (ALANINE, L_ALANINE, "in the reference library as ALA, stereo ignored"),
        (L_ALANINE, ALANINE, "in the reference library as ALA, stereo ignored"),
        (L_ALANINE, L_ALANINE, "in the reference library as ALA"),
        (L_ALANINE, D_ALANINE, None),
        ("CC=CCl", "C/C=C/Cl", "in the reference library as ALA, stereo ignored"),
    ],
)
def test_undefined_stereo_matches_any_stereo(only: Only, smiles: str, member: str, expected: str | None) -> None:
    assert reason(smiles, only("in_reference"), CheckContext({member: "ALA"})) == expected


def test_an_exact_member_takes_precedence_over_its_isomers(only: Only) -> None:
    library = {L_ALANINE: "isomer", ALANINE: "exact", D_ALANINE: "other"}
    found = reason(ALANINE, only("in_reference"), CheckContext(library))
    assert found == "in the reference library as exact"


def test_the_smiles_of_this_file_are_canonical() -> None:
    for smiles in (LIDOCAINE, ALANINE, L_ALANINE, D_ALANINE):
        assert canonicalize(smiles).smiles == smiles
