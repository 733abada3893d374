"""The moves of the evolutionary algorithm: new latent vectors from those of one, two or three parents.

Latent vectors are in standard units of the prior (`molvae.search.optimizers.scale`). The step size of a move is drawn
from its range; the algorithm adapts which part of the range it draws from.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Make = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""``make(first, second, third, step, rng)``: from the latent vectors (n, D) of three parents and step sizes (n, 1) to
new latent vectors (n, D)."""


class Move(NamedTuple):
    """A move.

    Parameters
    ----------
    share : float
        Share of the proposals before adaptation.
    steps : tuple of float
        Smallest and largest step size, in the unit of the move.
    make : callable, optional
        Makes latent vectors; None draws them from the prior.
    has_mate : bool, default=False
        Whether the second parent contributes.
    is_noise : bool, default=False
        Whether the step size is the noise level of the decoder.
    """

    share: float
    steps: tuple[float, float]
    make: Make | None
    has_mate: bool = False
    is_noise: bool = False


def keep(
    first: np.ndarray, second: np.ndarray, third: np.ndarray, step: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The first parent unchanged.

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    step : ndarray of shape (n, 1)
        Not used.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    return first


def step_in_few(
    first: np.ndarray, second: np.ndarray, third: np.ndarray, step: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A Gaussian step in 10 to 20 latent dimensions.

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    step : ndarray of shape (n, 1)
        Step sizes: standard deviations in each dimension that changes.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    n, n_latent = first.shape
    order = rng.random((n, n_latent)).argsort(axis=1)
    is_moved = order < rng.integers(10, 21, (n, 1))
    return first + step * rng.standard_normal((n, n_latent)) * is_moved


def step_in_all(
    first: np.ndarray, second: np.ndarray, third: np.ndarray, step: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A Gaussian step in all latent dimensions.

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    step : ndarray of shape (n, 1)
        Step sizes: standard deviations in each dimension.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    return first + step * rng.standard_normal(first.shape)


def swap(
    first: np.ndarray, second: np.ndarray, third: np.ndarray, step: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Some latent dimensions from the second parent (uniform crossover).

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    step : ndarray of shape (n, 1)
        Step sizes: probability that a dimension is from the second parent.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    return np.where(rng.random(first.shape) < step, second, first)


def cross(
    first: np.ndarray, second: np.ndarray, third: np.ndarray, step: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A latent vector on the arc between two parents, with an interpolated norm.

    Latent vectors of molecules have similar norms; the midpoint of a straight line is shorter and decodes worse.

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    step : ndarray of shape (n, 1)
        Step sizes: fraction of the arc.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    norms = [np.linalg.norm(x, axis=1, keepdims=True) + 1e-12 for x in (first, second)]
    unit = [x / norm for x, norm in zip((first, second), norms, strict=True)]
    angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=1, keepdims=True), -1.0, 1.0))
    is_collinear = (angle < 1e-3) | (angle > np.pi - 1e-3)
    sine = np.where(is_collinear, 1.0, np.sin(angle))
    weights = [np.where(is_collinear, part, np.sin(part * angle) / sine) for part in (1 - step, step)]
    return np.asarray((weights[0] * unit[0] + weights[1] * unit[1]) * ((1 - step) * norms[0] + step * norms[1]))


def add_difference(
    first: np.ndarray, second: np.ndarray, third: np.ndarray, step: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The first parent plus a part of the difference of the other two (differential mutation [1]_).

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    step : ndarray of shape (n, 1)
        Step sizes: factor of the difference.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.

    References
    ----------
    .. [1] Storn and Price 1997, doi:10.1023/A:1008202821328, equation 2.
    """
    return first + step * (second - third)


def strong_noise(n: int, step: float | np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise levels of 0.15 to 0.6, the step sizes of a move that keeps the latent vector.

    Parameters
    ----------
    n : int
        Number of proposals.
    step : float or ndarray of shape (n,)
        Step factor.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    tuple of ndarray
        Noise levels (n,) and temperatures (n,).
    """
    return np.clip(step * rng.uniform(0.15, 0.6, n), 0.02, 0.95), rng.uniform(0.3, 0.9, n)


def sampling_noise(n: int, step: float | np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise level 0.6 and temperature 0.5, for draws from the prior.

    Parameters
    ----------
    n : int
        Number of proposals.
    step : float or ndarray of shape (n,)
        Not used.
    rng : numpy.random.Generator
        Not used.

    Returns
    -------
    tuple of ndarray
        Noise levels (n,) and temperatures (n,).
    """
    return np.full(n, 0.6), np.full(n, 0.5)


MOVES: dict[str, Move] = {
    "noise": Move(0.25, (0.08, 0.7), keep, is_noise=True),
    "step_in_few": Move(0.20, (0.3, 5.0), step_in_few),
    "swap": Move(0.20, (0.05, 0.9), swap, has_mate=True),
    "step_in_all": Move(0.15, (0.15, 2.0), step_in_all),
    "cross": Move(0.10, (0.08, 0.95), cross, has_mate=True),
    "difference": Move(0.07, (0.15, 2.0), add_difference, has_mate=True),
    "prior": Move(0.03, (1.0, 1.0), None),
}
"""The moves by name. `noise` decodes a parent with noise; `prior` draws from the prior."""
