"""The only reconstruction losses, in nats a molecule: what a decoder's output says against what was there."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, poisson_nll_loss

from molvae.feature_spec import Kind


def token_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored tokens x (B, L) under logits (B, L, V), summed over places."""
    nats = cross_entropy(logits.flatten(0, 1).float(), x.flatten(), reduction="none").view(x.shape)
    return (nats * scored).sum(1)


def bit_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored bits x (B, F) under logits (B, F), Bernoulli, summed."""
    return (binary_cross_entropy_with_logits(logits.float(), x, reduction="none") * scored).sum(1)


def count_nats(log_rates: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored counts x (B, F) under log rates, Poisson, summed; log x! left out."""
    return (poisson_nll_loss(log_rates.float(), x, log_input=True, reduction="none") * scored).sum(1)


def number_nats(output: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Half the squared error (B,) of the scored numbers, summed: a unit normal's nats, but for a constant."""
    return 0.5 * ((output.float() - x).square() * scored).sum(1)


RECONSTRUCTIONS: dict[Kind, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "tokens": token_nats,
    "bits": bit_nats,
    "counts": count_nats,
    "array": number_nats,
}
