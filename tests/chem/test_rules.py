"""The rules, with violations worked out from the published limits.

atorvastatin: 558.6 Da, logP 6.3 (RDKit), 4 H on N and O, 7 N and O, 12 rotatable bonds, TPSA 112, 76 atoms.
cyclosporin: 1202.6 Da, logP 3.3, 5 H on N and O, 23 N and O, 15 rotatable bonds, TPSA 279, 196 atoms, 85 heavy atoms.
doxorubicin: 543.5 Da, 7 H on N and O (6 donor atoms), 12 N and O, TPSA 206.
"""

import pytest

from molvae.chem.molecules import parse
from molvae.chem.rules import RULES, cns_mpo_4_of_6

ATORVASTATIN = "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O"
ASPIRIN, DIAZEPAM = "CC(=O)Oc1ccccc1C(=O)O", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"
CYCLOSPORIN = (
    "C/C=C/C[C@@H](C)[C@@H](O)[C@H]1C(=O)N[C@@H](CC)C(=O)N(C)CC(=O)N(C)[C@@H](CC(C)C)C(=O)N[C@@H](C(C)C)C(=O)N(C)"
    "[C@@H](CC(C)C)C(=O)N[C@@H](C)C(=O)N[C@H](C)C(=O)N(C)[C@@H](CC(C)C)C(=O)N(C)[C@@H](CC(C)C)C(=O)N(C)"
    "[C@@H](C(C)C)C(=O)N1C"
)
DOXORUBICIN = "COc1cccc2C(=O)c3c(O)c4CC(O)(C(=O)CO)CC(OC5CC(N)C(O)C(C)O5)c4c(O)c3C(=O)c12"
VIOLATED = {
    ATORVASTATIN: {
        "lipinski": ["mol_weight", "logp"],
        "veber": ["rotatable_bonds"],
        "ghose": ["logp", "mol_weight", "molar refractivity", "atoms with hydrogens"],
        "reos": ["mol_weight", "logp", "rotatable_bonds"],
        "lead_like": ["mol_weight", "logp", "rotatable_bonds"],
        "rule_of_three": ["mol_weight", "logp", "hbd", "hba"],
    },
    CYCLOSPORIN: {
        "lipinski": ["mol_weight", "atoms N and O"],
        "veber": ["rotatable_bonds", "tpsa"],
        "ghose": ["mol_weight", "molar refractivity", "atoms with hydrogens"],
        "reos": ["mol_weight", "hba", "rotatable_bonds", "heavy_atoms"],
        "lead_like": ["mol_weight", "rotatable_bonds"],
        "rule_of_three": ["mol_weight", "logp", "hbd", "hba"],
    },
    DOXORUBICIN: {
        "lipinski": ["mol_weight", "hydrogens on N and O", "atoms N and O"],
        "veber": ["tpsa"],
        "ghose": ["mol_weight", "molar refractivity"],
        "reos": ["mol_weight", "hbd", "hba"],
        "lead_like": ["mol_weight"],
        "rule_of_three": ["mol_weight", "hbd", "hba"],
    },
    ASPIRIN: {
        "lipinski": [],
        "veber": [],
        "ghose": [],
        "reos": ["mol_weight", "heavy_atoms"],
        "lead_like": ["mol_weight"],
        "rule_of_three": [],
    },
    DIAZEPAM: {"lipinski": [], "veber": [], "ghose": [], "reos": [], "lead_like": [], "rule_of_three": ["logp"]},
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("smiles", VIOLATED, ids=["atorvastatin", "cyclosporin", "doxorubicin", "aspirin", "diazepam"])
def test_the_violated_limits_of_known_drugs(smiles: str, name: str) -> None:
    assert RULES[name].violated(parse(smiles)) == VIOLATED[smiles][name]


def test_the_ends_of_a_range_are_allowed() -> None:
    five_hydrogens, six_hydrogens = "OCC(O)C(O)C(O)CO", "OCC(O)C(O)C(O)C(O)CO"
    assert "hydrogens on N and O" not in RULES["lipinski"].violated(parse(five_hydrogens))
    assert "hydrogens on N and O" in RULES["lipinski"].violated(parse(six_hydrogens))


def test_every_rule_names_its_publication() -> None:
    assert all("doi:" in rule.source and rule.title for rule in RULES.values())


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        # diazepam: logP 3.154 -> 0.923, 284.7 Da -> 1, TPSA 32.67 -> 0.6335, no H on N and O -> 1
        (DIAZEPAM, 3.557),
        # atorvastatin: logP 6.3 -> 0, 558.7 Da -> 0, TPSA 111.79 -> 0.2737, 4 H -> 0
        (ATORVASTATIN, 0.274),
        # aspirin: logP 1.3 -> 1, 180 Da -> 1, TPSA 63.6 -> 1, 1 H -> 5/6
        (ASPIRIN, 3.833),
        ("C", 3.0),  # TPSA 0
    ],
)
def test_four_components_of_cns_mpo(smiles: str, expected: float) -> None:
    assert cns_mpo_4_of_6(parse(smiles)) == pytest.approx(expected, abs=2e-3)
