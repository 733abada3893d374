"""Acquisition functions: how useful it is to score a molecule, given the prediction of a surrogate."""

from collections.abc import Callable

import numpy as np

from molvae.search.hypervolume import HypervolumeGain
from molvae.search.ranking import from_quantiles
from molvae.search.surrogates.protocol import Prediction

Acquisition = Callable[[Prediction, np.random.Generator], np.ndarray]
"""``acquisition(prediction, rng)`` returns one number per molecule (n,), higher is better. `choose_batch` calls it once
for each molecule that it chooses, each time with other random numbers."""

_BETAS = (0.03, 3.0)


def upper_confidence_bound(prediction: Prediction, rng: np.random.Generator) -> np.ndarray:
    """Mean plus beta times the standard deviation; beta is drawn log-uniformly from 0.03 to 3.

    Small betas exploit, large ones explore; a batch has some of each.

    Parameters
    ----------
    prediction : Prediction
        Prediction of n molecules.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n,)
        Higher is better.
    """
    beta = np.exp(rng.uniform(*np.log(_BETAS)))
    return prediction.mean + beta * prediction.std


def mean(prediction: Prediction, rng: np.random.Generator) -> np.ndarray:
    """The predicted mean: exploit only.

    Parameters
    ----------
    prediction : Prediction
        Prediction of n molecules.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n,)
        Higher is better.
    """
    return prediction.mean


def thompson(prediction: Prediction, rng: np.random.Generator) -> np.ndarray:
    """One draw from the prediction, with its covariance if that is known.

    Parameters
    ----------
    prediction : Prediction
        Prediction of n molecules.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (n,)
        Higher is better.
    """
    if prediction.covariance is None:
        return prediction.mean + prediction.std * rng.standard_normal(len(prediction.mean))
    values, vectors = np.linalg.eigh(prediction.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(prediction.mean + root @ rng.standard_normal(len(values)))


def choose_batch(
    prediction: Prediction,
    n: int,
    acquisition: Acquisition,
    rng: np.random.Generator,
    *,
    n_pending: int = 0,
    noise: float = 0.01,
    scored: np.ndarray | None = None,
) -> np.ndarray:
    """Choose a batch of molecules, one by one; each choice conditions the covariance of the others [1]_.

    With several goals, the acquisition is computed for each goal; chosen is the molecule whose acquisitions, as values
    of the goals, add the largest hypervolume to the Pareto front. It then counts as part of the front, so a batch is
    spread along it.

    Parameters
    ----------
    prediction : Prediction
        Prediction with covariance.
    n : int
        Largest number of molecules to choose.
    acquisition : callable
        Member of `ACQUISITIONS`.
    rng : numpy.random.Generator
        Source of the random numbers.
    n_pending : int, default=0
        The first `n_pending` rows are being scored: they condition the others, and are not chosen.
    noise : float, default=0.01
        Variance of the noise of a score.
    scored : ndarray of shape (m, k), optional
        Values of the scored molecules, if there are several goals; NaN for molecules without one.

    Returns
    -------
    ndarray of shape (b,)
        Rows in the order of choice, b <= n.

    References
    ----------
    .. [1] Desautels et al. 2014, JMLR 15, 4053 (GP-BUCB).
    """
    covariance = np.array(prediction.covariance, float)
    is_open = np.ones(len(covariance), bool)
    chosen: list[int] = []
    n = min(n, len(covariance) - n_pending)
    front = _Front.of(prediction, scored)
    for step in range(n_pending + n):
        row = step
        if step >= n_pending:
            std = np.sqrt(np.maximum(np.diag(covariance), 1e-9))
            now = Prediction(prediction.mean, std, covariance, prediction.goals)
            worth = acquisition(now, rng) if front is None else front.gain(now, acquisition, rng)
            row = int(np.argmax(np.where(is_open, worth, -np.inf)))
            chosen.append(row)
        if front is not None:
            front.add(row)
        is_open[row] = False
        column = covariance[:, row].copy()
        covariance -= np.outer(column, column) / (column[row] + noise)
    return np.array(chosen, np.int64)


class _Front:
    """The Pareto front of the scored molecules, and of those that are chosen with their predicted means."""

    def __init__(self, goals: np.ndarray, scored: np.ndarray) -> None:
        failed = np.isnan(scored).any(axis=1, keepdims=True)
        self._known = np.sort(np.where(failed, np.nanmin(scored, axis=0), scored), axis=0)  # as ranked: failures last
        self._gain = HypervolumeGain(scored)
        self._means = self._to_values(goals)

    @classmethod
    def of(cls, prediction: Prediction, scored: np.ndarray | None) -> "_Front | None":
        """The front if there are several goals, and at least two molecules have values."""
        if prediction.goals is None or scored is None or (~np.isnan(scored).any(axis=1)).sum() < 2:
            return None
        return cls(prediction.goals, scored)

    def gain(self, prediction: Prediction, acquisition: Acquisition, rng: np.random.Generator) -> np.ndarray:
        """Hypervolume that each molecule would add (n,); the acquisition of the ranks if none adds any."""
        assert prediction.goals is not None
        worth = [acquisition(prediction._replace(mean=one), rng) for one in prediction.goals.T]
        found = self._gain(self._to_values(np.stack(worth, axis=1)))
        return found if found.any() else acquisition(prediction, rng)

    def add(self, row: int) -> None:
        """Count a molecule as scored, with its predicted means."""
        self._gain.add(self._means[row])

    def _to_values(self, quantiles: np.ndarray) -> np.ndarray:
        """Values of the goals (n, k) at normal quantiles of their ranks."""
        return np.stack([from_quantiles(*pair) for pair in zip(quantiles.T, self._known.T, strict=True)], axis=1)


ACQUISITIONS: dict[str, Acquisition] = {"ucb": upper_confidence_bound, "mean": mean, "thompson": thompson}
