"""Molecules to points and back."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molvae.codec.codec import Codec, encode_features, fit_prior, load_codec, property_errors
    from molvae.codec.domain import DomainCalibration, fit_domain
    from molvae.codec.results import Decoded, Encoding
    from molvae.codec.space import MoleculeSpace
    from molvae.codec.toy import ToyCodec
    from molvae.latent.prior import SamplingSettings

_CODEC, _DOMAIN = "molvae.codec.codec", "molvae.codec.domain"
_PRIOR, _RESULTS = "molvae.latent.prior", "molvae.codec.results"
_HOME = {
    "Codec": _CODEC,
    "Decoded": _RESULTS,
    "DomainCalibration": _DOMAIN,
    "Encoding": _RESULTS,
    "MoleculeSpace": "molvae.codec.space",
    "SamplingSettings": _PRIOR,
    "ToyCodec": "molvae.codec.toy",
    "encode_features": _CODEC,
    "fit_domain": _DOMAIN,
    "fit_prior": _CODEC,
    "load_codec": _CODEC,
    "property_errors": _CODEC,
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


def __getattr__(name: str) -> Any:
    """The public names, imported at first use, because they bring torch."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molvae.codec' has no attribute {name!r}")
