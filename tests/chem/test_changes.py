import pytest
from rdkit import Chem

from molvae.chem.changes import Change, Replacement, compare_structures
from molvae.chem.molecules import canonicalize

CHANGES = {
    ("Oc1ccccc1", "COc1ccccc1"): "OH -> OCH3 on aromatic C",
    ("c1ccccc1", "Fc1ccccc1"): "H -> F on aromatic C",
    ("Cc1ccccc1", "FC(F)(F)c1ccccc1"): "CH3 -> CF3 on aromatic C",
    ("O=C(O)c1ccccc1", "COC(=O)c1ccccc1"): "C(=O)OH -> C(=O)OCH3 on aromatic C",
    ("CS(=O)(=O)c1ccccc1", "NS(=O)(=O)c1ccccc1"): "S(=O)2CH3 -> S(=O)2NH2 on aromatic C",
    ("CNc1ccccc1", "CN(C)c1ccccc1"): "H -> CH3 on N",
    (
        "N#Cc1ccccc1C",
        "O=[N+]([O-])c1ccccc1C",
    ): "CN -> NO2 on aromatic C",  # the same carbon, though toluene is symmetric
    ("Cc1ccc(Br)cc1", "Cc1cccc(Br)c1"): "CH3 moved",
    ("O=C(Nc1ccccc1)C1CCNCC1", "O=C(NCc1ccccc1)C1CCNCC1"): "CH2 inserted",
    ("O=C(NCc1ccccc1)C1CCNCC1", "O=C(Nc1ccccc1)C1CCNCC1"): "CH2 removed",
    ("c1ccc(Cc2ccccc2)cc1", "O=C(c1ccccc1)c1ccccc1"): "CH2 -> C(=O)",
    ("c1ccc2ccccc2c1", "c1ccc2ncccc2c1"): "CH -> N",
    ("O=C(c1ccccc1)N1CCCCC1", "O=C(c1ccccc1)N1CCOCC1"): "CH2 -> O",
    ("O=C(NCC(=O)Nc1ccccc1)c1cccnc1", "O=C(NCC(=O)Nc1ccccc1)c1ccco1"): "3-pyridyl -> 2-furyl on C=O",
    ("O=C(NCC(=O)Nc1ccccc1)c1ccsc1", "O=C(NCC(=O)Nc1ccccc1)c1cccs1"): "3-thienyl -> 2-thienyl on C=O",
    ("Cc1ccc(CN2CCC(O)CC2)c2ccccc12", "Cc1ccc2cc(CN3CCC(O)CC3)ccc2c1"): "*c1ccc(C)c2ccccc12 -> *c1ccc2cc(C)ccc2c1 on C",
    ("C1=CCCCC1c1ccccc1", "C1CCCCC1c1ccccc1"): "bond C=C -> bond C-C",
}


@pytest.mark.parametrize("pair", CHANGES)
def test_a_change_is_described_by_the_groups_that_were_replaced(pair: tuple[str, str]) -> None:
    before, after = (canonicalize(one).smiles or "" for one in pair)
    change = compare_structures(before, after)
    assert str(change) == CHANGES[pair]
    assert change.kind == "groups"


def test_two_changes_are_listed_and_unchanged_groups_are_not() -> None:
    change = compare_structures("COCCN(C)C(=O)Nc1ccc(C(F)(F)F)cc1", "COCCN(C)C(=O)Nc1ccc(OC)cc1Cl")
    assert set(change.replacements) == {Replacement("CF3", "OCH3", "aromatic C"), Replacement("H", "Cl", "aromatic C")}


def test_changes_at_equivalent_atoms_are_one_change() -> None:
    """The two ortho positions of the phenyl ring are equivalent."""
    change = compare_structures("CN1CCN(c2ccccc2F)CC1CC(N)=O", "COc1ccccc1N1CCN(C)C(CC(N)=O)C1")
    assert str(change) == "F -> OCH3 on aromatic C"
    change = compare_structures("COc1ccc(CN2CCN(c3ccccc3F)CC2)cc1Br", "COc1ccccc1N1CCN(Cc2c[nH]c3ccccc23)CC1")
    assert Replacement("F", "OCH3", "aromatic C") in change.replacements


