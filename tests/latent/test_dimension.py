import numpy as np
import pytest

from molvae.errors import InputError
from molvae.latent.dimension import knee, two_nearest_neighbors


def cube(n_dimensions: int, n: int = 2000, n_columns: int = 20) -> np.ndarray:
    """A uniform cube, rotated into more columns than it has dimensions."""
    random = np.random.default_rng(n_dimensions)
    rotation = np.linalg.qr(random.normal(size=(n_columns, n_dimensions)))[0]
    return random.random((n, n_dimensions)) @ rotation.T


@pytest.mark.parametrize("n_dimensions", [1, 2, 5, 10])
def test_the_dimension_of_a_cube(n_dimensions):
    assert two_nearest_neighbors(cube(n_dimensions)) == pytest.approx(n_dimensions, rel=0.15)


def test_a_curved_surface_has_two_dimensions():
    t, height = np.random.default_rng(0).random((2, 2000))
    roll = np.column_stack([t * np.cos(9 * t), t * np.sin(9 * t), height])
    assert two_nearest_neighbors(roll) == pytest.approx(2, rel=0.15)


def test_equal_rows_and_rows_with_nan_change_nothing():
    data = cube(3)
    expected = two_nearest_neighbors(data)
    more = np.concatenate([data[::2], np.full((7, 20), np.nan), data, data[:50]])
    assert two_nearest_neighbors(more) == pytest.approx(expected, rel=1e-6)
    padded = np.column_stack([data, np.full(len(data), 4.0)])
    assert two_nearest_neighbors(padded) == pytest.approx(expected, rel=1e-3)


def test_bits_have_a_dimension():
    bits = np.random.default_rng(0).random((300, 128)) < 0.3
    assert two_nearest_neighbors(bits, metric="jaccard") > 5


@pytest.mark.parametrize(
    ("data", "discard", "message"),
    [
        (np.ones((500, 3)), 0.1, "got 1 of 500"),
        (np.zeros((0, 3)), 0.1, "at least 10"),
        (cube(2), 1.0, "discard"),
        (np.ones(5), 0.1, r"\(5,\)"),
        (np.eye(20), 0.1, "equally far"),
    ],
)
def test_two_nearest_neighbors_arguments_are_checked(data, discard, message):
    with pytest.raises(InputError, match=message):
        two_nearest_neighbors(data, discard=discard)


def test_the_knee_of_the_paper():
    x = np.linspace(0, 1, 10)
    assert knee(x, 5 - 1 / (x + 0.1)) == 2  # figure 2 of the paper: x = 0.22


def test_the_knee_of_rising_and_falling_curves_in_any_order():
    sizes = np.array([2, 4, 8, 16, 32, 64])
    error = np.array([10, 5, 1.2, 1.1, 1.05, 1.0])
    assert knee(np.log2(sizes), error) == 2
    assert knee(np.log2(sizes), 1 - error) == 2
    order = np.array([3, 0, 5, 2, 1, 4])
    assert knee(np.log2(sizes)[order], error[order]) == 3
    error[4] = np.nan
    assert knee(np.log2(sizes), error) == 2


@pytest.mark.parametrize("values", [[5, 4, 3, 2, 1], [1, 1, 1, 1, 1], [1, 2, 4, 8, 16], [np.nan, 1, np.nan, 2, np.nan]])
def test_a_curve_without_a_knee_has_none(values):
    assert knee([1, 2, 3, 4, 5], values) is None


def test_knee_arguments_are_checked():
    with pytest.raises(InputError, match="knee"):
        knee([1, 2], [1])
