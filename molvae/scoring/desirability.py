"""Desirability functions: raw values to numbers in [0, 1]."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from molvae.errors import InputError

Shape = Literal["higher", "lower", "window"]
Scale = Literal["linear", "log"]


def desirability(
    value: ArrayLike,
    shape: Shape,
    low: float,
    high: float,
    soft: float = 0.0,
    power: float = 1.0,
    scale: Scale = "linear",
) -> np.ndarray:
    """Convert raw values to desirabilities in [0, 1].

    - "higher": 0 up to `low`, increasing to 1 at `high`.
    - "lower": 1 up to `low`, decreasing to 0 at `high`.
    - "window": 1 from `low` to `high`, decreasing to 0 over the distance `soft` on both sides.

    Parameters
    ----------
    value : array_like
        Raw values, of any shape.
    shape : {"higher", "lower", "window"}
        Form of the function.
    low : float
        Lower bound, in the unit of the value.
    high : float
        Upper bound, in the unit of the value; at least `low`.
    soft : float, default=0.0
        Width of the edges of a window; 0 is a step. Not used by the other shapes.
    power : float, default=1.0
        Exponent of the increasing and decreasing parts, above 0. Above 1, only values near the ideal score high;
        below 1, small improvements count more.
    scale : {"linear", "log"}, default="linear"
        "log" measures distances in powers of ten (`soft` too), for values such as an IC50.

    Returns
    -------
    ndarray
        Desirabilities in the shape of `value`. NaN for NaN, and on the log scale for values that are not positive.

    Raises
    ------
    InputError
        An argument is unknown, out of range or not finite, or `low` exceeds `high`.

    References
    ----------
    .. [1] Derringer and Suich 1980, doi:10.1080/00224065.1980.11980968, equation 3 (one-sided) and equation 4
       (two-sided, here with a plateau instead of a single target).

    Examples
    --------
    >>> desirability([0.5, 1, 2.2, 3.5], "window", low=1, high=3, soft=1).round(2).tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    _check(shape, low, high, soft, power, scale)
    x = np.asarray(value, dtype=float)
    if scale == "log":
        x = np.log10(np.where(x > 0, x, np.nan))
        low, high = float(np.log10(low)), float(np.log10(high))
    if shape == "higher":
        linear = _ramp(x, low, high)
    elif shape == "lower":
        linear = _ramp(-x, -high, -low)
    else:
        linear = np.minimum(_ramp(x, low - soft, low), _ramp(-x, -high - soft, -high))
    return linear**power


def _ramp(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 up to `start`, 1 from `end`, linear between; a step at `end` if they are equal."""
    if start == end:
        return np.where(np.isnan(x), np.nan, (x >= end).astype(float))
    return np.clip((x - start) / (end - start), 0.0, 1.0)


def _check(shape: str, low: float, high: float, soft: float, power: float, scale: str) -> None:
    if shape not in get_args(Shape):
        raise InputError(f"shape: expected one of {', '.join(get_args(Shape))}, got {shape!r}")
    if scale not in get_args(Scale):
        raise InputError(f"scale: expected one of {', '.join(get_args(Scale))}, got {scale!r}")
    if not np.isfinite([low, high, soft, power]).all():
        raise InputError(f"desirability: low, high, soft and power must be finite, got {low}, {high}, {soft}, {power}")
    if low > high:
        raise InputError(f"low: expected at most high ({high:g}), got {low:g}; swap the two")
    if soft < 0:
        raise InputError(f"soft: expected 0 or more, got {soft:g}")
    if power <= 0:
        raise InputError(f"power: expected a number above 0, got {power:g}")
    if scale == "log" and low <= 0:
        raise InputError(f"low: expected a number above 0 on the log scale, got {low:g}")
