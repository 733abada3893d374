"""Ranks of molecules by one or several values."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata


def fitness(values: np.ndarray) -> np.ndarray:
    """Order molecules by their values.

    A single column is used as it is. Several columns are ordered by Pareto front, and within a front by crowding
    distance [1]_: molecules in sparse regions of the front are better.

    Parameters
    ----------
    values : ndarray of shape (n, k)
        Values, higher is better. A row with NaN is below all others.

    Returns
    -------
    ndarray of shape (n,)
        Higher is better; minus infinity for rows with NaN. With several columns, comparable within this call only.

    References
    ----------
    .. [1] Deb et al. 2002, doi:10.1109/4235.996017.

    Examples
    --------
    >>> fitness(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])).argmin()
    np.int64(2)
    """
    failed = np.isnan(values).any(axis=1)
    if values.shape[1] == 1:
        return np.where(failed, -np.inf, values[:, 0])
    order = np.full(len(values), -np.inf)
    left = np.flatnonzero(~failed)
    front = 0
    while len(left):
        v = values[left]
        better = (v[:, None] >= v).all(axis=2) & (v[:, None] > v).any(axis=2)  # (i, j): i dominates j
        is_first = ~better.any(axis=0)
        order[left[is_first]] = -front + 0.5 * _crowding(v[is_first])
        left = left[~is_first]
        front += 1
    return order


def normal_quantiles(order: np.ndarray) -> np.ndarray:
    """Normal quantiles of ranks; ties get the mean rank.

    Parameters
    ----------
    order : ndarray of shape (n,)
        Return value of `fitness`.

    Returns
    -------
    ndarray of shape (n,)
        Quantiles, 0 for the median.
    """
    return np.asarray(ndtri((rankdata(order) - 0.5) / max(1, len(order))))


def _crowding(values: np.ndarray) -> np.ndarray:
    """Crowding distance (n,), scaled to [0, 1]; 1 for the ends of each column."""
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        gaps = np.full(len(values), np.inf)
        if len(values) > 2:
            gaps[1:-1] = (column[order[2:]] - column[order[:-2]]) / (span or 1.0)
        distance[order] += gaps
    return 1 - 1 / (1 + distance)
