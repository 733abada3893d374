"""Arrays to one hidden vector a molecule.

Each encoder is two steps, `embed` and `read`, so that a penalty may ask how a small change of the embedding moves the
code; `forward` is both at once, by the faster way where there is one.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, silu

from molvae.autoencoder.gru import GatedRecurrence
from molvae.autoencoder.mlp import mlp
from molvae.feature_spec import N_BONDS, PAD, FeatureSpec


class MlpEncoder(nn.Module):
    """Numbers (B, F) to (B, the last width): linear maps, a GELU after each; no width leaves them as they are."""

    def __init__(self, spec: FeatureSpec, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = mlp((spec.width, *widths), is_last_bent=True)
        self.n_out = (spec.width, *widths)[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of rows (B, F)."""
        return self.read(self.embed(x), x)

    def embed(self, x: Tensor) -> Tensor:
        """The numbers themselves: (B, F)."""
        return x

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embedded rows; x only says which they are."""
        hidden: Tensor = self.layers(embedded)
        return hidden


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
        self.heads = nn.Linear(2 * n_hidden, n_heads, bias=False)  # softmax over places ignores a bias
        self.n_heads, self.n_out = n_heads, n_heads * 2 * n_hidden

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of token rows (B, L)."""
        return self._states(self.embedding.weight, x, x)

    def embed(self, x: Tensor) -> Tensor:
        """Token embeddings (B, L, E)."""
        embedded: Tensor = self.embedding(x)
        return embedded

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embedded tokens; x says where PAD is."""
        each = torch.arange(x.numel(), device=x.device).view(x.shape)
        return self._states(embedded.flatten(0, 1), each, x)

    def _states(self, embeddings: Tensor, rows: Tensor, x: Tensor) -> Tensor:
        """What the heads read of the states, from embeddings (N, E) and which of them stands where, (B, L)."""
        gates_forth, gates_back = self.input(embeddings).chunk(2, dim=1)  # (N, 3H)
        turned = _reversed_places(x != PAD)  # (B, L)
        start = gates_forth.new_zeros(len(x), self.forth.n_hidden)
        forth = self.forth(gates_forth, rows.t(), start).transpose(0, 1)  # (B, L, H)
        back = self.back(gates_back, rows.gather(1, turned).t(), start).transpose(0, 1)  # (B, L, H), from the end
        back_places = turned[:, :, None].expand(-1, -1, self.n_heads)
        weight_forth, weight_back = self.heads.weight.chunk(2, dim=1)
        asked = linear(forth, weight_forth) + linear(back, weight_back).gather(1, back_places)  # (B, L, heads)
        attention = asked.float().masked_fill((x == PAD)[:, :, None], -torch.inf).softmax(1).to(forth.dtype)
        read_forth = torch.einsum("blk,blh->bkh", attention, forth)
        read_back = torch.einsum("blk,blh->bkh", attention.gather(1, back_places), back)
        return torch.cat([read_forth, read_back], dim=2).flatten(1)  # (B, heads * 2H)


class GraphEncoder(nn.Module):
    """Graphs (B, L, 1 + 2K) to (B, n_heads * H): atoms tell their neighbours of themselves, then heads read them.

    No answer depends on the order of atoms or bonds, nor on how far a graph is filled up.

    Source: message passing, Gilmer et al. 2017, arXiv 1704.01212.
    """

    def __init__(self, spec: FeatureSpec, n_hidden: int, n_steps: int, n_heads: int) -> None:
        super().__init__()
        self.atoms = nn.Embedding(spec.width, n_hidden)
        self.steps = nn.ModuleList(_Exchange(n_hidden) for _ in range(n_steps))
        self.norm = nn.LayerNorm(n_hidden)
        self.heads = nn.Linear(n_hidden, n_heads, bias=False)
        self.n_out = n_heads * n_hidden

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of graphs."""
        return self.read(self.embed(x), x)

    def embed(self, x: Tensor) -> Tensor:
        """Atom embeddings (B, L, H)."""
        embedded: Tensor = self.atoms(x[:, :, 0])
        return embedded

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embedded atoms; x says who is bound to whom."""
        absent = (x[:, :, 0] == PAD)[:, :, None]  # (B, L, 1)
        n_bonds = int((x[:, :, 2::2] != 0).sum(2).max())  # no batch pays for bonds that none of its atoms has
        bonds = x[:, :, 2 : 2 + 2 * n_bonds : 2]  # (B, L, K)
        first = torch.arange(len(x), device=x.device)[:, None, None] * x.shape[1]
        neighbours = x[:, :, 1 : 1 + 2 * n_bonds : 2] + first  # (B, L, K), places in the whole batch
        states = embedded.masked_fill(absent, 0.0)
        for step in self.steps:
            states = step(states, neighbours, bonds, absent)
        states = self.norm(states)
        attention = self.heads(states).float().masked_fill(absent, -torch.inf).softmax(1)  # (B, L, heads)
        return torch.einsum("blk,blh->bkh", attention.to(states.dtype), states).flatten(1)  # (B, heads * H)


class _Exchange(nn.Module):
    """One step of message passing: what the neighbours say over their bonds, and the mean of the whole molecule."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_hidden)
        self.say = nn.Linear(n_hidden, n_hidden)
        self.bond_scale = nn.Embedding(N_BONDS, n_hidden)
        self.bond_shift = nn.Embedding(N_BONDS, n_hidden)
        self.hear = nn.Linear(3 * n_hidden, 2 * n_hidden)
        self.change = nn.Linear(2 * n_hidden, n_hidden)

    def forward(self, states: Tensor, neighbours: Tensor, bonds: Tensor, absent: Tensor) -> Tensor:
        """Atoms' states (B, L, H) after the step."""
        seen = self.norm(states)
        said = embedding(neighbours, self.say(seen).flatten(0, 1))  # (B, L, K, H)
        said = silu(said * (1 + self.bond_scale(bonds)) + self.bond_shift(bonds))
        heard = (said * (bonds != 0)[:, :, :, None]).sum(2)  # (B, L, H)
        whole = (seen.masked_fill(absent, 0.0).sum(1) / (~absent).sum(1)).to(seen.dtype)  # (B, H)
        change = self.change(silu(self.hear(torch.cat([seen, heard, whole[:, None].expand_as(seen)], dim=2))))
        return (states + change).masked_fill(absent, 0.0)


def _reversed_places(present: Tensor) -> Tensor:
    """For each row the places of its tokens from last to first, then PAD's places as they are: (B, L) int64."""
    places = torch.arange(present.shape[1], device=present.device).expand_as(present)
    length = present.sum(1, keepdim=True)
    return torch.where(present, length - 1 - places, places)
