"""A control that draws from the prior."""

from typing import ClassVar

import numpy as np

from molvae import settings as base
from molvae.search.optimizers.protocol import NO_PARENT, Draw, State, check_scores
from molvae.search.optimizers.scale import LatentScale
from molvae.seeds import generator


class PriorDrawsSettings(base.Settings):
    """`PriorDraws` has no settings."""


class PriorDraws:
    """Control: draws from the prior; the scores are ignored.

    Parameters
    ----------
    draw : callable
        ``draw(n, seed)`` returns n latent vectors (n, D) from the prior.
    seed : int
        Seed of the random numbers.
    settings : PriorDrawsSettings, optional
        Not used.
    """

    Settings: ClassVar[type[base.Settings]] = PriorDrawsSettings
    learns: ClassVar[bool] = False

    def __init__(self, draw: Draw, seed: int, settings: PriorDrawsSettings | None = None) -> None:
        self._rng = generator(seed, "search/prior")
        self._scale = LatentScale(draw, seed)
        self.parents = np.zeros(0, np.int64)

    def ask(self, n: int) -> np.ndarray:
        """Propose latent vectors (n, D)."""
        self.parents = np.full(n, NO_PARENT)
        return self._scale.to_latent(self._scale.draw(n, self._rng))

    def tell(self, z: np.ndarray, score: np.ndarray, asked: np.ndarray | None = None) -> None:
        """Check the arguments and ignore them."""
        check_scores(z, score, self._scale.n_latent)

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        return State({"parents": self.parents.copy()}, self._rng.bit_generator.state)

    def restore(self, state: State, z: np.ndarray, score: np.ndarray) -> None:
        """Resume from a state."""
        self.parents = state.arrays["parents"].copy()
        self._rng.bit_generator.state = state.rng
