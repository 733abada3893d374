import pytest

from molvae.chem.fixed_parts import KeptPattern, read_fixed_part, read_kept
from molvae.chem.molecules import canonicalize
from molvae.errors import InputError


@pytest.mark.parametrize(
    ("part", "smiles", "is_in"),
    [
        ("[*:1]c1ccc(O)cc1", "CCc1ccc(O)cc1", True),
        ("[*:1]c1ccc(O)cc1", "Oc1ccccc1", False),  # nothing at the attachment point
        ("[*:1]c1ccc(O)cc1", "CCc1ccc(OC)cc1", False),  # the hydroxyl group is substituted
        ("[*:1]c1ccc(O)cc1", "CCc1ccc(O)c(F)c1", False),
        ("[*:1]c1ccc([*:2])cc1", "O=C1CCc2ccc3cc2C1CC3", False),
        ("[*:1]c1ccccc1[*:2]", "c1ccc2c(c1)CCC2", False),  # the substituents form a ring
        ("[*:1]c1ccccc1[*:2]", "Cc1ccccc1CC", True),
        ("[*:1]n1cccc1", "Cn1cccc1", True),
        ("[*:1]N1CCNCC1", "CN1CCN(C)CC1", False),
        ("[*:1]C([*:2])C#N", "CC(F)C#N", True),
        ("[*:1]C([*:2])C#N", "CC(F)(F)C#N", False),
        ("C[C@H]([*:1])N[*:2]", "CC[C@@H](C)NC", True),
        ("C[C@H]([*:1])N[*:2]", "CC[C@H](C)NC", False),
        ("C[C@H]([*:1])N[*:2]", "CCC(C)NC", False),
        ("[*:1]c1ccncc1.[*:2]C1CCOCC1", "c1cc(CCC2CCOCC2)ccn1", True),
        ("[*:1]c1ccncc1.[*:2]C1CCOCC1", "c1cc(C2CCOCC2)ccn1", False),  # no linker
        ("[*:1]c1ccncc1.[*:2]C1CCOCC1", "Cc1nccc(CC2CCOCC2)c1", False),
        ("[*:1]c1ccccc1.[*:2]c1ccccc1", "c1ccc(Cc2ccccc2)cc1", True),
    ],
)
def test_a_part_is_in_a_molecule_only_with_substituents_at_its_attachment_points(part, smiles, is_in):
    assert read_fixed_part(part).is_in(canonicalize(smiles).smiles) is is_in


def test_kept_atoms_are_numbered_as_in_the_smiles():
    found = read_fixed_part("[*:1]C(=O)N[*:2]").find("CCC(=O)NC1CC1")
    assert found.kept == {2, 3, 4}
    assert found.group == {0: 0, 1: 0, 5: 1, 6: 1, 7: 1}
    assert read_fixed_part("[*:1]C(=O)N[*:2]").find("CCC(=O)N(C)C") is None


@pytest.mark.parametrize("text", ["[*:1]c1ccnc([*:2])c1", "C[C@H]([*:1])N[*:2]", "[*:1]c1ccncc1.[*:2]C1CCOCC1"])
def test_writings_are_the_same_part_and_depend_on_the_seed(text):
    part = read_fixed_part(text)
    writings = part.writings(6, 0)
    assert writings == part.writings(6, 0) != part.writings(6, 1)
    assert len(set(writings)) == 6
    for one in writings:
        assert not one.first.startswith("[*")
        filled = one.first.replace("[*:1]", "CC").replace("[*:2]", "CC")
        if one.second:
            second = one.second.replace("1", "8")
            filled = one.first.replace("[*:1]", f"CC{second}").replace("[*:2]", f"CC{second}")
        assert part.is_in(canonicalize(filled).smiles)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c1ccccc1", "no attachment point"),
        ("[*:1]", "on no atom"),
        ("[*:1][*:2]", "on no atom"),
        ("C.[*:1]", "on no atom"),
        ("[*:1]C[*:1]", "twice"),
        ("*C[*:1]", "without a number"),
        ("[*:1]=C", "not single"),
        ("[*:1]1ccccc1", "2 bonds"),
        ("c1cc[*:1]cc1", "2 bonds"),
        ("[*:1]C.[*:2]C.[*:3]C", "3 fragments"),
        ("[*:1]C[*:2].[*:3]C", "2 and 1"),
        ("[*:1]C.C", "1 and 0"),
        ("[*:1]C[CH2:7]", "7 on C"),
        ("[*:1]C(C)(C)(C)C", "valence"),
        ("[*:1]C(", "invalid SMILES"),
        ("[*:1]C([*:2])C([*:3])([*:4])C([*:5])[*:6]", "6 attachment points"),
        ("", "empty"),
    ],
)
def test_a_part_that_cannot_be_used_is_an_error(text, message):
    with pytest.raises(InputError, match=message):
        read_fixed_part(text)


def test_text_without_an_attachment_point_is_a_smarts():
    pattern = read_kept("c1cc[n,c]cc1")
    assert isinstance(pattern, KeptPattern)
    assert pattern.is_in("Cc1ccncc1")
    assert pattern.find("Cc1ccncc1").kept == {1, 2, 3, 4, 5, 6}
    assert pattern.scaffolds(3, 0) == []
    with pytest.raises(InputError, match="invalid pattern"):
        read_kept("c1cc")


def test_scaffolds_of_a_pattern_have_one_to_three_attachment_points_on_its_atoms():
    scaffolds = KeptPattern("c1ccc2[nH]ccc2c1").scaffolds(8, 0)
    assert len(scaffolds) == 8
    assert {one.n_points for one in scaffolds} <= {1, 2, 3}
    for one in scaffolds:
        filled = canonicalize(one.smiles.replace("[*:1]", "C").replace("[*:2]", "C").replace("[*:3]", "C")).smiles
        assert one.is_in(filled)
        assert KeptPattern("c1ccc2[nH]ccc2c1").is_in(filled) or "[nH]" not in filled
