"""Arrays to one hidden vector a molecule."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from molvae.autoencoder.gru import GatedRecurrence
from molvae.feature_spec import PAD, FeatureSpec


class GruEncoder(nn.Module):
    """Tokens (B, L) to (B, n_heads * 2H): a bidirectional GRU, read by attention heads over all its states.

    Rows may be filled up with PAD: the answer does not depend on how much.
    """

    def __init__(self, spec: FeatureSpec, n_embedding: int, n_hidden: int, n_heads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.width, n_embedding)
        self.input = nn.Linear(n_embedding, 6 * n_hidden)
        self.forth = GatedRecurrence(n_hidden)
        self.back = GatedRecurrence(n_hidden)
        self.heads = nn.Linear(2 * n_hidden, n_heads)
        self.n_out = n_heads * 2 * n_hidden

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of token rows (B, L)."""
        present = x != PAD
        gates = self.input(self.embedding.weight)  # (V, 6H): a table, looked up below
        gates_forth, gates_back = gates.chunk(2, dim=1)
        turned = _reversed_places(present)  # (B, L)
        start = gates.new_zeros(len(x), self.forth.n_hidden)
        forth = self.forth(embedding(x.t(), gates_forth), start)  # (L, B, H)
        back = self.back(embedding(x.gather(1, turned).t(), gates_back), start)  # (L, B, H), read from the end
        back = back.gather(0, turned.t()[:, :, None].expand_as(back))  # (L, B, H), place by place again
        states = torch.cat([forth, back], dim=2).transpose(0, 1)  # (B, L, 2H)
        attention = self.heads(states).float().masked_fill(~present[:, :, None], -torch.inf).softmax(1)  # (B, L, heads)
        return torch.einsum("blk,blh->bkh", attention.to(states.dtype), states).flatten(1)  # (B, heads * 2H)


def _reversed_places(present: Tensor) -> Tensor:
    """For each row the places of its tokens from last to first, then PAD's places as they are: (B, L) int64."""
    places = torch.arange(present.shape[1], device=present.device).expand_as(present)
    length = present.sum(1, keepdim=True)
    return torch.where(present, length - 1 - places, places)