def test_the_changed_atoms_are_positions_in_the_smiles() -> None:
    before, after = "COc1ccccc1", "CC(=O)Nc1ccccc1"
    change = compare_structures(before, after)
    assert change.before_atoms == (0, 1)
    assert change.after_atoms == (0, 1, 2, 3)
    a, b = Chem.MolFromSmiles(before), Chem.MolFromSmiles(after)
    assert len(change.common) == 6
    for i, j in change.common:
        assert a.GetAtomWithIdx(i).GetAtomicNum() == b.GetAtomWithIdx(j).GetAtomicNum() == 6


def test_equal_molecules_stereoisomers_and_charges() -> None:
    assert compare_structures("CCO", "CCO").kind == "none"
    inverted = compare_structures("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O")
    assert (inverted.kind, inverted.n_inverted, inverted.after_atoms) == ("stereo", 1, ())
    assert compare_structures("C/C=C/c1ccccc1", "C/C=C\\c1ccccc1").kind == "stereo"
    assert compare_structures("CC[NH3+]", "CCN").kind == "charge"


@pytest.mark.parametrize(("after", "n"), [("C[C@H](N)C(=O)NCc1ccccc1", 0), ("C[C@@H](N)C(=O)NCc1ccccc1", 1)])
def test_an_inverted_center_next_to_a_change_is_counted(after: str, n: int) -> None:
    change = compare_structures("C[C@H](N)C(=O)Nc1ccccc1", after)
    assert change.n_inverted == n
    assert change.replacements == (Replacement("", "CH2"),)


def test_structures_with_little_in_common_have_no_list_of_groups() -> None:
    change = compare_structures("CCN(CCO)C(=O)c1ccc(CN2CC(C)OC(C)C2)cc1", "CNC(=O)NCC(=O)Nc1cccc(-c2nnnn2C2CC2)c1")
    assert change.kind == "large"
    assert not change.replacements
    assert not change.has_same_scaffold


def test_scaffolds_are_compared() -> None:
    assert compare_structures("Oc1ccccc1", "COc1ccccc1").has_same_scaffold
    change = compare_structures("O=C(Nc1ccccc1)C1CC1", "O=C(Nc1ccccc1)C1CCC1")
    assert change.scaffolds == ("O=C(Nc1ccccc1)C1CC1", "O=C(Nc1ccccc1)C1CCC1")


ODD = ["C", "[H][H]", "[Na+].[Cl-]", "CC.CC", "O=C([O-])c1ccccc1.[Na+]", "[2H]C", "C12C3C4C1C5C2C3C45", "OB(O)c1ccccc1"]


@pytest.mark.parametrize("after", ODD)
def test_unusual_molecules_are_compared(after: str) -> None:
    for before in (canonicalize(one).smiles or "" for one in ODD):
        change = compare_structures(before, canonicalize(after).smiles or "")
        assert str(change)


def test_an_invalid_molecule_is_not_compared() -> None:
    assert compare_structures("C1CC", "CCO") == Change("C1CC", "CCO", kind="unknown")


DRUGS = [
    "CC(=O)Nc1ccc(O)cc1",
    "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    "COc1ccccc1N1CCN(Cc2c[nH]c3ccccc23)CC1",
    "COc1ccc(CN2CCN(c3ccccc3F)CC2)cc1Br",
    "O=C(NC1CCN(Cc2ccccc2)CC1)c1cc2ccccc2[nH]1",
    "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21",
    "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
]


@pytest.mark.parametrize("before", DRUGS)
def test_shared_atoms_have_the_same_element_and_bonds_and_all_others_are_marked(before: str) -> None:
    a = Chem.MolFromSmiles(before)
    for after in DRUGS:
        b, change = Chem.MolFromSmiles(after), compare_structures(before, after)
        shared = dict(change.common)
        assert len(set(shared.values())) == len(shared)
        for i, j in shared.items():
            assert a.GetAtomWithIdx(i).GetSymbol() == b.GetAtomWithIdx(j).GetSymbol()
        assert set(range(a.GetNumAtoms())) - set(shared) <= set(change.before_atoms)
        assert set(range(b.GetNumAtoms())) - set(shared.values()) <= set(change.after_atoms)
        kept = {i: j for i, j in shared.items() if i not in change.before_atoms and j not in change.after_atoms}
        for bond in a.GetBonds():
            ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            if set(ends) <= set(kept):
                other = b.GetBondBetweenAtoms(*(kept[i] for i in ends))
                assert other is None or other.GetBondType() == bond.GetBondType()
