"""A velocity field that carries normal noise to points, learnt by flow matching: the bend of a flow prior.

The way runs at an angle a in [0, pi/2]: x = cos(a) z + sin(a) noise, along which x moves with the velocity
cos(a) noise - sin(a) z. The field is the mean velocity at x, so the noise at a = pi/2 ends as points at a = 0. It is
the way along which a decoder that is told its noise was noised, so the field need only be right down to the level at
which the decoder takes over. Points are white (mean 0, covariance 1): of a normal distribution the velocity is 0
everywhere, and the field has only to learn what is not normal.

Source: Lipman et al. 2023, arXiv 2210.02747; Albergo and Vanden-Eijnden 2023, arXiv 2209.15571.
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
from molvae.latent.guidance import Pull
from molvae.seeds import integer_seed
from molvae.settings import Settings

_ANGLES = 8  # multiples of the angle whose sine and cosine are read
_TIME = 64
_BATCH = 4096


class FlowSettings(Settings):
    """A flow's size and its training.

    hidden, blocks: width and number of the residual blocks. n_points: points shown in all.
    """

    hidden: int = Field(512, ge=8, le=4096)
    blocks: int = Field(2, ge=1, le=16)
    n_points: int = Field(10_000_000, ge=1)
    batch_size: int = Field(2048, ge=1)
    learning_rate: float = Field(3e-3, gt=0)


class Velocity(nn.Module):
    """The field: a residual network of the point, told the angle."""

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
        """Velocities (B, D) at points (B, D), each at its angle (B,), or all at one (1,)."""
        multiples = angle[:, None] * torch.arange(1, _ANGLES + 1, device=x.device)
        time = silu(self.time(torch.cat([multiples.sin(), multiples.cos()], dim=1)))
        hidden = self.input(x)
        for block in self.blocks:
            hidden = block(hidden, time)
        velocity: Tensor = self.output(self.norm(hidden)).float()
        return velocity

    def to_noise(self, points: np.ndarray, steps: int, n_probes: int) -> tuple[np.ndarray, np.ndarray]:
        """The noise (n, D) that white points (n, D) come from, and the log (n,) of how much denser they lie there."""
        angles = torch.linspace(0, math.pi / 2, steps + 1)
        noise, shrinkage = [], []
        for part in torch.from_numpy(points).split(_BATCH):
            x, total = part, torch.zeros(len(part))
            draws = torch.Generator().manual_seed(0)
            for a, b in itertools.pairwise(angles):
                with torch.no_grad():
                    half = x + (b - a) / 2 * self(x, a[None])
                velocity, divergence = self._diverge(half, (a + b)[None] / 2, n_probes, draws)
                x, total = x + (b - a) * velocity, total + (b - a) * divergence
            noise.append(x.numpy())
            shrinkage.append(total.double().numpy())
        return np.concatenate(noise), np.concatenate(shrinkage)

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
        """The weights by name, in half precision."""
        return {name: value.half().numpy() for name, value in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The field that was saved."""
        n_hidden, n_latent = arrays["input.weight"].shape
        n_blocks = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("blocks."))
        field = cls(n_latent, n_hidden, n_blocks)
        field.load_state_dict({name: torch.from_numpy(np.array(array)).float() for name, array in arrays.items()})
        return field.requires_grad_(False)


@torch.no_grad()
def to_points(noise: np.ndarray, steps: int, velocity: Velocity | None = None, pull: Pull | None = None) -> np.ndarray:
    """White points (n, D) that noise (n, D) is carried to, by the midpoint rule.

    velocity: None is that of the normal distribution, 0 everywhere. pull: see molvae.latent.guidance.
    """

    def move(x: Tensor, angle: Tensor) -> Tensor:
        along = torch.zeros_like(x) if velocity is None else velocity(x, angle)
        if pull is None:
            return along
        guess = angle.cos() * x - angle.sin() * along
        return along - angle.sin() * pull(guess, angle)

    parts = []
    angles = torch.linspace(math.pi / 2, 0, steps + 1)
    with autocast(angles.device):
        for part in torch.from_numpy(noise).split(_BATCH):
            x = part
            for a, b in itertools.pairwise(angles):
                half = x + (b - a) / 2 * move(x, a[None])
                x = x + (b - a) * move(half, (a + b)[None] / 2)
            parts.append(x.float())
    return torch.cat(parts).numpy()


class _Block(nn.Module):
    """One residual step, scaled and shifted by the time (Perez et al. 2018, arXiv 1709.07871)."""

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
        """Hidden vectors (B, H) a step further."""
        scale, shift = self.time(time).chunk(2, dim=1)
        moved: Tensor = hidden + self.outer(silu(self.inner(self.norm(hidden) * (1 + scale) + shift)))
        return moved


def fit_velocity(white: np.ndarray, settings: FlowSettings, seed: int = 0) -> Velocity:
    """The field of white points (n, D); on a GPU where there is one."""
    device = fastest_device()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(seed, "flow weights"))
        field = Velocity(white.shape[1], settings.hidden, settings.blocks).to(device)
    draws = torch.Generator(device).manual_seed(integer_seed(seed, "flow"))
    points = torch.from_numpy(white).to(device)
    optimizer = torch.optim.AdamW(field.parameters(), weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    n_steps = -(-settings.n_points // settings.batch_size)
    order, place = torch.randperm(len(points), generator=draws, device=device), 0
    for step in range(n_steps):
        if place >= len(order):
            order, place = torch.randperm(len(points), generator=draws, device=device), 0
        z = points[order[place : place + settings.batch_size]]
        place += settings.batch_size
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
    """Up over the first hundredth, level, then down to zero as a cosine from a third on."""
    if done < 1 / 3:
        return min(1.0, done * 100 + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - 1 / 3) * 1.5))
