"""Ways from one point to another: lines and arcs, steps at random, and the direction in which a property grows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from molvae.errors import InputError

LatentPath = Literal["linear", "spherical"]

_MIN_ROWS = 5
_N_FOLDS = 5


def interpolate(
    a: np.ndarray, b: np.ndarray, steps: int, path: LatentPath = "linear", centre: np.ndarray | None = None
) -> np.ndarray:
    """Points (steps, D) from a (D,) to b (D,), evenly spaced, both ends included exactly.

    linear: the straight line. Between two typical points of many dimensions it passes nearer to the middle of the
        space than molecules lie.
    spherical: the arc about `centre` (D,) (default: the origin; the prior's mean is a good choice). The direction turns
        at an even angle and the distance from the centre goes evenly from that of a to that of b. An end at the centre
        has no direction, and takes that of the other.

    Raises:
        InputError: fewer than 2 steps, ends that are not two finite points of one size, an unknown path, or two ends
            exactly opposite about the centre, between which no arc is the shortest.
    Source: Shoemake 1985, doi:10.1145/325334.325242, section 3.3.
    """
    a, b = _point(a, "a"), _point(b, "b")
    c = np.zeros(len(a)) if centre is None else _point(centre, "centre")
    if not len(a) == len(b) == len(c):
        raise InputError(f"interpolate: expected points of one size, got {len(a)}, {len(b)} and centre {len(c)}")
    if steps < 2:
        raise InputError(f"steps: expected at least 2, for both ends are included, got {steps}")
    if path not in ("linear", "spherical"):
        raise InputError(f"path: expected 'linear' or 'spherical', got {path!r}")
    t = np.linspace(0, 1, steps)[:, None]  # (steps, 1)
    points = (1 - t) * a + t * b if path == "linear" else c + _arc(a - c, b - c, t)
    points = points.astype(np.result_type(a, b, np.float32))
    points[0], points[-1] = a, b  # no rounding at the ends
    return points


def step_around(z: np.ndarray, radius: float, n: int, random: np.random.Generator, factor: np.ndarray) -> np.ndarray:
    """Points (n, D) float32 about z (D,), each `radius` away from it in a direction drawn at random.

    radius: root mean square step, in standard deviations of the training set's codes; 0 gives z itself, n times.
    factor: (D, D); factor @ factor.T is the covariance of those codes (GaussianPrior.factor). Each step is
        radius * factor @ u, where u is standard normal, scaled so that its root mean square is exactly 1.

    Raises:
        InputError: radius is negative or NaN, n is negative, z is not a finite point, or factor is not (D, D).
    """
    z = _point(z, "z")
    if not (np.isfinite(radius) and radius >= 0):
        raise InputError(f"radius: expected a number of at least 0, got {radius}")
    if n < 0:
        raise InputError(f"n: expected at least 0 points, got {n}")
    if np.shape(factor) != (len(z), len(z)):
        raise InputError(f"factor: expected ({len(z)}, {len(z)}), got {np.shape(factor)}")
    u = random.standard_normal((n, len(z)))
    u *= np.sqrt(len(z)) / np.linalg.norm(u, axis=1, keepdims=True)
    return (z + radius * u @ np.asarray(factor, np.float64).T).astype(np.float32)


@dataclass(frozen=True)
class Direction:
    """A direction in the space, and how fast a value grows along it, by a linear fit.

    vector: (D,) float32, of length 1; the way in which the fitted value grows fastest.
    slope: growth of the value per unit of Euclidean length along `vector`, by the fit.
    r2: share of the variance that the fit explains in molecules held out from it; below 0 it is worse than the mean.
    n: molecules it was fitted to; n_left_out: those whose value or point was not finite.
    scale: standard deviation of those molecules along `vector`: the Euclidean length of a usual step.
    """

    vector: np.ndarray
    slope: float
    r2: float
    n: int
    scale: float
    n_left_out: int = 0


def attribute_direction(z: np.ndarray, values: np.ndarray, ridge: float = 1.0, seed: int = 0) -> Direction:
    """The direction in which a value grows fastest, by ridge regression of values (n,) on points (n, D).

    NaN and infinite values, and points that hold any, are left out and counted.
    ridge: penalty, in molecules: as if so many more had been seen in each dimension without any effect.
    seed: of the five folds (all but one molecule where there are fewer than ten) on which r2 is measured.

    Raises:
        InputError: fewer than 5 molecules are left, all their values or all their points are equal (nothing to learn),
            z is not (n, D) with values (n,), or ridge is negative or NaN.
    """
    z, values = np.asarray(z, np.float64), np.asarray(values, np.float64)
    if z.ndim != 2 or values.shape != z.shape[:1]:
        raise InputError(f"attribute_direction: expected points (n, D) and values (n,), got {z.shape}, {values.shape}")
    if not (np.isfinite(ridge) and ridge >= 0):
        raise InputError(f"ridge: expected a number of at least 0, got {ridge}")
    usable = np.isfinite(values) & np.isfinite(z).all(1)
    n = int(usable.sum())
    if n < _MIN_ROWS:
        raise InputError(f"a direction needs at least {_MIN_ROWS} molecules with a value, got {n} of {len(z)}")
    z, values = z[usable], values[usable]
    if np.ptp(values) <= 1e-9 * np.abs(values).max():
        raise InputError(f"all {n} values are {values[0]:g}: there is nothing to learn a direction from")
    gradient = _ridge(z, values, ridge)
    slope = float(np.linalg.norm(gradient))
    if not slope > 0:
        raise InputError(f"the points of the {n} molecules say nothing about the values: no direction can be learnt")
    vector = gradient / slope
    r2 = _held_out_r2(z, values, ridge, seed)
    return Direction(vector.astype(np.float32), slope, r2, n, float((z @ vector).std()), len(usable) - n)


def random_direction(n_latent: int, random: np.random.Generator, like: np.ndarray | None = None) -> np.ndarray:
    """A vector (n_latent,) float32 of length 1, drawn at random: the control beside a direction that was learnt.

    like: points (n, n_latent); the vector is then drawn from a normal distribution of their covariance, so that it
        points along what varies among molecules; without it every direction is as probable.

    Raises:
        InputError: `like` is not (n, n_latent) and finite, or its points are all equal.
    """
    if like is None:
        vector = random.standard_normal(n_latent)
    else:
        like = np.asarray(like, np.float64)
        if like.ndim != 2 or like.shape[1] != n_latent or not np.isfinite(like).all():
            raise InputError(f"like: expected finite points (n, {n_latent}), got {like.shape}")
        vector = random.standard_normal(len(like)) @ (like - like.mean(0) if len(like) else like)
    length = np.linalg.norm(vector)
    if not length > 0:
        raise InputError("like: expected points that differ, got none that do")
    return (vector / length).astype(np.float32)


def _point(z: np.ndarray, name: str) -> np.ndarray:
    z = np.asarray(z)
    if z.ndim != 1 or not len(z) or not np.isfinite(z).all():
        raise InputError(f"{name}: expected one point (D,) of finite numbers, got {z.shape}")
    return z


def _arc(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Slerp of direction (D,) and, evenly, of length, at t (steps, 1)."""
    radius_a, radius_b = np.linalg.norm(a), np.linalg.norm(b)
    if radius_a == 0 or radius_b == 0:
        return (1 - t) * a + t * b
    a, b = a / radius_a, b / radius_b
    half_sum, half_difference = np.linalg.norm(a + b), np.linalg.norm(a - b)
    angle = 2 * np.arctan2(half_difference, half_sum)  # exact near 0 and near pi, where arccos is not
    if half_sum < 1e-7:
        raise InputError("the ends lie exactly opposite about the centre: no arc is the shortest; use path='linear'")
    if half_difference < 1e-7:
        return ((1 - t) * radius_a + t * radius_b) * a
    direction = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return ((1 - t) * radius_a + t * radius_b) * direction


def _ridge(z: np.ndarray, values: np.ndarray, ridge: float) -> np.ndarray:
    """The gradient (D,) of the fitted value."""
    centred = z - z.mean(0)
    gram = centred.T @ centred
    penalty = ridge * np.trace(gram) / gram.shape[0] / len(z) * np.eye(len(gram))
    return np.linalg.lstsq(gram + penalty, centred.T @ (values - values.mean()), rcond=None)[0]


def _held_out_r2(z: np.ndarray, values: np.ndarray, ridge: float, seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(z))
    errors = np.empty(len(z))
    for fold in np.array_split(order, _N_FOLDS if len(z) >= 2 * _N_FOLDS else len(z)):
        rest = np.setdiff1d(order, fold)
        gradient = _ridge(z[rest], values[rest], ridge)
        errors[fold] = values[fold] - values[rest].mean() - (z[fold] - z[rest].mean(0)) @ gradient
    return float(1 - (errors**2).sum() / ((values - values.mean()) ** 2).sum())
