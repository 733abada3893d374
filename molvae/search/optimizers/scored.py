"""The scored molecules that an optimizer keeps."""

from typing import NamedTuple, Self

import numpy as np

from molvae.search.optimizers.protocol import Results
from molvae.search.ranking import fitness


class Scored(NamedTuple):
    """Scored molecules.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Row of each among all scored molecules of the search, int64; a state stores only these rows.
    ids : ndarray of shape (n,)
        Id of the proposal, int64.
    sample : ndarray of shape (n, D)
        Latent vectors as proposed, float32.
    z : ndarray of shape (n, D)
        Encodings of the molecules, float32.
    values : ndarray of shape (n, k)
        Values of the objectives; NaN where the oracle gave none.
    """

    rows: np.ndarray
    ids: np.ndarray
    sample: np.ndarray
    z: np.ndarray
    values: np.ndarray

    @classmethod
    def empty(cls, n_latent: int) -> Self:
        """Make an empty record.

        Parameters
        ----------
        n_latent : int
            Number of latent dimensions, D.

        Returns
        -------
        Scored
            No molecules; `append` takes any number of objectives.
        """
        none, no_z = np.zeros(0, np.int64), np.zeros((0, n_latent), np.float32)
        return cls(none, none, no_z, no_z, np.zeros((0, 1)))

    @classmethod
    def of(cls, results: Results, rows: np.ndarray) -> Self:
        """Make a record of results.

        Parameters
        ----------
        results : Results
            Results with the outcome SCORED.
        rows : ndarray of shape (n,)
            Row of each among all scored molecules.

        Returns
        -------
        Scored
            The molecules.
        """
        sample, z = (np.asarray(one, np.float32) for one in (results.proposals.z, results.z))
        return cls(rows, results.proposals.ids, sample, z, np.asarray(results.values, float))

    def take(self, rows: np.ndarray) -> Self:
        """Some of the molecules.

        Parameters
        ----------
        rows : ndarray of shape (m,)
            Rows of this record.

        Returns
        -------
        Scored
            In this order.
        """
        return type(self)(*(column[rows] for column in self))

    def append(self, other: Self) -> Self:
        """Both records.

        Parameters
        ----------
        other : Scored
            Molecules to append.

        Returns
        -------
        Scored
            This record, then the other.
        """
        return type(self)(*map(np.concatenate, zip(self, other, strict=True))) if len(self.rows) else other

    def best(self, n: int) -> Self:
        """The best molecules.

        Parameters
        ----------
        n : int
            Largest number.

        Returns
        -------
        Scored
            The best first, the oldest first among ties; failed molecules are left out.
        """
        order = fitness(self.values)
        rows = np.lexsort((self.rows, -order))[:n]
        return self.take(rows[np.isfinite(order[rows])])


def pad(rows: np.ndarray, n: int) -> np.ndarray:
    """Pad rows with -1 to a constant number, so that all states of an optimizer have the same size.

    Parameters
    ----------
    rows : ndarray of shape (m,)
        Rows, m <= n.
    n : int
        Number of rows after padding.

    Returns
    -------
    ndarray of shape (n,)
        The rows, then -1.

    Examples
    --------
    >>> pad(np.array([5, 3]), 4).tolist()
    [5, 3, -1, -1]
    """
    return np.append(rows, np.full(n - len(rows), -1))
