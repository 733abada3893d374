"""Optimizers in latent space, one file each, and the registry that finds them by name."""

from molvae.search.optimizers.protocol import (
    FIRST_START,
    NO_PARENT,
    LatentOptimizer,
    LatentSpace,
    Outcome,
    Proposals,
    Results,
    State,
    check_results,
)
from molvae.search.optimizers.registry import CONTROLS, OPTIMIZERS, find_optimizer, list_optimizers
from molvae.search.optimizers.scale import LatentScale

__all__ = [
    "CONTROLS",
    "FIRST_START",
    "NO_PARENT",
    "OPTIMIZERS",
    "LatentOptimizer",
    "LatentScale",
    "LatentSpace",
    "Outcome",
    "Proposals",
    "Results",
    "State",
    "check_results",
    "find_optimizer",
    "list_optimizers",
]
