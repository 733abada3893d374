"""What is asked of the points besides that molecules come back; each answer is (B,), unweighted, in nats."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from molvae.autoencoder.trace import Latent, Trace

if TYPE_CHECKING:
    from molvae.autoencoder.model import Autoencoder

Regularizer = Callable[["Autoencoder", Trace], Tensor]


def kl_to_standard_normal(latent: Latent) -> Tensor:
    """Kullback-Leibler divergence (B, D) of each dimension's N(code, exp(logvar)) from N(0, 1), in nats.

    Source: Kingma and Welling 2014, arXiv 1312.6114, appendix B.
    """
    if latent.logvar is None:
        raise ValueError("a KL divergence needs a gaussian bottleneck")
    return 0.5 * (latent.code.square() + latent.logvar.exp() - 1 - latent.logvar)


def kl(model: "Autoencoder", trace: Trace) -> Tensor:
    """The divergence summed over dimensions: how much the point says about its molecule, at most."""
    return kl_to_standard_normal(trace.latent).sum(1)


class PropertyHead(nn.Module):
    """Properties as a linear function of the decoder's point: they become directions in the space.

    The answer is 0.5 * squared error of each standardized property, summed: a normal distribution's negative
    log-likelihood at unit variance, but for a constant. A missing label counts nothing.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_latent: int, n_properties: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_latent, n_properties)
        self.register_buffer("mean", torch.zeros(n_properties))
        self.register_buffer("scale", torch.ones(n_properties))

    def standardize_by(self, labels: Tensor) -> None:
        """Set the mean and the standard deviation from labels (n, P), NaN where there is none."""
        present = ~labels.isnan()
        n = present.sum(0).clamp(min=1)
        self.mean.copy_(labels.nansum(0) / n)
        deviation = torch.where(present, labels - self.mean, 0.0)
        self.scale.copy_((deviation.square().sum(0) / n).sqrt().clamp(min=1e-6))

    def forward(self, z: Tensor) -> Tensor:
        """Properties (B, P) in their own units, read off points (B, D)."""
        values: Tensor = self.linear(z).float() * self.scale + self.mean
        return values

    def nats(self, latent: Latent, y: Tensor | None) -> Tensor:
        """The term of a batch with labels y (B, P)."""
        if y is None:
            return latent.code.new_zeros(len(latent.code))
        error = (self(latent.sample) - y) / self.scale
        return 0.5 * torch.where(y.isnan(), 0.0, error).square().sum(1)


def noised(z: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Points (B, D) mixed with standard normal noise at levels (B,) in [0, 1]: 0 leaves them, 1 keeps nothing.

    Source: the variance-preserving cosine path, Nichol and Dhariwal 2021, arXiv 2102.09672.
    """
    angle = level[:, None] * (math.pi / 2)
    noise = torch.randn(z.shape, generator=generator, device=z.device)
    return angle.cos() * z + angle.sin() * noise
