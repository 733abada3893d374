import gzip
import json

import numpy as np
import pytest
from rdkit import Chem

from molvae.bundled import bundled
from molvae.errors import CodecError, InputError
from molvae.feature_spec import BEGIN, END, MASK, PAD
from molvae.features import TokenFeaturizer, tokens
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


def test_decoding_inverts_encoding(featurizer):
    features = featurizer.encode(CORPUS)
    assert features.ok.all()
    assert featurizer.decode(features.x) == CORPUS


def test_merges_give_fewer_tokens_than_symbols(featurizer):
    n_tokens = (featurizer.encode(CORPUS).x != PAD).sum() - len(CORPUS)
    assert n_tokens < 0.8 * sum(len(split_symbols(text)) for text in CORPUS)


def test_no_merge_splits_an_atom(featurizer):
    for left, right in featurizer.merges:
        assert split_symbols(left) + split_symbols(right) == split_symbols(left + right)


def test_rows_end_with_end_and_are_padded(featurizer):
    x = featurizer.encode(CORPUS).x
    assert x.dtype == np.uint16
    assert x.shape == (len(CORPUS), featurizer.spec.length)
    ends = (x == END).argmax(1)
    assert all((row[:end] > MASK).all() and (row[end + 1 :] == PAD).all() for row, end in zip(x, ends, strict=True))
    assert not (x == BEGIN).any()


def test_vocabulary_has_the_requested_size(featurizer):
    assert featurizer.spec.width == len(featurizer.token_texts) == 28
    assert len(set(featurizer.token_texts[4:])) == 24


@pytest.mark.parametrize(
    ("smiles", "symbol"),
    [
        ("C[Si](C)C", "atom [Si]"),
        ("C[C@H](N)O", "stereocenter [C@H]"),
        ("C/C=C/C", "double-bond stereo /"),
        ("CC[N+](C)C", "charged atom [N+]"),
        ("C%10CC%10", "ring closure %10"),
        ("C#N", "bond #"),
        ("CP", "atom P"),
    ],
)
def test_unknown_symbols_are_named(featurizer, smiles, symbol):
    features = featurizer.encode(["CC", smiles])
    assert features.ok.tolist() == [True, False]
    assert symbol in features.reason[1]
    assert (features.x[1] == PAD).all()


def test_the_reason_of_a_long_molecule_is_the_maximum_length(featurizer):
    features = featurizer.encode(["CN" * 40])
    assert not features.ok[0]
    assert f"at most {featurizer.spec.length - 1}" in features.reason[0]


def test_the_requested_length_includes_end():
    featurizer = TokenFeaturizer.from_corpus(CORPUS, vocabulary_size=24, length=5)
    features = featurizer.encode(["CCCC", "CCCCC"])
    assert features.ok.tolist() == [True, False]


def test_no_molecules_give_no_rows(featurizer):
    features = featurizer.encode([])
    assert features.x.shape == (0, featurizer.spec.length)
    assert featurizer.decode(features.x) == []


def test_a_row_without_end_is_decoded_completely(featurizer):
    row = featurizer.encode(["CCO"]).x[:, :1]
    assert featurizer.decode(row)[0] == featurizer.token_texts[row[0, 0]]


def test_learning_is_deterministic_and_loading_inverts_saving(featurizer, tmp_path):
    assert TokenFeaturizer.from_corpus(CORPUS, vocabulary_size=28) == featurizer
    featurizer.save(tmp_path / "featurizer.json")
    assert TokenFeaturizer.load(tmp_path / "featurizer.json") == featurizer


def test_a_large_corpus_is_sampled_for_merges_but_not_for_symbols_and_length(monkeypatch):
    corpus = ["CCO", "CCCCCCCCCC[Si]", "CCN", "OOOOOOOOOOOOOOO"] * 5 + ["CCO"]
    monkeypatch.setattr(tokens, "_MERGE_ROWS", 11)  # every second molecule, from the first
    sampled = TokenFeaturizer.from_corpus(corpus)
    assert sampled.merges == TokenFeaturizer.from_corpus(["CCO", "CCN"] * 5 + ["CCO"]).merges
    assert "[Si]" in sampled.symbols
    assert sampled.encode(corpus).ok.all()
    monkeypatch.setattr(tokens, "_LENGTH_ROWS", 3)
    assert TokenFeaturizer.from_corpus(corpus) == sampled
    monkeypatch.setattr(tokens, "_MERGE_ROWS", 21)
    assert len(TokenFeaturizer.from_corpus(corpus).merges) > len(sampled.merges)


def test_an_empty_corpus_or_a_small_vocabulary_is_refused():
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
    ("symbol", "description"),
    [("[13C]", "isotope [13C]"), (".", "second fragment (.)"), ("3", "ring closure 3"), ("=", "bond =")],
)
def test_symbols_are_described(symbol, description):
    assert describe_symbol(symbol) == description


SHUFFLED = ["CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O", "C/C=C/CO", "O=C(O)c1ccccc1OC(C)=O"]


def test_random_smiles_are_the_same_molecules_in_another_atom_order():
    featurizer = TokenFeaturizer.from_corpus(SHUFFLED, 60, notation="random_smiles")
    decoded = featurizer.decode(featurizer.encode(SHUFFLED).x)
    assert decoded != SHUFFLED
    assert list(map(Chem.CanonSmiles, decoded)) == list(map(Chem.CanonSmiles, SHUFFLED))
    assert featurizer.decode(featurizer.encode(SHUFFLED).x) == decoded


def test_selfies_are_decoded_to_the_same_molecules(tmp_path):
    with gzip.open(bundled("moses_sample.csv.gz"), "rt") as lines:
        smiles = [line.split(",")[1].strip() for line in lines][1:201] + SHUFFLED
    featurizer = TokenFeaturizer.from_corpus(smiles, 200, notation="selfies")
    featurizer.save(tmp_path / "featurizer.json")
    assert TokenFeaturizer.load(tmp_path / "featurizer.json") == featurizer
    encoded = featurizer.encode(smiles)
    assert encoded.ok.all()
    assert list(map(Chem.CanonSmiles, featurizer.decode(encoded.x))) == list(map(Chem.CanonSmiles, smiles))


def test_a_molecule_without_selfies_is_a_row_with_a_reason():
    featurizer = TokenFeaturizer.from_corpus(SHUFFLED, 60, notation="selfies")
    encoded = featurizer.encode(["CC(=O)Nc1ccc(O)cc1", "O=Cl(=O)(=O)O"])
    assert encoded.ok.tolist() == [True, False]
    assert "SELFIES" in encoded.reason[1]


def test_an_invalid_smiles_is_a_row_with_a_reason():
    featurizer = TokenFeaturizer.from_corpus(SHUFFLED, 60, notation="random_smiles")
    encoded = featurizer.encode(["CC(=O)Nc1ccc(O)cc1", "nonsense"])
    assert encoded.ok.tolist() == [True, False]
    assert "nonsense" in encoded.reason[1]


def test_the_file_of_another_kind_of_featurizer_is_refused(tmp_path):
    FingerprintFeaturizer().save(tmp_path / "view.json")
    with pytest.raises(CodecError, match=r"'tokens', got 'fingerprint'"):
        TokenFeaturizer.load(tmp_path / "view.json")
