"""Where molecules lie among the points: a distribution fitted to codes, to draw from and to judge by."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from molvae.errors import InputError


@dataclass(frozen=True)
class GaussianPrior:
    """A normal distribution with full covariance.

    mean: (D,); factor: (D, D), lower triangular; the covariance is factor @ factor.T.
    """

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def fit(cls, z: np.ndarray) -> Self:
        """The maximum-likelihood distribution of codes (n, D).

        Raises:
            InputError: fewer than two codes.
        """
        if len(z) < 2:
            raise InputError(f"a prior needs the codes of at least 2 molecules, got {len(z)}")
        z = z.astype(np.float64)
        covariance = np.atleast_2d(np.cov(z, rowvar=False, bias=True))
        ridge = 1e-6 * max(float(np.trace(covariance)) / len(covariance), 1e-6)  # few molecules span no volume
        return cls(z.mean(0), np.linalg.cholesky(covariance + ridge * np.eye(len(covariance))))

    def sample(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Points (n, D) float32 drawn at random."""
        return (self.mean + random.standard_normal((n, len(self.mean))) @ self.factor.T).astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density (n,) in nats of points (n, D)."""
        white = np.linalg.solve(self.factor, (z - self.mean).T)
        log_volume = np.log(np.diag(self.factor)).sum()
        return -0.5 * (white**2).sum(0) - log_volume - 0.5 * len(self.mean) * np.log(2 * np.pi)

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {"mean": self.mean, "factor": self.factor}


PRIORS = {"gaussian": GaussianPrior}
