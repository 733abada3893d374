import gzip
import json

import numpy as np
import pytest
from rdkit import Chem

from molvae.bundled import bundled
from molvae.errors import CodecError, InputError
from molvae.feature_spec import BEGIN, END, MASK, PAD
from molvae.features import TokenFeaturizer
from molvae.features.fingerprints import FingerprintFeaturizer
from molvae.features.tokens import describe_symbol, split_symbols

CORPUS = [
    "CC(=O)Nc1ccc(O)cc1",
    "CC(=O)Oc1ccccc1C(=O)O",
    "Clc1ccc(Br)cc1",
    "O=C(O)c1cc[nH]c1",
    "CN1CCN(c2ccccc2)CC1",
    "CC(=O)Nc1ccccc1",
]


@pytest.fixture(scope="module")
def featurizer():
    return TokenFeaturizer.from_corpus(CORPUS, vocabulary_size=28)


def test_texts_come_back_exactly(featurizer):
    features = featurizer.encode(CORPUS)
    assert features.ok.all()
    assert featurizer.decode(features.x) == CORPUS


def test_pairs_make_rows_shorter_than_their_symbols(featurizer):
    n_tokens = (featurizer.encode(CORPUS).x != PAD).sum() - len(CORPUS)
    assert n_tokens < 0.8 * sum(len(split_symbols(text)) for text in CORPUS)


def test_no_merge_splits_an_atom(featurizer):
    for left, right in featurizer.merges:
        assert split_symbols(left) + split_symbols(right) == split_symbols(left + right)


def test_rows_are_closed_and_filled_up(featurizer):
    x = featurizer.encode(CORPUS).x
    assert x.dtype == np.uint16
    assert x.shape == (len(CORPUS), featurizer.spec.length)
    ends = (x == END).argmax(1)
    assert all((row[:end] > MASK).all() and (row[end + 1 :] == PAD).all() for row, end in zip(x, ends, strict=True))
    assert not (x == BEGIN).any()


def test_vocabulary_has_the_size_asked_for(featurizer):
    assert featurizer.spec.width == len(featurizer.token_texts) == 28
    assert len(set(featurizer.token_texts[4:])) == 24


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ("C[Si](C)C", "atom [Si]"),
        ("C[C@H](N)O", "stereo centre [C@H]"),
        ("C/C=C/C", "double-bond stereo /"),
        ("CC[N+](C)C", "charged atom [N+]"),
        ("C%10CC%10", "ring closure %10"),
        ("C#N", "bond #"),
        ("CP", "atom P"),
    ],
)
def test_what_the_vocabulary_lacks_is_named(featurizer, smiles, words):
    features = featurizer.encode(["CC", smiles])
    assert features.ok.tolist() == [True, False]
    assert words in features.reason[1]
    assert (features.x[1] == PAD).all()


def test_a_molecule_that_is_too_long_is_told_its_length(featurizer):
    features = featurizer.encode(["CN" * 40])
    assert not features.ok[0]
    assert f"at most {featurizer.spec.length - 1}" in features.reason[0]


def test_the_length_that_was_asked_for_is_a_limit_with_its_end():
    featurizer = TokenFeaturizer.from_corpus(CORPUS, vocabulary_size=24, length=5)
    features = featurizer.encode(["CCCC", "CCCCC"])
    assert features.ok.tolist() == [True, False]


def test_nothing_to_encode_gives_no_rows(featurizer):
    features = featurizer.encode([])
    assert features.x.shape == (0, featurizer.spec.length)
    assert featurizer.decode(features.x) == []


def test_an_open_row_is_read_to_its_end(featurizer):
    row = featurizer.encode(["CCO"]).x[:, :1]
    assert featurizer.decode(row)[0] == featurizer.token_texts[row[0, 0]]


