"""Geometry of latent space: interpolation, random steps, and the direction in which a property increases."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from molvae.errors import InputError

LatentPath = Literal["linear", "spherical"]

_MIN_ROWS = 5
_N_FOLDS = 5


def interpolate(
    a: np.ndarray, b: np.ndarray, steps: int, *, path: LatentPath = "linear", center: np.ndarray | None = None
) -> np.ndarray:
    """Interpolate between two latent vectors, evenly spaced, both ends included exactly.

    In many dimensions, a straight line between two latent vectors passes so close to the mean of the prior that few
    molecules are there. An arc does not: its angle and its distance from the center change evenly.

    Parameters
    ----------
    a, b : ndarray of shape (D,)
        The ends.
    steps : int
        Number of latent vectors, at least 2.
    path : {"linear", "spherical"}, default="linear"
        A straight line, or an arc about `center`.
    center : ndarray of shape (D,), optional
        Center of the arc, such as the mean of the prior; the origin by default. An end at the center has no direction,
        and takes that of the other end.

    Returns
    -------
    ndarray of shape (steps, D)
        Latent vectors from `a` to `b`.

    Raises
    ------
    InputError
        There are fewer than 2 steps, the ends are not finite vectors of the same size, the path is unknown, or the ends
        are exactly opposite about the center, so that there is no shortest arc.

    References
    ----------
    .. [1] Shoemake 1985, doi:10.1145/325334.325242, section 3.3.

    Examples
    --------
    >>> interpolate(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 3, path="spherical").round(3).tolist()
    [[1.0, 0.0], [0.707, 0.707], [0.0, 1.0]]
    """
    a, b = _vector(a, "a"), _vector(b, "b")
    c = np.zeros(len(a)) if center is None else _vector(center, "center")
    if not len(a) == len(b) == len(c):
        raise InputError(
            f"interpolate: expected latent vectors of the same size, got {len(a)}, {len(b)} and center {len(c)}"
        )
    if steps < 2:
        raise InputError(f"steps: expected at least 2, including both ends, got {steps}")
    if path not in ("linear", "spherical"):
        raise InputError(f"path: expected 'linear' or 'spherical', got {path!r}")
    t = np.linspace(0, 1, steps)[:, None]  # (steps, 1)
    z = (1 - t) * a + t * b if path == "linear" else c + _arc(a - c, b - c, t)
    z = z.astype(np.result_type(a, b, np.float32))
    z[0], z[-1] = a, b  # no rounding at the ends
    return z


def step_around(z: np.ndarray, radius: float, n: int, random: np.random.Generator, factor: np.ndarray) -> np.ndarray:
    """Step from a latent vector in random directions.

    Each step is ``radius * factor @ u``, where u is standard normal, scaled to a root mean square of exactly 1.

    Parameters
    ----------
    z : ndarray of shape (D,)
        The latent vector.
    radius : float
        Root mean square step, in standard deviations of the prior; 0 returns `z` itself.
    n : int
        Number of steps.
    random : numpy.random.Generator
        Draws the directions.
    factor : ndarray of shape (D, D)
        Factor of the covariance of the prior, ``factor @ factor.T``, such as `GaussianPrior.factor`.

    Returns
    -------
    ndarray of shape (n, D)
        Latent vectors, float32.

    Raises
    ------
    InputError
        `radius` is negative or NaN, `n` is negative, `z` is not finite, or `factor` is not of shape (D, D).
    """
    z = _vector(z, "z")
    if not (np.isfinite(radius) and radius >= 0):
        raise InputError(f"radius: expected a number of at least 0, got {radius}")
    if n < 0:
        raise InputError(f"n: expected at least 0, got {n}")
    if np.shape(factor) != (len(z), len(z)):
        raise InputError(f"factor: expected ({len(z)}, {len(z)}), got {np.shape(factor)}")
    u = random.standard_normal((n, len(z)))
    u *= np.sqrt(len(z)) / np.linalg.norm(u, axis=1, keepdims=True)
    return (z + radius * u @ np.asarray(factor, np.float64).T).astype(np.float32)


@dataclass(frozen=True)
class Direction:
    """The direction in which a value increases fastest, by a linear fit.

    Parameters
    ----------
    vector : ndarray of shape (D,)
        The direction, float32, of length 1.
    slope : float
        Fitted increase of the value per unit of Euclidean distance.
    r2 : float
        Coefficient of determination on held-out molecules; below 0 the fit is worse than the mean.
    n : int
        Number of molecules in the fit.
    scale : float
        Standard deviation of the molecules along the direction.
    n_skipped : int, default=0
        Number of molecules whose value or latent vector is not finite.
    """

    vector: np.ndarray
    slope: float
    r2: float
    n: int
    scale: float
    n_skipped: int = 0


def attribute_direction(z: np.ndarray, values: np.ndarray, *, ridge: float = 1.0, seed: int = 0) -> Direction:
    """Fit the direction in which a value increases fastest, by ridge regression on latent vectors.

    Parameters
    ----------
    z : ndarray of shape (n, D)
        Latent vectors; rows with NaN or infinity are skipped and counted.
    values : ndarray of shape (n,)
        Values; NaN and infinity are skipped and counted.
    ridge : float, default=1.0
        Penalty, in molecules: it acts like this number of additional molecules per dimension, all with the mean value.
    seed : int, default=0
        Seed of the five folds on which `r2` is measured (leave-one-out for fewer than ten molecules).

    Returns
    -------
    Direction
        The direction and the quality of the fit.

    Raises
    ------
    InputError
        Fewer than 5 molecules are left, all values or all latent vectors are equal, the shapes do not match, or `ridge`
        is negative or NaN.
    """
    z, values = np.asarray(z, np.float64), np.asarray(values, np.float64)
    if z.ndim != 2 or values.shape != z.shape[:1]:
        raise InputError(f"attribute_direction: expected z (n, D) and values (n,), got {z.shape} and {values.shape}")
    if not (np.isfinite(ridge) and ridge >= 0):
        raise InputError(f"ridge: expected a number of at least 0, got {ridge}")
    usable = np.isfinite(values) & np.isfinite(z).all(1)
    n = int(usable.sum())
    if n < _MIN_ROWS:
        raise InputError(f"a direction needs at least {_MIN_ROWS} molecules with a value, got {n} of {len(z)}")
    z, values = z[usable], values[usable]
    if np.ptp(values) <= 1e-9 * np.abs(values).max():
        raise InputError(f"all {n} values are {values[0]:g}; a direction needs values that differ")
    gradient = _ridge(z, values, ridge)
    slope = float(np.linalg.norm(gradient))
    if not slope > 0:
        raise InputError(
            f"the values do not depend on the latent vectors of the {n} molecules; there is no direction to fit"
        )
    vector = gradient / slope
    r2 = _held_out_r2(z, values, ridge, seed)
    return Direction(vector.astype(np.float32), slope, r2, n, float((z @ vector).std()), len(usable) - n)


def random_direction(n_latent: int, random: np.random.Generator, *, like: np.ndarray | None = None) -> np.ndarray:
    """Draw a random direction, as a control for a fitted one.

    Parameters
    ----------
    n_latent : int
        Number of latent dimensions, D.
    random : numpy.random.Generator
        Draws the direction.
    like : ndarray of shape (n, D), optional
        Latent vectors. The direction is drawn from a normal distribution with their covariance, so that it follows the
        variation among molecules; by default all directions are equally probable.

    Returns
    -------
    ndarray of shape (D,)
        The direction, float32, of length 1.

    Raises
    ------
    InputError
        `like` is not of shape (n, D) or not finite, or all its rows are equal.
    """
    if like is None:
        vector = random.standard_normal(n_latent)
    else:
        like = np.asarray(like, np.float64)
        if like.ndim != 2 or like.shape[1] != n_latent or not np.isfinite(like).all():
            raise InputError(f"like: expected finite latent vectors (n, {n_latent}), got {like.shape}")
        vector = random.standard_normal(len(like)) @ (like - like.mean(0) if len(like) else like)
    length = np.linalg.norm(vector)
    if not length > 0:
        raise InputError("like: expected latent vectors that differ, got equal ones")
    return (vector / length).astype(np.float32)


def _vector(z: np.ndarray, name: str) -> np.ndarray:
    z = np.asarray(z)
    if z.ndim != 1 or not len(z) or not np.isfinite(z).all():
        raise InputError(f"{name}: expected one latent vector (D,) of finite numbers, got {z.shape}")
    return z


def _arc(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation of the direction and linear interpolation of the length, at t (steps, 1)."""
    radius_a, radius_b = np.linalg.norm(a), np.linalg.norm(b)
    if radius_a == 0 or radius_b == 0:
        return (1 - t) * a + t * b
    a, b = a / radius_a, b / radius_b
    half_sum, half_difference = np.linalg.norm(a + b), np.linalg.norm(a - b)
    angle = 2 * np.arctan2(half_difference, half_sum)  # exact near 0 and near pi, where arccos is not
    if half_sum < 1e-7:
        raise InputError("the ends are exactly opposite about the center; there is no shortest arc; use path='linear'")
    if half_difference < 1e-7:
        return ((1 - t) * radius_a + t * radius_b) * a
    direction = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return ((1 - t) * radius_a + t * radius_b) * direction


def _ridge(z: np.ndarray, values: np.ndarray, ridge: float) -> np.ndarray:
    """The gradient (D,) of the fitted value."""
    centered = z - z.mean(0)
    gram = centered.T @ centered
    penalty = ridge * np.trace(gram) / gram.shape[0] / len(z) * np.eye(len(gram))
    return np.linalg.lstsq(gram + penalty, centered.T @ (values - values.mean()), rcond=None)[0]


def _held_out_r2(z: np.ndarray, values: np.ndarray, ridge: float, seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(z))
    errors = np.empty(len(z))
    for fold in np.array_split(order, _N_FOLDS if len(z) >= 2 * _N_FOLDS else len(z)):
        rest = np.setdiff1d(order, fold)
        gradient = _ridge(z[rest], values[rest], ridge)
        errors[fold] = values[fold] - values[rest].mean() - (z[fold] - z[rest].mean(0)) @ gradient
    return float(1 - (errors**2).sum() / ((values - values.mean()) ** 2).sum())
