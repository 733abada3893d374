import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from molvae.chem import fingerprints
from molvae.chem.fingerprints import ReferenceSet, morgan_bits, tanimoto
from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.workers import LocalProcesses

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
        assert bits.tolist() == [list(rdkit_fingerprint(text, n_bits)) for text in SMILES[:50]]
    assert morgan_bits([]).shape == (0, 2048)


def test_a_larger_radius_sees_more():
    assert (morgan_bits(SMILES, radius=3).sum(axis=1) >= morgan_bits(SMILES, radius=1).sum(axis=1)).all()


def test_tanimoto_is_that_of_rdkit():
    query = rdkit_fingerprint(SMILES[7])
    expected = [DataStructs.TanimotoSimilarity(query, rdkit_fingerprint(text)) for text in SMILES]
    assert tanimoto(SMILES[7], SMILES) == pytest.approx(expected)
    assert tanimoto(SMILES[7], SMILES).dtype == np.float32
    assert tanimoto("CCO", []).shape == (0,)


def brute_force(references, queries):
    known = [rdkit_fingerprint(text) for text in references]
    index, similarity = [], []
    for text in queries:
        scores = DataStructs.BulkTanimotoSimilarity(rdkit_fingerprint(text), known)
        index.append(int(np.argmax(scores)))
        similarity.append(max(scores))
    return index, similarity


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(SMILES), min_size=1, max_size=120), st.lists(st.sampled_from(SMILES), max_size=20))
def test_the_nearest_is_the_first_of_the_best(references, queries):
    index, similarity = ReferenceSet(references).nearest(queries)
    expected_index, expected_similarity = brute_force(references, queries)
    assert index.tolist() == expected_index
    assert similarity.tolist() == pytest.approx(expected_similarity)
    assert (index.dtype, similarity.dtype) == (np.int64, np.float32)


def test_blocks_and_workers_do_not_change_the_answer(monkeypatch):
    expected = brute_force(SMILES, SMILES[::5])
    monkeypatch.setattr(fingerprints, "_QUERIES_AT_ONCE", 7)
    monkeypatch.setattr(fingerprints, "_REFERENCES_AT_ONCE", 3)
    monkeypatch.setattr(fingerprints, "_ALONE", 10)
    references = ReferenceSet(SMILES, LocalProcesses(2))
    assert len(references) == len(SMILES)
    index, similarity = references.nearest(SMILES[::5])
    assert (index.tolist(), similarity.tolist()) == (expected[0], pytest.approx(expected[1]))


def test_more_bits_than_a_byte_can_count():
    """No molecule of 200 atoms was found to have 256 bits on, but none must be counted wrong."""
    generator = np.random.default_rng(0)
    bits = (generator.random((40, 2048)) < np.linspace(0.02, 0.4, 40)[:, None]).astype(np.uint8)
    assert bits.sum(axis=1).max() > 700
    references = ReferenceSet([])
    flat = np.nonzero(bits)[1].astype(np.uint16)
    references._groups = list(fingerprints._group(flat, bits.sum(axis=1, dtype=np.int64)))
    index, similarity = references._nearest(bits)
    assert index.tolist() == list(range(40))
    assert (similarity == 1).all()


def test_without_references_there_is_no_nearest():
    index, similarity = ReferenceSet([]).nearest(["CCO"])
    assert index.tolist() == [-1]
    assert np.isnan(similarity).all()
    assert ReferenceSet(["CCO"]).nearest([])[0].shape == (0,)


def test_a_text_that_is_no_molecule_is_named(monkeypatch):
    for bad in ("C1CC", "CN(C)(C)C", "", "C\u0421"):
        with pytest.raises(InputError, match="expected a canonical SMILES"):
            ReferenceSet(["CCO", bad])
        with pytest.raises(InputError, match="expected a canonical SMILES"):
            ReferenceSet(["CCO"]).nearest([bad])
    monkeypatch.setattr(fingerprints, "_ALONE", 0)
    with pytest.raises(InputError, match="reference molecule 2, C1CC: no fingerprint"):
        ReferenceSet(["CCO", "C1CC"], LocalProcesses(1))


@pytest.mark.parametrize(
    "smiles", [*SMILES[::9], "[H]/N=C(\\C)c1ccccc1", "O=[N+]([O-])c1ccccc1", "C[n+]1ccccc1", "CS(C)=O"]
)
def test_the_quick_way_gives_the_same_bits(smiles):
    """Also for the Kekule form, in which others write aromatic rings."""
    kekule = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    expected = sorted(rdkit_fingerprint(smiles).GetOnBits())
    for text in (smiles, Chem.MolToSmiles(kekule, kekuleSmiles=True)):
        assert sorted(fingerprints._on_bits(text)) == expected
