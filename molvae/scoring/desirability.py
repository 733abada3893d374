"""From a property in its own unit to a desirability in [0, 1], the first half of every score.

Source: G. Derringer, R. Suich, Journal of Quality Technology 12 (1980) 214-219, doi:10.1080/00224065.1980.11980968
(one-sided: equation 3; two-sided: equation 4, here with a plateau in place of the single target).
"""

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
    """Desirabilities in [0, 1], of the shape of `value`; a value of NaN stays NaN.

    "higher": 0 up to `low`, rising to 1 at `high`.
    "lower": 1 up to `low`, falling to 0 at `high`.
    "window": 1 from `low` to `high`, falling to 0 over the distance `soft` on either side (0: at once).
    power: exponent of the rising and falling parts; above 1 only nearly ideal values count, below 1 any progress does.
    scale: "log" measures every distance in decades (`soft` too), for values such as an IC50; a value that is not
    above zero has no logarithm and becomes NaN.

    Raises:
        InputError: `shape` or `scale` is unknown, `low` lies above `high`, `soft` is negative, `power` is not above
            zero, a bound is not finite, or not above zero on the log scale.

    Example:
        >>> desirability([0.5, 1, 2.2, 3.5], "window", low=1, high=3, soft=1).round(2).tolist()
        [0.5, 1.0, 1.0, 0.5]
    """
    _check(shape, low, high, soft, power, scale)
    x = np.asarray(value, dtype=float)
    if scale == "log":
        x = np.log10(np.where(x > 0, x, np.nan))
        low, high = float(np.log10(low)), float(np.log10(high))
    if shape == "higher":
        inside = _rise(x, low, high)
    elif shape == "lower":
        inside = _rise(-x, -high, -low)
    else:
        inside = np.minimum(_rise(x, low - soft, low), _rise(-x, -high - soft, -high))
    return inside**power


def _rise(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 up to `start`, 1 from `end` on, straight between them; a step at `end` where they coincide."""
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
        raise InputError(f"low: expected at most high ({high:g}), got {low:g}; exchange the two")
    if soft < 0:
        raise InputError(f"soft: expected 0 or more, got {soft:g}")
    if power <= 0:
        raise InputError(f"power: expected a number above 0, got {power:g}")
    if scale == "log" and low <= 0:
        raise InputError(f"low: expected a number above 0 on the log scale, got {low:g}")
