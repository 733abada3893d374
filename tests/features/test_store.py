import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.feature_spec import PAD, FeatureSpec
from molvae.features import FeatureStore, FeatureWriter

SPEC = FeatureSpec("tokens", 10, 5)
X = np.array([[4, 5, 2, 0, 0], [6, 2, 0, 0, 0], [7, 8, 9, 4, 2]], np.uint16)
LABELS = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]], np.float32)


def write(folder, labels=True):
    with FeatureWriter(folder, SPEC, ("logp", "qed") if labels else ()) as writer:
        writer.write(X[:2], LABELS[:2] if labels else None)
        writer.write(X[2:], LABELS[2:] if labels else None)


def test_rows_come_back_as_they_were_written(tmp_path):
    write(tmp_path)
    store = FeatureStore.open(tmp_path)
    assert len(store) == 3
    assert store.spec == SPEC
    assert store.label_names == ("logp", "qed")
    np.testing.assert_array_equal(store.rows(np.arange(3)), X)
    np.testing.assert_array_equal(store.labels, LABELS)
    np.testing.assert_array_equal(store.lengths, [3, 2, 5])


def test_rows_are_as_wide_as_their_longest(tmp_path):
    write(tmp_path)
    rows = FeatureStore.open(tmp_path).rows(np.array([1, 0]))
    np.testing.assert_array_equal(rows, [[6, 2, PAD], [4, 5, 2]])


def test_labels_may_be_missing_altogether(tmp_path):
    write(tmp_path, labels=False)
    assert FeatureStore.open(tmp_path).labels.shape == (3, 0)


def test_numpy_reads_the_arrays_without_molvae(tmp_path):
    write(tmp_path)
    assert np.load(tmp_path / "tokens.npy").tolist() == X[X != PAD].tolist()


def test_labels_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match="shape"), FeatureWriter(tmp_path, SPEC, ("logp",)) as writer:
        writer.write(X, LABELS)


def test_an_unfinished_store_is_refused(tmp_path):
    with pytest.raises(ValueError, match="labels"), FeatureWriter(tmp_path, SPEC, ("logp",)) as writer:
        writer.write(X)
    with pytest.raises(InputError, match="molvae featurize"):
        FeatureStore.open(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    write(tmp_path)
    content = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps({**content, "n": 2}))
    with pytest.raises(InputError, match="belong together"):
        FeatureStore.open(tmp_path)


def test_an_empty_store_can_be_read(tmp_path):
    with FeatureWriter(tmp_path, SPEC):
        pass
    assert len(FeatureStore.open(tmp_path)) == 0
