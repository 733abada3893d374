"""Property-guided sampling, for properties that are linear functions of the latent vector.

At each step of a flow (see flow.py) the final latent vector is predicted, and with it the property; the less noise is
left, the more certain the prediction. The guidance is the gradient of the log-probability that the final property is
within its window. At strength 1, and for a normal prior, this samples exactly from the prior restricted to the window;
above 1, the window outweighs the prior.

Classifier guidance: Dhariwal and Nichol 2021, arXiv 2105.05233.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Gradient = Callable[[Tensor, Tensor], Tensor]
"""The gradient (B, D) at predicted whitened latent vectors (B, D), at an angle (1,)."""

_MIN = 1e-6


@dataclass(frozen=True)
class Window:
    """A window of a property that is predicted as ``direction @ z + offset``.

    Parameters
    ----------
    direction : ndarray of shape (D,)
        Gradient of the property.
    offset : float
        The property at the origin.
    error : float
        Standard deviation of the prediction error, in the unit of the property.
    low, high : float
        The window; -inf or inf leaves a side open.
    """

    direction: np.ndarray
    offset: float
    error: float
    low: float
    high: float


def guidance_gradient(windows: Sequence[Window], mean: np.ndarray, factor: np.ndarray, strength: float) -> Gradient:
    """The gradient that guides whitened latent vectors towards all windows.

    Parameters
    ----------
    windows : sequence of Window
        The property windows.
    mean : ndarray of shape (D,)
        Mean of the prior.
    factor : ndarray of shape (D, D)
        Factor of the covariance of the prior, ``factor @ factor.T``.
    strength : float
        Factor of the gradient; 0 is no guidance.

    Returns
    -------
    callable
        The gradient (B, D) at predicted whitened latent vectors (B, D) and an angle (1,).
    """
    directions = np.stack([factor.T @ window.direction for window in windows])  # (P, D)
    offsets = np.array([window.direction @ mean + window.offset for window in windows])
    slope, offset = torch.from_numpy(directions).float(), torch.from_numpy(offsets).float()
    low, high = torch.tensor([window.low for window in windows]), torch.tensor([window.high for window in windows])
    variance = torch.tensor([window.error**2 for window in windows])

    def gradient(predicted: Tensor, angle: Tensor) -> Tensor:
        deviation = (variance + angle.sin().square() * slope.square().sum(1)).sqrt().clamp(min=_MIN)  # (P,)
        value = predicted @ slope.t() + offset  # (B, P)
        return (
            strength
            * _log_probability_gradient((low - value) / deviation, (high - value) / deviation)
            / deviation
            @ slope
        )

    return gradient


def _log_probability_gradient(below: Tensor, above: Tensor) -> Tensor:
    """Derivative with respect to the mean of the log-probability that a normal variable is between two bounds (B, P).

    The variable has variance 1, and the bounds are relative to its mean. Far outside, where the probability underflows,
    it is the distance to the nearer bound.
    """
    inside = torch.special.ndtr(above) - torch.special.ndtr(below)
    slope = (_density(below) - _density(above)) / inside.clamp(min=_MIN)
    far = torch.where(below > 0, below, torch.where(above < 0, above, torch.zeros_like(above)))
    return torch.where(inside > _MIN, slope, far)


def _density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)
