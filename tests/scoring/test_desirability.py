import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molvae.errors import InputError
from molvae.scoring.desirability import desirability

NUMBERS = st.floats(-1e6, 1e6)


def test_higher_rises_and_lower_falls_between_the_bounds():
    values = [-1, 0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(desirability(values, "higher", 0, 4), [0, 0, 0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(desirability(values, "lower", 0, 4), [1, 1, 0.75, 0.5, 0.25, 0, 0])


def test_a_window_falls_softly_on_both_sides():
    values = [-0.5, 0, 0.25, 1, 2, 3, 3.5, 4, 9]
    np.testing.assert_allclose(desirability(values, "window", 1, 3, soft=1), [0, 0, 0.25, 1, 1, 1, 0.5, 0, 0])


def test_a_window_without_soft_edges_holds_its_bounds():
    assert desirability([0.999, 1, 3, 3.001], "window", 1, 3).tolist() == [0, 1, 1, 0]


def test_a_single_target_is_a_window_of_no_width():
    np.testing.assert_allclose(desirability([1, 1.5, 2, 2.5, 3], "window", 2, 2, soft=1), [0, 0.5, 1, 0.5, 0])


def test_bounds_that_coincide_are_a_step():
    assert desirability([1.9, 2, 2.1], "higher", 2, 2).tolist() == [0, 1, 1]
    assert desirability([1.9, 2, 2.1], "lower", 2, 2).tolist() == [1, 1, 0]


def test_power_bends_what_lies_between_and_not_the_ends():
    np.testing.assert_allclose(desirability([0, 0.5, 1], "higher", 0, 1, power=2), [0, 0.25, 1])
    np.testing.assert_allclose(desirability([0, 0.25, 1], "lower", 0, 1, power=0.5), [1, np.sqrt(0.75), 0])


def test_the_log_scale_counts_decades():
    # an IC50 in nM: 10 is as good as can be, 10,000 useless, 316 (two and a half decades) half way
    values = [1, 10, 10**2.5, 10**4, 1e6]
    np.testing.assert_allclose(desirability(values, "lower", 10, 10_000, scale="log"), [1, 1, 0.5, 0, 0])
    np.testing.assert_allclose(desirability([1, 10**0.5, 10], "window", 10, 100, soft=1, scale="log"), [0, 0.5, 1])
    assert np.isnan(desirability([0, -3], "lower", 10, 10_000, scale="log")).all()


def test_a_missing_value_stays_missing_and_an_infinite_one_has_a_side():
    for shape in ("higher", "lower", "window"):
        for high in (1, 2):
            assert np.isnan(desirability([np.nan], shape, 1, high)).all()
    np.testing.assert_array_equal(desirability([-np.inf, np.inf], "higher", 0, 1), [0, 1])
    np.testing.assert_array_equal(desirability([-np.inf, np.inf], "window", 0, 1, soft=1), [0, 0])


def test_the_shape_of_the_values_is_kept():
    assert desirability(np.zeros((2, 3)), "higher", 0, 1).shape == (2, 3)
    assert desirability([], "lower", 0, 1).shape == (0,)


@given(
    value=NUMBERS,
    bounds=st.tuples(NUMBERS, NUMBERS).map(sorted),
    soft=st.floats(0, 1e3),
    power=st.floats(0.1, 10),
    shape=st.sampled_from(["higher", "lower", "window"]),
)
def test_every_desirability_lies_in_0_to_1_and_the_ideal_is_1(value, bounds, soft, power, shape):
    low, high = bounds
    result = desirability([value, low, high], shape, low, high, soft, power)
    assert ((result >= 0) & (result <= 1)).all()
    ideal = {"higher": result[2], "lower": result[1], "window": min(result[1:])}[shape]
    assert ideal == 1


@given(values=st.tuples(NUMBERS, NUMBERS).map(sorted), power=st.floats(0.1, 10))
def test_more_is_never_worse_for_higher_nor_better_for_lower(values, power):
    small, large = desirability(values, "higher", -10, 1000, power=power)
    assert small <= large
    small, large = desirability(values, "lower", -10, 1000, power=power)
    assert small >= large


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"shape": "highest"}, "shape: expected one of higher, lower, window, got 'highest'"),
        ({"low": 5}, r"low: expected at most high \(1\), got 5"),
        ({"soft": -1}, "soft: expected 0 or more"),
        ({"power": 0}, "power: expected a number above 0"),
        ({"high": np.inf}, "must be finite"),
        ({"low": np.nan}, "must be finite"),
        ({"scale": "log"}, "low: expected a number above 0 on the log scale, got 0"),
        ({"scale": "ln"}, "scale: expected one of linear, log"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, problem):
    with pytest.raises(InputError, match=problem):
        desirability([1.0], **({"shape": "higher", "low": 0, "high": 1} | changes))
