import json

import numpy as np
import pytest

from molvae.errors import CodecError, InputError
from molvae.feature_spec import MAX_DEGREE, FeatureSpec
from molvae.features.graphs import GraphFeaturizer

CORPUS = ["CCO", "CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O"]


@pytest.fixture
def featurizer():
    return GraphFeaturizer.from_corpus(CORPUS)


def test_atom_types_are_learned_most_frequent_first(featurizer):
    assert featurizer.atoms[0] == "c H"
    assert "C H S" in featurizer.atoms
    assert featurizer.spec == FeatureSpec("graph", 2 + len(featurizer.atoms), 11)


def test_every_bond_is_listed_at_both_of_its_atoms(featurizer):
    x = featurizer.encode(["CCO"]).x[0].astype(int)
    assert x.shape == (11, 1 + 2 * MAX_DEGREE)
    assert (x[:3, 0] >= 2).all()
    assert not x[3:].any()
    assert x[0, 1:5].tolist() == [1, 1, 0, 0]
    assert x[1, 1:7].tolist() == [0, 1, 2, 1, 0, 0]
    assert x[2, 1:5].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("CCBr", ": Br"),
        ("CC(=O)Nc1ccc(OCCO)cc1", "14 heavy atoms; the codec reads at most 11"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_molecule_that_does_not_fit_is_a_row_with_a_reason(featurizer, smiles, reason):
    encoded = GraphFeaturizer((*featurizer.atoms, "C H2"), 11).encode(["CCO", smiles])
    assert encoded.ok.tolist() == [True, False]
    assert reason in encoded.reason[1]
    assert not encoded.x[1].any()


def test_an_atom_with_too_many_bonds_is_a_row_with_a_reason():
    tungsten = "F[W](F)(F)(F)(F)(F)F"
    encoded = GraphFeaturizer.from_corpus([tungsten]).encode([tungsten])
    (reason,) = encoded.reason
    assert "(W)" in reason
    assert "6 bonds" in reason


def test_an_empty_corpus_is_refused():
    with pytest.raises(InputError, match="at least one molecule"):
        GraphFeaturizer.from_corpus([])


def test_saving_and_loading_gives_an_equal_featurizer(featurizer, tmp_path):
    featurizer.save(tmp_path / "view.json")
    assert GraphFeaturizer.load(tmp_path / "view.json") == featurizer


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"version": 2, "kind": "graph"})])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "view.json").write_text(content)
    with pytest.raises(CodecError, match=r"view\.json"):
        GraphFeaturizer.load(tmp_path / "view.json")


def test_rows_keep_the_order_of_the_molecules(featurizer):
    both = featurizer.encode(["CCO", "C[C@H](N)C(=O)O"]).x
    np.testing.assert_array_equal(both[1], featurizer.encode(["C[C@H](N)C(=O)O"]).x[0])
