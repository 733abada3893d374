import subprocess
import sys

import numpy as np
import pytest
from rdkit import Chem

from molvae.chem import properties
from molvae.chem.properties import PROPERTIES, compute
from molvae.errors import InputError

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def test_the_registry_is_complete():
    names = "qed sa_score np_score logp tpsa mol_weight hbd hba rings aromatic_rings rotatable_bonds fraction_csp3"
    assert set(PROPERTIES) == {*names.split(), "heavy_atoms", "formal_charge", "stereo_centers", "alerts"}
    for name, entry in PROPERTIES.items():
        assert entry.name == name
        assert entry.usual[0] <= entry.usual[1]
        assert entry.source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # values of RDKit 2026.9; mol_weight is also the sum of the standard atomic masses, TPSA that of PubChem
        ("mol_weight", 180.159),
        ("logp", 1.3101),
        ("tpsa", 63.60),
        ("hbd", 1),
        ("hba", 3),
        ("rings", 1),
        ("aromatic_rings", 1),
        ("rotatable_bonds", 2),
        ("fraction_csp3", 1 / 9),
        ("heavy_atoms", 13),
        ("formal_charge", 0),
        ("stereo_centers", 0),
        ("qed", 0.5501),
        ("sa_score", 1.580),
        ("np_score", 0.1218),
        ("alerts", 1),
    ],
)
def test_aspirin(name, expected):
    assert compute([ASPIRIN], [name])[name][0] == pytest.approx(expected, abs=1e-3)


def test_rows_keep_their_order_and_failures_are_nan():
    table = compute([ASPIRIN, "C1CC", None, "", "C"], ["mol_weight", "rings"])
    assert list(table.columns) == ["mol_weight", "rings"]
    assert table["rings"].isna().tolist() == [False, True, True, True, False]
    assert table["mol_weight"][4] == pytest.approx(16.043)
    assert (table.dtypes == np.float64).all()


def test_a_property_does_not_depend_on_the_other_requested_properties():
    smiles = [ASPIRIN, "CN1CCC[C@H]1c1cccnc1", "O=[N+]([O-])c1ccccc1"]
    together = compute(smiles, list(PROPERTIES))
    for name in PROPERTIES:
        assert together[name].tolist() == compute(smiles, [name])[name].tolist()
        assert [properties.compute_row(one, [name])[0] for one in smiles] == together[name].tolist()


def test_no_molecules_give_an_empty_table_with_columns():
    table = compute([], ["qed", "logp"])
    assert table.shape == (0, 2)
    assert list(table.columns) == ["qed", "logp"]


def test_an_unknown_name_is_an_error_that_lists_the_known_names():
    with pytest.raises(InputError, match=r"'qeed'.*qed, sa_score"):
        compute([ASPIRIN], ["qeed"])


def test_a_function_that_raises_gives_nan(monkeypatch):
    def fail(mol):
        raise ValueError("no such number")

    broken = properties.Property("mol_weight", fail, "", (0, 1), "none")
    monkeypatch.setitem(PROPERTIES, "mol_weight", broken)
    table = compute([ASPIRIN], ["mol_weight", "rings"])
    assert np.isnan(table["mol_weight"][0])
    assert table["rings"][0] == 1


def test_open_stereo_centers():
    count = properties.count_open_stereo_centers
    assert count(Chem.MolFromSmiles("CC(N)C(=O)O")) == 1
    assert count(Chem.MolFromSmiles("C[C@H](N)C(=O)O")) == 0
    assert count(Chem.MolFromSmiles("CCO")) == 0


def test_nothing_is_printed():
    code = "from molvae.chem.properties import compute; compute(['CCO'], ['sa_score', 'np_score', 'qed', 'alerts'])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
