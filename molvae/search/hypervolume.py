"""The hypervolume that molecules would add to the Pareto front, for any number of goals."""

import numpy as np
from scipy.special import gamma, ndtri

_N_DIRECTIONS = 256
_MARGIN = 0.1  # of the range of each goal, between the reference point and the lowest value


class HypervolumeGain:
    """Hypervolume that molecules add to those that are scored.

    The hypervolume is a constant times the mean, over directions w of the positive orthant, of the largest
    min_j (y_j / w_j)^k of the molecules [1]_. Values are scaled to the range of the scored molecules; the reference
    point is a tenth of the range below the lowest value of each goal. The directions are fixed, so equal arguments give
    equal results.

    Parameters
    ----------
    values : ndarray of shape (m, k)
        Values of the scored molecules, higher is better; rows with NaN are ignored.

    References
    ----------
    .. [1] Zhang and Golovin 2020, arXiv:2006.04655, lemma 5 (hypervolume scalarization).

    Examples
    --------
    >>> gain = HypervolumeGain(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> gain(np.array([[0.9, 0.9], [0.5, 0.5], [0.0, 0.9]])).round(2).tolist()
    [0.8, 0.25, 0.0]
    """

    def __init__(self, values: np.ndarray) -> None:
        from scipy.stats import qmc  # takes half a second

        known = values[~np.isnan(values).any(axis=1)]
        n_goals = values.shape[1]
        points = qmc.Halton(n_goals, scramble=False).random(_N_DIRECTIONS + 1)[1:]  # the first one is 0
        directions = ndtri((1 + points) / 2)  # half-normal: uniform directions
        self._directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        low, high = (known.min(axis=0), known.max(axis=0)) if len(known) else (np.zeros(n_goals), np.ones(n_goals))
        self._span = np.where(high > low, high - low, 1.0)
        self._reference = low - _MARGIN * self._span
        self._best = self._volumes(known).max(axis=0, initial=0.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Hypervolume that each molecule alone would add.

        Parameters
        ----------
        values : ndarray of shape (n, k)
            Values, higher is better.

        Returns
        -------
        ndarray of shape (n,)
            Hypervolume of the scaled goals, accurate to a few percent; 0 for a dominated molecule.
        """
        return np.asarray(np.maximum(self._volumes(values) - self._best, 0.0).mean(axis=1))

    def add(self, values: np.ndarray) -> None:
        """Count a molecule as scored.

        Parameters
        ----------
        values : ndarray of shape (k,)
            Its values.
        """
        self._best = np.maximum(self._best, self._volumes(values[None])[0])

    def _volumes(self, values: np.ndarray) -> np.ndarray:
        """Volume of each molecule in each direction (n, w)."""
        scaled = np.maximum((values - self._reference) / self._span, 0.0)
        volumes = np.full((len(values), len(self._directions)), np.inf)
        for column, direction in zip(scaled.T, self._directions.T, strict=True):  # not (n, w, k) at once
            np.minimum(volumes, column[:, None] / direction, out=volumes)
        k = values.shape[1]
        return np.asarray(np.pi ** (k / 2) / 2**k / gamma(k / 2 + 1) * volumes**k)
