"""The only reconstruction losses, in nats a molecule: what a decoder's output says against what was there."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy_with_logits, poisson_nll_loss

from molvae.feature_spec import Kind


def token_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored tokens x (B, L) under logits (B, L, V), summed over places."""
    nats: Tensor = _TokenNats.apply(logits, x)
    return (nats * scored).sum(1)


class _TokenNats(torch.autograd.Function):
    """Cross entropy (B, L), float32 at least, of tokens under logits of any precision.

    On a processor place by place, whose numbers stay in its cache: torch's own loss writes all places in float32,
    several times over. Probabilities are kept for the way back, in the logits' precision. Second derivatives are
    refused.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        probability = torch.empty_like(logits.transpose(0, 1), memory_format=torch.contiguous_format)  # (L, B, V)
        nats = torch.empty(x.shape, dtype=wide, device=x.device)
        at_once = 1 if logits.device.type == "cpu" else max(1, x.shape[1])
        for begin in range(0, x.shape[1], at_once):
            part = slice(begin, begin + at_once)
            log_probability = logits[:, part].transpose(0, 1).to(wide).log_softmax(2)  # (places, B, V)
            nats[:, part] = -log_probability.gather(2, x[:, part].t()[:, :, None])[:, :, 0].t()
            probability[part] = log_probability.exp_()
        ctx.save_for_backward(probability, x)
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        probability, x = ctx.saved_tensors
        share = grad.t()[:, :, None].to(probability.dtype)  # (L, B, 1)
        answer = probability * share
        answer.scatter_add_(2, x.t()[:, :, None], -share)
        return answer.transpose(0, 1), None


def bit_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored bits x (B, F) under logits (B, F), Bernoulli, summed."""
    return (binary_cross_entropy_with_logits(logits.float(), x, reduction="none") * scored).sum(1)


def count_nats(log_rates: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored counts x (B, F) under log rates, Poisson, summed; log x! left out."""
    return (poisson_nll_loss(log_rates.float(), x, log_input=True, reduction="none") * scored).sum(1)


def number_nats(output: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Half the squared error (B,) of the scored numbers, summed: a unit normal's nats, but for a constant."""
    return 0.5 * ((output.float() - x).square() * scored).sum(1)


Nats = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From a decoder's output, what was there, and which places count, to one number a molecule."""

RECONSTRUCTIONS: dict[Kind, Nats] = {
    "tokens": token_nats,
    "bits": bit_nats,
    "counts": count_nats,
    "array": number_nats,
}
