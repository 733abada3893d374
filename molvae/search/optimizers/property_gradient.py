"""Gradient ascent of a property that the codec predicts, from the prior and from the best molecules."""

import difflib
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from molvae import settings as base
from molvae.errors import InputError
from molvae.search.optimizers.property_space import PropertySpace, require_properties
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Outcome, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.search.optimizers.scored import Scored, pad
from molvae.seeds import generator

_STRETCH = (0.25, 4.0)  # smallest and largest factor of the perturbation


class PropertyGradientSettings(base.Settings):
    """Settings of `PropertyGradient`.

    Parameters
    ----------
    property : str, optional
        Property of the codec's property head; default: the first one.
    direction : {"maximize", "minimize"}, default="maximize"
        Whether to maximize or minimize the property.
    penalty : float, default=0.1
        Weight of the prior: a path converges to a distance of 1 / `penalty` from the mean of the prior, in standard
        deviations. 0 does not limit a path.
    length : float, default=2.0
        Largest length of a path at `penalty` 0, in standard deviations of the prior; proposals are at random distances
        up to it.
    perturbation : float, default=0.3
        Standard deviation of the noise added to the molecule at which a path begins, per latent dimension, in standard
        deviations of the prior.
    n_restarts : int, default=20
        Number of best molecules at which paths begin.
    prior_share : float, default=0.2
        Share of paths that begin at draws from the prior.
    n_initial : int, default=50
        Number of molecules on paths from the prior before the first path from a molecule, if there are no start
        molecules.
    step_adaptation : float, default=0.3
        How strongly the perturbation grows with the share of repeats among the molecules, and shrinks with the share of
        invalid ones; 0 keeps it fixed.
    """

    property: str | None = Field(None, description="property of the codec's property head; default: the first one")
    direction: Literal["maximize", "minimize"] = Field("maximize", description="whether to raise or lower the property")
    penalty: float = Field(0.1, ge=0, le=10, description="weight of the prior")
    length: float = Field(2.0, gt=0, le=100, description="largest length of a path, in standard deviations")
    perturbation: float = Field(0.3, ge=0, le=10, description="noise at the beginning of a path, per dimension")
    n_restarts: int = Field(20, ge=1, le=10_000, description="best molecules at which paths begin")
    prior_share: float = Field(0.2, ge=0, le=1, description="share of paths from draws from the prior")
    n_initial: int = Field(50, ge=0, description="molecules on paths from the prior first, without starts")
    step_adaptation: float = Field(0.3, ge=0, le=2, description="how strongly repeats raise the perturbation")


class PropertyGradient:
    """Gradient ascent of a predicted property plus the log-density of the prior.

    The property head is linear, so a path of the ascent has a closed form: it goes along the gradient of the property,
    and shrinks towards the mean of the prior. The prior is assumed to be normal with independent latent dimensions.
    Paths begin near the molecules with the best scores, and at draws from the prior.

    Use it if the score grows or falls with a property that the codec predicts, such as `logp`, and also depends on what
    the codec does not predict. It is useless if the score does not depend on the property.

    Parameters
    ----------
    space : LatentSpace
        A latent space with a property head.
    seed : int
        Seed of the random numbers.
    settings : PropertyGradientSettings, optional
        Settings.

    Raises
    ------
    InputError
        The codec has no property head, or does not predict the property.
    """

    Settings: ClassVar[type[base.Settings]] = PropertyGradientSettings
    uses_surrogate: ClassVar[bool] = True

    def __init__(self, space: LatentSpace, seed: int, settings: PropertyGradientSettings | None = None) -> None:
        self._settings = settings or PropertyGradientSettings()
        self._rng = generator(seed, "search/property_gradient")
        self._scale = LatentScale(space, seed)
        slope = _slope(require_properties(space, "property_gradient"), self._settings.property, self._scale)
        self._slope = slope if self._settings.direction == "maximize" else -slope
        self._best = Scored.empty(self._scale.n_latent)  # best first
        self._n_asked = 0
        self._n_told = 0
        self._is_started = False
        self._stretch = 1.0  # factor of the perturbation

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        s = self._settings
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        z, parents = self._scale.draw(n, self._rng), np.full(n, NO_PARENT)
        if self._is_started and len(self._best.rows):
            rows = np.flatnonzero(self._rng.random(n) >= s.prior_share)
            chosen = self._best.take(self._rng.integers(len(self._best.rows), size=len(rows)))
            noise = s.perturbation * self._stretch * self._rng.standard_normal((len(rows), self._scale.n_latent))
            z[rows] = self._scale.standardize(chosen.z) + noise
            parents[rows] = chosen.ids
        distance = s.length * self._rng.random((n, 1))
        shrinkage = np.exp(-s.penalty * distance)
        shift = (1 - shrinkage) / s.penalty if s.penalty else distance
        z = self._scale.to_latent(shrinkage * z + shift * self._slope)
        proposals = Proposals.greedy(ids, z, parents, "gradient")
        return proposals._replace(moves=np.where(parents == NO_PARENT, "prior_gradient", "gradient"))

    def tell(self, results: Results) -> None:
        """Keep the best molecules, at which paths begin."""
        results = check_results(results, self._scale.n_latent)
        is_scored = results.outcome == Outcome.SCORED
        if not is_scored.all():
            self._adapt(results.outcome[~is_scored & (results.proposals.parents[:, 0] != NO_PARENT)])
        results = results.rows(is_scored)
        new = Scored.of(results, np.arange(self._n_told, self._n_told + len(results.z)))
        if len(new.rows):
            self._n_told += len(new.rows)
            self._best = self._best.append(new).best(self._settings.n_restarts)
            self._is_started |= bool((new.ids < 0).any()) or self._n_told >= self._settings.n_initial

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        arrays = {name: np.array(int(getattr(self, f"_{name}"))) for name in _COUNTS}
        arrays |= {"best": pad(self._best.rows, self._settings.n_restarts), "stretch": np.array(self._stretch)}
        return State(arrays, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state and all scored results before it."""
        rows = state.arrays["best"][state.arrays["best"] >= 0]
        self._best = Scored.of(scored.rows(rows), rows)
        for name in _COUNTS:
            setattr(self, f"_{name}", int(state.arrays[name]))
        self._stretch = float(state.arrays["stretch"])
        self._rng.bit_generator.state = state.rng

    def _adapt(self, outcome: np.ndarray) -> None:
        """Adapt the perturbation to the outcomes of paths from molecules."""
        if len(outcome):
            balance = np.mean(outcome == Outcome.REPEAT) - np.mean(outcome == Outcome.INVALID)
            stretch = self._stretch * np.exp(self._settings.step_adaptation * balance)
            self._stretch = float(np.clip(stretch, *_STRETCH))


def _slope(space: PropertySpace, name: str | None, scale: LatentScale) -> np.ndarray:
    """Gradient (D,) of a property in standard units, scaled to length 1; it is constant, as the head is linear."""
    names = space.property_names
    name = names[0] if name is None else name
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it predicts: {', '.join(names)}"
        raise InputError(f"property_gradient.property: the codec does not predict {name!r}; {hint}")
    probes = np.vstack([np.zeros(scale.n_latent), np.eye(scale.n_latent)])
    values = np.asarray(space.properties(scale.to_latent(probes))[name], float)
    slope = values[1:] - values[0]
    return np.asarray(slope / max(float(np.linalg.norm(slope)), 1e-12))


_COUNTS = ("n_asked", "n_told", "is_started")
