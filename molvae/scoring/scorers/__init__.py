"""The scorers of an objective: what the raw value of a term is computed from."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molvae.scoring.scorers.registry import SCORERS, find_scorer, read_term

__all__ = ["SCORERS", "find_scorer", "read_term"]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: the scorers import RDKit, a process that calls a function needs none."""
    if name in __all__:
        return getattr(import_module("molvae.scoring.scorers.registry"), name)
    raise AttributeError(f"module 'molvae.scoring.scorers' has no attribute {name!r}")
