"""Molecules to points and back."""

from molvae.codec.codec import (
    Codec,
    Decoded,
    Encoding,
    encode_features,
    fit_prior,
    load_codec,
    property_errors,
)
from molvae.codec.domain import DomainCalibration, fit_domain
from molvae.latent.prior import SamplingSettings

__all__ = [
    "Codec",
    "Decoded",
    "DomainCalibration",
    "Encoding",
    "SamplingSettings",
    "encode_features",
    "fit_domain",
    "fit_prior",
    "load_codec",
    "property_errors",
]
