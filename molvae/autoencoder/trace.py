"""What one forward pass made: the records that the parts of an autoencoder hand to each other."""

from typing import NamedTuple

from torch import Generator, Tensor


class Batch(NamedTuple):
    """Molecules of one training step.

    x: what is rebuilt; tokens (B, L) int64, filled up with PAD, or numbers (B, F) float32.
    view: what the encoder reads where that differs from x; None where it does not.
    y: labels (B, P), NaN where a molecule has none; None where there are no labels at all.
    bits: fingerprints (B, F) of 0 and 1, all 0 where a molecule has none; None where none has.
    """

    x: Tensor
    view: Tensor | None = None
    y: Tensor | None = None
    bits: Tensor | None = None


class Corrupted(NamedTuple):
    """What the encoder reads, and `scored`, the places of x where reconstruction counts: bool, like x."""

    view: Tensor
    scored: Tensor


class Latent(NamedTuple):
    """Where molecules lie.

    code: (B, D), deterministic; what a search uses.
    sample: (B, D), what the decoder reads in training.
    logvar: (B, D), log variance of sample around code; None for a bottleneck without one.
    """

    z: Tensor
    sample: Tensor
    logvar: Tensor | None = None


class Trace(NamedTuple):
    """All that one forward pass made.

    output: what the decoder answered to `latent.sample`; tokens: logits (B, L, V).
    noised_output: the same from a noised point, for a decoder that is told its point's noise; else None.
    noised_rows: which rows of the batch that is, in its order; None: all.
    generator: what is still to be drawn at random for this batch is drawn from it.
    """

    batch: Batch
    corrupted: Corrupted
    latent: Latent
    output: Tensor
    noised_output: Tensor | None = None
    noised_rows: Tensor | None = None
    generator: Generator | None = None
