"""Flow matching: a velocity field that transports normal noise to latent vectors.

The path is parametrized by an angle a in [0, pi/2]: x = cos(a) z + sin(a) noise, with the velocity
cos(a) noise - sin(a) z. The field is the mean velocity at x, so that noise at a = pi/2 becomes latent vectors at
a = 0. A noise-conditioned decoder is trained with noise along the same path, so the field needs to be accurate only
down to the noise level of the decoder. Latent vectors are whitened (mean 0, covariance 1): for a normal distribution
the velocity is 0 everywhere, and the network learns only the deviation from it.

Lipman et al. 2023, arXiv 2210.02747; Albergo and Vanden-Eijnden 2023, arXiv 2209.15571.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import silu

from molvae.devices import autocast, fastest_device
from molvae.latent.guidance import Gradient
from molvae.seeds import integer_seed
from molvae.settings import Settings

_ANGLES = 8  # multiples of the angle whose sine and cosine are features
_TIME = 64  # width of the embedding of the angle
_BATCH_SIZE = 4096


class FlowSettings(Settings):
    """Size and training of a flow.

    Parameters
    ----------
    hidden : int, default=512
        Width of the residual blocks.
    blocks : int, default=2
        Number of residual blocks.
    n_samples : int, default=10000000
        Number of latent vectors shown in training, with repetition.
    batch_size : int, default=2048
        Latent vectors per step.
    learning_rate : float, default=3e-3
        Highest learning rate.
    """

    hidden: int = Field(512, ge=8, le=4096)
    blocks: int = Field(2, ge=1, le=16)
    n_samples: int = Field(10_000_000, ge=1)
    batch_size: int = Field(2048, ge=1)
    learning_rate: float = Field(3e-3, gt=0)


class Velocity(nn.Module):
    """The velocity field: a residual network conditioned on the angle.

    Parameters
    ----------
    n_latent : int
        Number of latent dimensions, D.
    n_hidden : int
        Width of the residual blocks.
    n_blocks : int
        Number of residual blocks.
    """

    def __init__(self, n_latent: int, n_hidden: int, n_blocks: int) -> None:
        super().__init__()
        self.input = nn.Linear(n_latent, n_hidden)
        self.time = nn.Linear(2 * _ANGLES, _TIME)
        self.blocks = nn.ModuleList([_Block(n_hidden) for _ in range(n_blocks)])
        self.norm = nn.LayerNorm(n_hidden, elementwise_affine=False)
        self.output = nn.Linear(n_hidden, n_latent)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor, angle: Tensor) -> Tensor:
        """Compute velocities.

        Parameters
        ----------
        x : Tensor of shape (B, D)
            Whitened latent vectors.
        angle : Tensor of shape (B,) or (1,)
            Angles in [0, pi/2].

        Returns
        -------
        Tensor of shape (B, D)
            Velocities.
        """
        multiples = angle[:, None] * torch.arange(1, _ANGLES + 1, device=x.device)
        time = silu(self.time(torch.cat([multiples.sin(), multiples.cos()], dim=1)))
        hidden = self.input(x)
        for block in self.blocks:
            hidden = block(hidden, time)
        velocity: Tensor = self.output(self.norm(hidden)).float()
        return velocity

    def to_noise(self, white: np.ndarray, steps: int, n_probes: int) -> tuple[np.ndarray, np.ndarray]:
        """Transport whitened latent vectors back to noise.

        Parameters
        ----------
        white : ndarray of shape (n, D)
            Whitened latent vectors.
        steps : int
            Number of integration steps.
        n_probes : int
            Number of random directions in the estimate of the divergence.

        Returns
        -------
        noise : ndarray of shape (n, D)
            The noise.
        log_determinant : ndarray of shape (n,)
            Log-determinant of the transport, estimated.
        """
        angles = torch.linspace(0, math.pi / 2, steps + 1)
        noise, log_determinant = [], []
        for part in torch.from_numpy(white).split(_BATCH_SIZE):
            x, total = part, torch.zeros(len(part))
            draws = torch.Generator().manual_seed(0)
            for a, b in itertools.pairwise(angles):
                with torch.no_grad():
                    half = x + (b - a) / 2 * self(x, a[None])
                velocity, divergence = self._diverge(half, (a + b)[None] / 2, n_probes, draws)
                x, total = x + (b - a) * velocity, total + (b - a) * divergence
            noise.append(x.numpy())
            log_determinant.append(total.double().numpy())
        return np.concatenate(noise), np.concatenate(log_determinant)

    def _diverge(self, x: Tensor, angle: Tensor, n_probes: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """The velocity (B, D) and an estimate of its divergence (B,)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            velocity = self(x, angle)
            divergence = torch.zeros(len(x))
            for _ in range(n_probes):
                sign = torch.randint(0, 2, (1, x.shape[1]), generator=draws) * 2.0 - 1.0
                (gradient,) = torch.autograd.grad(velocity, x, sign.expand_as(x), retain_graph=True)
                divergence = divergence + (gradient * sign).sum(1) / n_probes
        return velocity.detach(), divergence.detach()

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights to store, in half precision.

        Returns
        -------
        dict of str to ndarray
            Name -> array.
        """
        return {name: value.half().numpy() for name, value in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored field.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Velocity
            The field.
        """
        n_hidden, n_latent = arrays["input.weight"].shape
        n_blocks = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("blocks."))
        field = cls(n_latent, n_hidden, n_blocks)
        field.load_state_dict({name: torch.from_numpy(np.array(array)).float() for name, array in arrays.items()})
        return field.requires_grad_(False)


