import pytest

from molvae.chem.scaffolds import murcko
from molvae.errors import InputError


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        ("CCO", ""),
        ("CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1"),
        ("Cc1ccccc1", "c1ccccc1"),
        ("CN1CCC[C@H]1c1cccnc1", "c1cncc(C2CCCN2)c1"),
        ("O=C1CCCN1C", "O=C1CCCN1"),  # an exocyclic double bond belongs to the scaffold
        ("C[C@H](Cc1ccccc1)C1CC1", "c1ccc(CCC2CC2)cc1"),
    ],
)
def test_murcko(smiles, scaffold):
    assert murcko(smiles) == scaffold
    assert murcko(scaffold or "C") == scaffold


def test_an_invalid_smiles_is_an_error():
    with pytest.raises(InputError, match="C1CC"):
        murcko("C1CC")
