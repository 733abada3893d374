import pytest

from molvae.chem.functional_groups import FUNCTIONAL_GROUPS
from molvae.chem.molecules import count_matches, is_substructure, parse, parse_smarts
from molvae.chem.substructures import _pattern, has_match, match_count
from molvae.errors import InputError

SMILES = [
    "CC(=O)Nc1ccc(O)cc1",
    "C1=CC=CC=C1O",
    "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "C[C@H](N)C(=O)N[C@@H]1CCC2(CC1)OCCO2",
    "C=c1c(=O)c2ccccc2n2nnnc12",
    "c1ccc2[nH]c(-c3ccsc3)nc2c1",
    "C/C=C/C(=O)NS(=O)(=O)c1ccc(Br)cc1",
    "[O-][n+]1ccccc1",
    "[H]C",
]
SMARTS = [
    "c1ccccc1", "[#6]C(=O)[N;H1]", "[R]", "[!R]",
    "[R2]", "[R3]", "[r3]", "[r5]", "[r6]", "[r]", "[x2]", "[x3]", "[r5]@[r6]",
    "[^3]", "*@*", "*!@*", "[C@H](N)C", "C/C=C/C",
    "[OX2H]", "[NX3;H2,H1;!$(NC=O)]", "[D3]", "[v4]", "[h2]", "[+]", "[Br]", "a-a", "[#6]=[#6]", "[H]", "C#N",
]  # fmt: skip


@pytest.mark.parametrize("smarts", [*SMARTS, *(one.smarts for one in FUNCTIONAL_GROUPS.values() if one.smarts)])
def test_matches_are_those_of_molecules_that_are_parsed_in_full(smarts: str) -> None:
    pattern = parse_smarts(smarts)
    for smiles in SMILES:
        assert has_match(smarts, smiles) == is_substructure(pattern, parse(smiles)), smiles
        assert match_count(smarts, smiles) == count_matches(pattern, parse(smiles)), smiles


def test_only_patterns_that_need_it_are_matched_in_full() -> None:
    assert not any(
        _pattern(one).needs_full_parse for one in ("c1ccncc1", "*!@*", "[R]@[R]", "[NX3;H2]", "[Br]", "[Zr]")
    )
    full = ("C/C=C/C", "[^2]", "[C@](F)Cl", "[$([C@H](N)C)]", "[R2]", "[r5]", "[x2]", "[Br]C[r]")
    assert all(_pattern(one).needs_full_parse for one in full)


@pytest.mark.parametrize(("smarts", "smiles"), [("c1cc", "CCO"), ("C", "c1ccc"), ("[r5]", "not a molecule"), ("C", "")])
def test_an_invalid_pattern_or_molecule_is_an_error(smarts: str, smiles: str) -> None:
    with pytest.raises(InputError):
        has_match(smarts, smiles)
