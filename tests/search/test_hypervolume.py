"""The hypervolume that a molecule would add."""

import numpy as np
import pytest

from molvae.search.hypervolume import HypervolumeGain


def exact(values, reference):
    """The hypervolume of molecules (n, k), from the counts of a fine grid between the reference and (1, ..., 1)."""
    axes = [np.linspace(low, 1, 41)[:-1] + (1 - low) / 80 for low in reference]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(reference))
    return (grid[:, None] < values).all(axis=2).any(axis=1).mean() * np.prod(1 - np.array(reference))


@pytest.mark.parametrize("k", [2, 3])
def test_the_gain_is_the_difference_of_two_hypervolumes(k):
    scored = np.vstack([np.random.default_rng(k).random((12, k)) * 0.8, np.eye(k)])  # the range of each goal is 0 to 1
    new = np.random.default_rng(9).random((6, k))
    gain, before = HypervolumeGain(scored)(new), exact(scored, [-0.1] * k)
    expected = [exact(np.vstack([scored, one]), [-0.1] * k) - before for one in new]
    assert max(expected) > 0.05
    np.testing.assert_allclose(gain, expected, atol=0.02)


def test_dominated_and_repeated_molecules_add_nothing():
    gain = HypervolumeGain(np.array([[0.2, 0.9], [0.6, 0.6], [np.nan, 5.0]]))
    assert gain(np.array([[0.5, 0.5], [0.6, 0.6], [-9.0, -9.0]])).tolist() == [0, 0, 0]
    new = np.array([[0.7, 0.7]])
    assert gain(new)[0] > 0
    gain.add(new[0])
    assert gain(new)[0] == 0


def test_the_units_of_the_goals_do_not_matter():
    scored, new = np.random.default_rng(0).random((2, 9, 2))
    scale = np.array([1000.0, 0.001])
    np.testing.assert_allclose(HypervolumeGain(scored * scale - 7)(new * scale - 7), HypervolumeGain(scored)(new))


def test_goals_without_a_range_give_no_error():
    equal = HypervolumeGain(np.full((4, 2), 0.3))
    assert equal(np.array([[0.3, 0.3], [0.4, 0.4]])).argmax() == 1
    assert equal(np.array([[0.3, 0.3]]))[0] == 0