@torch.no_grad()
def from_noise(
    noise: np.ndarray, steps: int, *, velocity: Velocity | None = None, gradient: Gradient | None = None
) -> np.ndarray:
    """Transport noise to whitened latent vectors, by the midpoint rule.

    Parameters
    ----------
    noise : ndarray of shape (n, D)
        Standard normal noise.
    steps : int
        Number of integration steps.
    velocity : Velocity, optional
        The field; by default that of the normal distribution, 0 everywhere.
    gradient : callable, optional
        Guidance, from `guidance_gradient`.

    Returns
    -------
    ndarray of shape (n, D)
        Whitened latent vectors.
    """

    def derivative(x: Tensor, angle: Tensor) -> Tensor:
        unguided = torch.zeros_like(x) if velocity is None else velocity(x, angle)
        if gradient is None:
            return unguided
        predicted = angle.cos() * x - angle.sin() * unguided
        return unguided - angle.sin() * gradient(predicted, angle)

    parts = []
    angles = torch.linspace(math.pi / 2, 0, steps + 1)
    with autocast(angles.device):
        for part in torch.from_numpy(noise).split(_BATCH_SIZE):
            x = part
            for a, b in itertools.pairwise(angles):
                half = x + (b - a) / 2 * derivative(x, a[None])
                x = x + (b - a) * derivative(half, (a + b)[None] / 2)
            parts.append(x.float())
    return torch.cat(parts).numpy()


class _Block(nn.Module):
    """A residual block, scaled and shifted by the embedding of the angle (Perez et al. 2018, arXiv 1709.07871)."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_hidden, elementwise_affine=False)
        self.inner = nn.Linear(n_hidden, n_hidden)
        self.time = nn.Linear(_TIME, 2 * n_hidden)
        self.outer = nn.Linear(n_hidden, n_hidden)
        for layer in (self.time, self.outer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        """The next hidden vectors (B, H)."""
        scale, shift = self.time(time).chunk(2, dim=1)
        updated: Tensor = hidden + self.outer(silu(self.inner(self.norm(hidden) * (1 + scale) + shift)))
        return updated


def fit_velocity(white: np.ndarray, settings: FlowSettings, *, seed: int = 0) -> Velocity:
    """Train a velocity field by flow matching, on a GPU if there is one.

    Parameters
    ----------
    white : ndarray of shape (n, D)
        Whitened latent vectors, float32.
    settings : FlowSettings
        Size and training.
    seed : int, default=0
        Seed of the weights and of the training.

    Returns
    -------
    Velocity
        The trained field, on the CPU.
    """
    device = fastest_device()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(seed, "flow weights"))
        field = Velocity(white.shape[1], settings.hidden, settings.blocks).to(device)
    draws = torch.Generator(device).manual_seed(integer_seed(seed, "flow"))
    data = torch.from_numpy(white).to(device)
    optimizer = torch.optim.AdamW(field.parameters(), weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    n_steps = -(-settings.n_samples // settings.batch_size)
    order, start = torch.randperm(len(data), generator=draws, device=device), 0
    for step in range(n_steps):
        if start >= len(order):
            order, start = torch.randperm(len(data), generator=draws, device=device), 0
        z = data[order[start : start + settings.batch_size]]
        start += settings.batch_size
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _learning_rate_factor(step / n_steps)
        angle = torch.rand(len(z), generator=draws, device=device) * (math.pi / 2)
        noise = torch.randn(z.shape, generator=draws, device=device)
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        with autocast(device):
            loss = (field(cos * z + sin * noise, angle) - (cos * noise - sin * z)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(field.parameters(), 1.0)
        optimizer.step()
    return field.cpu().requires_grad_(False)


def _learning_rate_factor(done: float) -> float:
    """Warm-up over the first hundredth, constant up to a third, then a cosine decay to zero."""
    if done < 1 / 3:
        return min(1.0, done * 100 + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - 1 / 3) * 1.5))
