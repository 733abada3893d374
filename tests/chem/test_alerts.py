import pytest
from rdkit import Chem

from molvae.chem.alerts import SOURCES, alert_atoms, alerts
from molvae.errors import InputError


def mol(smiles):
    return Chem.MolFromSmiles(smiles)


def test_rules_are_named_by_catalog():
    assert alerts(mol("CCC=O"), ("BRENK",)) == ["BRENK: aldehyde"]
    assert alerts(mol("O=C1C=CC(=O)C=C1")) == ["BRENK: chinone 1", "PAINS: quinone A"]


def test_a_molecule_without_alerts():
    assert alerts(mol("CC1CCN(C(=O)c2ccccc2)CC1")) == []


@pytest.mark.parametrize("catalog", list(SOURCES))
def test_alerts_of_each_catalog_have_its_name(catalog):
    found = alerts(mol("O=C1C=CC(=O)C(N=Nc2ccccc2)=C1C(=O)Cl"), (catalog,))
    assert found
    assert all(name.startswith(f"{catalog}: ") for name in found)
    assert not any(name.endswith(")") and name.split("(")[-1][:-1].isdigit() for name in found)


def test_names_are_sorted_without_duplicates():
    found = alerts(mol("O=CCCC=O"), ("BRENK", "NIH", "brenk"))
    assert found == sorted(set(found))


def test_an_unknown_catalog_is_an_error():
    with pytest.raises(InputError, match=r"PAIN;.*PAINS"):
        alerts(mol("C"), ("PAIN",))


@pytest.mark.parametrize("catalog", list(SOURCES))
def test_each_alert_has_atoms(catalog):
    molecule = mol("O=C1C=CC(=O)C(N=Nc2ccccc2)=C1C(=O)Cl")
    for name in alerts(molecule, (catalog,)):
        assert set(alert_atoms(molecule, [name])) <= set(range(molecule.GetNumAtoms()))
        assert alert_atoms(molecule, [name])


def test_atoms_of_unknown_alerts_are_none():
    assert alert_atoms(mol("CCC=O"), ["BRENK: made up", "mine: x", "text"]) == []
