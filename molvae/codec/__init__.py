"""Codecs: trained models that encode molecules to latent vectors and decode latent vectors to molecules."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molvae.codec.codec import Codec, load_codec
    from molvae.codec.domain import DomainCalibration
    from molvae.codec.encoding import encode_features
    from molvae.codec.fitting import fit_domain, fit_prior, property_errors
    from molvae.codec.results import Decoded, Encoding
    from molvae.codec.space import MoleculeSpace
    from molvae.codec.toy import ToyCodec
    from molvae.latent.prior import SamplingSettings

_HOME = {
    "Codec": "molvae.codec.codec",
    "Decoded": "molvae.codec.results",
    "DomainCalibration": "molvae.codec.domain",
    "Encoding": "molvae.codec.results",
    "MoleculeSpace": "molvae.codec.space",
    "SamplingSettings": "molvae.latent.prior",
    "ToyCodec": "molvae.codec.toy",
    "encode_features": "molvae.codec.encoding",
    "fit_domain": "molvae.codec.fitting",
    "fit_prior": "molvae.codec.fitting",
    "load_codec": "molvae.codec.codec",
    "property_errors": "molvae.codec.fitting",
}

__all__ = [
    "Codec",
    "Decoded",
    "DomainCalibration",
    "Encoding",
    "MoleculeSpace",
    "SamplingSettings",
    "ToyCodec",
    "encode_features",
    "fit_domain",
    "fit_prior",
    "load_codec",
    "property_errors",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: most of them import torch, ToyCodec imports RDKit."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molvae.codec' has no attribute {name!r}")
