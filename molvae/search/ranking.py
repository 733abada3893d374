"""Ranks of molecules by one or several values."""

import numpy as np
from scipy.special import ndtr, ndtri


def fitness(values: np.ndarray) -> np.ndarray:
    """Order molecules by their values.

    A single column is used as it is. Several columns are ordered by Pareto front, and within a front by crowding
    distance [1]_: molecules in sparse regions of the front are better. Molecules with equal values share the distance
    of one and are ties, so the order of the rows does not matter.

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
    number = fronts(values)
    order = np.full(len(values), -np.inf)
    for front in range(1, number.max(initial=0) + 1):
        rows = np.flatnonzero(number == front)
        order[rows] = 1 - front + 0.5 * _crowding(values[rows])
    return order


def fronts(values: np.ndarray) -> np.ndarray:
    """Number the Pareto fronts of molecules.

    Parameters
    ----------
    values : ndarray of shape (n, k)
        Values, higher is better. A row with NaN belongs to no front.

    Returns
    -------
    ndarray of shape (n,)
        1 for molecules that no other dominates, 2 for those that only molecules of front 1 dominate, and so on; 0 for
        rows with NaN. int64. Found by efficient non-dominated sort [1]_.

    References
    ----------
    .. [1] Zhang et al. 2015, doi:10.1109/TEVC.2014.2308305 (efficient non-dominated sort with binary search).

    Examples
    --------
    >>> fronts(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])).tolist()
    [1, 1, 2]
    """
    number = np.zeros(len(values), np.int64)
    rows = np.flatnonzero(~np.isnan(values).any(axis=1))
    members: list[list[int]] = []
    for row in rows[np.lexsort(-values[rows].T[::-1])].tolist():  # a molecule comes after those that dominate it
        # Every front before its own has a molecule that dominates it, so binary search finds its own.
        low, high = 0, len(members)
        while low < high:
            middle = (low + high) // 2
            if _is_dominated(values[row], values[members[middle]]):
                low = middle + 1
            else:
                high = middle
        if low == len(members):
            members.append([])
        members[low].append(row)
        number[row] = low + 1
    return number


def _is_dominated(value: np.ndarray, others: np.ndarray) -> bool:
    """Whether one of the others (m, k) is at least as good in every column and better in at least one."""
    return bool(((others >= value).all(axis=1) & (others > value).any(axis=1)).any())


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
    from scipy.stats import rankdata  # takes half a second

    return np.asarray(ndtri((rankdata(order) - 0.5) / max(1, len(order))))


def from_quantiles(quantile: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values at normal quantiles of known values: linear between ranks, and beyond the best one.

    Parameters
    ----------
    quantile : ndarray of shape (n,)
        Normal quantiles.
    known : ndarray of shape (m,)
        Known values, sorted, m >= 2.

    Returns
    -------
    ndarray of shape (n,)
        Values. Beyond the best known one, they are on the line through the upper tenth.
    """
    n = len(known)
    rank = np.clip(ndtr(quantile) * n - 0.5, 0, n - 1)
    below = np.minimum(rank.astype(np.int64), n - 2)
    inside = known[below] + (rank - below) * (known[below + 1] - known[below])
    upper = min(n - 2, int(0.9 * n))
    highest, at_upper = ndtri((n - 0.5) / n), ndtri((upper + 0.5) / n)
    slope = (known[-1] - known[upper]) / (highest - at_upper)
    return np.asarray(inside + slope * np.maximum(quantile - highest, 0.0))


def _crowding(values: np.ndarray) -> np.ndarray:
    """Crowding distance (n,), scaled to [0, 1]; 1 for a row that is alone at the end of a column."""
    distinct, row_of, n_equal = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    distance = np.zeros(len(distinct))
    for column in distinct.T:
        level, at, n_at = np.unique(column, return_inverse=True, return_counts=True)
        if len(level) < 2:
            continue
        step = np.diff(level) / (level[-1] - level[0])
        gap = np.append(step, step[-1]) + np.append(step[0], step)
        gap[[0, -1]] = np.where(n_at[[0, -1]] == 1, np.inf, gap[[0, -1]])
        distance += gap[at]
    return np.asarray(((1 - 1 / (1 + distance)) / n_equal)[row_of.ravel()])
