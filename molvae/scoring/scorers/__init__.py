"""The scorers of an objective: what the raw value of a term is computed from."""

from molvae.scoring.scorers.registry import SCORERS, find_scorer, read_term

__all__ = ["SCORERS", "find_scorer", "read_term"]
