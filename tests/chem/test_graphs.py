import numpy as np
import pytest
from rdkit import Chem

from molvae.chem.graphs import BOND_NAMES, read_graph
from molvae.errors import InputError

STEREO = ["C[C@H](N)C(=O)O", "C/C=C/CO", "C[C@H]1CC[C@@H](O)CC1", "O=C(O)[C@@H](O)[C@H](O)C(=O)O", "F/C=C\\Cl"]


def names(graph):
    """Names of atoms and bonds, sorted."""
    atoms = graph.atoms
    return sorted(atoms), sorted((*sorted((atoms[a], atoms[b])), BOND_NAMES[bond]) for a, b, bond in graph.bonds)


def test_atoms_and_bonds_have_names():
    graph = read_graph("C[n+]1ccc(C#N)cc1")
    assert graph.atoms == ["C H3", "n +", "c H", "c H", "c", "C", "N", "c H", "c H"]
    assert {BOND_NAMES[bond] for _, _, bond in graph.bonds} == {"single", "aromatic", "triple"}


@pytest.mark.parametrize("smiles", STEREO)
def test_names_do_not_depend_on_the_order_of_atoms(smiles):
    mol = Chem.MolFromSmiles(smiles)
    expected = names(read_graph(smiles))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
        shuffled = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
        assert names(read_graph(shuffled)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
        ("C/C=C/CO", "C/C=C\\CO"),
        ("C[C@H]1CC[C@@H](O)CC1", "C[C@H]1CC[C@H](O)CC1"),
        ("CC=CCO", "C/C=C/CO"),
    ],
)
def test_isomers_have_different_names(one, other):
    assert names(read_graph(one)) != names(read_graph(other))


def test_charge_isotope_and_radical_are_named():
    assert read_graph("[13CH3]C[NH3+]").atoms == ["13C H3", "C H2", "N + H3"]
    assert read_graph("[O-][Cl+3]([O-])([O-])[O-]").atoms[1] == "Cl +3"
    assert read_graph("C[O]").atoms[1] == "O radical"


def test_an_invalid_smiles_is_an_error():
    with pytest.raises(InputError, match="nonsense"):
        read_graph("nonsense")
