import json

import pytest

from molvae.errors import CodecError, InputError
from molvae.features import FeatureSettings, learn_featurizer, load_featurizer
from molvae.features.views import FEATURIZERS, decodes_to_smiles, registered_featurizers

CORPUS = ["CCO", "CC(=O)Nc1ccc(O)cc1"]
REPRESENTATIONS = [name for entry in FEATURIZERS.values() for name in entry.representations]


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_every_representation_is_learned_saved_and_loaded(representation, tmp_path):
    featurizer = learn_featurizer(representation, FeatureSettings(vocabulary_size=30, n_bits=64), lambda: CORPUS)
    assert featurizer.representation == representation
    assert featurizer.encode(CORPUS).ok.all()
    featurizer.save(tmp_path / "featurizer.json")
    assert load_featurizer(tmp_path / "featurizer.json") == featurizer
    kind = json.loads((tmp_path / "featurizer.json").read_text())["kind"]
    assert representation in FEATURIZERS[kind].representations


def test_outputs_are_representations_and_names_are_unique():
    assert len(set(REPRESENTATIONS)) == len(REPRESENTATIONS)
    for entry in FEATURIZERS.values():
        assert set(entry.outputs) <= set(entry.representations)
    assert all(registered_featurizers()[kind] is entry for kind, entry in FEATURIZERS.items())


def test_fingerprints_do_not_decode_to_smiles():
    assert {name for name in REPRESENTATIONS if decodes_to_smiles(name)} == {"smiles", "random_smiles", "selfies"}


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ({"encoder_input": "grpah"}, r"encoder_input.*did you mean graph"),
        ({"encoder_input": "xyz"}, r"encoder_input.*smiles, random_smiles, selfies, bits, counts, graph"),
        ({"decoder_output": "selfie"}, r"decoder_output.*did you mean selfies"),
        ({"decoder_output": "graph"}, r"decoder_output.*smiles, selfies, bits, counts"),
        ({"options": {"graf": {}}}, r"options.*did you mean graph"),
        ({"options": {"graph": {"length": 3}}}, r"options.*graph"),
        ({"label_bits": 64}, r"`labels`"),
    ],
)
def test_wrong_settings_are_refused(given, fact):
    with pytest.raises(InputError, match=fact):
        FeatureSettings.from_dict(given, "train.toml [features]")


@pytest.mark.parametrize("kind", ["unknown", ["tokens"], None])
def test_a_file_of_an_unknown_kind_is_refused(tmp_path, kind):
    (tmp_path / "view.json").write_text(json.dumps({"version": 1, "kind": kind}))
    with pytest.raises(CodecError, match=r"view\.json.*tokens, fingerprint, graph"):
        load_featurizer(tmp_path / "view.json")
