"""What is asked of the points besides that molecules come back; each answer is (B,), unweighted, in nats."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from molvae.autoencoder.trace import Latent, Trace

if TYPE_CHECKING:
    from molvae.autoencoder.model import Autoencoder

Regularizer = Callable[["Autoencoder", Trace], Tensor]
"""From the model and what it made of a batch to one number a molecule."""


def kl_to_standard_normal(latent: Latent) -> Tensor:
    """Kullback-Leibler divergence (B, D) of each dimension's N(code, exp(logvar)) from N(0, 1), in nats.

    Source: Kingma and Welling 2014, arXiv 1312.6114, appendix B.
    """
    if latent.logvar is None:
        raise ValueError("a KL divergence needs a gaussian bottleneck")
    return 0.5 * (latent.z.square() + latent.logvar.exp() - 1 - latent.logvar)


class Kl:
    """The divergence from the standard normal, summed over dimensions: how much a point says of its molecule, at most.

    free_nats: a dimension costs at least so much, so that none gains by falling silent (Kingma et al. 2016,
        arXiv 1606.04934); 0 is the plain divergence.
    """

    def __init__(self, free_nats: float = 0.0) -> None:
        self.free_nats = free_nats

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,)."""
        return kl_to_standard_normal(trace.latent).clamp(min=self.free_nats).sum(1)


def l1(model: "Autoencoder", trace: Trace) -> Tensor:
    """The sum of a code's magnitudes: most of its numbers become small."""
    return trace.latent.z.abs().sum(1)


class KlToRate:
    """How far each unit's mean over the batch is from a target rate, for codes in (0, 1).

    Source: Ng 2011, CS294A lecture notes, Sparse autoencoder; Bernoulli divergence KL(rate || mean activity), summed.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term, the same for every molecule of the batch: (B,)."""
        mean = trace.latent.z.mean(0).clamp(1e-6, 1 - 1e-6)
        rate = torch.full_like(mean, self.rate)
        divergence = rate * (rate / mean).log() + (1 - rate) * ((1 - rate) / (1 - mean)).log()
        return divergence.sum().expand(len(trace.latent.z))


class Contraction:
    """The squared Frobenius norm of the Jacobian of code by embedding: how much a small change moves the code.

    Estimated by one random direction a molecule, as a forward difference, since fused kernels have no second
    derivative. The step is relative to the embedding's size, and so is the norm: a model cannot win by inflating it.

    Source: Rifai et al. 2011, contractive autoencoders; Hutchinson 1990 for the estimate.
    """

    def __init__(self, step: float = 1e-2, n_directions: int = 1) -> None:
        self.step, self.n_directions = step, n_directions

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,)."""
        view = trace.corrupted.view
        embedded = model.encoder.embed(view)
        size = embedded.detach().float().square().mean().sqrt().clamp(min=1e-8)
        code = model.bottleneck.encode(model.encoder.read(embedded, view))
        total = torch.zeros(len(code), device=code.device)
        for _ in range(self.n_directions):
            direction = torch.randn(embedded.shape, generator=trace.generator, device=embedded.device)
            moved = model.bottleneck.encode(model.encoder.read(embedded + self.step * size * direction, view))
            total = total + ((moved - code) / self.step).square().sum(1)
        return total / self.n_directions


class Similarity:
    """How badly a molecule's neighbours by their codes agree with its neighbours by their fingerprints.

    Each molecule of a batch that has a fingerprint spreads a probability over the others by Tanimoto similarity, so
    sharply that the nearest few count, and one by the cosine of the codes; the term is the divergence of the second
    from the first. A molecule without a fingerprint counts nothing. Data-parallel processes compare each within its
    share of a batch, so many of them weaken the term.

    Source: stochastic neighbour embedding, Hinton and Roweis 2002; over a batch, and with similarities for distances.
    """

    def __init__(self, sharpness: float = 20.0, code_sharpness: float = 10.0) -> None:
        self.sharpness, self.code_sharpness = sharpness, code_sharpness

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,), in nats."""
        bits, code = trace.batch.bits, trace.latent.z
        if bits is None:
            return code.new_zeros(len(code))
        with torch.autocast(code.device.type, enabled=False):
            shared, n = bits @ bits.t(), bits.sum(1)
            tanimoto = shared / (n[:, None] + n - shared).clamp(min=1.0)
            direction = normalize(code.float(), dim=1)
            cosine = direction @ direction.t()
        has_none = n == 0
        left_out = torch.eye(len(code), dtype=torch.bool, device=code.device) | has_none
        nearly = -1e4  # not infinite: a row of which all is left out would be NaN
        wanted = (self.sharpness * tanimoto).masked_fill(left_out, nearly).log_softmax(1)
        found = (self.code_sharpness * cosine).masked_fill(left_out, nearly).log_softmax(1)
        return (wanted.exp() * (wanted - found)).sum(1).masked_fill(has_none, 0.0)


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
            return latent.z.new_zeros(len(latent.z))
        error = (self(latent.sample) - y) / self.scale
        return 0.5 * error.masked_fill(y.isnan(), 0.0).square().sum(1)


def noised(z: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Points (B, D) mixed with standard normal noise at levels (B,) in [0, 1]: 0 leaves them, 1 keeps nothing.

    Source: the variance-preserving cosine path, Nichol and Dhariwal 2021, arXiv 2102.09672.
    """
    angle = level[:, None] * (math.pi / 2)
    noise = torch.randn(z.shape, generator=generator, device=z.device)
    return angle.cos() * z + angle.sin() * noise
