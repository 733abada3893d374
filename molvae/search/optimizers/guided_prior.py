"""Draws from the prior that are guided to property windows."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.search.optimizers.property_space import require_properties
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Proposals, Results, State, check_results
from molvae.seeds import generator


class GuidedPriorSettings(base.Settings):
    """Settings of `GuidedPrior`.

    Parameters
    ----------
    windows : dict of str to pair of float, optional
        Lowest and highest value by property of the codec's property head; None leaves a side open (in a campaign,
        use a number beyond all values). Without windows, draws are not guided.
    guidance : float, default=1.0
        Strength of the guidance: 0 is none, 1 follows Bayes' rule, higher values reduce diversity.
    """

    windows: dict[str, tuple[float | None, float | None]] = Field(
        {}, description="lowest and highest value, by property"
    )
    guidance: float = Field(1.0, ge=0, description="strength of the guidance; 1 follows Bayes' rule")


class GuidedPrior:
    """Property-guided draws from the prior; the surrogate of the search chooses those that are scored.

    Use it if some properties of good molecules are known beforehand and are among those that the codec predicts, for a
    diverse set of such molecules, and to see what the scores add to the properties. It does not learn from the scores:
    without a surrogate, it only screens guided draws.

    Parameters
    ----------
    space : LatentSpace
        A latent space with a property head.
    seed : int
        Seed of the random numbers.
    settings : GuidedPriorSettings, optional
        Settings.

    Raises
    ------
    InputError
        The codec has no property head, it does not predict a property of the windows, a window is empty, or its prior
        does not support guidance.
    """

    Settings: ClassVar[type[base.Settings]] = GuidedPriorSettings
    uses_surrogate: ClassVar[bool] = True

    def __init__(self, space: LatentSpace, seed: int, settings: GuidedPriorSettings | None = None) -> None:
        self._settings = settings or GuidedPriorSettings()
        self._space = require_properties(space, "guided_prior")
        self._rng = generator(seed, "search/guided_prior")
        self._n_asked = 0
        self._draw(1, 0)  # raises for invalid windows before the oracle is called

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        z = self._draw(n, int(self._rng.integers(2**31)))
        return Proposals.greedy(ids, z, np.full(n, NO_PARENT), "guided_prior")

    def tell(self, results: Results) -> None:
        """Check the results and ignore them."""
        check_results(results, self._space.n_latent)

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        return State({"n_asked": np.array(self._n_asked)}, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state; the results are ignored."""
        self._n_asked = int(state.arrays["n_asked"])
        self._rng.bit_generator.state = state.rng

    def _draw(self, n: int, seed: int) -> np.ndarray:
        s = self._settings
        return self._space.draw(n, seed=seed, windows=s.windows, guidance=s.guidance, spread=0.0)
