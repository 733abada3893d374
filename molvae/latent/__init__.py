"""What can be done with points alone."""

from molvae.latent.geometry import Direction, attribute_direction, interpolate, random_direction, step_around
from molvae.latent.neighbors import nearest
from molvae.latent.prior import PRIORS, GaussianPrior

__all__ = [
    "PRIORS",
    "Direction",
    "GaussianPrior",
    "attribute_direction",
    "interpolate",
    "nearest",
    "random_direction",
    "step_around",
]
