"""Points to arrays: token by token, told how noisy the point is."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, linear, silu

from molvae.autoencoder.gru import GatedRecurrence
from molvae.autoencoder.mlp import mlp
from molvae.feature_spec import BEGIN, END, MASK, PAD, FeatureSpec

_NOISE_FEATURES = 8


class MlpDecoder(nn.Module):
    """Numbers all at once: layers from the point to the features; what it answers depends on their kind.

    bits: logits; counts: log rates; array: the numbers. The noise level is read beside the point.
    """

    def __init__(self, spec: FeatureSpec, n_latent: int, widths: tuple[int, ...], is_noise_conditioned: bool) -> None:
        super().__init__()
        self.kind = spec.kind
        self.n_told = _NOISE_FEATURES if is_noise_conditioned else 0
        self.layers = mlp((n_latent + self.n_told, *widths, spec.width), is_last_bent=False)
        if not widths:
            self._begin_linear()

    def _begin_linear(self) -> None:
        """Start from columns of length 1: torch's own are so large beside the encoder's that both learn slowly."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor, noise: Tensor, x: Tensor | None = None) -> Tensor:
        """Logits, log rates or numbers (B, F) of points (B, D)."""
        output: Tensor = self.layers(torch.cat([z, noise_features(noise)], dim=1) if self.n_told else z)
        return output

    @torch.no_grad()
    def generate(self, z: Tensor, noise: Tensor, temperature: float, generator: Generator | None) -> Tensor:
        """Features (B, F): the most probable bits, expected counts, numbers; above 0 bits and counts are drawn."""
        output = self.forward(z, noise).float()
        if self.kind == "array":
            return output
        if self.kind == "counts":
            return torch.poisson(output.exp(), generator) if temperature else output.exp()
        if temperature == 0:
            return (output > 0).float()
        return torch.bernoulli(torch.sigmoid(output / temperature), generator=generator)


