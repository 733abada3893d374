import json

import numpy as np
import pytest

from molvae.chem.fingerprints import morgan_bits
from molvae.errors import CodecError, InputError
from molvae.feature_spec import FeatureSpec
from molvae.features.fingerprints import FingerprintFeaturizer

SMILES = ["CC(=O)Nc1ccc(O)cc1", "CCCCCC", "c1ccncc1"]


def test_bits_are_morgan_fingerprints():
    encoded = FingerprintFeaturizer("bits", 2, 512).encode(SMILES)
    assert encoded.ok.all()
    np.testing.assert_array_equal(encoded.x, morgan_bits(SMILES, 2, 512))


def test_counts_are_occurrences_of_substructures():
    counts = FingerprintFeaturizer("counts", 1, 256).encode(SMILES).x
    bits = FingerprintFeaturizer("bits", 1, 256).encode(SMILES).x
    np.testing.assert_array_equal(counts > 0, bits > 0)
    assert counts[1].max() == 4  # the four inner carbons of hexane have the same environment of radius 1
    assert FingerprintFeaturizer("counts").encode(["C" * 190]).x.max() <= 255


def test_radius_and_length_are_settings():
    small, wide = FingerprintFeaturizer("bits", 0, 64), FingerprintFeaturizer("bits", 3, 4096)
    assert small.spec == FeatureSpec("bits", 64)
    assert wide.spec == FeatureSpec("bits", 4096)
    assert small.encode(SMILES).x.sum() < wide.encode(SMILES).x.sum()


def test_an_invalid_smiles_is_a_row_with_a_reason():
    encoded = FingerprintFeaturizer().encode(["CCO", "nonsense"])
    assert encoded.ok.tolist() == [True, False]
    assert "nonsense" in encoded.reason[1]
    assert not encoded.x[1].any()


@pytest.mark.parametrize("wrong", [{"form": "ones"}, {"radius": -1}, {"radius": 11}, {"n_bits": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="fingerprint"):
        FingerprintFeaturizer(**wrong)


def test_saving_and_loading_gives_an_equal_featurizer(tmp_path):
    featurizer = FingerprintFeaturizer("counts", 3, 100)
    featurizer.save(tmp_path / "view.json")
    assert FingerprintFeaturizer.load(tmp_path / "view.json") == featurizer


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"version": 2, "kind": "fingerprint"})])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "view.json").write_text(content)
    with pytest.raises(CodecError, match=r"view\.json"):
        FingerprintFeaturizer.load(tmp_path / "view.json")
