"""Terms of the loss other than the reconstruction: one number per molecule, (B,), unweighted, in nats."""

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
"""Maps the model and the trace of a batch to one number per molecule, (B,)."""


def kl_to_standard_normal(latent: Latent) -> Tensor:
    """Kullback-Leibler divergence of N(z, exp(logvar)) from N(0, 1), per dimension.

    Parameters
    ----------
    latent : Latent
        Latent vectors of a Gaussian bottleneck.

    Returns
    -------
    Tensor of shape (B, D)
        Nats.

    Raises
    ------
    ValueError
        The bottleneck has no variance.

    References
    ----------
    .. [1] Kingma and Welling 2014, arXiv 1312.6114, appendix B.
    """
    if latent.logvar is None:
        raise ValueError("the KL divergence needs a gaussian bottleneck")
    return 0.5 * (latent.z.square() + latent.logvar.exp() - 1 - latent.logvar)


class Kl:
    """KL divergence from the standard normal distribution, summed over dimensions.

    Parameters
    ----------
    free_nats : float, default=0
        Minimum cost of a dimension ("free bits"): a dimension that collapses to the prior gains nothing [1]_.

    References
    ----------
    .. [1] Kingma et al. 2016, arXiv 1606.04934.
    """

    def __init__(self, free_nats: float = 0.0) -> None:
        self.free_nats = free_nats

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,)."""
        return kl_to_standard_normal(trace.latent).clamp(min=self.free_nats).sum(1)


def l1(model: "Autoencoder", trace: Trace) -> Tensor:
    """L1 norm of the latent vectors.

    Parameters
    ----------
    model : Autoencoder
        Not used.
    trace : Trace
        The forward pass.

    Returns
    -------
    Tensor of shape (B,)
        The term.
    """
    return trace.latent.z.abs().sum(1)


class KlToRate:
    """KL(target rate || mean activity over the batch) of Bernoulli distributions, summed over units.

    Parameters
    ----------
    rate : float
        Target activity of a unit, in (0, 1).

    References
    ----------
    .. [1] Ng 2011, CS294A lecture notes, Sparse autoencoder.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,), the same for every molecule of the batch."""
        mean = trace.latent.z.mean(0).clamp(1e-6, 1 - 1e-6)
        rate = torch.full_like(mean, self.rate)
        divergence = rate * (rate / mean).log() + (1 - rate) * ((1 - rate) / (1 - mean)).log()
        return divergence.sum().expand(len(trace.latent.z))


class Contraction:
    """Squared Frobenius norm of the Jacobian of the latent vector with respect to the embedding [1]_.

    Estimated in random directions [2]_, by a forward difference, because fused kernels have no second derivative. Step
    and norm are relative to the size of the embedding, so that scaling the embedding does not lower the term.

    Parameters
    ----------
    step : float, default=0.01
        Step of the forward difference, relative to the root mean square of the embedding.
    n_directions : int, default=1
        Number of random directions per molecule.

    References
    ----------
    .. [1] Rifai et al. 2011, Contractive auto-encoders, ICML.
    .. [2] Hutchinson 1990, doi:10.1080/03610919008812866.
    """

    def __init__(self, step: float = 1e-2, n_directions: int = 1) -> None:
        self.step, self.n_directions = step, n_directions

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,)."""
        view = trace.corrupted.view
        embedded = model.encoder.embed(view)
        size = embedded.detach().float().square().mean().sqrt().clamp(min=1e-8)
        z = model.bottleneck.encode(model.encoder.read(embedded, view))
        total = torch.zeros(len(z), device=z.device)
        for _ in range(self.n_directions):
            direction = torch.randn(embedded.shape, generator=trace.generator, device=embedded.device)
            moved = model.bottleneck.encode(model.encoder.read(embedded + self.step * size * direction, view))
            total = total + ((moved - z) / self.step).square().sum(1)
        return total / self.n_directions


