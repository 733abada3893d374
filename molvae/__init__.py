"""Molecular design in the latent space of autoencoders: encode, search, decode, and judge molecules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molvae.codec import Codec, load_codec
    from molvae.estimators import AutoencoderTransformer, CodecTransformer
    from molvae.search.loop import optimize

_HOME = {
    "AutoencoderTransformer": "molvae.estimators",
    "Codec": "molvae.codec",
    "CodecTransformer": "molvae.estimators",
    "load_codec": "molvae.codec",
    "optimize": "molvae.search.loop",
}

__all__ = ["AutoencoderTransformer", "Codec", "CodecTransformer", "load_codec", "optimize"]


def __getattr__(name: str) -> Any:
    """The public names, imported at first use: training needs neither RDKit nor Prefect."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molvae' has no attribute {name!r}")
