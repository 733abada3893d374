"""Every check of CHECKS gives one answer per molecule, for any molecule, and can be switched off."""

import pytest

from molvae.checks.check import Check, CheckContext, Molecule
from molvae.checks.checks import CHECKS
from molvae.checks.run import run_checks
from molvae.checks.settings import ChecksSettings
from molvae.chem.molecules import parse
from molvae.codec import Codec
from molvae.codec.description import find_codec

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
    "CNC(=O)O",
    "CN1Cc2ccccc21",
]
LIMITS = {name: entry.default for name, entry in CHECKS.items()} | {
    "require": ("[#6]", "[CX4]"),
    "forbid": ("[Se]", "C=O"),
}


class SmallTraining(Codec):
    """A bundled codec with one training molecule in place of 1.6 million."""

    def training_smiles(self) -> list[str]:
        return ["CC(=O)Nc1ccc(O)cc1"]


@pytest.fixture(scope="module")
def context() -> CheckContext:
    return CheckContext(
        {"C": "CHEMBL17564", "C[Se]C": None},
        SmallTraining.load(find_codec("moses")),
        {"C": "core: lacks c1ccncc1"},
        {"C": "potency: similarity to the training molecules 0.1 < 0.3"},
    )


@pytest.fixture
def check(name: str, context: CheckContext) -> Check:
    return CHECKS[name].make(LIMITS[name], context)


@pytest.mark.parametrize("name", CHECKS)
def test_gives_one_answer_per_molecule(check: Check) -> None:
    molecules = [Molecule(smiles, parse(smiles)) for smiles in SMILES]
    answers = check(molecules)
    assert len(answers) == len(molecules)
    assert any(answer is None for answer in answers)
    assert any(answers), "no molecule of SMILES fails this check: add one that does"
    for answer in answers:
        assert answer is None or (isinstance(answer, str) and answer.strip() == answer != "")


@pytest.mark.parametrize("name", CHECKS)
def test_an_answer_depends_on_its_molecule_alone(check: Check) -> None:
    molecules = [Molecule(smiles, parse(smiles)) for smiles in SMILES]
    together = check(molecules)
    assert [check([molecule])[0] for molecule in molecules] == together
    assert check(molecules[::-1]) == together[::-1]


@pytest.mark.parametrize("name", CHECKS)
def test_accepts_no_molecules(check: Check) -> None:
    assert check([]) == []


@pytest.mark.parametrize("name", CHECKS)
def test_can_be_switched_off(name: str, context: CheckContext) -> None:
    settings = ChecksSettings.from_dict({name: False}, "test")
    assert f"check_{name}" not in run_checks(SMILES, settings, context)


@pytest.mark.parametrize("name", CHECKS)
def test_the_default_is_a_valid_setting(name: str) -> None:
    entry = CHECKS[name]
    assert entry.default is False or entry.read(entry.default) == entry.default
    assert entry.passes
