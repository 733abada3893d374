"""Draws that are drawn to a window of a property, where the property is a linear function of points.

Along the way of a flow (see flow.py) the point that x will end as is guessed, and with it the property; the guess is
the surer the less noise is left. The pull is the gradient of the log-probability that the property ends within its
window. At strength 1 and under a normal distribution this draws exactly from the molecules within the window; above it
the window counts more than the prior.

Source: Dhariwal and Nichol 2021, arXiv 2105.05233 (classifier guidance).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Pull = Callable[[Tensor, Tensor], Tensor]
"""The gradient (B, D) at guessed white points (B, D), at an angle (1,)."""

_LEAST = 1e-6


@dataclass(frozen=True)
class Window:
    """A range in which a property is wanted.

    direction (D,) and offset: the property at a point z is direction @ z + offset. error: the standard deviation of
    what that misses, in the property's unit. low, high: the range; -inf or inf where it is open.
    """

    direction: np.ndarray
    offset: float
    error: float
    low: float
    high: float


def pull_to(windows: Sequence[Window], mean: np.ndarray, factor: np.ndarray, strength: float) -> Pull:
    """The pull to all windows at once, for points in the white units of mean (D,) and factor (D, D)."""
    directions = np.stack([factor.T @ window.direction for window in windows])  # (P, D)
    offsets = np.array([window.direction @ mean + window.offset for window in windows])
    slope, offset = torch.from_numpy(directions).float(), torch.from_numpy(offsets).float()
    low, high = torch.tensor([window.low for window in windows]), torch.tensor([window.high for window in windows])
    variance = torch.tensor([window.error**2 for window in windows])

    def pull(guess: Tensor, angle: Tensor) -> Tensor:
        deviation = (variance + angle.sin().square() * slope.square().sum(1)).sqrt().clamp(min=_LEAST)  # (P,)
        value = guess @ slope.t() + offset  # (B, P)
        return strength * _gradient((low - value) / deviation, (high - value) / deviation) / deviation @ slope

    return pull


def _gradient(below: Tensor, above: Tensor) -> Tensor:
    """Derivative, by the value, of the log-probability that a standard normal number lies between two bounds (B, P).

    Far outside, where the probability itself is no number any more, it is the distance to the nearer bound.
    """
    inside = torch.special.ndtr(above) - torch.special.ndtr(below)
    slope = (_density(below) - _density(above)) / inside.clamp(min=_LEAST)
    far = torch.where(below > 0, below, torch.where(above < 0, above, torch.zeros_like(above)))
    return torch.where(inside > _LEAST, slope, far)


def _density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)
