import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from molvae.errors import InputError
from molvae.latent.maps import map_points, quality

RANDOM = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(4), 60)
CENTRES = RANDOM.normal(size=(4, 10)) * 8
CODES = CENTRES[GROUPS] + RANDOM.normal(size=(240, 10))
BITS = RANDOM.random((4, 64))[GROUPS] > RANDOM.random((240, 64))


def test_pca_is_scikit_learns():
    found = map_points(CODES)
    expected = PCA(2).fit_transform(CODES)
    np.testing.assert_allclose(np.abs(found.xy), np.abs(expected), rtol=1e-3, atol=1e-4)
    assert found.trustworthiness == pytest.approx(trustworthiness(CODES, found.xy, n_neighbors=10))
    np.testing.assert_array_equal(map_points(CODES, seed=5).xy, found.xy)


def test_tsne_keeps_more_neighbours_than_pca_and_is_the_same_again():
    found, pca = map_points(CODES, "tsne"), map_points(CODES)
    assert found.preservation > pca.preservation + 0.1
    assert found.trustworthiness > pca.trustworthiness
    np.testing.assert_array_equal(map_points(CODES, "tsne").xy, found.xy)
    centres = np.array([found.xy[group == GROUPS].mean(0) for group in range(4)])
    assert (np.linalg.norm(found.xy[:, None] - centres, axis=2).argmin(1) == GROUPS).mean() > 0.95


def test_fingerprints_are_mapped_by_their_similarity():
    found = map_points(BITS, "tsne", metric="jaccard")
    assert found.trustworthiness == pytest.approx(trustworthiness(BITS, found.xy, n_neighbors=10, metric="jaccard"))
    assert found.trustworthiness > 0.7


def test_a_map_that_is_the_space_itself_is_perfect_and_a_shuffled_one_is_not():
    flat = CODES[:, :2]
    assert quality(flat, 3 * flat) == (1, 1)
    trust, kept = quality(flat, RANDOM.permutation(flat))
    assert trust == pytest.approx(0.5, abs=0.1)
    assert kept == pytest.approx(10 / 239, abs=0.03)


def test_large_maps_are_judged_by_a_sample():
    flat = RANDOM.normal(size=(2500, 2))
    noisy = flat + 0.1 * RANDOM.normal(size=flat.shape)
    assert quality(flat, noisy, seed=1) == quality(flat, noisy, seed=1) != quality(flat, noisy, seed=2)


def test_points_that_are_none_stand_nowhere():
    codes = CODES.copy()
    codes[[0, 100], 3] = np.nan
    found = map_points(codes)
    assert np.flatnonzero(np.isnan(found.xy).any(1)).tolist() == [0, 100]
    np.testing.assert_array_equal(found.xy[1:100], map_points(np.delete(codes, [0, 100], 0)).xy[:99])


def test_few_points_make_a_map_and_are_judged_by_fewer_neighbours():
    three = map_points(CODES[:3])
    assert (three.xy.shape, three.k, three.reason) == ((3, 2), 1, None)
    two = map_points(CODES[:2])
    assert np.isfinite(two.xy).all()
    assert np.isnan([two.trustworthiness, two.preservation]).all()
    assert "2 points are too few" in (two.reason or "")
    five = map_points(CODES[:5], "tsne")
    assert np.isfinite(five.xy).all()
    assert five.k == 2


def test_equal_points_and_one_dimension_make_a_map():
    assert (map_points(np.ones((20, 4))).xy == 0).all()
    assert np.isfinite(map_points(np.ones((20, 4)), "tsne").xy).all()
    np.testing.assert_array_equal(map_points(np.arange(9.0)[:, None]).xy[:, 1], 0)


@pytest.mark.parametrize(
    ("z", "options", "message"),
    [
        (CODES[:1], {}, "at least 2 finite points, got 1"),
        (np.full((9, 3), np.nan), {}, "got 0 of 9"),
        (CODES[:4], {"method": "tsne"}, "at least 5 finite points"),
        (CODES, {"method": "umap"}, "'umap'"),
        (CODES, {"k": 0}, "k: expected at least 1"),
        (CODES[0], {}, r"points \(n, D\)"),
    ],
)
def test_maps_that_cannot_be_drawn_are_refused(z, options, message):
    with pytest.raises(InputError, match=message):
        map_points(z, **options)


def test_each_point_needs_a_place():
    with pytest.raises(InputError, match="for each of 240"):
        quality(CODES, CODES[:5, :2])
