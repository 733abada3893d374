import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.feature_spec import MAX_DEGREE, PAD, FeatureSpec
from molvae.features import FeatureStore, FeatureWriter

SPEC = FeatureSpec("tokens", 10, 5)
X = np.array([[4, 5, 2, 0, 0], [6, 2, 0, 0, 0], [7, 8, 9, 4, 2]], np.uint16)
LABELS = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]], np.float32)


def write(folder, labels=True):
    with FeatureWriter(folder, SPEC, ("logp", "qed") if labels else ()) as writer:
        writer.write(X[:2], LABELS[:2] if labels else None)
        writer.write(X[2:], LABELS[2:] if labels else None)


def test_written_rows_are_read_unchanged(tmp_path):
    write(tmp_path)
    store = FeatureStore.open(tmp_path)
    assert len(store) == 3
    assert store.spec == SPEC
    assert store.label_names == ("logp", "qed")
    np.testing.assert_array_equal(store.rows(np.arange(3)), X)
    np.testing.assert_array_equal(store.labels(np.arange(3)), LABELS)
    assert store.labelled.tolist() == [0, 2]
    np.testing.assert_array_equal(store.lengths, [3, 2, 5])


def test_rows_are_padded_to_the_longest(tmp_path):
    write(tmp_path)
    rows = FeatureStore.open(tmp_path).rows(np.array([1, 0]))
    np.testing.assert_array_equal(rows, [[6, 2, PAD], [4, 5, 2]])


def test_labels_are_optional(tmp_path):
    write(tmp_path, labels=False)
    assert FeatureStore.open(tmp_path).labels(np.arange(3)).shape == (3, 0)


def test_arrays_are_plain_npy_files(tmp_path):
    write(tmp_path)
    assert np.load(tmp_path / "decoder_output.npy").tolist() == X[X != PAD].tolist()


def test_labels_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match="shape"), FeatureWriter(tmp_path, SPEC, ("logp",)) as writer:
        writer.write(X, LABELS)


def test_an_unfinished_store_is_refused(tmp_path):
    with pytest.raises(ValueError, match="labels"), FeatureWriter(tmp_path, SPEC, ("logp",)) as writer:
        writer.write(X)
    with pytest.raises(InputError, match="molvae featurize"):
        FeatureStore.open(tmp_path)


def test_arrays_of_different_length_are_refused(tmp_path):
    write(tmp_path)
    content = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps({**content, "n": 2}))
    with pytest.raises(InputError, match="different length"):
        FeatureStore.open(tmp_path)


def test_an_empty_store_can_be_read(tmp_path):
    with FeatureWriter(tmp_path, SPEC):
        pass
    assert len(FeatureStore.open(tmp_path)) == 0


def test_a_view_has_the_rows_of_the_decoder_output(tmp_path):
    graphs = np.zeros((3, 4, 1 + 2 * MAX_DEGREE), np.uint16)
    graphs[0, :2, :3] = [[2, 1, 1], [3, 0, 1]]
    graphs[1, :1, 0] = 2
    graphs[2, :3, 0] = 4
    with FeatureWriter(tmp_path, SPEC, view_spec=FeatureSpec("graph", 5, 4)) as writer:
        writer.write(X[:1], view=graphs[:1])
        writer.write(X[1:], view=graphs[1:])
    store = FeatureStore.open(tmp_path)
    assert store.view_spec == FeatureSpec("graph", 5, 4)
    np.testing.assert_array_equal(store.rows(np.array([2, 0])), X[[2, 0]])
    np.testing.assert_array_equal(store.views(np.array([2, 0])), graphs[[2, 0], :3])


@pytest.mark.parametrize(("kind", "dtype"), [("bits", np.uint8), ("counts", np.uint8), ("array", np.float32)])
def test_bits_counts_and_arrays_are_read_unchanged(tmp_path, kind, dtype):
    x = np.random.default_rng(0).integers(0, 2, (5, 19)).astype(dtype)
    with FeatureWriter(tmp_path, FeatureSpec(kind, 19)) as writer:
        writer.write(x[:2])
        writer.write(x[2:])
    store = FeatureStore.open(tmp_path)
    assert store.rows(np.array([4, 1])).dtype == np.float32
    np.testing.assert_array_equal(store.rows(np.array([4, 1])), x[[4, 1]])
    assert store.views(np.array([0])) is None
    assert store.lengths.tolist() == [1] * 5


def test_an_unexpected_view_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no view"), FeatureWriter(tmp_path, SPEC) as writer:
        writer.write(X, view=X)
    with pytest.raises(ValueError, match="3 rows"), FeatureWriter(tmp_path, SPEC, view_spec=SPEC) as writer:
        writer.write(X, view=X[:2])


def test_fingerprints_are_stored_for_labelled_rows_only(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (3, 20)).astype(np.uint8)
    with FeatureWriter(tmp_path, SPEC, ("logp", "qed"), n_bits=20) as writer:
        writer.write(X[:2], LABELS[:2], bits=bits[:2])
        writer.write(X[2:], LABELS[2:], bits=bits[2:])
    store = FeatureStore.open(tmp_path)
    assert store.n_bits == 20
    np.testing.assert_array_equal(store.fingerprints(np.array([2, 1, 0])), [bits[2], np.zeros(20), bits[0]])
    assert (tmp_path / "fingerprints.npy").stat().st_size == 128 + 2 * 3


def test_features_without_fingerprints_have_no_bits(tmp_path):
    write(tmp_path)
    store = FeatureStore.open(tmp_path)
    assert store.n_bits == 0
    assert store.fingerprints(np.arange(3)) is None


def test_bits_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match="bits"), FeatureWriter(tmp_path, SPEC, ("logp", "qed"), n_bits=20) as writer:
        writer.write(X, LABELS, bits=np.zeros((3, 8), np.uint8))


def test_fingerprints_without_labelled_rows_are_zero(tmp_path):
    nothing = np.full((3, 2), np.nan, np.float32)
    with FeatureWriter(tmp_path, SPEC, ("logp", "qed"), n_bits=20) as writer:
        writer.write(X, nothing, bits=np.zeros((3, 20), np.uint8))
    store = FeatureStore.open(tmp_path)
    assert store.n_bits == 20
    assert store.fingerprints(np.arange(3)).sum() == 0
    assert np.isnan(store.labels(np.arange(3))).all()
