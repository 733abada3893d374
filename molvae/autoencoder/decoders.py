"""Decoders: latent vectors to features, conditioned on the noise level of the latent vectors."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear, silu

from molvae.autoencoder.gru import GatedRecurrence, PreparedRecurrence, prepare_weight
from molvae.autoencoder.mlp import mlp
from molvae.autoencoder.trace import DecoderState
from molvae.feature_spec import BEGIN, END, MASK, PAD, FeatureSpec

_NOISE_FEATURES = 8
_GROUP = 16  # finished rows leave a batch in such groups
_MIN_TEMPERATURE = 1e-6  # divides the logits of rows that are chosen greedily, and are not used


class MlpDecoder(nn.Module):
    """Linear layers with a nonlinearity; outputs logits of bits, log rates of counts, or numbers.

    Parameters
    ----------
    spec : FeatureSpec
        Kind and size of the decoder output.
    n_latent : int
        Latent dimensions D.
    widths : tuple of int
        Width of each layer between the latent vector and the output.
    is_noise_conditioned : bool
        Whether the noise level is also an input.
    """

    def __init__(self, spec: FeatureSpec, n_latent: int, widths: tuple[int, ...], is_noise_conditioned: bool) -> None:
        super().__init__()
        self.kind = spec.kind
        self.n_noise = _NOISE_FEATURES if is_noise_conditioned else 0
        self.layers = mlp((n_latent + self.n_noise, *widths, spec.width), ends_with_gelu=False)
        if not widths:
            self._initialize_linear()

    def _initialize_linear(self) -> None:
        """Orthonormal columns; torch's default weights are so much larger than the encoder's that both learn slowly."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor, noise: Tensor, x: Tensor | None = None) -> Tensor:
        """Logits, log rates or numbers (B, F) of latent vectors (B, D) at noise levels (B,); `x` is not used."""
        output: Tensor = self.layers(torch.cat([z, noise_features(noise)], dim=1) if self.n_noise else z)
        return output

    @torch.no_grad()
    def generate(self, z: Tensor, noise: Tensor, temperature: Tensor, generator: Generator | None) -> Tensor:
        """Features of latent vectors.

        Parameters
        ----------
        z : Tensor of shape (B, D)
            Latent vectors.
        noise : Tensor of shape (B,)
            Noise levels in [0, 1].
        temperature : Tensor of shape (B,)
            0: the most probable bits or the expected counts; above 0: bits and counts are drawn at random.
        generator : Generator or None
            Source of the random draws.

        Returns
        -------
        Tensor of shape (B, F)
            Bits, counts or numbers.
        """
        output = self.forward(z, noise).float()
        if self.kind == "array":
            return output
        if self.kind == "counts":
            greedy, draw = output.exp(), lambda: torch.poisson(output.exp(), generator)
        else:
            scaled = output / temperature.clamp_min(_MIN_TEMPERATURE)[:, None]
            greedy, draw = (output > 0).float(), lambda: torch.bernoulli(torch.sigmoid(scaled), generator=generator)
        return torch.where((temperature > 0)[:, None], draw(), greedy) if temperature.any() else greedy


class _Weights(NamedTuple):
    """Weights of a token decoder in the precision of generation, and the input gates of every token."""

    token_gates: Tensor  # (V, 3H)
    recurrence: PreparedRecurrence
    output: Tensor  # (V, H)
    bias: Tensor  # (V,)
    choice_bias: Tensor  # (V,), negative infinity for tokens that are never generated


class _Kept(NamedTuple):
    """Prepared weights, and what they were prepared from."""

    sources: list[Tensor]  # kept alive, so that no other tensor has the address of one
    version: tuple[object, ...]
    weights: _Weights


