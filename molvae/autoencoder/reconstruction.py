"""The reconstruction losses, in nats per molecule."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy_with_logits, poisson_nll_loss

from molvae.feature_spec import Kind


def token_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood of tokens, summed over positions.

    Parameters
    ----------
    logits : Tensor of shape (B, L, V)
        Decoder output.
    x : Tensor of int64, shape (B, L)
        True tokens.
    scored : Tensor of bool, shape (B, L)
        Positions that count.

    Returns
    -------
    Tensor of shape (B,)
        Nats per molecule.
    """
    nats: Tensor = _TokenNats.apply(logits, x)
    return (nats * scored).sum(1)


class _TokenNats(torch.autograd.Function):
    """Cross entropy (B, L), float32 or wider, of tokens under logits of any precision.

    On a CPU, positions are computed one by one, so that the numbers stay in the cache; torch's loss writes all
    positions in float32 several times. The backward pass uses probabilities in the precision of the logits. Second
    derivatives raise an error.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        probability = torch.empty_like(logits.transpose(0, 1), memory_format=torch.contiguous_format)  # (L, B, V)
        nats = torch.empty(x.shape, dtype=wide, device=x.device)
        at_once = 1 if logits.device.type == "cpu" else max(1, x.shape[1])
        for begin in range(0, x.shape[1], at_once):
            part = slice(begin, begin + at_once)
            log_probability = logits[:, part].transpose(0, 1).to(wide).log_softmax(2)  # (positions, B, V)
            nats[:, part] = -log_probability.gather(2, x[:, part].t()[:, :, None])[:, :, 0].t()
            probability[part] = log_probability.exp_()
        ctx.save_for_backward(probability, x)
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        probability, x = ctx.saved_tensors
        share = grad.t()[:, :, None].to(probability.dtype)  # (L, B, 1)
        grad_logits = probability * share
        grad_logits.scatter_add_(2, x.t()[:, :, None], -share)
        return grad_logits.transpose(0, 1), None


def bit_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Bernoulli negative log-likelihood of bits, summed.

    Parameters
    ----------
    logits : Tensor of shape (B, F)
        Decoder output.
    x : Tensor of shape (B, F)
        True bits.
    scored : Tensor of bool, shape (B, F)
        Positions that count.

    Returns
    -------
    Tensor of shape (B,)
        Nats per molecule.
    """
    return (binary_cross_entropy_with_logits(logits.float(), x, reduction="none") * scored).sum(1)


def count_nats(log_rates: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Poisson negative log-likelihood of counts, summed; without the constant log x!.

    Parameters
    ----------
    log_rates : Tensor of shape (B, F)
        Decoder output.
    x : Tensor of shape (B, F)
        True counts.
    scored : Tensor of bool, shape (B, F)
        Positions that count.

    Returns
    -------
    Tensor of shape (B,)
        Nats per molecule.
    """
    return (poisson_nll_loss(log_rates.float(), x, log_input=True, reduction="none") * scored).sum(1)


def number_nats(output: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Half the squared error of numbers, summed: the nats of a normal distribution of variance 1, without the constant.

    Parameters
    ----------
    output : Tensor of shape (B, F)
        Decoder output.
    x : Tensor of shape (B, F)
        True numbers.
    scored : Tensor of bool, shape (B, F)
        Positions that count.

    Returns
    -------
    Tensor of shape (B,)
        Nats per molecule.
    """
    return 0.5 * ((output.float() - x).square() * scored).sum(1)


Nats = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps decoder output, true features and the positions that count to nats per molecule, (B,)."""

RECONSTRUCTIONS: dict[Kind, Nats] = {
    "tokens": token_nats,
    "bits": bit_nats,
    "counts": count_nats,
    "array": number_nats,
}