class Similarity:
    """Divergence of the neighbors of a molecule in latent space from its neighbors by fingerprint.

    Each molecule of the batch has two distributions over the others: a softmax of Tanimoto similarities, sharp enough
    that only the nearest few count, and a softmax of cosine similarities of latent vectors. The term is the divergence
    KL(fingerprints || latent vectors), as in stochastic neighbor embedding [1]_. Molecules without a fingerprint are
    left out. Data-parallel processes compare molecules within their part of the batch only, so that many processes
    weaken the term.

    Parameters
    ----------
    sharpness : float, default=20
        Factor of the Tanimoto similarities.
    latent_sharpness : float, default=10
        Factor of the cosine similarities.

    References
    ----------
    .. [1] Hinton and Roweis 2002, Stochastic neighbor embedding, NeurIPS.
    """

    def __init__(self, sharpness: float = 20.0, latent_sharpness: float = 10.0) -> None:
        self.sharpness, self.latent_sharpness = sharpness, latent_sharpness

    def __call__(self, model: "Autoencoder", trace: Trace) -> Tensor:
        """The term (B,)."""
        bits, z = trace.batch.bits, trace.latent.z
        if bits is None:
            return z.new_zeros(len(z))
        with torch.autocast(z.device.type, enabled=False):
            shared, n = bits @ bits.t(), bits.sum(1)
            tanimoto = shared / (n[:, None] + n - shared).clamp(min=1.0)
            direction = normalize(z.float(), dim=1)
            cosine = direction @ direction.t()
        has_none = n == 0
        left_out = torch.eye(len(z), dtype=torch.bool, device=z.device) | has_none
        lowest = -1e4  # finite, because a row of -inf would become NaN
        by_bits = (self.sharpness * tanimoto).masked_fill(left_out, lowest).log_softmax(1)
        by_z = (self.latent_sharpness * cosine).masked_fill(left_out, lowest).log_softmax(1)
        return (by_bits.exp() * (by_bits - by_z)).sum(1).masked_fill(has_none, 0.0)


class PropertyHead(nn.Module):
    """Predicts properties linearly from the decoder's input, so that each property becomes a latent direction.

    The term is half the squared error of the standardized properties, summed: the negative log-likelihood of a normal
    distribution of variance 1, without the constant. Missing labels are left out.

    Parameters
    ----------
    n_latent : int
        Latent dimensions D.
    n_properties : int
        Number of properties P.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_latent: int, n_properties: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_latent, n_properties)
        self.register_buffer("mean", torch.zeros(n_properties))
        self.register_buffer("scale", torch.ones(n_properties))

    def standardize_by(self, labels: Tensor) -> None:
        """Set mean and standard deviation from labels.

        Parameters
        ----------
        labels : Tensor of shape (n, P)
            Properties of training molecules; NaN where one is missing.
        """
        present = ~labels.isnan()
        n = present.sum(0).clamp(min=1)
        self.mean.copy_(labels.nansum(0) / n)
        deviation = torch.where(present, labels - self.mean, 0.0)
        self.scale.copy_((deviation.square().sum(0) / n).sqrt().clamp(min=1e-6))

    def forward(self, z: Tensor) -> Tensor:
        """Properties (B, P) in their units, predicted from latent vectors (B, D)."""
        values: Tensor = self.linear(z).float() * self.scale + self.mean
        return values

    def nats(self, latent: Latent, y: Tensor | None) -> Tensor:
        """The loss of the predicted properties.

        Parameters
        ----------
        latent : Latent
            Latent vectors of a batch.
        y : Tensor of shape (B, P), optional
            Labels; NaN where one is missing. None counts as no labels.

        Returns
        -------
        Tensor of shape (B,)
            The term, in nats per molecule.
        """
        if y is None:
            return latent.z.new_zeros(len(latent.z))
        error = (self(latent.sample) - y) / self.scale
        return 0.5 * error.masked_fill(y.isnan(), 0.0).square().sum(1)


def noised(z: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Latent vectors mixed with standard normal noise, on the variance-preserving cosine path [1]_.

    Parameters
    ----------
    z : Tensor of shape (B, D)
        Latent vectors.
    level : Tensor of shape (B,)
        Noise levels in [0, 1]: 0 leaves a latent vector unchanged, 1 replaces it by noise.
    generator : Generator or None
        Source of the noise.

    Returns
    -------
    Tensor of shape (B, D)
        Latent vectors with noise.

    References
    ----------
    .. [1] Nichol and Dhariwal 2021, arXiv 2102.09672.
    """
    angle = level[:, None] * (math.pi / 2)
    noise = torch.randn(z.shape, generator=generator, device=z.device)
    return angle.cos() * z + angle.sin() * noise
