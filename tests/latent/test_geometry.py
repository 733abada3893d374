import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molvae.errors import InputError
from molvae.latent.geometry import attribute_direction, interpolate, random_direction, step_around

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(400, 16)) @ RANDOM.normal(size=(16, 16))
GRADIENT = RANDOM.normal(size=16)


def random_vectors(seed: int, n_latent: int, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(seed).normal(size=(3, n_latent)).astype(dtype)
    return drawn[0], drawn[1] * 3, drawn[2]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_latent=st.integers(2, 40),
    steps=st.integers(2, 12),
    dtype=st.sampled_from([np.float32, np.float64]),
    has_center=st.booleans(),
)
def test_interpolation_includes_its_ends_and_an_arc_keeps_the_norm(seed, n_latent, steps, dtype, has_center):
    a, b, c = random_vectors(seed, n_latent, dtype)
    center = c if has_center else None
    for path in ("linear", "spherical"):
        z = interpolate(a, b, steps, path=path, center=center)
        assert z.shape == (steps, n_latent)
        assert z.dtype == dtype
        np.testing.assert_array_equal(z[[0, -1]], [a, b])
    radius = np.linalg.norm(z - (c if has_center else 0), axis=1)
    np.testing.assert_allclose(radius, np.linspace(radius[0], radius[-1], steps), rtol=1e-5, atol=1e-6)


def test_an_arc_has_even_angles_in_the_plane_of_its_ends():
    z = interpolate(np.array([2.0, 0, 0]), np.array([0, 4.0, 0]), 4, path="spherical")
    angles = np.degrees(np.arctan2(z[:, 1], z[:, 0]))
    np.testing.assert_allclose(angles, [0, 30, 60, 90], atol=1e-9)
    np.testing.assert_array_equal(z[:, 2], 0)


def test_a_line_has_even_steps():
    np.testing.assert_allclose(interpolate(np.array([0.0, 1]), np.array([3.0, 1]), 4), [[0, 1], [1, 1], [2, 1], [3, 1]])


def test_an_arc_between_parallel_ends_is_a_line():
    a = np.array([1.0, 2.0])
    np.testing.assert_allclose(interpolate(a, 3 * a, 3, path="spherical"), [a, 2 * a, 3 * a])
    np.testing.assert_allclose(interpolate(a, 0 * a, 3, path="spherical"), [a, a / 2, 0 * a])
    np.testing.assert_array_equal(interpolate(a, a, 3, path="spherical"), [a, a, a])
    np.testing.assert_array_equal(interpolate(a, a, 3, path="spherical", center=a), [a, a, a])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 1}, "at least 2"),
        ({"b": np.ones(3)}, "same size"),
        ({"b": np.array([np.nan, 1.0])}, "b: "),
        ({"a": np.ones((2, 2))}, "a: "),
        ({"path": "round"}, "'round'"),
        ({"b": -np.ones(2), "path": "spherical"}, "opposite"),
    ],
)
def test_interpolate_arguments_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        interpolate(**{"a": np.ones(2), "b": np.array([1.0, 2.0]), "steps": 3, **change})


def test_the_radius_of_a_step_is_in_standard_deviations():
    factor = np.tril(RANDOM.normal(size=(16, 16))) + 4 * np.eye(16)
    steps = step_around(np.ones(16), 0.7, 500, np.random.default_rng(1), factor) - np.ones(16)
    white = np.linalg.solve(factor, steps.T).T
    np.testing.assert_allclose(np.sqrt((white**2).mean(1)), 0.7, rtol=1e-4)
    assert np.abs(white.mean(0)).max() < 0.15
    again = step_around(np.ones(16), 0.7, 5, np.random.default_rng(1), factor)
    np.testing.assert_allclose(again - np.ones(16), steps[:5], atol=1e-6)


def test_a_radius_of_0_is_the_vector_itself():
    z = np.array([0.1, 0.2], np.float32)
    np.testing.assert_array_equal(step_around(z, 0, 3, RANDOM, np.eye(2)), [z, z, z])
    assert step_around(z, 1, 0, RANDOM, np.eye(2)).shape == (0, 2)


