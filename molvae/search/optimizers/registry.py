"""The registry of optimizers: the built-in ones and those from plug-ins."""

import difflib

from molvae import settings as base
from molvae.errors import InputError
from molvae.plugins import load_plugins
from molvae.search.optimizers.cma_es import CmaEs
from molvae.search.optimizers.evolution import Evolution
from molvae.search.optimizers.guided_prior import GuidedPrior
from molvae.search.optimizers.hill_climbing import HillClimbing
from molvae.search.optimizers.prior_draws import PriorDraws
from molvae.search.optimizers.property_gradient import PropertyGradient
from molvae.search.optimizers.protocol import LatentOptimizer
from molvae.search.optimizers.random_directions import RandomDirections
from molvae.search.optimizers.trust_region import TrustRegion

GROUP = "molvae.optimizers"
"""Entry-point group of the optimizers of other packages."""

OPTIMIZERS: dict[str, type[LatentOptimizer]] = {
    "evolution": Evolution,
    "hill_climbing": HillClimbing,
    "cma_es": CmaEs,
    "trust_region": TrustRegion,
    "property_gradient": PropertyGradient,
    "guided_prior": GuidedPrior,
    "random_directions": RandomDirections,
    "prior": PriorDraws,
}

CONTROLS = ("random_directions", "prior")
"""Optimizers that ignore the scores."""


def find_optimizer(name: str) -> type[LatentOptimizer]:
    """Find an optimizer by its name.

    Parameters
    ----------
    name : str
        Name in `OPTIMIZERS` or of an entry point in the group ``molvae.optimizers``.

    Returns
    -------
    type of LatentOptimizer
        Its class.

    Raises
    ------
    InputError
        No optimizer has this name, or a plug-in cannot be used.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    known = list_optimizers()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise InputError(f"unknown method {name!r}; {hint}")
    return known[name]


def list_optimizers() -> dict[str, type[LatentOptimizer]]:
    """List all optimizers, plug-ins included.

    Returns
    -------
    dict of str to type of LatentOptimizer
        Class by name; a new dict.

    Raises
    ------
    InputError
        A plug-in cannot be loaded, has the name of another optimizer, or is not an optimizer.
    """
    plugins = load_plugins(GROUP, OPTIMIZERS, type)
    for name, optimizer in plugins.items():
        missing = [part for part in _PARTS if not hasattr(optimizer, part)]
        if missing:
            raise InputError(f"plug-in {GROUP} {name}: {optimizer.__name__} has no {', '.join(missing)}")
        settings = getattr(optimizer, "Settings", None)
        if not (isinstance(settings, type) and issubclass(settings, base.Settings)):
            raise InputError(f"plug-in {GROUP} {name}: Settings must be a subclass of molvae.settings.Settings")
    return OPTIMIZERS | plugins


_PARTS = ("Settings", "uses_surrogate", "ask", "tell", "state", "restore")
