import pytest

from molvae.errors import InputError

DONEPEZIL = "COc1cc2c(cc1OC)C(=O)C(CC1CCN(Cc3ccccc3)CC1)C2"
TERM = {"property": "scaffold"}


def test_a_scaffold_is_kept_or_forbidden(objective):
    molecules = ["Cc1ccccc1CC1CCNCC1", "C[C@@H]1CC(Cc2ccccc2)CCN1", "Cc1ccccc1CC1CCOCC1", "CCCC", "C1CC"]
    kept = objective(it=TERM | {"of": "c1ccccc1CC1CCNCC1"})(molecules)
    assert kept["value_it"].tolist()[:4] == [1, 1, 0, 0]
    assert kept["score"].tolist()[:4] == [1, 1, 0, 0]
    assert "C1CC" in kept["unscored_reason"][4]
    forbidden = objective(it=TERM | {"of": "c1ccccc1CC1CCNCC1", "wanted": False})(molecules)
    assert forbidden["score"].tolist()[:4] == [0, 0, 1, 1]
    assert forbidden["score"].isna().tolist() == [False] * 4 + [True]


def test_one_of_several_scaffolds_is_enough(objective):
    table = objective(it=TERM | {"of": ["Cc1ccccc1", "C1CCNCC1"]})(["Oc1ccccc1", "CN1CCCCC1", "C1CCOCC1"])
    assert table["value_it"].tolist() == [1, 1, 0]


def test_a_generic_scaffold_ignores_elements_and_bond_orders(objective):
    analog = "O=C1c2ccncc2CC1=CC1CCC(Cc2ccccn2)OC1"
    shorter = "O=C1c2ccccc2CC1C1CCN(Cc2ccccc2)CC1"
    molecules = [DONEPEZIL, analog, shorter, "CCCC"]
    assert objective(it=TERM | {"of": DONEPEZIL, "generic": True})(molecules)["value_it"].tolist() == [1, 1, 0, 0]
    assert objective(it=TERM | {"of": DONEPEZIL})(molecules)["value_it"].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ("C[NH+]1CCCCC1", "CN1CCCCC1"),  # charge
        ("CN1CCCCC1", "C[NH+]1CCCCC1.[Cl-]"),  # a salt as reference
        ("C[n+]1ccccc1", "Cc1ccccn1"),
        ("O[C@H]1CC[C@@H](O)CC1", "O[C@H]1CC[C@H](O)CC1"),  # stereo
        ("C(=C/c1ccccc1)\\c1ccccc1", "C(=C/c1ccccc1)/c1ccccc1"),
        ("[2H]c1ccccc1", "c1ccccc1"),
        ("O=C1CCCCCCCCCCCCCCN1C", "O=C1CCCCCCCCCCCCCCN1"),  # a macrocycle
    ],
)
def test_what_does_not_change_a_scaffold(objective, candidate, reference):
    assert objective(it=TERM | {"of": reference})([candidate])["value_it"].tolist() == [1]


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ("Oc1ccccn1", "O=c1cccc[nH]1"),  # tautomers
        ("O=C1CCCC1", "C1CCCC1"),  # a double bond to the ring belongs to RDKit's scaffold
        ("c1ccc(CCc2ccccc2)cc1", "c1ccc(Cc2ccccc2)cc1"),  # the length of the linker
    ],
)
def test_what_changes_a_scaffold(objective, candidate, reference):
    assert objective(it=TERM | {"of": reference})([candidate])["value_it"].tolist() == [0]


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({}, r"\[terms\.it\] of_file: .*neither"),
        ({"of": "c1ccccc1", "of_file": "a.smi"}, r"of_file: .*both"),
        ({"of": "CCO"}, r"\[terms\.it\] of: .*CCO.*no ring"),
        ({"of": ["c1ccccc1", "CCO"]}, r"of: .*CCO.*no ring"),
        ({"of": "CCO", "generic": True}, r"of: .*CCO.*no ring"),
        ({"of": "C1CC"}, r"of: .*C1CC"),
        ({"of": []}, r"of: "),
        ({"of": 3}, r"\[terms\.it\] of: .*list of SMILES.*got 3"),
        ({"of": ["c1ccccc1", 3]}, r"\[terms\.it\] of: .*list of SMILES"),
        ({"of": "c1ccccc1", "generic": "perhaps"}, r"generic: "),
        ({"of": "c1ccccc1", "weight": 2}, r"weight: .*condition"),
        ({"of": "c1ccccc1", "shape": "lower"}, r"shape: .*not a key of scaffold"),
        ({"to": "c1ccccc1"}, r"to: .*not a key of scaffold; its keys: generic, of"),
        ({"of": "c1ccccc1", "genric": True}, r"genric: .*generic\?"),
    ],
)
def test_an_invalid_term_is_refused(objective, keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=TERM | keys)


def test_an_acyclic_molecule_in_a_file_is_an_error_with_its_row(objective, tmp_path):
    path = tmp_path / "scaffolds.smi"
    path.write_text("c1ccccc1\nCCO\n")
    with pytest.raises(InputError, match=r"scaffolds\.smi row 2: .*no ring"):
        objective(it=TERM | {"of_file": str(path)})


def test_the_reason_of_an_unmet_condition_names_the_structure(objective):
    terms = {
        "kept": TERM | {"of": "c1ccccc1"},
        "new": TERM | {"of": ["c1ccncc1", "C1CC1"], "generic": True, "wanted": False},
        "acid": {"property": "functional_group", "group": "carboxylic acid", "wanted": False},
        "amine": {"property": "functional_group", "group": "amine", "least": 1, "most": 2},
    }
    assert objective(**terms).settings.conditions == {
        "kept": "lacks the scaffold of c1ccccc1",
        "new": "contains the generic scaffold of c1ccncc1 or C1CC1",
        "acid": "contains carboxylic acid",
        "amine": "expected at least 1 and at most 2 matches of amine",
    }
