from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from molvae.chem import fingerprints
from molvae.chem.fingerprints import (
    Fingerprints,
    ReferenceSet,
    morgan_bits,
    nearest_references,
    nearest_similarities,
    on_bits,
    packed_bits,
    packed_similarities,
    tanimoto,
)
from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.workers import LocalProcesses, Serial

RINGS = [
    "c1ccccc1",
    "c1ccncc1",
    "C1CCNCC1",
    "c1ccoc1",
    "C1CC1",
    "C1=CC(=O)C=CC1=O",
    "c1c[nH]cn1",
    "n1ccc(=O)[nH]c1=O",
]
SMILES = sorted(
    {
        standardize(f"{'C' * i}{middle}{ring}").smiles
        for i in range(1, 9)
        for middle in ("", "O", "N", "C(=O)N", "S(=O)(=O)", "C(F)(F)")
        for ring in RINGS
    }
)


def rdkit_fingerprint(smiles, n_bits=2048):
    return AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(smiles), 2, nBits=n_bits)


def test_bits_are_those_of_rdkit():
    for n_bits in (1024, 2048):
        bits = morgan_bits(SMILES[:50], n_bits=n_bits)
        assert bits.shape == (50, n_bits)
        assert bits.dtype == np.uint8
        assert bits.tolist() == [list(rdkit_fingerprint(one, n_bits)) for one in SMILES[:50]]
    assert morgan_bits([]).shape == (0, 2048)


def test_a_larger_radius_sets_more_bits():
    assert (morgan_bits(SMILES, radius=3).sum(axis=1) >= morgan_bits(SMILES, radius=1).sum(axis=1)).all()


def test_packed_similarities_are_exact():
    """In single precision, 2/5 is above 0.4 and 7/10 below 0.7, which a condition of a query would show."""
    smiles = ["CCO", "CCN", "CC(=O)Nc1ccc(O)cc1", "CC(=O)Nc1ccccc1", "Oc1ccccc1", "Cc1ccccc1", "c1ccncc1"]
    others = np.frombuffer(b"".join(map(packed_bits, smiles)), np.uint8).reshape(len(smiles), -1)
    generator = AllChem.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(one)) for one in smiles]
    for one, own in zip(smiles, prints, strict=True):
        expected = DataStructs.BulkTanimotoSimilarity(own, prints)
        assert packed_similarities(packed_bits(one), others).tolist() == expected


def test_tanimoto_is_that_of_rdkit():
    query = rdkit_fingerprint(SMILES[7])
    expected = [DataStructs.TanimotoSimilarity(query, rdkit_fingerprint(one)) for one in SMILES]
    assert tanimoto(SMILES[7], SMILES) == pytest.approx(expected)
    assert tanimoto(SMILES[7], SMILES).dtype == np.float32
    assert tanimoto("CCO", []).shape == (0,)


def brute_force(references, queries):
    known = [rdkit_fingerprint(one) for one in references]
    index, similarity = [], []
    for one in queries:
        scores = DataStructs.BulkTanimotoSimilarity(rdkit_fingerprint(one), known)
        index.append(int(np.argmax(scores)))
        similarity.append(max(scores))
    return index, similarity


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(SMILES), min_size=1, max_size=120), st.lists(st.sampled_from(SMILES), max_size=20))
def test_the_nearest_is_the_first_one_in_a_tie(references, queries):
    expected_index, expected_similarity = brute_force(references, queries)
    for index, similarity in (ReferenceSet(references).nearest(queries), nearest_references(queries, references)):
        assert index.tolist() == expected_index
        assert similarity.tolist() == pytest.approx(expected_similarity)
        assert (index.dtype, similarity.dtype) == (np.int64, np.float32)
    found = nearest_similarities(Fingerprints.of(queries), Fingerprints.of(references))
    assert found.tolist() == pytest.approx(expected_similarity)


def test_blocks_chunks_and_workers_do_not_change_the_result(monkeypatch):
    expected = brute_force(SMILES, SMILES[::5])
    monkeypatch.setattr(fingerprints, "_QUERY_BLOCK", 7)
    monkeypatch.setattr(fingerprints, "_REFERENCE_BLOCK", 3)
    monkeypatch.setattr(fingerprints, "_REFERENCE_CHUNK", 50)
    monkeypatch.setattr(fingerprints, "_MIN_FOR_MAPPER", 10)
    references = ReferenceSet(SMILES, LocalProcesses(2))
    assert len(references) == len(SMILES)
    done = []
    for index, similarity in (
        references.nearest(SMILES[::5]),
        nearest_references(SMILES[::5], SMILES, Serial(), done.append),
    ):
        assert (index.tolist(), similarity.tolist()) == (expected[0], pytest.approx(expected[1]))
    assert done == [50] * (len(SMILES) // 50) + [len(SMILES) % 50]


def test_more_than_255_on_bits_do_not_overflow():
    """Molecules of at most 200 atoms are not known to set 256 bits; if one does, its similarity must be right."""
    generator = np.random.default_rng(0)
    bits = generator.random((40, 2048)) < np.linspace(0.02, 0.4, 40)[:, None]
    assert bits.sum(axis=1).max() > 700
    many = Fingerprints()
    for row in bits:
        many.append(array("H", np.flatnonzero(row)))
    assert (nearest_similarities(many, many) == 1).all()
    three, one = Fingerprints(1024), Fingerprints(1024)
    for begin in (0, 100, 700):
        three.append(array("H", range(begin, begin + 300)))
    one.append(array("H", range(300)))
    assert nearest_similarities(three, one).tolist() == [1, 200 / 400, 0]


def test_an_empty_reference_set_has_no_nearest():
    for index, similarity in (ReferenceSet([]).nearest(["CCO"]), nearest_references(["CCO"], [])):
        assert index.tolist() == [-1]
        assert np.isnan(similarity).all()
    assert np.isnan(nearest_similarities(Fingerprints.of(["CCO"]), Fingerprints())).all()
    assert ReferenceSet(["CCO"]).nearest([])[0].shape == (0,)
    assert nearest_references([], ["CCO"])[0].shape == (0,)
    assert len(nearest_similarities(Fingerprints(), Fingerprints.of(["CCO"]))) == 0


def test_an_invalid_smiles_is_an_error(monkeypatch):
    for bad in ("C1CC", "CN(C)(C)C", "", "C\u0421"):
        for call in (
            lambda bad=bad: ReferenceSet(["CCO", bad]),
            lambda bad=bad: ReferenceSet(["CCO"]).nearest([bad]),
            lambda bad=bad: nearest_references(["CCO"], [bad]),
        ):
            with pytest.raises(InputError, match="SMILES"):
                call()
    monkeypatch.setattr(fingerprints, "_MIN_FOR_MAPPER", 0)
    with pytest.raises(InputError, match="reference molecule 2, C1CC"):
        ReferenceSet(["CCO", "C1CC"], LocalProcesses(1))


@pytest.mark.parametrize(
    "smiles", [*SMILES[::9], "[H]/N=C(\\C)c1ccccc1", "O=[N+]([O-])c1ccccc1", "C[n+]1ccccc1", "CS(C)=O"]
)
def test_bits_of_the_quick_parse_are_those_of_a_full_parse(smiles):
    """Also for Kekulé SMILES, which other programs write."""
    kekule = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    expected = sorted(rdkit_fingerprint(smiles).GetOnBits())
    for one in (smiles, Chem.MolToSmiles(kekule, kekuleSmiles=True)):
        assert list(on_bits(one)) == expected
    assert list(on_bits(smiles, is_from_rdkit=True)) == expected
