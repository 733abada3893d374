"""The moves of the evolutionary algorithm: new latent vectors from those of good molecules.

Latent vectors are in standard units of the prior (`molvae.search.optimizers.scale`). The step size of a move is drawn
from its range; the algorithm adapts which part of the range it draws from.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_MIN_SQUARED = 1e-6
_CLIMB_NOISE = 0.1  # variance of the noise of the quality, relative to the amplitude of the kernel


class Parents(NamedTuple):
    """The parents of n new latent vectors, and the population that they are drawn from.

    Parameters
    ----------
    first, second, third : ndarray of shape (n, D)
        Latent vectors of the parents, in standard units.
    population : ndarray of shape (m, D)
        Latent vectors of all possible parents.
    quality : ndarray of shape (m,)
        Normal quantile of the score of each of them, or its acquisition.
    """

    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    population: np.ndarray
    quality: np.ndarray


Make = Callable[[Parents, np.ndarray, np.random.Generator], np.ndarray]
"""``make(parents, step, rng)``: from parents and step sizes (n, 1) to new latent vectors (n, D)."""


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


def keep(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The first parent unchanged.

    Parameters
    ----------
    parents : Parents
        The parents.
    step : ndarray of shape (n, 1)
        Not used.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    return parents.first


def step_in_few(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian step in 10 to 20 latent dimensions.

    Parameters
    ----------
    parents : Parents
        The parents.
    step : ndarray of shape (n, 1)
        Step sizes: standard deviations in each dimension that changes.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    n, n_latent = parents.first.shape
    order = rng.random((n, n_latent)).argsort(axis=1)
    is_moved = order < rng.integers(10, 21, (n, 1))
    return parents.first + step * rng.standard_normal((n, n_latent)) * is_moved


def step_in_all(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian step in all latent dimensions.

    Parameters
    ----------
    parents : Parents
        The parents.
    step : ndarray of shape (n, 1)
        Step sizes: standard deviations in each dimension.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    return parents.first + step * rng.standard_normal(parents.first.shape)


def swap(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some latent dimensions from the second parent (uniform crossover).

    Parameters
    ----------
    parents : Parents
        The parents.
    step : ndarray of shape (n, 1)
        Step sizes: probability that a dimension is from the second parent.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    return np.where(rng.random(parents.first.shape) < step, parents.second, parents.first)


def cross(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A latent vector on the arc between two parents, with an interpolated norm.

    Latent vectors of molecules have similar norms; the midpoint of a straight line is shorter and decodes worse.

    Parameters
    ----------
    parents : Parents
        The parents.
    step : ndarray of shape (n, 1)
        Step sizes: fraction of the arc.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    first, second = parents.first, parents.second
    norms = [np.linalg.norm(x, axis=1, keepdims=True) + 1e-12 for x in (first, second)]
    unit = [x / norm for x, norm in zip((first, second), norms, strict=True)]
    angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=1, keepdims=True), -1.0, 1.0))
    is_collinear = (angle < 1e-3) | (angle > np.pi - 1e-3)
    sine = np.where(is_collinear, 1.0, np.sin(angle))
    weights = [np.where(is_collinear, part, np.sin(part * angle) / sine) for part in (1 - step, step)]
    return np.asarray((weights[0] * unit[0] + weights[1] * unit[1]) * ((1 - step) * norms[0] + step * norms[1]))


def add_difference(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The first parent plus a multiple of the difference between the other two (differential mutation [1]_).

    Parameters
    ----------
    parents : Parents
        The parents.
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
    return parents.first + step * (parents.second - parents.third)


def climb(parents: Parents, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A step along the gradient of the quality in latent space.

    The gradient is that of a Gaussian process regression of the quality of the population. For each proposal, it sums
    over a random half of the population with random weights, similar to a Bayesian bootstrap, so that children of the
    same parent differ.

    Parameters
    ----------
    parents : Parents
        The parents.
    step : ndarray of shape (n, 1)
        Step sizes, in units of the median distance within the population.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n, D)
        New latent vectors.
    """
    x, first = parents.population, parents.first
    squared = _squared_distances(x, x)
    median = float(np.median(squared[squared > _MIN_SQUARED])) if (squared > _MIN_SQUARED).any() else 1.0
    kernel = np.exp(-squared / median) + _CLIMB_NOISE * np.eye(len(x))
    weights = np.linalg.solve(kernel, parents.quality - parents.quality.mean())
    pull = np.exp(-_squared_distances(first, x) / median) * weights
    pull *= rng.exponential(size=pull.shape) * (rng.random(pull.shape) < 0.5)
    gradient = pull @ x - pull.sum(axis=1, keepdims=True) * first
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return np.asarray(first + step * np.sqrt(median) * gradient / np.maximum(length, 1e-12))


def strong_noise(n: int, step: float | np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise levels of 0.15 to 0.6 times a step factor, for proposals that keep the latent vector of a parent.

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


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances (n, m)."""
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0.0)


MOVES: dict[str, Move] = {
    "noise": Move(0.22, (0.08, 0.7), keep, is_noise=True),
    "step_in_few": Move(0.17, (0.3, 5.0), step_in_few),
    "swap": Move(0.17, (0.05, 0.9), swap, has_mate=True),
    "step_in_all": Move(0.13, (0.15, 2.0), step_in_all),
    "climb": Move(0.13, (0.1, 2.0), climb),
    "cross": Move(0.09, (0.08, 0.95), cross, has_mate=True),
    "difference": Move(0.06, (0.15, 2.0), add_difference, has_mate=True),
    "prior": Move(0.03, (1.0, 1.0), None),
}
"""The moves by name. `noise` decodes a parent with noise; `prior` draws from the prior."""
