"""Training: from a molecule file to a codec, with one loop for every recipe."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molvae.training.codec_training import refit_codec, train_codec
    from molvae.training.config import TrainConfig
    from molvae.training.featurizing import featurize
    from molvae.training.latent_sizes import sweep_latent_sizes
    from molvae.training.progress import Progress
    from molvae.training.trainer import train, train_in_memory

_HOME = {
    "Progress": "molvae.training.progress",
    "TrainConfig": "molvae.training.config",
    "featurize": "molvae.training.featurizing",
    "refit_codec": "molvae.training.codec_training",
    "sweep_latent_sizes": "molvae.training.latent_sizes",
    "train": "molvae.training.trainer",
    "train_codec": "molvae.training.codec_training",
    "train_in_memory": "molvae.training.trainer",
}

__all__ = [
    "Progress",
    "TrainConfig",
    "featurize",
    "refit_codec",
    "sweep_latent_sizes",
    "train",
    "train_codec",
    "train_in_memory",
]


def __getattr__(name: str) -> object:
    """Import a public name at first use: featurizing needs no torch, training needs no RDKit."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molvae.training' has no attribute {name!r}")