class GruDecoder(nn.Module):
    """A noise-conditioned GRU; at every step it reads the latent vector, the noise level and the previous token.

    At noise level t in [0, 1] the input is cos(pi t / 2) z + sin(pi t / 2) N(0, I). At t = 0 the decoder reconstructs,
    at t = 1 it is a language model of the corpus. The output layer shares its weights with the token embedding.

    Parameters
    ----------
    spec : FeatureSpec
        Vocabulary size and length of the decoder output.
    n_latent : int
        Latent dimensions D.
    n_hidden : int
        Hidden units H.
    """

    def __init__(self, spec: FeatureSpec, n_latent: int, n_hidden: int) -> None:
        super().__init__()
        self.length = spec.length
        self.embedding = nn.Embedding(spec.width, n_hidden)
        nn.init.normal_(self.embedding.weight, std=n_hidden**-0.5)
        self.input = nn.Linear(n_hidden, 3 * n_hidden)
        self.context = nn.Linear(n_latent + _NOISE_FEATURES, n_hidden)
        self.context_gates = nn.Linear(n_hidden, 3 * n_hidden)
        self.start = nn.Linear(n_hidden, n_hidden)
        self.recurrence = GatedRecurrence(n_hidden)
        self.output_bias = nn.Parameter(torch.zeros(spec.width))
        self._kept: _Kept | None = None

    def forward(self, z: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        """Logits (B, L, V) of tokens, given latent vectors (B, D), noise levels (B,) and the true previous tokens."""
        context_gates, start = self._context(z, noise)
        previous = torch.cat([torch.full_like(x[:, :1], BEGIN), x[:, :-1]], dim=1)  # (B, L)
        states = self.recurrence(self._token_gates(), previous.t(), start, context_gates)  # (L, B, H)
        return self._logits(states).transpose(0, 1)  # (B, L, V)

    @torch.no_grad()
    def generate(self, z: Tensor, noise: Tensor, temperature: Tensor, generator: Generator | None) -> Tensor:
        """Token rows of latent vectors.

        Finished rows leave the batch, so a step costs little more than the unfinished rows. They leave in groups of 16:
        oneDNN keeps up to a megabyte for each size of a matrix that it has multiplied.

        Parameters
        ----------
        z : Tensor of shape (B, D)
            Latent vectors.
        noise : Tensor of shape (B,)
            Noise levels in [0, 1].
        temperature : Tensor of shape (B,)
            0: the most probable token at each step; above 0: tokens are drawn at random.
        generator : Generator or None
            Source of the random draws.

        Returns
        -------
        Tensor of int64, shape (B, L)
            Tokens, END, then PAD; L is the length of the longest row. A row that does not end within the maximum
            length has no END.
        """
        tokens = torch.full((len(z), self.length), PAD, device=z.device)
        uniform = _draw_uniform(temperature, self.length, generator)
        context_gates, state = self._context(z, noise)
        weights = self._prepare(state.dtype)
        rows = torch.arange(len(z), device=z.device)
        token = torch.full_like(rows, BEGIN)
        is_done = torch.zeros_like(rows, dtype=torch.bool)
        for position in range(self.length):
            state = weights.recurrence.step(weights.token_gates.index_select(0, token).add_(context_gates), state)
            logits = linear(state, weights.output, weights.choice_bias).float()
            token = _choose(logits, temperature, uniform[rows, position]).masked_fill_(is_done, PAD)
            tokens[rows, position] = token
            is_done |= token == END
            n_open = len(rows) - int(is_done.sum())
            if n_open == 0:
                return tokens[:, : position + 1]
            n_kept = -(-n_open // _GROUP) * _GROUP
            if n_kept < len(rows):
                kept = is_done.argsort(stable=True)[:n_kept]
                rows, token, state, context_gates, temperature, is_done = (
                    t.index_select(0, kept) for t in (rows, token, state, context_gates, temperature, is_done)
                )
        return tokens

    @torch.no_grad()
    def beam_search(self, z: Tensor, noise: Tensor, beam_size: int) -> Tensor:
        """The most probable token rows of latent vectors, by beam search.

        Latent vectors whose beams are all finished leave the batch.

        Parameters
        ----------
        z : Tensor of shape (B, D)
            Latent vectors.
        noise : Tensor of shape (B,)
            Noise levels in [0, 1].
        beam_size : int
            Number K of beams; at each step the K most probable prefixes are kept, finished ones included.

        Returns
        -------
        Tensor of int64, shape (B, K, L)
            Token rows as in `generate`, most probable first.
        """
        n, v = len(z), self.output_bias.shape[0]
        rows = torch.arange(n, device=z.device)
        tokens = torch.full((n, beam_size, self.length), PAD, device=z.device)
        context_gates, state = (t[:, None].expand(-1, beam_size, -1) for t in self._context(z, noise))  # (B, K, .)
        weights = self._prepare(state.dtype)
        token = torch.full((n, beam_size), BEGIN, device=z.device)
        log_probability = torch.full((n, beam_size), -torch.inf, device=z.device)
        log_probability[:, 0] = 0.0  # all beams are equal before the first step: expand only one
        for position in range(self.length):
            gates = weights.token_gates.index_select(0, token.flatten()).view(context_gates.shape).add_(context_gates)
            state = weights.recurrence.step(gates.flatten(0, 1), state.flatten(0, 1))
            logits = linear(state, weights.output, weights.choice_bias).float()
            steps = logits.log_softmax(1).view(len(rows), beam_size, v)
            is_done = (token == END) | (token == PAD)
            steps[is_done] = -torch.inf
            steps[:, :, PAD] = torch.where(is_done, 0.0, -torch.inf)
            log_probability, chosen = (log_probability[:, :, None] + steps).flatten(1).topk(beam_size)
            parent, token = chosen // v, chosen % v
            tokens[rows] = tokens[rows].gather(1, parent[:, :, None].expand(-1, -1, self.length))
            tokens[rows, :, position] = token
            state = state.view(len(rows), beam_size, -1).gather(1, parent[:, :, None].expand(-1, -1, state.shape[1]))
            is_open = ((token != END) & (token != PAD)).any(1)
            if not is_open.all():
                rows, token, log_probability, state, context_gates = (
                    t[is_open] for t in (rows, token, log_probability, state, context_gates)
                )
            if len(rows) == 0:
                return tokens[:, :, : position + 1]
        return tokens

    @torch.no_grad()
    def begin(self, z: Tensor, noise: Tensor) -> DecoderState:
        """The state before the first token, for decoding token by token.

        Parameters
        ----------
        z : Tensor of shape (B, D)
            Latent vectors.
        noise : Tensor of shape (B,)
            Noise levels in [0, 1].

        Returns
        -------
        DecoderState
            For `advance`.
        """
        context_gates, state = self._context(z, noise)
        return DecoderState(state, context_gates, torch.full((len(z),), BEGIN, device=z.device))

    @torch.no_grad()
    def advance(self, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Logits of the next token, and the hidden state after the last one.

        Parameters
        ----------
        state : DecoderState
            Hidden state, and the last token.

        Returns
        -------
        logits : Tensor of shape (B, V)
            Logits of all tokens, float32.
        hidden : Tensor of shape (B, H)
            Hidden state for the next `DecoderState`.
        """
        weights = self._prepare(state.hidden.dtype)
        gates = weights.token_gates.index_select(0, state.token).add_(state.context_gates)
        hidden = weights.recurrence.step(gates, state.hidden)
        return linear(hidden, weights.output, weights.bias).float(), hidden

    def _context(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        context = silu(self.context(torch.cat([z, noise_features(noise)], dim=1)))
        return self.context_gates(context), self.start(context)

    def _prepare(self, precision: torch.dtype) -> _Weights:
        """The weights of generation; those of a frozen model on a CPU are kept for the next call.

        The input gates of the tokens cost a third of the arithmetic of generating 100 rows.
        """
        sources = [self.embedding.weight, self.output_bias, *self.input.parameters(), *self.recurrence.parameters()]
        if any(s.requires_grad or s.device.type != "cpu" or s.is_inference() for s in sources):
            return self._cast_weights(precision)
        version = (precision, *((id(s), s.data_ptr(), s._version) for s in sources))
        if self._kept is None or self._kept.version != version:
            self._kept = _Kept(sources, version, self._cast_weights(precision))
        return self._kept.weights

    def _cast_weights(self, precision: torch.dtype) -> _Weights:
        bias = self.output_bias.detach().to(precision)
        choice_bias = bias.clone()
        choice_bias[[PAD, BEGIN, MASK]] = -torch.inf
        return _Weights(
            self._token_gates(),
            self.recurrence.prepare(precision),
            prepare_weight(self.embedding.weight, precision),
            bias,
            choice_bias,
        )

    def _token_gates(self) -> Tensor:
        return self.input(self.embedding.weight)

    def _logits(self, state: Tensor) -> Tensor:
        return linear(state, self.embedding.weight, self.output_bias)


def noise_features(noise: Tensor) -> Tensor:
    """Sines and cosines of a noise level.

    Parameters
    ----------
    noise : Tensor of shape (B,)
        Noise levels in [0, 1].

    Returns
    -------
    Tensor of shape (B, 8)
        Features.
    """
    levels = noise[:, None] * torch.arange(1, _NOISE_FEATURES // 2 + 1, device=noise.device) * (math.pi / 2)
    return torch.cat([levels.sin(), levels.cos()], dim=1)


def _draw_uniform(temperature: Tensor, length: int, generator: Generator | None) -> Tensor:
    """Numbers (B, L) in (0, 1] from which the tokens are drawn; none is drawn if every row is greedy."""
    if not temperature.any():
        return temperature.new_zeros(1).expand(len(temperature), length)
    return 1 - torch.rand((len(temperature), length), generator=generator, device=temperature.device)


def _choose(logits: Tensor, temperature: Tensor, uniform: Tensor) -> Tensor:
    """One token per row: the most probable, or the one at which the distribution function reaches `uniform` (B,)."""
    token = _argmax(logits)
    drawn = temperature.nonzero().squeeze(1)
    if len(drawn):
        scaled = logits.index_select(0, drawn) / temperature.index_select(0, drawn).clamp_min(_MIN_TEMPERATURE)[:, None]
        reached = scaled.softmax(1).cumsum_(1)
        threshold = uniform.index_select(0, drawn)[:, None] * reached[:, -1:]
        token[drawn] = torch.searchsorted(reached, threshold).squeeze(1).clamp_max(logits.shape[1] - 1)
    return token


def _argmax(x: Tensor) -> Tensor:
    """Column (B,) of the largest number of each row; on a CPU by NumPy, in a tenth of torch's time."""
    return torch.from_numpy(x.numpy().argmax(1)) if x.device.type == "cpu" else x.argmax(1)
