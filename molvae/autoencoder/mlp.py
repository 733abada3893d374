"""Layers for rows of numbers, linear maps with a bend between them; what encoder and decoder of numbers share."""

import itertools

from torch import nn


def mlp(widths: tuple[int, ...], is_last_bent: bool) -> nn.Sequential:
    """Linear maps from each width to the next, a GELU after each, after the last only where asked."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.GELU()]
    return nn.Sequential(*layers if is_last_bent else layers[:-1])


def halving_widths(n_in: int, n_latent: int) -> tuple[int, ...]:
    """Default widths between input and code: the largest powers of two between the two, at most three.

    Example:
        >>> halving_widths(784, 32), halving_widths(64, 2), halving_widths(8, 6)
        ((512, 256, 128), (32, 16, 8), ())
    """
    powers = [2**i for i in range(20, -1, -1)]
    return tuple(width for width in powers if n_latent < width < n_in)[:3]
