"""The narrow place: hidden vectors to points."""

import torch
from torch import Generator, Tensor, nn

from molvae.autoencoder.trace import Latent

_LOGVAR_RANGE = (-12.0, 4.0)  # keeps exp() finite while weights are still random


class LinearBottleneck(nn.Module):
    """The code is a linear map of the hidden vector, and the decoder reads it as it is."""

    def __init__(self, n_in: int, n_latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_latent)
        self.n_latent = n_latent

    def encode(self, hidden: Tensor) -> Tensor:
        """Points (B, D), deterministic, of hidden vectors (B, n_in)."""
        code: Tensor = self.linear(hidden).float()
        return code

    def forward(self, hidden: Tensor, generator: Generator | None) -> Latent:
        """Points (B, D) of hidden vectors (B, n_in)."""
        code = self.encode(hidden)
        return Latent(code, code)


class RectifiedBottleneck(LinearBottleneck):
    """A unit that does not speak for a molecule is exactly zero: the positive part of a linear map."""

    def encode(self, hidden: Tensor) -> Tensor:
        """Points (B, D), no number below zero."""
        return super().encode(hidden).relu()


class SigmoidBottleneck(LinearBottleneck):
    """Units in (0, 1), whose mean over molecules is their activity."""

    def encode(self, hidden: Tensor) -> Tensor:
        """Points (B, D) in (0, 1)."""
        return super().encode(hidden).sigmoid()


class TopKBottleneck(LinearBottleneck):
    """The k units of largest magnitude pass, the others are zero: exactly k speak for each molecule.

    Source: Makhzani and Frey 2014, arXiv 1312.5663.
    """

    def __init__(self, n_in: int, n_latent: int, k: int) -> None:
        super().__init__(n_in, n_latent)
        self.k = k

    def encode(self, hidden: Tensor) -> Tensor:
        """Points (B, D) with at most k numbers that are not zero."""
        code = super().encode(hidden)
        kept = code.abs().topk(self.k, dim=1).indices
        return code * torch.zeros_like(code).scatter(1, kept, 1.0)


class GaussianBottleneck(LinearBottleneck):
    """A normal distribution a molecule: the code is its mean, the decoder reads a draw (reparameterized).

    Source: Kingma and Welling 2014, arXiv 1312.6114, equation 10.
    """

    def __init__(self, n_in: int, n_latent: int) -> None:
        super().__init__(n_in, n_latent)
        self.logvar = nn.Linear(n_in, n_latent)
        nn.init.constant_(self.logvar.bias, -4.0)  # starts as a nearly exact autoencoder

    def forward(self, hidden: Tensor, generator: Generator | None) -> Latent:
        """Points, and draws around them, (B, D) of hidden vectors (B, n_in)."""
        code = self.encode(hidden)
        logvar = self.logvar(hidden).float().clamp(*_LOGVAR_RANGE)
        noise = torch.randn(code.shape, generator=generator, device=code.device)
        return Latent(code, code + noise * torch.exp(0.5 * logvar), logvar)
