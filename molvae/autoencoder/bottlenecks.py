"""Hidden vectors to latent vectors."""

import torch
from torch import Generator, Tensor, nn

from molvae.autoencoder.trace import Latent

_LOGVAR_RANGE = (-12.0, 4.0)  # keeps exp() finite while weights are still random


class LinearBottleneck(nn.Module):
    """The latent vector is a linear map of the hidden vector, without sampling.

    Parameters
    ----------
    n_in : int
        Length of a hidden vector.
    n_latent : int
        Latent dimensions D.
    """

    def __init__(self, n_in: int, n_latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_latent)
        self.n_latent = n_latent

    def encode(self, hidden: Tensor) -> Tensor:
        """Latent vectors (B, D) float32, deterministic, of hidden vectors (B, n_in)."""
        z: Tensor = self.linear(hidden).float()
        return z

    def forward(self, hidden: Tensor, generator: Generator | None) -> Latent:
        """Latent vectors (B, D) of hidden vectors (B, n_in); the decoder reads the same vectors."""
        z = self.encode(hidden)
        return Latent(z, z)


class RectifiedBottleneck(LinearBottleneck):
    """The positive part of a linear map: an inactive unit is exactly zero.

    Parameters
    ----------
    n_in : int
        Length of a hidden vector.
    n_latent : int
        Latent dimensions D.
    """

    def encode(self, hidden: Tensor) -> Tensor:
        """Latent vectors (B, D), nonnegative."""
        return super().encode(hidden).relu()


class SigmoidBottleneck(LinearBottleneck):
    """Units in (0, 1); the activity of a unit is its mean over molecules.

    Parameters
    ----------
    n_in : int
        Length of a hidden vector.
    n_latent : int
        Latent dimensions D.
    """

    def encode(self, hidden: Tensor) -> Tensor:
        """Latent vectors (B, D) in (0, 1)."""
        return super().encode(hidden).sigmoid()


class TopKBottleneck(LinearBottleneck):
    """Keeps the k units of largest magnitude and sets the others to zero: exactly k units are active per molecule.

    Parameters
    ----------
    n_in : int
        Length of a hidden vector.
    n_latent : int
        Latent dimensions D.
    k : int
        Number of active units.

    References
    ----------
    .. [1] Makhzani and Frey 2014, arXiv 1312.5663.
    """

    def __init__(self, n_in: int, n_latent: int, k: int) -> None:
        super().__init__(n_in, n_latent)
        self.k = k

    def encode(self, hidden: Tensor) -> Tensor:
        """Latent vectors (B, D) with k nonzero units."""
        z = super().encode(hidden)
        kept = z.abs().topk(self.k, dim=1).indices
        return z * torch.zeros_like(z).scatter(1, kept, 1.0)


class GaussianBottleneck(LinearBottleneck):
    """A normal distribution per molecule: its mean is the latent vector; in training, the decoder reads a sample.

    The sample is reparameterized [1]_.

    Parameters
    ----------
    n_in : int
        Length of a hidden vector.
    n_latent : int
        Latent dimensions D.

    References
    ----------
    .. [1] Kingma and Welling 2014, arXiv 1312.6114, equation 10.
    """

    def __init__(self, n_in: int, n_latent: int) -> None:
        super().__init__(n_in, n_latent)
        self.logvar = nn.Linear(n_in, n_latent)
        nn.init.constant_(self.logvar.bias, -4.0)  # starts as a nearly deterministic autoencoder

    def forward(self, hidden: Tensor, generator: Generator | None) -> Latent:
        """Means, samples and log variances (B, D) of hidden vectors (B, n_in)."""
        z = self.encode(hidden)
        logvar = self.logvar(hidden).float().clamp(*_LOGVAR_RANGE)
        noise = torch.randn(z.shape, generator=generator, device=z.device)
        return Latent(z, z + noise * torch.exp(0.5 * logvar), logvar)
