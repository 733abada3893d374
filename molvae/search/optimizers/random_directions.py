"""A control that moves along random straight lines and ignores the scores."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.seeds import generator


class RandomDirectionsSettings(base.Settings):
    """Settings of `RandomDirections`.

    Parameters
    ----------
    length : float, default=1.5
        Length of a line: its root mean square over the latent dimensions, in standard deviations of the prior.
    n_per_line : int, default=8
        Number of proposals on a line, equally spaced.
    """

    length: float = Field(
        1.5, gt=0, description="length of a line (RMS over dimensions), in standard deviations of the prior"
    )
    n_per_line: int = Field(8, ge=1, description="number of proposals on a line")


class RandomDirections:
    """Control: proposals on random lines that begin at the start molecules or, without them, at draws from the prior.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : RandomDirectionsSettings, optional
        Settings.
    """

    Settings: ClassVar[type[base.Settings]] = RandomDirectionsSettings
    uses_surrogate: ClassVar[bool] = False

    def __init__(self, space: LatentSpace, seed: int, settings: RandomDirectionsSettings | None = None) -> None:
        self._settings = settings or RandomDirectionsSettings()
        self._rng = generator(seed, "search/random_directions")
        self._scale = LatentScale(space, seed)
        self._starts = np.zeros((0, self._scale.n_latent), np.float32)
        self._start_ids = np.zeros(0, np.int64)
        self._n_asked = 0

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        n_per_line = self._settings.n_per_line
        n_lines = -(-n // n_per_line)
        if len(self._starts):
            chosen = self._rng.integers(len(self._starts), size=n_lines)
            origin, parent = self._scale.standardize(self._starts[chosen]), self._start_ids[chosen]
        else:
            origin, parent = self._scale.draw(n_lines, self._rng), np.full(n_lines, NO_PARENT)
        direction = self._rng.standard_normal((n_lines, self._scale.n_latent))
        direction *= np.sqrt(self._scale.n_latent) / np.linalg.norm(direction, axis=1, keepdims=True)
        distance = self._settings.length * np.arange(1, n_per_line + 1) / n_per_line
        lines = origin[:, None] + distance[:, None] * direction[:, None]  # (lines, n_per_line, D)
        order = self._rng.permutation(n_lines * n_per_line)[:n]
        z = self._scale.to_latent(lines.reshape(-1, self._scale.n_latent)[order])
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        return Proposals.greedy(ids, z, np.repeat(parent, n_per_line)[order], "line")

    def tell(self, results: Results) -> None:
        """Keep the start molecules; the values are ignored."""
        results = check_results(results, self._scale.n_latent)
        is_start = results.proposals.ids < 0
        self._starts = np.vstack([self._starts, results.z[is_start]])
        self._start_ids = np.append(self._start_ids, results.proposals.ids[is_start])

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        return State({"n_asked": np.array(self._n_asked)}, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state and all scored results before it."""
        self.tell(scored)
        self._n_asked = int(state.arrays["n_asked"])
        self._rng.bit_generator.state = state.rng
