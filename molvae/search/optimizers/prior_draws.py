"""A control that draws from the prior."""

from typing import ClassVar

import numpy as np

from molvae import settings as base
from molvae.search.optimizers.moves import sampling_noise
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.seeds import generator


class PriorDrawsSettings(base.Settings):
    """`PriorDraws` has no settings."""


class PriorDraws:
    """Control: draws from the prior; the scores are ignored.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : PriorDrawsSettings, optional
        Not used.
    """

    Settings: ClassVar[type[base.Settings]] = PriorDrawsSettings
    uses_surrogate: ClassVar[bool] = False

    def __init__(self, space: LatentSpace, seed: int, settings: PriorDrawsSettings | None = None) -> None:
        self._rng = generator(seed, "search/prior")
        self._scale = LatentScale(space, seed)
        self._n_asked = 0

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        z = self._scale.to_latent(self._scale.draw(n, self._rng))
        noise, temperature = (column.astype(np.float32) for column in sampling_noise(n, 1.0, self._rng))
        return Proposals.greedy(ids, z, np.full(n, NO_PARENT), "prior")._replace(noise=noise, temperature=temperature)

    def tell(self, results: Results) -> None:
        """Check the results and ignore them."""
        check_results(results, self._scale.n_latent)

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        return State({"n_asked": np.array(self._n_asked)}, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state; the results are ignored."""
        self._n_asked = int(state.arrays["n_asked"])
        self._rng.bit_generator.state = state.rng
