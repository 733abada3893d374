import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from molvae.errors import InputError
from molvae.latent.maps import map_quality, project

RANDOM = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(4), 60)
CENTERS = RANDOM.normal(size=(4, 10)) * 8
Z = CENTERS[GROUPS] + RANDOM.normal(size=(240, 10))
BITS = RANDOM.random((4, 64))[GROUPS] > RANDOM.random((240, 64))


def test_pca_is_that_of_scikit_learn():
    found = project(Z)
    expected = PCA(2).fit_transform(Z)
    np.testing.assert_allclose(np.abs(found.xy), np.abs(expected), rtol=1e-3, atol=1e-4)
    assert found.trustworthiness == pytest.approx(trustworthiness(Z, found.xy, n_neighbors=10))
    np.testing.assert_array_equal(project(Z, seed=5).xy, found.xy)


def test_tsne_preserves_more_neighbors_than_pca_and_is_reproducible():
    found, pca = project(Z, method="tsne"), project(Z)
    assert found.preservation > pca.preservation + 0.1
    assert found.trustworthiness > pca.trustworthiness
    np.testing.assert_array_equal(project(Z, method="tsne").xy, found.xy)
    centers = np.array([found.xy[group == GROUPS].mean(0) for group in range(4)])
    assert (np.linalg.norm(found.xy[:, None] - centers, axis=2).argmin(1) == GROUPS).mean() > 0.95


def test_fingerprints_are_mapped_by_their_similarity():
    found = project(BITS, method="tsne", metric="jaccard")
    assert found.trustworthiness == pytest.approx(trustworthiness(BITS, found.xy, n_neighbors=10, metric="jaccard"))
    assert found.trustworthiness > 0.7


def test_the_quality_of_an_exact_and_of_a_shuffled_map():
    flat = Z[:, :2]
    assert map_quality(flat, 3 * flat) == (1, 1)
    trust, kept = map_quality(flat, RANDOM.permutation(flat))
    assert trust == pytest.approx(0.5, abs=0.1)
    assert kept == pytest.approx(10 / 239, abs=0.03)


def test_the_quality_of_large_maps_is_measured_on_a_sample():
    flat = RANDOM.normal(size=(2500, 2))
    noisy = flat + 0.1 * RANDOM.normal(size=flat.shape)
    assert map_quality(flat, noisy, seed=1) == map_quality(flat, noisy, seed=1) != map_quality(flat, noisy, seed=2)


def test_rows_with_nan_have_no_coordinates():
    z = Z.copy()
    z[[0, 100], 3] = np.nan
    found = project(z)
    assert np.flatnonzero(np.isnan(found.xy).any(1)).tolist() == [0, 100]
    np.testing.assert_array_equal(found.xy[1:100], project(np.delete(z, [0, 100], 0)).xy[:99])


def test_a_map_of_few_rows():
    three = project(Z[:3])
    assert (three.xy.shape, three.k, three.reason) == ((3, 2), 1, None)
    two = project(Z[:2])
    assert np.isfinite(two.xy).all()
    assert np.isnan([two.trustworthiness, two.preservation]).all()
    assert "2 rows" in (two.reason or "")
    five = project(Z[:5], method="tsne")
    assert np.isfinite(five.xy).all()
    assert five.k == 2


def test_a_map_of_equal_rows_and_of_one_dimension():
    assert (project(np.ones((20, 4))).xy == 0).all()
    assert np.isfinite(project(np.ones((20, 4)), method="tsne").xy).all()
    np.testing.assert_array_equal(project(np.arange(9.0)[:, None]).xy[:, 1], 0)


@pytest.mark.parametrize(
    ("z", "options", "message"),
    [
        (Z[:1], {}, "at least 2 .* got 1"),
        (np.full((9, 3), np.nan), {}, "got 0 of 9"),
        (Z[:4], {"method": "tsne"}, "at least 5"),
        (Z, {"method": "umap"}, "'umap'"),
        (Z, {"k": 0}, "k: .* 1"),
        (Z[0], {}, r"\(10,\)"),
    ],
)
def test_project_arguments_are_checked(z, options, message):
    with pytest.raises(InputError, match=message):
        project(z, **options)


def test_map_quality_arguments_are_checked():
    with pytest.raises(InputError, match=r"240 .* 5"):
        map_quality(Z, Z[:5, :2])
