"""Every member of CHECKS answers row for row, in words, whatever the molecule, and can be switched off."""

from collections.abc import Sequence

import pytest

from molvae.checks.checks import CHECKS, ChecksSettings, Known, Molecule, run_checks
from molvae.chem.molecules import parse
from molvae.codec import load_codec

SMILES = [
    "C",
    "CC(=O)Nc1ccc(O)cc1",
    "C" * 60,
    "C[N+](C)(C)CC(=O)[O-]",
    "[CH2]C=O",
    "C1CCCCCCCCCCC1",
    "CC(=O)OC1CC2(C)C3CCC4CC(N(C)C)CCC4(C)C3CC2C1.Cl",
    "C[Se]C",
    "C[NH3+]",
    "OCC(O)C(O)C(O)C(O)C(O)C(O)C(O)C(O)C(O)C(O)CO",
    "c1ccc(-c2ccc(-c3ccc(-c4ccc(-c5ccc(-c6ccc(-c7ccccc7)cc6)cc5)cc4)cc3)cc2)cc1",
    "C[C@H](N)C(=O)O",
    "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "O=C1C=CC(=O)C=C1",
    "C#CC#CC#C",
]


def domain(smiles: Sequence[str], percentile: float) -> list[str | None]:
    return load_codec("moses").applicability_domain(smiles, percentile=percentile)["reason"].tolist()


KNOWN = Known({"C": "CHEMBL17564", "C[Se]C": None}, ["CC(=O)Nc1ccc(O)cc1"], domain)


@pytest.mark.parametrize("name", CHECKS)
def test_answers_row_for_row_in_words(name: str) -> None:
    molecules = [Molecule(smiles, parse(smiles)) for smiles in SMILES]
    answers = CHECKS[name](ChecksSettings(), KNOWN)(molecules)
    assert len(answers) == len(molecules)
    assert any(answer is None for answer in answers)
    assert any(answers), "no molecule of the suite fails this check: add one that does"
    for answer in answers:
        assert answer is None or (isinstance(answer, str) and answer.strip() == answer != "")


@pytest.mark.parametrize("name", CHECKS)
def test_answers_depend_on_the_molecule_alone(name: str) -> None:
    molecules = [Molecule(smiles, parse(smiles)) for smiles in SMILES]
    check = CHECKS[name](ChecksSettings(), KNOWN)
    together = check(molecules)
    assert [check([molecule])[0] for molecule in molecules] == together
    assert check(molecules[::-1]) == together[::-1]


@pytest.mark.parametrize("name", CHECKS)
def test_accepts_no_molecules(name: str) -> None:
    assert CHECKS[name](ChecksSettings(), KNOWN)([]) == []


@pytest.mark.parametrize("name", CHECKS)
def test_has_a_setting_that_switches_it_off(name: str) -> None:
    settings = ChecksSettings.from_dict({name: False}, "test")
    assert f"check_{name}" not in run_checks(SMILES, settings)


def test_every_setting_belongs_to_a_check() -> None:
    assert set(ChecksSettings.model_fields) == set(CHECKS)
