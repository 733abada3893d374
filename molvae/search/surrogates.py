"""Which of many new molecules to score first: their scores, guessed from those already known.

A round decodes more new molecules than it scores. The guess costs milliseconds, a score may cost hours.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm, rankdata

from molvae.chem.fingerprints import morgan_bits
from molvae.settings import Settings

_FEWEST = 20


class SurrogateSettings(Settings):
    """How the guess is made and used.

    share: of a round's molecules, how many are the best by the guess; the others are taken as they come, so that
        nothing is out of reach of a wrong guess. 0 guesses nothing.
    known: from how many scored molecules it is made at most: the best, and as many of the newest.
    noise: variance of a score that structure does not explain, where all variance is 1.
    """

    share: float = Field(0.7, ge=0, le=1)
    known: int = Field(800, ge=2, le=20_000)
    noise: float = Field(0.1, gt=0)


class Surrogate:
    """Guesses scores by a Gaussian process over Tanimoto similarity (Morgan radius 2, 2,048 bits).

    Only the order of the known scores matters, not their scale.

    Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equation 2.25; the kernel: Ralaivola
    et al. 2005, doi:10.1016/j.neunet.2005.07.009.
    """

    def __init__(self, settings: SurrogateSettings) -> None:
        self._settings = settings
        self._bits = np.zeros((0, 2048), np.uint8)  # of the scored molecules, in order

    def choose(self, new: Sequence[str], n: int, scored: Sequence[str], score: np.ndarray) -> np.ndarray:
        """Rows of at most n of the new molecules, the most promising first.

        scored: all canonical SMILES scored so far, in order, never fewer than at the call before; score: (m,), no NaN.
        """
        rows = np.arange(len(new))
        if len(new) <= n or not self._settings.share or len(scored) < _FEWEST or len(np.unique(score)) < 2:
            return rows[:n]
        best = np.argsort(-self._guess(new, scored, score), kind="stable")[: round(n * self._settings.share)]
        return np.append(best, np.setdiff1d(rows, best)[: n - len(best)])

    def _guess(self, new: Sequence[str], scored: Sequence[str], score: np.ndarray) -> np.ndarray:
        """Expected scores (n,) of the new molecules, in normal quantiles of the known ones."""
        self._bits = np.vstack([self._bits, morgan_bits(scored[len(self._bits) :])])
        known = self._choose_known(score)
        y = norm.ppf((rankdata(score[known]) - 0.5) / len(known))
        bits = self._bits[known].astype(np.float32)
        covariance = _tanimoto(bits, bits) + self._settings.noise * np.eye(len(known))
        weights = cho_solve(cho_factor(covariance, lower=True), y - y.mean())
        return _tanimoto(morgan_bits(new).astype(np.float32), bits) @ weights

    def _choose_known(self, score: np.ndarray) -> np.ndarray:
        half = self._settings.known // 2
        if len(score) <= 2 * half:
            return np.arange(len(score))
        newest = np.arange(len(score) - half, len(score))
        older = np.arange(len(score) - half)
        return np.append(older[np.argsort(-score[older], kind="stable")[:half]], newest)


def _tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarities (n, m) of rows of 0 and 1 in float32, whose products are exact."""
    common = (a @ b.T).astype(float)
    return common / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1) - common, 1.0)
