"""What is done to a molecule before the encoder reads it."""

from typing import Protocol

import torch
from torch import Generator, Tensor

from molvae.autoencoder.trace import Batch, Corrupted
from molvae.feature_spec import END, MASK, PAD


class Corruption(Protocol):
    """Damages the encoder's view, never what is rebuilt."""

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view that the encoder reads, and where reconstruction counts."""
        ...


def _view(batch: Batch) -> Tensor:
    return batch.x if batch.view is None else batch.view


def keep(batch: Batch, generator: Generator | None) -> Corrupted:
    """The molecule as it is; every place counts but PAD."""
    return Corrupted(_view(batch), batch.x != PAD)


class MaskTokens:
    """Each token hidden behind MASK with probability `rate`, drawn per token; END is never hidden."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, batch: Batch, generator: Generator | None) -> Corrupted:
        """The view with tokens hidden; every place counts but PAD."""
        view = _view(batch)
        drawn = torch.rand(view.shape, generator=generator, device=view.device) < self.rate
        hidden = drawn & (view != PAD) & (view != END)
        return Corrupted(view.masked_fill(hidden, MASK), batch.x != PAD)
