"""What is done to a molecule before the encoder reads it."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from molvae.autoencoder.trace import Batch, Corrupted
from molvae.feature_spec import END, HIDDEN_ATOM, MASK, PAD

Corruption = Callable[[Batch, Generator | None], Corrupted]
"""Damages the encoder's view, never what is rebuilt; answers the view, and where reconstruction counts."""


def keep(batch: Batch, generator: Generator | None) -> Corrupted:
    """The molecule as it is; every place counts but PAD."""
    return Corrupted(_view(batch), _present(batch.x))


class MaskTokens:
    """Each token hidden behind MASK with probability `rate`, drawn per token; END is never hidden.

    is_hidden_scored: only the hidden places count, as a masked model is trained.
    """

    def __init__(self, rate: float, is_hidden_scored: bool = False) -> None:
        self.rate, self.is_hidden_scored = rate, is_hidden_scored

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view with tokens hidden."""
        view = _view(batch)
        hidden = _drawn(view, self.rate, generator) & (view != PAD) & (view != END)
        return Corrupted(view.masked_fill(hidden, MASK), hidden if self.is_hidden_scored else _present(batch.x))


class HideAtoms:
    """Each atom of a graph hidden with probability `rate`; its bonds stay."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view with atoms hidden; every place of what is rebuilt counts."""
        view = _view(batch).clone()
        atoms = view[:, :, 0]
        hidden = _drawn(atoms, self.rate, generator) & (atoms != PAD)
        view[:, :, 0] = atoms.masked_fill(hidden, HIDDEN_ATOM)
        return Corrupted(view, _present(batch.x))


class HideNumbers:
    """Each number replaced by `value` with probability `rate`: zero noise, and what a masked model of numbers reads."""

    def __init__(self, rate: float, value: float = 0.0, is_hidden_scored: bool = False) -> None:
        self.rate, self.value, self.is_hidden_scored = rate, value, is_hidden_scored

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view with numbers hidden."""
        view = _view(batch)
        hidden = _drawn(view, self.rate, generator)
        scored = hidden if self.is_hidden_scored else _present(batch.x)
        return Corrupted(view.masked_fill(hidden, self.value), scored)


class FlipBits:
    """Each bit turned over with probability `rate`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view with bits flipped; every bit counts."""
        view = _view(batch)
        return Corrupted(torch.where(_drawn(view, self.rate, generator), 1 - view, view), _present(batch.x))


class AddNoise:
    """Normal noise of a standard deviation `scale` added to each number."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view with noise added; every number counts."""
        view = _view(batch)
        noise = torch.randn(view.shape, generator=generator, device=view.device)
        return Corrupted(view + self.scale * noise, _present(batch.x))


def _view(batch: Batch) -> Tensor:
    return batch.x if batch.view is None else batch.view


def _present(x: Tensor) -> Tensor:
    """Where x is rebuilt: every place of numbers, every token but PAD."""
    return torch.ones_like(x, dtype=torch.bool) if x.is_floating_point() else x != PAD


def _drawn(view: Tensor, rate: float, generator: Generator | None) -> Tensor:
    return torch.rand(view.shape, generator=generator, device=view.device) < rate
