"""The autoencoder family: features to latent vectors, and back."""

from molvae.autoencoder.model import Autoencoder
from molvae.autoencoder.recipes import RECIPES, ModelSettings, build

__all__ = ["RECIPES", "Autoencoder", "ModelSettings", "build"]