class GruDecoder(nn.Module):
    """A GRU that reads the point at every step, beside the token before; its output is tied to its token embedding.

    The noise level t in [0, 1] says how the point was made: cos(pi t / 2) z + sin(pi t / 2) N(0, I). At 0 the decoder
    may trust its point, at 1 it is a language model of the corpus.
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

    def forward(self, z: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        """Logits (B, L, V) of each token given the point (B, D), its noise (B,) and the true tokens before it."""
        context_gates, start = self._read_point(z, noise)
        before = torch.cat([torch.full_like(x[:, :1], BEGIN), x[:, :-1]], dim=1)  # (B, L)
        states = self.recurrence(self._token_gates(), before.t(), start, context_gates)  # (L, B, H)
        return self._logits(states).transpose(0, 1)  # (B, L, V)

    @torch.no_grad()
    def generate(self, z: Tensor, noise: Tensor, temperature: float, generator: Generator | None) -> Tensor:
        """Token rows (B, L) int64, closed by END and filled up with PAD; L is the longest that was written.

        temperature 0 takes the most probable token at each step; above, tokens are drawn. A row that finds no END in
        the decoder's length is left open. Finished rows leave the batch, so a step costs what the open rows cost.
        """
        written = torch.full((len(z), self.length), PAD, device=z.device)
        context_gates, state = self._read_point(z, noise)
        token_gates = self._token_gates()
        rows = torch.arange(len(z), device=z.device)
        token = torch.full_like(rows, BEGIN)
        for place in range(self.length):
            state = self.recurrence.step(token_gates[token] + context_gates, state)
            logits = self._logits(state).float()
            logits[:, [PAD, BEGIN, MASK]] = -torch.inf
            token = _choose(logits, temperature, generator)
            written[rows, place] = token
            open_rows = token != END
            if not open_rows.all():
                rows, token, state, context_gates = (t[open_rows] for t in (rows, token, state, context_gates))
            if len(rows) == 0:
                return written[:, : place + 1]
        return written

    @torch.no_grad()
    def beam_search(self, z: Tensor, noise: Tensor, beam_size: int) -> Tensor:
        """The most probable token rows (B, K, L) int64 of each point that a beam search finds, the best first.

        Closed by END and filled up with PAD, as in `generate`; at each step the K best beginnings are kept, finished
        ones among them. Points all of whose beams are finished leave the batch. A beam that found no END is left open.
        """
        n, v = len(z), self.output_bias.shape[0]
        rows = torch.arange(n, device=z.device)
        written = torch.full((n, beam_size, self.length), PAD, device=z.device)
        context_gates, state = (t[:, None].expand(-1, beam_size, -1) for t in self._read_point(z, noise))  # (B, K, .)
        token_gates = self._token_gates()
        token = torch.full((n, beam_size), BEGIN, device=z.device)
        nats = torch.full((n, beam_size), -torch.inf, device=z.device)
        nats[:, 0] = 0.0  # all beams begin alike, and one is enough
        for place in range(self.length):
            gates = (token_gates[token] + context_gates).flatten(0, 1)
            state = self.recurrence.step(gates, state.flatten(0, 1))
            logits = self._logits(state).float()
            logits[:, [PAD, BEGIN, MASK]] = -torch.inf
            steps = logits.log_softmax(1).view(len(rows), beam_size, v)
            is_done = (token == END) | (token == PAD)
            steps[is_done] = -torch.inf
            steps[:, :, PAD] = torch.where(is_done, 0.0, -torch.inf)
            nats, chosen = (nats[:, :, None] + steps).flatten(1).topk(beam_size)
            parent, token = chosen // v, chosen % v
            written[rows] = written[rows].gather(1, parent[:, :, None].expand(-1, -1, self.length))
            written[rows, :, place] = token
            state = state.view(len(rows), beam_size, -1).gather(1, parent[:, :, None].expand(-1, -1, state.shape[1]))
            is_open = ((token != END) & (token != PAD)).any(1)
            if not is_open.all():
                rows, token, nats, state, context_gates = (
                    t[is_open] for t in (rows, token, nats, state, context_gates)
                )
            if len(rows) == 0:
                return written[:, :, : place + 1]
        return written

    @torch.no_grad()
    def complete(
        self, z: Tensor, noise: Tensor, template: Tensor, temperature: float, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Token rows (B, L) with a token for each MASK of a template (B, L), and their log-probability (B,) in nats.

        What is given stays, PAD behind it too; a token is chosen as in `generate`, but never END. The log-probability
        is that of the whole row, given and chosen tokens alike, as `forward` has it, whatever the temperature; a
        template without MASK is only judged.
        """
        written = template.clone()
        context_gates, state = self._read_point(z, noise)
        token_gates = self._token_gates()
        token = torch.full((len(z),), BEGIN, device=z.device)
        log_probability = torch.zeros(len(z), device=z.device)
        for place in range(template.shape[1]):
            state = self.recurrence.step(token_gates[token] + context_gates, state)
            logits = self._logits(state).float()
            token = template[:, place].clone()
            hidden = token == MASK
            open_logits = logits[hidden]
            open_logits[:, [PAD, BEGIN, END, MASK]] = -torch.inf
            token[hidden] = _choose(open_logits, temperature, generator)
            written[:, place] = token
            nats = cross_entropy(logits, token, reduction="none")
            log_probability -= torch.where(token == PAD, 0.0, nats)
        return written, log_probability

    def _read_point(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        context = silu(self.context(torch.cat([z, noise_features(noise)], dim=1)))
        return self.context_gates(context), self.start(context)

    def _token_gates(self) -> Tensor:
        return self.input(self.embedding.weight)

    def _logits(self, state: Tensor) -> Tensor:
        return linear(state, self.embedding.weight, self.output_bias)


def noise_features(noise: Tensor) -> Tensor:
    """A noise level (B,) in [0, 1] as smooth features (B, 8)."""
    levels = noise[:, None] * torch.arange(1, _NOISE_FEATURES // 2 + 1, device=noise.device) * (math.pi / 2)
    return torch.cat([levels.sin(), levels.cos()], dim=1)


def _choose(logits: Tensor, temperature: float, generator: Generator | None) -> Tensor:
    """One token a row: the most probable, or a draw (Gumbel's trick, which needs no normalization)."""
    if temperature == 0:
        return logits.argmax(1)
    gumbel = -torch.empty_like(logits).exponential_(generator=generator).log()
    return (logits / temperature + gumbel).argmax(1)
