"""Encoders: features to one hidden vector per molecule.

An encoder has two steps, `embed` and `read`, so that a regularizer can compute how a small change of the embedding
changes the latent vector. `forward` combines both steps, faster where possible.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, silu

from molvae.autoencoder.gru import GatedRecurrence
from molvae.autoencoder.mlp import mlp
from molvae.feature_spec import N_BONDS, PAD, FeatureSpec


class MlpEncoder(nn.Module):
    """Linear layers, each with a GELU, for rows of numbers; without widths the hidden vector is the row itself.

    Parameters
    ----------
    spec : FeatureSpec
        Kind and size of the encoder input.
    widths : tuple of int
        Width of each layer; the last one is `n_out`.
    """

    def __init__(self, spec: FeatureSpec, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = mlp((spec.width, *widths), ends_with_gelu=True)
        self.n_out = (spec.width, *widths)[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of rows (B, F)."""
        return self.read(self.embed(x), x)

    def embed(self, x: Tensor) -> Tensor:
        """The rows themselves, (B, F)."""
        return x

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embedded rows; `x` is not used."""
        hidden: Tensor = self.layers(embedded)
        return hidden


class GruEncoder(nn.Module):
    """A bidirectional GRU over tokens, pooled by attention over all its states.

    The result does not depend on padding.

    Parameters
    ----------
    spec : FeatureSpec
        Vocabulary size and length of the encoder input.
    n_embedding : int
        Length E of a token embedding.
    n_hidden : int
        Hidden units H per direction.
    n_heads : int
        Attention heads; `n_out` is ``n_heads * 2 * n_hidden``.
    """

    def __init__(self, spec: FeatureSpec, n_embedding: int, n_hidden: int, n_heads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.width, n_embedding)
        self.input = nn.Linear(n_embedding, 6 * n_hidden)
        self.forth = GatedRecurrence(n_hidden)
        self.back = GatedRecurrence(n_hidden)
        self.heads = nn.Linear(2 * n_hidden, n_heads, bias=False)  # softmax over positions ignores a bias
        self.n_heads, self.n_out = n_heads, n_heads * 2 * n_hidden

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of token rows (B, L)."""
        return self._pool(self.embedding.weight, x, x)

    def embed(self, x: Tensor) -> Tensor:
        """Token embeddings (B, L, E)."""
        embedded: Tensor = self.embedding(x)
        return embedded

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embedded tokens; `x` locates PAD."""
        rows = torch.arange(x.numel(), device=x.device).view(x.shape)
        return self._pool(embedded.flatten(0, 1), rows, x)

    def _pool(self, embeddings: Tensor, rows: Tensor, x: Tensor) -> Tensor:
        """Pooled states (B, n_out), from embeddings (N, E) and the row of each token in them, (B, L)."""
        gates_forth, gates_back = self.input(embeddings).chunk(2, dim=1)  # (N, 3H)
        backward = _reversed_positions(x != PAD)  # (B, L)
        start = gates_forth.new_zeros(len(x), self.forth.n_hidden)
        forth = self.forth(gates_forth, rows.t(), start).transpose(0, 1)  # (B, L, H)
        back = self.back(gates_back, rows.gather(1, backward).t(), start).transpose(0, 1)  # (B, L, H), from the end
        back_positions = backward[:, :, None].expand(-1, -1, self.n_heads)
        weight_forth, weight_back = self.heads.weight.chunk(2, dim=1)
        logits = linear(forth, weight_forth) + linear(back, weight_back).gather(1, back_positions)  # (B, L, heads)
        attention = logits.float().masked_fill((x == PAD)[:, :, None], -torch.inf).softmax(1).to(forth.dtype)
        pooled_forth = torch.einsum("blk,blh->bkh", attention, forth)
        pooled_back = torch.einsum("blk,blh->bkh", attention.gather(1, back_positions), back)
        return torch.cat([pooled_forth, pooled_back], dim=2).flatten(1)  # (B, heads * 2H)


class GraphEncoder(nn.Module):
    """A message-passing network over atoms and bonds, pooled by attention.

    The result does not depend on the order of atoms or bonds, nor on padding.

    Parameters
    ----------
    spec : FeatureSpec
        Number of atom ids and largest number of atoms.
    n_hidden : int
        Length H of an atom's state.
    n_steps : int
        Number of message-passing steps.
    n_heads : int
        Attention heads; `n_out` is ``n_heads * n_hidden``.

    References
    ----------
    .. [1] Gilmer et al. 2017, arXiv 1704.01212.
    """

    def __init__(self, spec: FeatureSpec, n_hidden: int, n_steps: int, n_heads: int) -> None:
        super().__init__()
        self.atoms = nn.Embedding(spec.width, n_hidden)
        self.steps = nn.ModuleList(_MessagePassing(n_hidden) for _ in range(n_steps))
        self.norm = nn.LayerNorm(n_hidden)
        self.heads = nn.Linear(n_hidden, n_heads, bias=False)
        self.n_out = n_heads * n_hidden

    def forward(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of graphs (B, L, 1 + 2 * MAX_DEGREE): atom id, then pairs of neighbor and bond."""
        return self.read(self.embed(x), x)

    def embed(self, x: Tensor) -> Tensor:
        """Atom embeddings (B, L, H)."""
        embedded: Tensor = self.atoms(x[:, :, 0])
        return embedded

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embedded atoms; `x` gives the bonds and locates PAD."""
        absent = (x[:, :, 0] == PAD)[:, :, None]  # (B, L, 1)
        n_bonds = int((x[:, :, 2::2] != 0).sum(2).max())  # columns that are empty in the whole batch are skipped
        bonds = x[:, :, 2 : 2 + 2 * n_bonds : 2]  # (B, L, K)
        first = torch.arange(len(x), device=x.device)[:, None, None] * x.shape[1]
        neighbors = x[:, :, 1 : 1 + 2 * n_bonds : 2] + first  # (B, L, K), indices into the batch
        states = embedded.masked_fill(absent, 0.0)
        for step in self.steps:
            states = step(states, neighbors, bonds, absent)
        states = self.norm(states)
        attention = self.heads(states).float().masked_fill(absent, -torch.inf).softmax(1)  # (B, L, heads)
        return torch.einsum("blk,blh->bkh", attention.to(states.dtype), states).flatten(1)  # (B, heads * H)


class _MessagePassing(nn.Module):
    """One message-passing step: messages of the neighbors over their bonds, and the mean state of the molecule."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_hidden)
        self.message = nn.Linear(n_hidden, n_hidden)
        self.bond_scale = nn.Embedding(N_BONDS, n_hidden)
        self.bond_shift = nn.Embedding(N_BONDS, n_hidden)
        self.combine = nn.Linear(3 * n_hidden, 2 * n_hidden)
        self.update = nn.Linear(2 * n_hidden, n_hidden)

    def forward(self, states: Tensor, neighbors: Tensor, bonds: Tensor, absent: Tensor) -> Tensor:
        """States of the atoms (B, L, H) after the step."""
        normed = self.norm(states)
        messages = embedding(neighbors, self.message(normed).flatten(0, 1))  # (B, L, K, H)
        messages = silu(messages * (1 + self.bond_scale(bonds)) + self.bond_shift(bonds))
        received = (messages * (bonds != 0)[:, :, :, None]).sum(2)  # (B, L, H)
        mean = (normed.masked_fill(absent, 0.0).sum(1) / (~absent).sum(1)).to(normed.dtype)  # (B, H)
        change = self.update(silu(self.combine(torch.cat([normed, received, mean[:, None].expand_as(normed)], dim=2))))
        return (states + change).masked_fill(absent, 0.0)


def _reversed_positions(present: Tensor) -> Tensor:
    """Positions of the tokens of each row from last to first, then those of PAD unchanged: (B, L) int64."""
    positions = torch.arange(present.shape[1], device=present.device).expand_as(present)
    length = present.sum(1, keepdim=True)
    return torch.where(present, length - 1 - positions, positions)
