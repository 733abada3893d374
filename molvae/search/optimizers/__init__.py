"""Optimizers in latent space, one file each, and the registry that finds them by name."""

from molvae.search.optimizers.protocol import NO_PARENT, Draw, LatentOptimizer, State, check_scores
from molvae.search.optimizers.registry import OPTIMIZERS, find_optimizer, list_optimizers
from molvae.search.optimizers.scale import LatentScale

__all__ = [
    "NO_PARENT",
    "OPTIMIZERS",
    "Draw",
    "LatentOptimizer",
    "LatentScale",
    "State",
    "check_scores",
    "find_optimizer",
    "list_optimizers",
]
