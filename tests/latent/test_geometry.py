import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molvae.errors import InputError
from molvae.latent.geometry import attribute_direction, interpolate, random_direction, step_around

RANDOM = np.random.default_rng(0)
CODES = RANDOM.normal(size=(400, 16)) @ RANDOM.normal(size=(16, 16))
GRADIENT = RANDOM.normal(size=16)


def points(seed: int, n_latent: int, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(seed).normal(size=(3, n_latent)).astype(dtype)
    return drawn[0], drawn[1] * 3, drawn[2]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_latent=st.integers(2, 40),
    steps=st.integers(2, 12),
    dtype=st.sampled_from([np.float32, np.float64]),
    has_centre=st.booleans(),
)
def test_ways_begin_and_end_exactly_and_an_arc_stays_between_the_ends_norms(seed, n_latent, steps, dtype, has_centre):
    a, b, c = points(seed, n_latent, dtype)
    centre = c if has_centre else None
    for path in ("linear", "spherical"):
        way = interpolate(a, b, steps, path, centre)
        assert way.shape == (steps, n_latent)
        assert way.dtype == dtype
        np.testing.assert_array_equal(way[[0, -1]], [a, b])
    radius = np.linalg.norm(way - (c if has_centre else 0), axis=1)
    np.testing.assert_allclose(radius, np.linspace(radius[0], radius[-1], steps), rtol=1e-5, atol=1e-6)


def test_an_arc_turns_evenly_and_lies_in_the_plane_of_its_ends():
    way = interpolate(np.array([2.0, 0, 0]), np.array([0, 4.0, 0]), 4, "spherical")
    angles = np.degrees(np.arctan2(way[:, 1], way[:, 0]))
    np.testing.assert_allclose(angles, [0, 30, 60, 90], atol=1e-9)
    np.testing.assert_array_equal(way[:, 2], 0)


def test_a_line_is_even():
    np.testing.assert_allclose(interpolate(np.array([0.0, 1]), np.array([3.0, 1]), 4), [[0, 1], [1, 1], [2, 1], [3, 1]])


def test_ends_without_an_angle_are_joined_by_a_line():
    a = np.array([1.0, 2.0])
    np.testing.assert_allclose(interpolate(a, 3 * a, 3, "spherical"), [a, 2 * a, 3 * a])
    np.testing.assert_allclose(interpolate(a, 0 * a, 3, "spherical"), [a, a / 2, 0 * a])
    np.testing.assert_array_equal(interpolate(a, a, 3, "spherical"), [a, a, a])
    np.testing.assert_array_equal(interpolate(a, a, 3, "spherical", centre=a), [a, a, a])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 1}, "at least 2"),
        ({"b": np.ones(3)}, "one size"),
        ({"b": np.array([np.nan, 1.0])}, "b: expected one point"),
        ({"a": np.ones((2, 2))}, "a: expected one point"),
        ({"path": "round"}, "'round'"),
        ({"b": -np.ones(2), "path": "spherical"}, "exactly opposite"),
    ],
)
def test_impossible_ways_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        interpolate(**{"a": np.ones(2), "b": np.array([1.0, 2.0]), "steps": 3, **change})


def test_a_step_has_its_radius_in_standard_deviations_of_the_codes():
    factor = np.tril(RANDOM.normal(size=(16, 16))) + 4 * np.eye(16)
    steps = step_around(np.ones(16), 0.7, 500, np.random.default_rng(1), factor) - np.ones(16)
    white = np.linalg.solve(factor, steps.T).T
    np.testing.assert_allclose(np.sqrt((white**2).mean(1)), 0.7, rtol=1e-4)
    assert np.abs(white.mean(0)).max() < 0.15
    again = step_around(np.ones(16), 0.7, 5, np.random.default_rng(1), factor)
    np.testing.assert_allclose(again - np.ones(16), steps[:5], atol=1e-6)


