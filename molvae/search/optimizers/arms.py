"""Adaptive choice of moves, step sizes and noise levels by their success."""

import numpy as np

_N_PRIOR = 20.0
"""Weight of the rate that a success rate is shrunk towards, as a number of proposals."""


class Arms:
    """The arms of a bandit: each is a move with a range of step sizes and a noise level.

    The adapted probability of an arm is proportional to its share times its success rate. The weight of old proposals
    decays. The rate of an arm with few proposals is shrunk towards that of its move and step size, which is shrunk
    towards that of its move, which is shrunk towards the average of all arms.

    Parameters
    ----------
    shares : ndarray of shape (n_moves, n_steps, n_noises)
        Shares before adaptation; they sum to 1. A combination with share 0 is never drawn.
    adaptation : float
        Part of the proposals that are drawn with the adapted probabilities, in [0, 1].
    decay : float
        Factor applied to the counts in each call of `learn`.
    """

    def __init__(self, shares: np.ndarray, adaptation: float, decay: float) -> None:
        self._shares, self._adaptation, self._decay = shares, adaptation, decay
        self.tries = np.zeros(shares.shape)
        self.wins = np.zeros(shares.shape)

    def probabilities(self) -> np.ndarray:
        """Probability of each arm.

        Returns
        -------
        ndarray of shape (n_moves, n_steps, n_noises)
            They sum to 1.
        """
        mean = (self.wins.sum() + 1) / (self.tries.sum() + 10)
        rate: np.ndarray | float = mean
        for axes in ((1, 2), (2,), ()):
            wins, tries = (table.sum(axis=axes, keepdims=True) for table in (self.wins, self.tries))
            rate = (wins + _N_PRIOR * rate) / (tries + _N_PRIOR)
        adapted = self._shares * rate
        return np.asarray((1 - self._adaptation) * self._shares + self._adaptation * adapted / adapted.sum())

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw arms.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        ndarray of shape (n,)
            Number of each arm, int64.
        """
        return rng.choice(self._shares.size, n, p=self.probabilities().ravel())

    def parts(self, arms: np.ndarray) -> np.ndarray:
        """Split arms into move, range of step sizes and noise level.

        Parameters
        ----------
        arms : ndarray of shape (n,)
            Numbers of arms.

        Returns
        -------
        ndarray of shape (3, n)
            Move, part of its range of step sizes, and noise level of each, as numbers from 0, int64.
        """
        return np.stack(np.unravel_index(arms, self._shares.shape))

    def learn(self, arms: np.ndarray, is_success: np.ndarray) -> None:
        """Count proposals and successes.

        Parameters
        ----------
        arms : ndarray of shape (n,)
            Number of the arm of each proposal.
        is_success : ndarray of shape (n,)
            Whether each was a success.
        """
        self.tries *= self._decay
        self.wins *= self._decay
        np.add.at(self.tries.reshape(-1), arms, 1.0)
        np.add.at(self.wins.reshape(-1), arms, is_success.astype(float))
