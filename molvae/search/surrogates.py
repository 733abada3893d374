"""The surrogate of a search: it predicts scores and chooses the molecules to score.

A round decodes more new molecules than it scores. A prediction takes milliseconds; a score can take hours.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm, rankdata

from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.settings import Settings

_MIN_SCORED = 20


class SurrogateSettings(Settings):
    """Settings of the surrogate, the section `[search.surrogate]`.

    Parameters
    ----------
    share : float, default=0.7
        Share of the molecules to score that are chosen by the highest predicted score. The others are taken in the
        order of proposal, so that a wrong prediction cannot exclude a molecule. 0 switches the surrogate off.
    max_train : int, default=800
        Largest number of scored molecules to fit to: half of them the newest, half the best of the others.
    noise : float, default=0.1
        Noise variance of the Gaussian process, relative to its signal variance of 1.
    """

    share: float = Field(0.7, ge=0, le=1)
    max_train: int = Field(800, ge=2, le=20_000)
    noise: float = Field(0.1, gt=0)


class Surrogate:
    """Gaussian process over Tanimoto similarity (Morgan fingerprints, radius 2, 2,048 bits).

    It is fitted to the ranks of the scores, so their scale does not matter. The acquisition is the predicted mean.

    Parameters
    ----------
    settings : SurrogateSettings
        Settings.

    References
    ----------
    .. [1] Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equation 2.25.
    .. [2] Ralaivola et al. 2005, doi:10.1016/j.neunet.2005.07.009 (the kernel).
    """

    def __init__(self, settings: SurrogateSettings) -> None:
        self._settings = settings
        self._bits = np.zeros((0, 2048), np.uint8)  # of the scored molecules, in order

    def choose(self, new: Sequence[str], n: int, scored: Sequence[str], score: np.ndarray) -> np.ndarray:
        """Choose molecules to score.

        With fewer than 20 scored molecules, or equal scores only, the first `n` are chosen.

        Parameters
        ----------
        new : sequence of str
            Canonical SMILES of the molecules to choose from.
        n : int
            Largest number to choose.
        scored : sequence of str
            Canonical SMILES of all scored molecules, in order; each call must extend the list of the call before.
        score : ndarray of shape (m,)
            Their scores, without NaN.

        Returns
        -------
        ndarray of shape (k,)
            Rows of `new`, k <= n, those with the highest predicted scores first.
        """
        rows = np.arange(len(new))
        if len(new) <= n or not self._settings.share or len(scored) < _MIN_SCORED or len(np.unique(score)) < 2:
            return rows[:n]
        predicted = self._predict(new, scored, score)
        best = np.argsort(-predicted, kind="stable")[: round(n * self._settings.share)]
        return np.append(best, np.setdiff1d(rows, best)[: n - len(best)])

    def _predict(self, new: Sequence[str], scored: Sequence[str], score: np.ndarray) -> np.ndarray:
        """Predicted scores (n,) of the new molecules; the training scores are converted to normal quantiles."""
        self._bits = np.vstack([self._bits, morgan_bits(scored[len(self._bits) :])])
        train = self._choose_training(score)
        y = norm.ppf((rankdata(score[train]) - 0.5) / len(train))
        bits = self._bits[train].astype(np.float32)
        covariance = tanimoto_matrix(bits, bits) + self._settings.noise * np.eye(len(train))
        weights = cho_solve(cho_factor(covariance, lower=True), y - y.mean())
        return tanimoto_matrix(morgan_bits(new), bits) @ weights

    def _choose_training(self, score: np.ndarray) -> np.ndarray:
        """Rows of the newest scored molecules and of the best others."""
        half = self._settings.max_train // 2
        if len(score) <= 2 * half:
            return np.arange(len(score))
        newest = np.arange(len(score) - half, len(score))
        older = np.arange(len(score) - half)
        return np.append(older[np.argsort(-score[older], kind="stable")[:half]], newest)