def test_learning_is_deterministic_and_saving_loses_nothing(featurizer, tmp_path):
    assert TokenFeaturizer.from_corpus(CORPUS, vocabulary_size=28) == featurizer
    featurizer.save(tmp_path / "featurizer.json")
    assert TokenFeaturizer.load(tmp_path / "featurizer.json") == featurizer


def test_a_corpus_that_cannot_be_learnt_is_refused():
    with pytest.raises(InputError, match="at least one molecule"):
        TokenFeaturizer.from_corpus([])
    with pytest.raises(InputError, match="needs at least"):
        TokenFeaturizer.from_corpus(CORPUS, vocabulary_size=8)


@pytest.mark.parametrize("content", ["", "{}", "[1]", json.dumps({"version": 2}), '{"version": 1, "symbols": 3}'])
def test_a_damaged_vocabulary_is_refused(tmp_path, content):
    (tmp_path / "featurizer.json").write_text(content)
    with pytest.raises(CodecError, match=r"featurizer\.json"):
        TokenFeaturizer.load(tmp_path / "featurizer.json")


def test_a_missing_vocabulary_is_refused(tmp_path):
    with pytest.raises(CodecError, match=r"featurizer\.json"):
        TokenFeaturizer.load(tmp_path / "featurizer.json")


@pytest.mark.parametrize(
    ("symbol", "words"),
    [("[13C]", "isotope [13C]"), (".", "a second fragment (.)"), ("3", "ring closure 3"), ("=", "bond =")],
)
def test_symbols_have_names(symbol, words):
    assert describe_symbol(symbol) == words


SHUFFLED = ["CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O", "C/C=C/CO", "O=C(O)c1ccccc1OC(C)=O"]


def test_random_smiles_are_the_same_molecules_written_otherwise():
    featurizer = TokenFeaturizer.from_corpus(SHUFFLED, 60, notation="random_smiles")
    written = featurizer.decode(featurizer.encode(SHUFFLED).x)
    assert written != SHUFFLED
    assert [Chem.CanonSmiles(text) for text in written] == [Chem.CanonSmiles(text) for text in SHUFFLED]
    assert featurizer.decode(featurizer.encode(SHUFFLED).x) == written


def test_selfies_come_back_as_the_smiles_that_they_mean(tmp_path):
    with gzip.open(bundled("moses_sample.csv.gz"), "rt") as lines:
        smiles = [line.split(",")[1].strip() for line in lines][1:201] + SHUFFLED
    featurizer = TokenFeaturizer.from_corpus(smiles, 200, notation="selfies")
    featurizer.save(tmp_path / "featurizer.json")
    assert TokenFeaturizer.load(tmp_path / "featurizer.json") == featurizer
    encoded = featurizer.encode(smiles)
    assert encoded.ok.all()
    assert [Chem.CanonSmiles(text) for text in featurizer.decode(encoded.x)] == [Chem.CanonSmiles(t) for t in smiles]


def test_what_selfies_cannot_write_is_a_row_with_a_reason():
    featurizer = TokenFeaturizer.from_corpus(SHUFFLED, 60, notation="selfies")
    encoded = featurizer.encode(["CC(=O)Nc1ccc(O)cc1", "O=Cl(=O)(=O)O"])
    assert encoded.ok.tolist() == [True, False]
    assert encoded.reason[1] == "cannot be written as SELFIES"


def test_what_cannot_be_shuffled_is_a_row_with_a_reason():
    featurizer = TokenFeaturizer.from_corpus(SHUFFLED, 60, notation="random_smiles")
    encoded = featurizer.encode(["CC(=O)Nc1ccc(O)cc1", "nonsense"])
    assert encoded.ok.tolist() == [True, False]
    assert "nonsense" in encoded.reason[1]


def test_another_featurizers_file_is_refused(tmp_path):
    FingerprintFeaturizer().save(tmp_path / "view.json")
    with pytest.raises(CodecError, match="of kind 'fingerprint'; expected 'tokens'"):
        TokenFeaturizer.load(tmp_path / "view.json")
