"""Mean and standard deviation of the prior in each latent dimension, which set the unit of all steps."""

import numpy as np

from molvae.search.optimizers.protocol import LatentSpace
from molvae.seeds import generator

_N_DRAWS = 2000
_MIN_STD = 1e-6  # of a latent dimension that the codec does not use


class LatentScale:
    """Conversion between latent vectors and standard units of the prior.

    In standard units every latent dimension of the prior has mean 0 and standard deviation 1. Both are estimated from
    2,000 draws.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the draws.

    Attributes
    ----------
    n_latent : int
        Number of latent dimensions, D.
    """

    def __init__(self, space: LatentSpace, seed: int) -> None:
        self._space = space
        sample = np.asarray(self._draw(_N_DRAWS, generator(seed, "search/scale")), dtype=float)
        self._mean = sample.mean(axis=0)
        self._std = np.maximum(sample.std(axis=0), _MIN_STD)
        self.n_latent = space.n_latent

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw from the prior.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the seed.

        Returns
        -------
        ndarray of shape (n, D)
            Draws in standard units, float64.
        """
        return self.standardize(self._draw(n, rng))

    def standardize(self, z: np.ndarray) -> np.ndarray:
        """Convert latent vectors to standard units.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.

        Returns
        -------
        ndarray of shape (n, D)
            The same in standard units, float64.
        """
        return (np.asarray(z, dtype=float) - self._mean) / self._std

    def to_latent(self, standard: np.ndarray) -> np.ndarray:
        """Convert standard units to latent vectors.

        Parameters
        ----------
        standard : ndarray of shape (n, D)
            Vectors in standard units.

        Returns
        -------
        ndarray of shape (n, D)
            Latent vectors, float32.
        """
        return (self._mean + self._std * standard).astype(np.float32)

    def _draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self._space.draw(n, seed=int(rng.integers(2**31)), spread=0.0)
