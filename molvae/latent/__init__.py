"""Operations on latent vectors alone: priors, geometry, neighbors, maps, dimension, compression."""

from molvae.latent.compression import QUANTIZERS, CompressedVectors, fit_quantizer, open_compressed, write_compressed
from molvae.latent.dimension import knee, two_nearest_neighbors
from molvae.latent.geometry import Direction, attribute_direction, interpolate, random_direction, step_around
from molvae.latent.maps import Map, map_quality, project
from molvae.latent.neighbors import nearest
from molvae.latent.prior import PRIORS, FlowPrior, GaussianPrior, MixturePrior, PriorSettings, SamplingSettings

__all__ = [
    "PRIORS",
    "QUANTIZERS",
    "CompressedVectors",
    "Direction",
    "FlowPrior",
    "GaussianPrior",
    "Map",
    "MixturePrior",
    "PriorSettings",
    "SamplingSettings",
    "attribute_direction",
    "fit_quantizer",
    "interpolate",
    "knee",
    "map_quality",
    "nearest",
    "open_compressed",
    "project",
    "random_direction",
    "step_around",
    "two_nearest_neighbors",
    "write_compressed",
]
