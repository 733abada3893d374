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
    """Molecules to points and back.

    `forward` is stochastic (it corrupts and samples, from the generator it is given); `encode` and greedy `decode` are
    not. No part asks whether it is in training.

    spec: of what is rebuilt.
    noised_share: of a batch, whose points are decoded noised, too.
    token_dropout: the share of the tokens before that the decoder does not see when it reads a point without noise.
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
        """The stochastic path: corrupt, encode, sample, decode; and decode a noised point where noise is told."""
        corrupted = self.corruption(batch, generator)
        latent = self.bottleneck(self.encoder(corrupted.view), generator)
        exact = torch.zeros(len(batch.x), device=latent.sample.device)
        told = self._thinned(batch.x, generator)
        if not self.is_noise_conditioned:
            return Trace(batch, corrupted, latent, self.decoder(latent.sample, exact, told), generator=generator)
        rows = self._noised_rows(len(exact), exact.device, generator)
        sample, x = (t if rows is None else t.index_select(0, rows) for t in (latent.sample, batch.x))
        level = torch.rand((self.noise_draws, len(x)), generator=generator, device=exact.device).mean(0)
        points = torch.cat([latent.sample, noised(sample, level, generator)])
        outputs = self.decoder(points, torch.cat([exact, level]), torch.cat([told, x]))
        output, noised_output = outputs.split([len(exact), len(x)])
        return Trace(batch, corrupted, latent, output, noised_output, rows, generator)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Of what `terms` answers, in its order."""
        told = ("noised_reconstruction",) if self.is_noise_conditioned else ()
        read = ("properties",) if self.property_head is not None else ()
        return ("reconstruction", *told, *self.regularizers, *read)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Name -> (B,), unweighted, in nats; weights belong to the trainer.

        The noised reconstruction of rows that were not noised is 0, and the others' weighs the more: its mean is right.
        """
        x, scored = trace.batch.x, trace.corrupted.scored
        nats = RECONSTRUCTIONS[self.spec.kind]
        terms = {"reconstruction": nats(trace.output, x, scored)}
        if trace.noised_output is not None:
            terms["noised_reconstruction"] = _of_rows(nats, trace.noised_output, x, scored, trace.noised_rows)
        terms |= {name: regularizer(self, trace) for name, regularizer in self.regularizers.items()}
        if self.property_head is not None:
            terms["properties"] = self.property_head.nats(trace.latent, trace.batch.y)
        return terms

    def _noised_rows(self, n: int, device: torch.device, generator: Generator | None) -> Tensor | None:
        """Which rows of a batch are decoded noised, too; None: all."""
        if self.noised_share == 1:
            return None
        drawn = torch.rand(n, generator=generator, device=device).argsort()
        return drawn[: max(1, round(self.noised_share * n))]

    def _thinned(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Tokens (B, L) as the decoder is told them: some hidden, so that it must ask the point."""
        if not self.token_dropout or self.spec.kind != "tokens":
            return x
        hidden = torch.rand(x.shape, generator=generator, device=x.device) < self.token_dropout
        return x.masked_fill(hidden & (x != PAD), MASK)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, D), deterministic, of features as the encoder reads them."""
        return self.bottleneck.encode(self._hidden(x))

    def _hidden(self, x: Tensor) -> Tensor:
        with self._fast(x.device):
            alone = len(x) == 1  # a single row is multiplied by other routines, which round otherwise
            hidden = self.encoder(torch.cat([x, x]) if alone else x)
        return hidden[: len(x)].float()

    def decode(
        self, z: Tensor, noise: float = 0.0, temperature: float = 0.0, generator: Generator | None = None
    ) -> Tensor:
        """Features of points (B, D); greedy and exact unless asked.

        noise: the level in [0, 1] at which the points are noised before they are read, and which the decoder is told.
        """
        level = torch.full((len(z),), noise, device=z.device)
        points = noised(z, level, generator) if noise else z
        with self._fast(z.device):
            return self.decoder.generate(points, level, temperature, generator)

    def decode_beams(self, z: Tensor, beam_size: int) -> Tensor:
        """The most probable token rows (B, beam_size, L) of points (B, D), the best first."""
        with self._fast(z.device):
            return self.token_decoder.beam_search(z, torch.zeros(len(z), device=z.device), beam_size)

    @property
    def token_decoder(self) -> TokenDecoder:
        """The decoder, where it generates token by token.

        Raises
        ------
        InputError
            It outputs fingerprints or other numbers.
        """
        if not isinstance(self.decoder, TokenDecoder):
            raise InputError(f"this model outputs {self.spec.kind}; expected a model that outputs tokens")
        return self.decoder

    def _fast(self, device: torch.device) -> AbstractContextManager:
        """As training computes, where texts are written; rows of numbers keep all their digits."""
        return autocast(device, None if self.spec.kind == "tokens" else False)


def _of_rows(nats: Nats, output: Tensor, x: Tensor, scored: Tensor, rows: Tensor | None) -> Tensor:
    """The nats (B,) of an output of some rows of a batch, weighed so that the mean over all is theirs."""
    if rows is None:
        return nats(output, x, scored)
    found = nats(output, x[rows], scored[rows]) * (len(x) / len(rows))
    return found.new_zeros(len(x)).index_copy(0, rows, found)
