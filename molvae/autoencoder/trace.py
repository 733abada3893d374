"""The records of one forward pass, which the parts of an autoencoder pass to each other."""

from typing import NamedTuple

from torch import Generator, Tensor


class Batch(NamedTuple):
    """Molecules of one training step.

    Parameters
    ----------
    x : Tensor
        Target of the decoder: tokens (B, L) int64, padded with PAD, or numbers (B, F) float32.
    view : Tensor, optional
        Encoder input, if it differs from `x`.
    y : Tensor of shape (B, P), optional
        Labels, NaN where one is missing; None: no molecule has labels.
    bits : Tensor of shape (B, F), optional
        Fingerprints of 0 and 1, all 0 where a molecule has none; None: no molecule has one.
    """

    x: Tensor
    view: Tensor | None = None
    y: Tensor | None = None
    bits: Tensor | None = None


class Corrupted(NamedTuple):
    """Encoder input after corruption.

    Parameters
    ----------
    view : Tensor
        Encoder input.
    scored : Tensor of bool, shaped like x
        Positions of the decoder output at which the reconstruction loss is computed.
    """

    view: Tensor
    scored: Tensor


class Latent(NamedTuple):
    """Latent vectors of a batch.

    Parameters
    ----------
    z : Tensor of shape (B, D)
        Latent vectors, deterministic.
    sample : Tensor of shape (B, D)
        Input of the decoder in training.
    logvar : Tensor of shape (B, D), optional
        Log variance of `sample` around `z`; None for a deterministic bottleneck.
    """

    z: Tensor
    sample: Tensor
    logvar: Tensor | None = None


class Trace(NamedTuple):
    """Everything that one forward pass computed.

    Parameters
    ----------
    batch : Batch
        The molecules.
    corrupted : Corrupted
        The encoder input.
    latent : Latent
        The latent vectors.
    output : Tensor
        Decoder output for `latent.sample`; tokens: logits (B, L, V).
    noised_output : Tensor, optional
        The same for latent vectors with noise; None where the decoder is not noise-conditioned.
    noised_rows : Tensor of int, optional
        Rows of the batch in `noised_output`; None: all.
    generator : Generator, optional
        Source of all further random draws for this batch.
    """

    batch: Batch
    corrupted: Corrupted
    latent: Latent
    output: Tensor
    noised_output: Tensor | None = None
    noised_rows: Tensor | None = None
    generator: Generator | None = None


class DecoderState(NamedTuple):
    """The state of a token decoder between two tokens.

    Parameters
    ----------
    hidden : Tensor of shape (B, H)
        Hidden states.
    context_gates : Tensor of shape (B, 3H)
        Input gates of latent vectors and noise levels.
    token : Tensor of int64, shape (B,)
        Last tokens.
    """

    hidden: Tensor
    context_gates: Tensor
    token: Tensor

    def rows(self, rows: Tensor) -> "DecoderState":
        """Some of the rows.

        Parameters
        ----------
        rows : Tensor of int64, shape (b,)
            Their numbers.

        Returns
        -------
        DecoderState
            In this order.
        """
        return DecoderState(*(one.index_select(0, rows) for one in self))
