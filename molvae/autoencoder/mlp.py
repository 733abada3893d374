"""Layers for rows of numbers: linear layers with a nonlinearity, for encoder and decoder."""

import itertools

from torch import nn


def mlp(widths: tuple[int, ...], ends_with_gelu: bool) -> nn.Sequential:
    """Linear layers with a GELU between them.

    Parameters
    ----------
    widths : tuple of int
        Width of the input and of each layer.
    ends_with_gelu : bool
        Whether a GELU follows the last layer.

    Returns
    -------
    nn.Sequential
        The layers.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.GELU()]
    return nn.Sequential(*layers if ends_with_gelu else layers[:-1])


def halving_widths(n_in: int, n_latent: int) -> tuple[int, ...]:
    """Default layer widths: the largest powers of two between the sizes of input and latent vector, at most three.

    Parameters
    ----------
    n_in : int
        Width of the input.
    n_latent : int
        Latent dimensions.

    Returns
    -------
    tuple of int
        Widths, widest first.

    Examples
    --------
    >>> halving_widths(784, 32), halving_widths(64, 2), halving_widths(8, 6)
    ((512, 256, 128), (32, 16, 8), ())
    """
    powers = [2**i for i in range(20, -1, -1)]
    return tuple(width for width in powers if n_latent < width < n_in)[:3]
