"""The property head: predictions from latent vectors, and the property windows of guidance."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from molvae.autoencoder.regularizers import PropertyHead
from molvae.errors import InputError
from molvae.latent.guidance import Window

PropertyWindows = Mapping[str, tuple[float | None, float | None]]
"""Property name -> (low, high); None leaves a side open."""


def predict(head: PropertyHead | None, z: np.ndarray) -> np.ndarray:
    """Predict properties from latent vectors.

    Parameters
    ----------
    head : PropertyHead or None
        The property head of the model; None if it was trained without labels.
    z : ndarray of shape (n, D)
        Latent vectors, float32.

    Returns
    -------
    ndarray of shape (n, P)
        Predictions in the units of the properties; no columns without a head.
    """
    values: np.ndarray = head(torch.from_numpy(z)).numpy() if head else np.empty((len(z), 0), np.float32)
    return values


def to_guidance_windows(
    head: PropertyHead | None,
    windows: PropertyWindows,
    *,
    names: Sequence[str],
    errors: Mapping[str, float],
) -> list[Window]:
    """Express property windows as windows of linear functions of the latent vector.

    Parameters
    ----------
    head : PropertyHead or None
        The property head of the model; None if it was trained without labels.
    windows : mapping of str to (float or None, float or None)
        Property name -> (low, high); None leaves a side open.
    names : sequence of str
        Names of the head's properties, in order.
    errors : mapping of str to float
        Root mean square error of each property; half its standard deviation where it is missing.

    Returns
    -------
    list of Window
        One per property window, in order.

    Raises
    ------
    InputError
        The head does not predict a property, or a window is empty.
    """
    found = []
    for name, (low, high) in windows.items():
        if head is None or name not in names:
            trained = (
                f"the property head was trained on: {', '.join(names)}"
                if head and names
                else "there is no property head"
            )
            raise InputError(f"windows: cannot guide on {name!r}; {trained}")
        below, above = -math.inf if low is None else float(low), math.inf if high is None else float(high)
        if not below < above:
            raise InputError(f"windows: {name}: expected low < high, got {low} and {high}")
        row, scale = names.index(name), float(head.scale[names.index(name)])
        direction = head.linear.weight[row].numpy() * scale
        offset = float(head.linear.bias[row]) * scale + float(head.mean[row])
        found.append(Window(direction, offset, errors.get(name, scale / 2), below, above))
    return found
