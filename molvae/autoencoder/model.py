"""The autoencoder: a composition of corruption, encoder, bottleneck and decoder, never subclassed."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Generator, Tensor, nn

from molvae.autoencoder.corruption import Corruption
from molvae.autoencoder.parts import Bottleneck, Decoder, Encoder, TokenDecoder
from molvae.autoencoder.reconstruction import RECONSTRUCTIONS, Nats
from molvae.autoencoder.regularizers import PropertyHead, Regularizer, noised
from molvae.autoencoder.trace import Batch, Trace
from molvae.devices import autocast
from molvae.errors import InputError
from molvae.feature_spec import MASK, PAD, FeatureSpec


class Autoencoder(nn.Module):
    """Features to latent vectors and back.

    `forward` is stochastic: it corrupts and samples with the given generator. `encode` and greedy `decode` are
    deterministic. No part depends on `self.training`.

    Parameters
    ----------
    spec : FeatureSpec
        Kind and size of the decoder output.
    corruption : callable
        Corrupts the encoder input.
    encoder : Encoder
        Features to hidden vectors.
    bottleneck : Bottleneck
        Hidden vectors to latent vectors.
    decoder : Decoder
        Latent vectors to features.
    regularizers : mapping of str to callable
        Terms of the loss other than the reconstruction, by name.
    property_head : PropertyHead, optional
        Predicts properties; None: the model learns none.
    is_noise_conditioned : bool
        Whether the decoder is also trained on latent vectors with noise.
    noise_draws : int, default=1
        A noise level is the mean of this number of uniform draws.
    noised_share : float, default=1
        Fraction of a batch that is also decoded with noise.
    token_dropout : float, default=0
        Fraction of the previous tokens that are masked when the decoder reads a latent vector without noise.
    """

    encoder: Encoder
    bottleneck: Bottleneck
    decoder: Decoder

    def __init__(
        self,
        spec: FeatureSpec,
        corruption: Corruption,
        encoder: Encoder,
        bottleneck: Bottleneck,
        decoder: Decoder,
        regularizers: Mapping[str, Regularizer],
        property_head: PropertyHead | None,
        is_noise_conditioned: bool,
        noise_draws: int = 1,
        noised_share: float = 1.0,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.corruption = corruption
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder
        self.regularizers = dict(regularizers)
        self.property_head = property_head
        self.is_noise_conditioned = is_noise_conditioned
        self.noise_draws = noise_draws
        self.noised_share = noised_share
        self.token_dropout = token_dropout

    def forward(self, batch: Batch, generator: Generator | None = None) -> Trace:
        """The trace of a batch: corrupt, encode, sample, decode, and decode with noise if noise-conditioned."""
        corrupted = self.corruption(batch, generator)
        latent = self.bottleneck(self.encoder(corrupted.view), generator)
        exact = torch.zeros(len(batch.x), device=latent.sample.device)
        previous = self._drop_tokens(batch.x, generator)
        if not self.is_noise_conditioned:
            return Trace(batch, corrupted, latent, self.decoder(latent.sample, exact, previous), generator=generator)
        rows = self._noised_rows(len(exact), exact.device, generator)
        sample, x = (t if rows is None else t.index_select(0, rows) for t in (latent.sample, batch.x))
        level = torch.rand((self.noise_draws, len(x)), generator=generator, device=exact.device).mean(0)
        z = torch.cat([latent.sample, noised(sample, level, generator)])
        outputs = self.decoder(z, torch.cat([exact, level]), torch.cat([previous, x]))
        output, noised_output = outputs.split([len(exact), len(x)])
        return Trace(batch, corrupted, latent, output, noised_output, rows, generator)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms that `terms` returns, in order."""
        noised_name = ("noised_reconstruction",) if self.is_noise_conditioned else ()
        property_name = ("properties",) if self.property_head is not None else ()
        return ("reconstruction", *noised_name, *self.regularizers, *property_name)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Terms of the loss of one forward pass.

        Parameters
        ----------
        trace : Trace
            The result of `forward`.

        Returns
        -------
        dict of str to Tensor
            Each (B,), unweighted, in nats; the trainer applies the weights. `noised_reconstruction` is 0 for rows that
            are not decoded with noise; the others are scaled up, so that the mean over the batch is the mean of the
            rows decoded with noise.
        """
        x, scored = trace.batch.x, trace.corrupted.scored
        nats = RECONSTRUCTIONS[self.spec.kind]
        terms = {"reconstruction": nats(trace.output, x, scored)}
        if trace.noised_output is not None:
            terms["noised_reconstruction"] = _nats_of_rows(nats, trace.noised_output, x, scored, trace.noised_rows)
        terms |= {name: regularizer(self, trace) for name, regularizer in self.regularizers.items()}
        if self.property_head is not None:
            terms["properties"] = self.property_head.nats(trace.latent, trace.batch.y)
        return terms

    def _noised_rows(self, n: int, device: torch.device, generator: Generator | None) -> Tensor | None:
        """Rows of a batch that are also decoded with noise; None: all."""
        if self.noised_share == 1:
            return None
        drawn = torch.rand(n, generator=generator, device=device).argsort()
        return drawn[: max(1, round(self.noised_share * n))]

    def _drop_tokens(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Tokens (B, L), some of them masked, so that the decoder depends more on the latent vector."""
        if not self.token_dropout or self.spec.kind != "tokens":
            return x
        masked = torch.rand(x.shape, generator=generator, device=x.device) < self.token_dropout
        return x.masked_fill(masked & (x != PAD), MASK)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Latent vectors (B, D), deterministic, of encoder input."""
        return self.bottleneck.encode(self._hidden(x))

    def _hidden(self, x: Tensor) -> Tensor:
        with self._fast(x.device):
            alone = len(x) == 1  # a single row is multiplied by other kernels, which round differently
            hidden = self.encoder(torch.cat([x, x]) if alone else x)
        return hidden[: len(x)].float()

    def decode(
        self,
        z: Tensor,
        noise: float | Tensor = 0.0,
        temperature: float | Tensor = 0.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """Features of latent vectors, greedy and without noise by default.

        Parameters
        ----------
        z : Tensor of shape (B, D)
            Latent vectors.
        noise : float or Tensor of shape (B,), default=0
            Noise level in [0, 1]: how much noise is added to the latent vectors, and the decoder's noise input.
        temperature : float or Tensor of shape (B,), default=0
            0 takes the most probable features; above 0 they are drawn at random.
        generator : Generator, optional
            Source of the random draws.

        Returns
        -------
        Tensor
            Token rows (B, L) int64, or numbers (B, F).
        """
        level, heat = (torch.as_tensor(value, device=z.device).float().expand(len(z)) for value in (noise, temperature))
        noised_z = noised(z, level, generator) if level.any() else z
        with self._fast(z.device):
            return self.decoder.generate(noised_z, level, heat, generator)

    def decode_beams(self, z: Tensor, beam_size: int) -> Tensor:
        """The most probable token rows of latent vectors.

        Parameters
        ----------
        z : Tensor of shape (B, D)
            Latent vectors.
        beam_size : int
            Number of token rows per latent vector.

        Returns
        -------
        Tensor of shape (B, beam_size, L)
            Token rows, most probable first.
        """
        with self._fast(z.device):
            return self.token_decoder.beam_search(z, torch.zeros(len(z), device=z.device), beam_size)

    @property
    def token_decoder(self) -> TokenDecoder:
        """The decoder, if it generates token by token.

        Raises
        ------
        InputError
            The decoder outputs numbers.
        """
        if not isinstance(self.decoder, TokenDecoder):
            raise InputError(f"this model outputs {self.spec.kind}; expected a model that outputs tokens")
        return self.decoder

    def _fast(self, device: torch.device) -> AbstractContextManager:
        """The autocast context: the precision of training for tokens, float32 for rows of numbers."""
        return autocast(device, "auto" if self.spec.kind == "tokens" else "float32")


def _nats_of_rows(nats: Nats, output: Tensor, x: Tensor, scored: Tensor, rows: Tensor | None) -> Tensor:
    """Nats (B,) of some rows, 0 for the others; scaled so that the mean over the batch is the mean of these rows."""
    if rows is None:
        return nats(output, x, scored)
    scaled = nats(output, x[rows], scored[rows]) * (len(x) / len(rows))
    return scaled.new_zeros(len(x)).index_copy(0, rows, scaled)
