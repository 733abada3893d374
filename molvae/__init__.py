"""Molecular design in the latent space of autoencoders: encode, decode, sample, search and score molecules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molvae.codec import Codec, load_codec
    from molvae.estimators import AutoencoderTransformer, CodecTransformer
    from molvae.search.loop import optimize

    __version__: str

_HOME = {
    "AutoencoderTransformer": "molvae.estimators",
    "Codec": "molvae.codec",
    "CodecTransformer": "molvae.estimators",
    "load_codec": "molvae.codec",
    "optimize": "molvae.search.loop",
}

__all__ = ["AutoencoderTransformer", "Codec", "CodecTransformer", "load_codec", "optimize"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: training needs neither RDKit nor Prefect."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("molvae")
    raise AttributeError(f"module 'molvae' has no attribute {name!r}")