@pytest.mark.parametrize("radius", [np.nan, -0.1, np.inf])
def test_the_radius_is_checked(radius):
    with pytest.raises(InputError, match="radius"):
        step_around(np.ones(2), radius, 3, RANDOM, np.eye(2))


def test_step_around_arguments_are_checked():
    with pytest.raises(InputError, match="factor"):
        step_around(np.ones(2), 1, 3, RANDOM, np.eye(3))
    with pytest.raises(InputError, match="z: "):
        step_around(np.array([np.nan, 1]), 1, 3, RANDOM, np.eye(2))
    with pytest.raises(InputError, match="n: "):
        step_around(np.ones(2), 1, -1, RANDOM, np.eye(2))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), unit=st.floats(1e-3, 1e3))
def test_a_known_gradient_is_recovered(seed, unit):
    random = np.random.default_rng(seed)
    z, gradient = random.normal(size=(300, 8)) * unit, random.normal(size=8)
    found = attribute_direction(z, z @ gradient + 5)
    length = np.linalg.norm(gradient)
    np.testing.assert_allclose(found.vector, gradient / length, atol=0.01)
    assert found.slope == pytest.approx(length, rel=0.02)
    assert found.r2 > 0.99
    assert found.scale == pytest.approx(unit, rel=0.2)
    step = z[0] + 2 * found.vector
    assert (step - z[0]) @ gradient == pytest.approx(2 * found.slope, rel=0.02)


def test_noise_lowers_r2():
    noise = np.random.default_rng(3).normal(size=len(Z))
    value = Z @ GRADIENT
    half = attribute_direction(Z, value + value.std() * noise)
    assert half.r2 == pytest.approx(0.5, abs=0.1)
    assert attribute_direction(Z, noise).r2 < 0.05


def test_rows_that_are_not_finite_are_skipped_and_counted():
    values, z = Z @ GRADIENT, Z.copy()
    expected = attribute_direction(Z[10:], values[10:])
    values[:6], z[6:10] = np.nan, np.inf
    found = attribute_direction(z, values)
    assert (found.n, found.n_skipped) == (len(Z) - 10, 10)
    np.testing.assert_array_equal(found.vector, expected.vector)
    assert found.r2 == expected.r2


def test_constant_columns_and_more_columns_than_molecules_are_fitted():
    z = np.column_stack([Z[:6], np.full((6, 40), 7.0)])
    for ridge in (0.0, 1.0):
        found = attribute_direction(z, Z[:6] @ GRADIENT, ridge=ridge)
        assert np.isfinite([found.slope, found.r2]).all()
        np.testing.assert_allclose(found.vector[16:], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("z", "values", "message"),
    [
        (Z, np.full(len(Z), 3.3), "all 400 values"),
        (Z, np.full(len(Z), np.nan), "got 0 of 400"),
        (Z[:4], np.arange(4), "at least 5"),
        (np.ones((9, 4)), np.arange(9), "9 molecules"),
        (Z, np.arange(3), r"\(3,\)"),
    ],
)
def test_attribute_direction_arguments_are_checked(z, values, message):
    with pytest.raises(InputError, match=message):
        attribute_direction(z, values)


def test_the_ridge_is_checked():
    with pytest.raises(InputError, match="ridge"):
        attribute_direction(Z, Z[:, 0], ridge=np.nan)


def test_a_random_direction_follows_the_covariance():
    flat = np.zeros((200, 16))
    flat[:, 3] = RANDOM.normal(size=200)
    vector = random_direction(16, np.random.default_rng(0), like=flat)
    np.testing.assert_allclose(np.abs(vector), np.eye(16)[3], atol=1e-6)
    free = np.array([random_direction(16, np.random.default_rng(seed)) for seed in range(300)])
    np.testing.assert_allclose(np.linalg.norm(free, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(free.T @ free / 300, np.eye(16) / 16, atol=0.03)
    with pytest.raises(InputError, match=r"like: .*equal"):
        random_direction(16, RANDOM, like=np.ones((5, 16)))
    with pytest.raises(InputError, match=r"like: .*\(5, 16\)"):
        random_direction(8, RANDOM, like=np.ones((5, 16)))
