import numpy as np
import pytest
from scipy.spatial.distance import cdist

from molvae.errors import InputError
from molvae.latent import neighbors
from molvae.latent.neighbors import nearest

RANDOM = np.random.default_rng(0)
LIBRARY = RANDOM.normal(size=(3000, 12)) + 50
QUERY = LIBRARY[::100] + 0.1 * RANDOM.normal(size=(30, 12))
BITS = (RANDOM.random((900, 64)) < 0.15).astype(np.uint8)


def brute(query: np.ndarray, library: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric == "jaccard":
        query, library = query > 0, library > 0
    distances = cdist(query, library, metric)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(distances, indices, 1)


@pytest.mark.parametrize("block", [1 << 22, 1 << 12, 40])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "jaccard"])
def test_neighbors_are_those_of_an_exhaustive_search(metric, block, monkeypatch):
    query, library = (BITS[:5], BITS) if metric == "jaccard" else (QUERY[:5], LIBRARY[:400])
    monkeypatch.setattr(neighbors, "_BLOCK", block)
    indices, distances = nearest(query, library, 7, metric=metric)
    expected = brute(query, library, 7, metric)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-5, atol=1e-7)
    assert (indices.dtype, distances.dtype) == (np.int64, np.float32)
    if metric != "jaccard":  # rounding in scipy breaks ties between equal fractions
        np.testing.assert_array_equal(indices, expected[0])


def test_many_rows_and_neighbors():
    for k in (1, 10, 500):
        np.testing.assert_array_equal(nearest(QUERY, LIBRARY, k)[0], brute(QUERY, LIBRARY, k, "euclidean")[0])


@pytest.mark.parametrize("block", [1 << 22, 64])
def test_ties_are_in_the_order_of_the_library(block, monkeypatch):
    monkeypatch.setattr(neighbors, "_BLOCK", block)
    library = np.array([[3.0, 0], [1, 0], [0, 1], [-1, 0], [1, 0], [0, 0]] * 40)
    indices, distances = nearest(np.zeros((1, 2)), library, 80, metric="euclidean")
    np.testing.assert_array_equal(indices[0, :40], np.arange(40) * 6 + 5)
    np.testing.assert_array_equal(indices[0, 40:48], [1, 2, 3, 4, 7, 8, 9, 10])
    np.testing.assert_array_equal(distances[0, :40], 0)


def test_ties_of_bits_are_in_the_order_of_the_library():
    indices, distances = nearest(BITS[:20], BITS, 30, metric="jaccard")
    for row, distance in zip(indices, distances, strict=True):
        assert (np.diff(row)[np.diff(distance) == 0] > 0).all()
    assert nearest(np.zeros((1, 64)), np.zeros((3, 64)), 2, metric="jaccard")[1].tolist() == [[0, 0]]


def test_small_differences_far_from_the_origin_are_ranked():
    library = np.full((200, 8), 1e4) + 1e-3 * RANDOM.normal(size=(200, 8))
    np.testing.assert_array_equal(nearest(library, library, 1)[0][:, 0], np.arange(200))


def test_rows_that_are_not_usable_are_never_neighbors():
    library = LIBRARY[:20].copy()
    library[[0, 7]], library[3, 2] = np.nan, np.inf
    indices, distances = nearest(library[:5], library, 100)
    assert indices.shape == (5, 17)
    assert not np.isin(indices, [0, 3, 7]).any()
    np.testing.assert_array_equal(indices[[0, 3]], -1)
    assert np.isnan(distances[[0, 3]]).all()
    np.testing.assert_array_equal(indices[[1, 2, 4], 0], [1, 2, 4])
    assert nearest(np.eye(2), np.array([[0.0, 0], [1, 1]]), 2, metric="cosine")[0].tolist() == [[1], [1]]


def test_k_is_at_most_the_number_of_rows():
    assert nearest(QUERY, LIBRARY[:4], 9)[0].shape == (30, 4)
    assert nearest(QUERY[:0], LIBRARY, 3)[0].shape == (0, 3)


def test_memory_mapped_half_precision_libraries_are_read(tmp_path):
    path = tmp_path / "library.npy"
    np.save(path, LIBRARY.astype(np.float16))
    library = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(nearest(QUERY, library, 3)[0], nearest(QUERY, np.array(library), 3)[0])


@pytest.mark.parametrize(
    ("query", "library", "k", "metric", "message"),
    [
        (QUERY, LIBRARY, 0, "euclidean", "k: .* 1"),
        (QUERY, LIBRARY[:0], 3, "euclidean", "empty"),
        (QUERY, np.full((4, 12), np.nan), 3, "euclidean", "4 rows"),
        (QUERY, LIBRARY[:, :5], 3, "euclidean", r"\(30, 12\)"),
        (QUERY[0], LIBRARY, 3, "euclidean", r"\(12,\)"),
        (QUERY, LIBRARY, 3, "tanimoto", "'tanimoto'"),
    ],
)
def test_nearest_arguments_are_checked(query, library, k, metric, message):
    with pytest.raises(InputError, match=message):
        nearest(query, library, k, metric=metric)
