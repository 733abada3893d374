import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molvae.errors import InputError
from molvae.scoring.desirability import desirability

NUMBERS = st.floats(-1e6, 1e6)


def test_higher_increases_and_lower_decreases_between_the_bounds():
    values = [-1, 0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(desirability(values, "higher", 0, 4), [0, 0, 0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(desirability(values, "lower", 0, 4), [1, 1, 0.75, 0.5, 0.25, 0, 0])


def test_a_window_decreases_over_soft_on_both_sides():
    values = [-0.5, 0, 0.25, 1, 2, 3, 3.5, 4, 9]
    np.testing.assert_allclose(desirability(values, "window", 1, 3, soft=1), [0, 0, 0.25, 1, 1, 1, 0.5, 0, 0])


def test_a_window_without_soft_edges_includes_its_bounds():
    assert desirability([0.999, 1, 3, 3.001], "window", 1, 3).tolist() == [0, 1, 1, 0]


def test_a_single_target_is_a_window_of_width_zero():
    np.testing.assert_allclose(desirability([1, 1.5, 2, 2.5, 3], "window", 2, 2, soft=1), [0, 0.5, 1, 0.5, 0])


def test_equal_bounds_are_a_step():
    assert desirability([1.9, 2, 2.1], "higher", 2, 2).tolist() == [0, 1, 1]
    assert desirability([1.9, 2, 2.1], "lower", 2, 2).tolist() == [1, 1, 0]


def test_power_changes_the_values_between_0_and_1():
    np.testing.assert_allclose(desirability([0, 0.5, 1], "higher", 0, 1, power=2), [0, 0.25, 1])
    np.testing.assert_allclose(desirability([0, 0.25, 1], "lower", 0, 1, power=0.5), [1, np.sqrt(0.75), 0])


def test_the_log_scale_measures_powers_of_ten():
    # an IC50 in nM: 1 up to 10, 0 from 10,000, 0.5 at 316
    values = [1, 10, 10**2.5, 10**4, 1e6]
    np.testing.assert_allclose(desirability(values, "lower", 10, 10_000, scale="log"), [1, 1, 0.5, 0, 0])
    np.testing.assert_allclose(desirability([1, 10**0.5, 10], "window", 10, 100, soft=1, scale="log"), [0, 0.5, 1])
    assert np.isnan(desirability([0, -3], "lower", 10, 10_000, scale="log")).all()


def test_nan_stays_nan_and_infinity_is_beyond_the_bounds():
    for shape in ("higher", "lower", "window"):
        for high in (1, 2):
            assert np.isnan(desirability([np.nan], shape, 1, high)).all()
    np.testing.assert_array_equal(desirability([-np.inf, np.inf], "higher", 0, 1), [0, 1])
    np.testing.assert_array_equal(desirability([-np.inf, np.inf], "window", 0, 1, soft=1), [0, 0])


def test_the_result_has_the_shape_of_the_values():
    assert desirability(np.zeros((2, 3)), "higher", 0, 1).shape == (2, 3)
    assert desirability([], "lower", 0, 1).shape == (0,)


@given(
    value=NUMBERS,
    bounds=st.tuples(NUMBERS, NUMBERS).map(sorted),
    soft=st.floats(0, 1e3),
    power=st.floats(0.1, 10),
    shape=st.sampled_from(["higher", "lower", "window"]),
)
def test_desirabilities_are_in_0_to_1_and_the_ideal_is_1(value, bounds, soft, power, shape):
    low, high = bounds
    result = desirability([value, low, high], shape, low, high, soft, power)
    assert ((result >= 0) & (result <= 1)).all()
    ideal = {"higher": result[2], "lower": result[1], "window": min(result[1:])}[shape]
    assert ideal == 1


@given(values=st.tuples(NUMBERS, NUMBERS).map(sorted), power=st.floats(0.1, 10))
def test_higher_and_lower_are_monotonic(values, power):
    small, large = desirability(values, "higher", -10, 1000, power=power)
    assert small <= large
    small, large = desirability(values, "lower", -10, 1000, power=power)
    assert small >= large


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"shape": "highest"}, "shape: .*higher, lower, window.*'highest'"),
        ({"low": 5}, r"low: .*\(1\).* 5"),
        ({"soft": -1}, "soft: .*-1"),
        ({"power": 0}, "power: .* 0"),
        ({"high": np.inf}, "finite"),
        ({"low": np.nan}, "finite"),
        ({"scale": "log"}, "low: .*log scale.* 0"),
        ({"scale": "ln"}, "scale: .*linear, log"),
    ],
)
def test_invalid_arguments_are_refused(changes, problem):
    with pytest.raises(InputError, match=problem):
        desirability([1.0], **({"shape": "higher", "low": 0, "high": 1} | changes))
