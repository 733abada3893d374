import numpy as np
import pytest

from molvae.chem.clusters import butina_clusters, sphere_leaders
from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix

SMILES = ["CCO", "CCCO", "CCCCO", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1", "O=C1CCCN1"]


@pytest.fixture
def similarity() -> np.ndarray:
    bits = morgan_bits(SMILES)
    return tanimoto_matrix(bits, bits)


def test_a_cutoff_of_0_is_one_cluster_and_a_cutoff_of_1_separates_all(similarity: np.ndarray) -> None:
    assert butina_clusters(similarity, 0.0).tolist() == [0] * 7
    assert sorted(butina_clusters(similarity, 1.0)) == list(range(7))


def test_members_of_a_cluster_are_similar_to_its_center(similarity: np.ndarray) -> None:
    labels = butina_clusters(similarity, 0.3)
    for label in set(labels.tolist()):
        members = np.flatnonzero(labels == label)
        assert similarity[np.ix_(members, members)].min(axis=1).max() >= 0.3
    assert len(set(labels.tolist())) < 7


def test_leaders_are_dissimilar_and_cover_all(similarity: np.ndarray) -> None:
    leaders = sphere_leaders(lambda item: similarity[item], 7, 0.3, 7)
    between = similarity[np.ix_(leaders, leaders)] - np.eye(len(leaders))
    assert leaders[0] == 0
    assert between.max() < 0.3
    assert similarity[:, leaders].max(axis=1).min() >= 0.3


def test_the_given_leaders_come_first(similarity: np.ndarray) -> None:
    assert sphere_leaders(lambda item: similarity[item], 7, 0.3, 3, (4, 5))[:2] == [4, 5]
