"""What can be done with points alone."""

from molvae.latent.prior import PRIORS, GaussianPrior

__all__ = ["PRIORS", "GaussianPrior"]
