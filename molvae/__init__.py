"""Molecular design in the latent space of autoencoders: encode, decode, sample, search and score molecules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molvae.codec import Codec, load_codec
    from molvae.estimators import AutoencoderTransformer, CodecTransformer
    from molvae.search.loop import optimize
    from molvae.training import featurize, refit_codec, sweep_latent_sizes, train_codec

    __version__: str

_HOME = {
    "AutoencoderTransformer": "molvae.estimators",
    "Codec": "molvae.codec",
    "CodecTransformer": "molvae.estimators",
    "featurize": "molvae.training.featurizing",
    "load_codec": "molvae.codec",
    "optimize": "molvae.search.loop",
    "refit_codec": "molvae.training.codec_training",
    "sweep_latent_sizes": "molvae.training.latent_sizes",
    "train_codec": "molvae.training.codec_training",
}

__all__ = [
    "AutoencoderTransformer",
    "Codec",
    "CodecTransformer",
    "featurize",
    "load_codec",
    "optimize",
    "refit_codec",
    "sweep_latent_sizes",
    "train_codec",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: training needs neither RDKit nor Prefect."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("molvae")
    raise AttributeError(f"module 'molvae' has no attribute {name!r}")
