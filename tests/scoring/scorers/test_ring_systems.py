import pytest

from molvae.errors import InputError

TERM = {"property": "unseen_rings"}
ODD = "C1=CC2=C1C=C2"  # two fused cyclobutadienes


def test_unseen_ring_systems_are_counted(objective):
    molecules = ["CCO", "c1ccc(CC2CCNCC2)cc1", ODD, f"CC(C{ODD.replace('1', '3').replace('2', '4')})C{ODD}", "C1CC"]
    table = objective(it=TERM)(molecules)
    assert table["value_it"].tolist()[:4] == [0, 0, 1, 2]
    assert table["score"].tolist()[:4] == [1.0, 1.0, 0.5, 0.0]
    assert "C1CC" in table["unscored_reason"][4]


@pytest.mark.parametrize(
    "smiles",
    ["C[n+]1ccccc1", "C[NH+]1CCOCC1", "O[C@H]1CCCN1C", "Oc1ccccn1", "O=c1cccc[nH]1", "[O-][n+]1ccccc1", "O=S1CCNCC1"],
)
def test_charges_stereo_and_tautomers_of_common_rings_are_seen(objective, smiles):
    assert objective(it=TERM)([smiles])["value_it"].tolist() == [0]


def test_a_file_takes_the_place_of_the_table(objective, tmp_path):
    path = tmp_path / "inventory.smi"
    path.write_text("Cc1ccccc1\nOc1ccccc1\nC1CCNC1\n")
    molecules = ["CC1CCCN1", "c1ccccc1", "c1ccncc1"]
    assert objective(it=TERM | {"reference_file": str(path)})(molecules)["value_it"].tolist() == [0, 0, 1]
    common = TERM | {"reference_file": str(path), "min_count": 2}
    assert objective(it=common)(molecules)["value_it"].tolist() == [1, 0, 1]


def test_the_bundled_table_belongs_to_the_identity(objective):
    ((name, digest),) = objective(it=TERM).identity().items()
    assert name.endswith("ring_systems.csv.gz")
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({"min_count": 0}, r"\[terms\.it\] min_count: "),
        ({"min_count": "many"}, r"min_count: "),
        ({"min_count": 10**9}, r"ring_systems\.csv\.gz: .*min_count"),
        ({"reference": "a.smi"}, r"reference: .*reference_file\?"),
        ({"wanted": False}, r"wanted: .*not a key of unseen_rings"),
        ({"low": 1}, r"high: "),
    ],
)
def test_an_invalid_term_is_refused(objective, keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=TERM | keys)


def test_a_file_without_rings_is_an_error(objective, tmp_path):
    path = tmp_path / "chains.smi"
    path.write_text("CCO\nCCN\n")
    with pytest.raises(InputError, match=r"chains\.smi: .*ring system"):
        objective(it=TERM | {"reference_file": str(path)})