def test_a_radius_of_0_is_the_point_itself():
    z = np.array([0.1, 0.2], np.float32)
    np.testing.assert_array_equal(step_around(z, 0, 3, RANDOM, np.eye(2)), [z, z, z])
    assert step_around(z, 1, 0, RANDOM, np.eye(2)).shape == (0, 2)


@pytest.mark.parametrize("radius", [np.nan, -0.1, np.inf])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(InputError, match="radius: expected a number of at least 0"):
        step_around(np.ones(2), radius, 3, RANDOM, np.eye(2))


def test_steps_need_a_point_and_a_factor_of_its_size():
    with pytest.raises(InputError, match="factor: expected"):
        step_around(np.ones(2), 1, 3, RANDOM, np.eye(3))
    with pytest.raises(InputError, match="z: expected one point"):
        step_around(np.array([np.nan, 1]), 1, 3, RANDOM, np.eye(2))
    with pytest.raises(InputError, match="n: expected at least 0"):
        step_around(np.ones(2), 1, -1, RANDOM, np.eye(2))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), unit=st.floats(1e-3, 1e3))
def test_a_planted_gradient_is_found_in_value_per_unit_of_length(seed, unit):
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


def test_noise_lowers_r2_and_pure_noise_has_none():
    noise = np.random.default_rng(3).normal(size=len(CODES))
    value = CODES @ GRADIENT
    half = attribute_direction(CODES, value + value.std() * noise)
    assert half.r2 == pytest.approx(0.5, abs=0.1)
    assert attribute_direction(CODES, noise).r2 < 0.05


def test_rows_without_a_value_or_a_point_are_left_out_and_counted():
    values, z = CODES @ GRADIENT, CODES.copy()
    expected = attribute_direction(CODES[10:], values[10:])
    values[:6], z[6:10] = np.nan, np.inf
    found = attribute_direction(z, values)
    assert (found.n, found.n_left_out) == (len(CODES) - 10, 10)
    np.testing.assert_array_equal(found.vector, expected.vector)
    assert found.r2 == expected.r2


def test_constant_columns_and_more_columns_than_molecules_do_no_harm():
    z = np.column_stack([CODES[:6], np.full((6, 40), 7.0)])
    for ridge in (0.0, 1.0):
        found = attribute_direction(z, CODES[:6] @ GRADIENT, ridge)
        assert np.isfinite([found.slope, found.r2]).all()
        np.testing.assert_allclose(found.vector[16:], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("z", "values", "message"),
    [
        (CODES, np.full(len(CODES), 3.3), "nothing to learn"),
        (CODES, np.full(len(CODES), np.nan), "got 0 of 400"),
        (CODES[:4], np.arange(4), "at least 5 molecules"),
        (np.ones((9, 4)), np.arange(9), "say nothing"),
        (CODES, np.arange(3), "expected points"),
    ],
)
def test_nothing_to_learn_from_is_said(z, values, message):
    with pytest.raises(InputError, match=message):
        attribute_direction(z, values)


def test_a_ridge_that_is_none_is_refused():
    with pytest.raises(InputError, match="ridge"):
        attribute_direction(CODES, CODES[:, 0], ridge=np.nan)


def test_a_random_direction_points_along_what_varies():
    flat = np.zeros((200, 16))
    flat[:, 3] = RANDOM.normal(size=200)
    vector = random_direction(16, np.random.default_rng(0), like=flat)
    np.testing.assert_allclose(np.abs(vector), np.eye(16)[3], atol=1e-6)
    free = np.array([random_direction(16, np.random.default_rng(seed)) for seed in range(300)])
    np.testing.assert_allclose(np.linalg.norm(free, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(free.T @ free / 300, np.eye(16) / 16, atol=0.03)
    with pytest.raises(InputError, match="points that differ"):
        random_direction(16, RANDOM, like=np.ones((5, 16)))
    with pytest.raises(InputError, match="expected finite points"):
        random_direction(8, RANDOM, like=np.ones((5, 16)))
