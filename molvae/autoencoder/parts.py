"""Protocols of the parts of a model: encoder, bottleneck and decoder.

Each part is a `torch.nn.Module`. Calling it is differentiable; the other methods of a decoder are not.
"""

from typing import Protocol, runtime_checkable

from torch import Generator, Tensor

from molvae.autoencoder.trace import DecoderState, Latent


class Encoder(Protocol):
    """Features to one hidden vector per molecule, in two steps: `embed`, then `read`.

    Parameters
    ----------
    n_out : int
        Length of a hidden vector.
    """

    n_out: int

    def __call__(self, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of features; equal to ``read(embed(x), x)``."""
        ...

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (B, ..., E) of features, float."""
        ...

    def read(self, embedded: Tensor, x: Tensor) -> Tensor:
        """Hidden vectors (B, n_out) of embeddings; `x` locates padding and bonds."""
        ...


class Bottleneck(Protocol):
    """Hidden vectors to latent vectors.

    Parameters
    ----------
    n_latent : int
        Latent dimensions D.
    """

    n_latent: int

    def __call__(self, hidden: Tensor, generator: Generator | None) -> Latent:
        """Latent vectors (B, D) of hidden vectors (B, n_out), and samples around them."""
        ...

    def encode(self, hidden: Tensor) -> Tensor:
        """Latent vectors (B, D) float32 of hidden vectors (B, n_out), deterministic."""
        ...


class Decoder(Protocol):
    """Latent vectors to features."""

    def __call__(self, z: Tensor, noise: Tensor, x: Tensor | None = None) -> Tensor:
        """Logits (B, L, V) of tokens, given the previous tokens of `x` (B, L); otherwise logits or numbers (B, F)."""
        ...

    def generate(self, z: Tensor, noise: Tensor, temperature: Tensor, generator: Generator | None) -> Tensor:
        """Features of latent vectors (B, D) at noise levels (B,) and temperatures (B,); temperature 0 is greedy."""
        ...


@runtime_checkable
class TokenDecoder(Decoder, Protocol):
    """A decoder that generates token by token."""

    def beam_search(self, z: Tensor, noise: Tensor, beam_size: int) -> Tensor:
        """The most probable token rows (B, beam_size, L) of latent vectors (B, D), best first."""
        ...

    def begin(self, z: Tensor, noise: Tensor) -> DecoderState:
        """The state before the first token, for latent vectors (B, D) at noise levels (B,)."""
        ...

    def advance(self, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Logits (B, V) of the next token, and the hidden state (B, H) after the last one."""
        ...
