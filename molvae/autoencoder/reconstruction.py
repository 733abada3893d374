"""The only reconstruction losses, in nats a molecule."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def token_nats(logits: Tensor, x: Tensor, scored: Tensor) -> Tensor:
    """Negative log-likelihood (B,) of the scored tokens x (B, L) under logits (B, L, V), summed over places."""
    nats = cross_entropy(logits.flatten(0, 1).float(), x.flatten(), reduction="none").view(x.shape)
    return (nats * scored).sum(1)
