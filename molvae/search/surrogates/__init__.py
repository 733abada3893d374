"""Surrogates: models of the values of molecules, and the registry that finds them by name."""

from molvae.search.surrogates.protocol import Prediction, Surrogate
from molvae.search.surrogates.registry import SURROGATES

__all__ = ["SURROGATES", "Prediction", "Surrogate"]
