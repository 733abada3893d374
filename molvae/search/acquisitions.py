"""Acquisition functions: how useful it is to score a molecule, given the prediction of a surrogate."""

from collections.abc import Callable

import numpy as np

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
) -> np.ndarray:
    """Choose a batch of molecules, one by one; each choice conditions the covariance of the others [1]_.

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

    Returns
    -------
    ndarray of shape (k,)
        Rows in the order of choice, k <= n.

    References
    ----------
    .. [1] Desautels et al. 2014, JMLR 15, 4053 (GP-BUCB).
    """
    covariance = np.array(prediction.covariance, float)
    is_open = np.ones(len(covariance), bool)
    chosen: list[int] = []
    n = min(n, len(covariance) - n_pending)
    for step in range(n_pending + n):
        if step < n_pending:
            row = step
        else:
            std = np.sqrt(np.maximum(np.diag(covariance), 1e-9))
            worth = acquisition(Prediction(prediction.mean, std, covariance), rng)
            row = int(np.argmax(np.where(is_open, worth, -np.inf)))
            chosen.append(row)
        is_open[row] = False
        column = covariance[:, row].copy()
        covariance -= np.outer(column, column) / (column[row] + noise)
    return np.array(chosen, np.int64)


ACQUISITIONS: dict[str, Acquisition] = {"ucb": upper_confidence_bound, "mean": mean, "thompson": thompson}
