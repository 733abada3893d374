"""Corruption of the encoder input."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from molvae.autoencoder.trace import Batch, Corrupted
from molvae.feature_spec import END, MASK, MASKED_ATOM, PAD

Corruption = Callable[[Batch, Generator | None], Corrupted]
"""Corrupts the encoder input, never the decoder output; returns it with the output positions that the loss counts."""


def keep(batch: Batch, generator: Generator | None) -> Corrupted:
    """The encoder input unchanged; the loss counts every position but PAD.

    Parameters
    ----------
    batch : Batch
        The molecules.
    generator : Generator or None
        Not used.

    Returns
    -------
    Corrupted
        Encoder input, and the positions that the loss counts.
    """
    return Corrupted(_view(batch), _present(batch.x))


class MaskTokens:
    """Masks each token with a given probability; END is never masked.

    Parameters
    ----------
    rate : float
        Probability that a token is masked, in [0, 1].
    is_hidden_scored : bool, default=False
        Whether the loss counts masked positions only, as in a masked language model.
    """

    def __init__(self, rate: float, is_hidden_scored: bool = False) -> None:
        self.rate, self.is_hidden_scored = rate, is_hidden_scored

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """Encoder input with masked tokens."""
        view = _view(batch)
        masked = _drawn(view, self.rate, generator) & (view != PAD) & (view != END)
        return Corrupted(view.masked_fill(masked, MASK), masked if self.is_hidden_scored else _present(batch.x))


class HideAtoms:
    """Masks each atom of a graph with a given probability; its bonds are kept.

    Parameters
    ----------
    rate : float
        Probability that an atom is masked, in [0, 1].
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """Encoder input with masked atoms."""
        view = _view(batch).clone()
        atoms = view[:, :, 0]
        masked = _drawn(atoms, self.rate, generator) & (atoms != PAD)
        view[:, :, 0] = atoms.masked_fill(masked, MASKED_ATOM)
        return Corrupted(view, _present(batch.x))


class HideNumbers:
    """Sets each number to a constant with a given probability.

    Parameters
    ----------
    rate : float
        Probability that a number is set to the constant, in [0, 1].
    value : float, default=0
        The constant.
    is_hidden_scored : bool, default=False
        Whether the loss counts only the numbers that were set to the constant.
    """

    def __init__(self, rate: float, value: float = 0.0, is_hidden_scored: bool = False) -> None:
        self.rate, self.value, self.is_hidden_scored = rate, value, is_hidden_scored

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """Encoder input with some numbers set to the constant."""
        view = _view(batch)
        masked = _drawn(view, self.rate, generator)
        scored = masked if self.is_hidden_scored else _present(batch.x)
        return Corrupted(view.masked_fill(masked, self.value), scored)


class FlipBits:
    """Flips each bit with a given probability.

    Parameters
    ----------
    rate : float
        Probability that a bit is flipped, in [0, 1].
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """Encoder input with flipped bits."""
        view = _view(batch)
        return Corrupted(torch.where(_drawn(view, self.rate, generator), 1 - view, view), _present(batch.x))


class AddNoise:
    """Adds Gaussian noise to each number.

    Parameters
    ----------
    scale : float
        Standard deviation of the noise.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """Encoder input with noise."""
        view = _view(batch)
        noise = torch.randn(view.shape, generator=generator, device=view.device)
        return Corrupted(view + self.scale * noise, _present(batch.x))


def _view(batch: Batch) -> Tensor:
    return batch.x if batch.view is None else batch.view


def _present(x: Tensor) -> Tensor:
    """Positions that hold a feature: all numbers, and all tokens but PAD."""
    return torch.ones_like(x, dtype=torch.bool) if x.is_floating_point() else x != PAD


def _drawn(view: Tensor, rate: float, generator: Generator | None) -> Tensor:
    return torch.rand(view.shape, generator=generator, device=view.device) < rate
