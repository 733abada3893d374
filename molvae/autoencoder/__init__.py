"""Arrays as points, and points as arrays again."""

from molvae.autoencoder.model import Autoencoder
from molvae.autoencoder.recipes import RECIPES, ModelSettings, build

__all__ = ["RECIPES", "Autoencoder", "ModelSettings", "build"]
