"""Token by token decoding within a grammar: SMILES that keep given symbols and fill the gaps between them.

Each step chooses among the tokens that the grammar of the row allows. The probability of all allowed tokens measures
how well the given symbols fit what was filled in before; between the gaps, the fillings that fit better go on.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from molvae.autoencoder.parts import TokenDecoder
from molvae.codec.gaps import Grammar, State, TokenTree
from molvae.devices import autocast
from molvae.feature_spec import BEGIN, END, MASK, PAD

_N_DRAWS = 6  # tokens that are drawn in a gap before all allowed tokens are searched for
_SHARPNESS = 0.5  # exponent of the weights by which fillings are selected; 1 gives more probable, less diverse ones
_MIN_TEMPERATURE = 1e-6


class LatentRows(NamedTuple):
    """Input of the decoder.

    Parameters
    ----------
    z : Tensor of shape (B, D)
        Latent vectors.
    noise : Tensor of shape (B,)
        Noise levels in [0, 1].
    temperature : Tensor of shape (B,)
        Sampling temperatures; 0 takes the most probable allowed token.
    """

    z: Tensor
    noise: Tensor
    temperature: Tensor


class Filled(NamedTuple):
    """A filled template.

    Parameters
    ----------
    row : int
        Row of the grammar and the latent vector.
    raw_smiles : str
        The SMILES, not checked.
    fillings : tuple of str
        The SMILES in each gap; empty if the SMILES is not complete.
    is_complete : bool
        Whether it ends within the maximum length.
    log_probability : float
        Log-probability of its tokens, in nats.
    """

    row: int
    raw_smiles: str
    fillings: tuple[str, ...]
    is_complete: bool
    log_probability: float


def fill(
    decoder: TokenDecoder,
    tokens: TokenTree,
    grammars: Sequence[Grammar],
    latent: LatentRows,
    draws: Generator,
    *,
    per_group: int,
    n_kept: int,
    is_end_scored: bool = True,
) -> list[Filled]:
    """Fill templates.

    Parameters
    ----------
    decoder : TokenDecoder
        The decoder.
    tokens : TokenTree
        Its vocabulary.
    grammars : sequence of Grammar
        Grammar of each row, B; those of a group have equally many gaps.
    latent : LatentRows
        Latent vectors, noise levels and temperatures of the rows.
    draws : Generator
        Source of the random draws.
    per_group : int
        Rows per group; consecutive rows form a group.
    n_kept : int
        Number of rows of each group that are filled to the end; the others are dropped between the gaps. The
        selection is random, without replacement, with the weights described above.
    is_end_scored : bool, default=True
        Whether the log-probability includes END, and END competes with other tokens.

    Returns
    -------
    list of Filled
        `n_kept` per group, in the order of the rows.
    """
    n_gaps = max((grammar.n_gaps for grammar in grammars), default=0)
    with autocast(latent.z.device, "auto"):
        run = _Run(decoder, tokens, grammars, latent, draws, is_end_scored=is_end_scored)
        for gap in range(1, n_gaps):
            run.decode(gap)
            n = n_kept + (per_group - n_kept) * (n_gaps - 1 - gap) // max(1, n_gaps - 1)
            run.select(per_group, n, draws)
        run.decode(None)
    if n_kept < per_group:
        run.select(per_group, n_kept, draws)
    return run.results()


class _Run:
    """Rows that are decoded at the same time, each in its own grammar."""

    def __init__(
        self,
        decoder: TokenDecoder,
        tokens: TokenTree,
        grammars: Sequence[Grammar],
        latent: LatentRows,
        draws: Generator,
        *,
        is_end_scored: bool,
    ) -> None:
        n = len(grammars)
        self._decoder, self._tree, self._grammars = decoder, tokens, grammars
        self._is_end_scored = is_end_scored
        self._length = tokens.featurizer.length
        self._gru = decoder.begin(latent.z, latent.noise)  # of all rows, before the last token is read
        self._temperature = latent.temperature
        self._uniform = 1 - torch.rand((n, self._length, _N_DRAWS + 1), generator=draws)
        self._states = [State()] * n
        self._tokens: list[list[int]] = [[] for _ in range(n)]
        self._is_complete = [False] * n
        self._is_open = np.ones(n, bool)  # neither complete, nor dead, nor dropped
        self._is_kept = np.ones(n, bool)
        self._weight = np.zeros(n)  # log-probability that the tokens so far are allowed
        self._is_weighed = np.zeros(n, bool)  # whether the weight includes the next token
        self._log_probability = np.zeros(n)

    def decode(self, gap: int | None) -> None:
        """Decode until every row reaches a gap, by its number, or its end."""
        rows = np.flatnonzero(self._is_open)
        while len(rows):
            index = torch.from_numpy(rows)
            logits, hidden = self._decoder.advance(self._gru.rows(index))
            log_p = logits.log_softmax(1).numpy()
            has_reached = np.array([self._has_reached(row, gap) for row in rows.tolist()])
            allowed = self._mark_given(rows, log_p)
            going = ~has_reached
            if going.any():
                moved = self._choose(rows[going], log_p[going], [allowed[i] for i in np.flatnonzero(going).tolist()])
                on = torch.from_numpy(np.flatnonzero(going)[moved >= 0])
                to = index[on]
                self._gru.hidden[to] = hidden[on]
                self._gru.token[to] = torch.from_numpy(moved[moved >= 0])
            rows = rows[going][self._is_open[rows[going]]]

    def select(self, per_group: int, n: int, draws: Generator) -> None:
        """Keep n rows of each group, drawn without replacement by their weights; dead rows only if too few are left."""
        gumbel = -torch.log(-torch.log(torch.rand(len(self._weight), generator=draws, dtype=torch.float64)))
        score = np.where(self._is_complete | self._is_open, _SHARPNESS * self._weight, -1e9) + gumbel.numpy()
        score = np.where(self._is_kept, score, -np.inf).reshape(-1, per_group)
        order = np.argsort(-score, axis=1, kind="stable")
        is_kept = np.zeros_like(score, bool)
        np.put_along_axis(is_kept, order[:, :n], True, axis=1)
        self._is_kept = is_kept.ravel()
        self._is_open &= self._is_kept

    def results(self) -> list[Filled]:
        """The kept rows."""
        found = []
        for row in np.flatnonzero(self._is_kept).tolist():
            symbols = list(chain.from_iterable(self._tree.symbols[token] for token in self._tokens[row]))
            is_complete = self._is_complete[row]
            fillings = tuple(self._grammars[row].fillings(symbols)) if is_complete else ()
            found.append(Filled(row, "".join(symbols), fillings, is_complete, float(self._log_probability[row])))
        return found

    def _has_reached(self, row: int, gap: int | None) -> bool:
        return gap is not None and self._states[row].at >= self._grammars[row].begin_of(gap)

    def _mark_given(self, rows: np.ndarray, log_p: np.ndarray) -> list[np.ndarray | None]:
        """The allowed tokens of each row; None in a gap, where tokens are drawn first. Updates the weights."""
        allowed: list[np.ndarray | None] = []
        for i, row in enumerate(rows.tolist()):
            state, grammar = self._states[row], self._grammars[row]
            must_end = not self._is_end_scored and grammar.can_end(state)
            mask = None if grammar.is_free(state) and not must_end else grammar.allowed(state)
            if mask is not None and must_end:  # END is never learned: the first chance is taken
                mask = np.arange(len(mask)) == END
            allowed.append(mask)
            if mask is not None and not self._is_weighed[row]:
                mass = np.exp(log_p[i][mask].astype(np.float64)).sum()
                self._weight[row] += np.log(max(mass, 1e-30))
                self._is_weighed[row] = True
        return allowed

    def _choose(self, rows: np.ndarray, log_p: np.ndarray, allowed: list[np.ndarray | None]) -> np.ndarray:
        """Append a token to each row; returns the tokens (n,), -1 for a row that is complete, or has none."""
        n = len(rows)
        is_given = np.array([mask is not None for mask in allowed])
        usable = np.ones(log_p.shape, bool)
        usable[:, [PAD, BEGIN, MASK]] = False
        for i in np.flatnonzero(is_given).tolist():
            usable[i] = allowed[i]
        chosen = np.full(n, -1)
        pending = np.arange(n)
        for draw in range(_N_DRAWS + 1):
            if draw == _N_DRAWS:
                for i in pending.tolist():
                    usable[i] &= self._grammars[rows[i]].allowed(self._states[rows[i]])
            pending = pending[usable[pending].any(1)]
            if not len(pending):
                break
            token = self._draw(rows[pending], log_p[pending], usable[pending], draw)
            is_allowed = np.array([self._accept(rows[i], t) for i, t in zip(pending, token.tolist(), strict=True)])
            chosen[pending[is_allowed]] = token[is_allowed]
            usable[pending[~is_allowed], token[~is_allowed]] = False
            pending = pending[~is_allowed]
        for i, row in enumerate(rows.tolist()):
            if not is_given[i] and not self._is_weighed[row]:
                rejected = ~usable[i]
                rejected[[PAD, BEGIN, MASK]] = False
                lost = np.exp(log_p[i][rejected].astype(np.float64)).sum()
                self._weight[row] += np.log(max(1 - lost, 1e-30))
            self._is_weighed[row] = False
            chosen[i] = self._append(row, int(chosen[i]), log_p[i])
        return chosen

    def _append(self, row: int, token: int, log_p: np.ndarray) -> int:
        """Append a token to a row; returns it, or -1 if the row is complete, or dead."""
        self._is_open[row] = False
        if token < 0:
            return -1
        if token == END:
            self._is_complete[row] = True
            self._log_probability[row] += log_p[token] if self._is_end_scored else 0.0
            return -1
        self._log_probability[row] += log_p[token]
        tokens = self._tokens[row]
        tokens.append(token)
        n_left = self._length - len(tokens)
        self._is_open[row] = n_left > 1 or (n_left == 1 and self._grammars[row].can_end(self._states[row]))
        return token

    def _draw(self, rows: np.ndarray, log_p: np.ndarray, usable: np.ndarray, draw: int) -> np.ndarray:
        """One usable token per row (n,)."""
        temperature = self._temperature[rows].numpy()[:, None]
        scaled = np.where(usable, log_p / np.maximum(temperature, _MIN_TEMPERATURE), -np.inf)
        scaled -= scaled.max(1, keepdims=True)
        reached = np.exp(scaled.astype(np.float64)).cumsum(1)
        position = np.array([len(self._tokens[row]) for row in rows])
        uniform = self._uniform[rows, position, draw].numpy()
        drawn = (reached < (uniform * reached[:, -1])[:, None]).sum(1)
        return np.where(temperature[:, 0] > 0, drawn, scaled.argmax(1))

    def _accept(self, row: int, token: int) -> bool:
        """Move the state of a row by a token, if it is allowed."""
        grammar, state = self._grammars[row], self._states[row]
        if token == END:
            return grammar.can_end(state)
        after = grammar.follow(state, token)
        if after is None:
            return False
        self._states[row] = after
        return True
