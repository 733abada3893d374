"""Groups of similar molecules: Butina clustering and sphere exclusion, by the pickers of RDKit."""

from collections.abc import Callable, Sequence

import numpy as np
from rdkit.ML.Cluster import Butina
from rdkit.SimDivFilters import rdSimDivPickers


def butina_clusters(similarity: np.ndarray, cutoff: float) -> np.ndarray:
    """Cluster molecules with the algorithm of Butina [1]_.

    Parameters
    ----------
    similarity : ndarray of shape (n, n)
        Similarities in [0, 1]; symmetric.
    cutoff : float
        Similarity in [0, 1] from which two molecules are neighbors.

    Returns
    -------
    ndarray of shape (n,)
        int64, the cluster of each molecule: 0 is the first that the algorithm forms, with the most neighbors.

    References
    ----------
    .. [1] Butina 1999, doi:10.1021/ci9803381.

    Examples
    --------
    >>> similarity = np.array([[1.0, 0.2, 0.7], [0.2, 1.0, 0.1], [0.7, 0.1, 1.0]])
    >>> butina_clusters(similarity, 0.6).tolist()
    [0, 1, 0]
    """
    n = len(similarity)
    distances = 1.0 - similarity[np.tril_indices(n, -1)]
    clusters = Butina.ClusterData(distances, n, _distance(cutoff), isDistData=True)
    labels = np.empty(n, dtype=np.int64)
    for number, members in enumerate(clusters):
        labels[list(members)] = number
    return labels


def sphere_leaders(
    similarities: Callable[[int], np.ndarray], n: int, cutoff: float, n_leaders: int, first: Sequence[int] = ()
) -> list[int]:
    """Select molecules by sphere exclusion [1]_: in order, each that is not similar to an earlier selected one.

    Parameters
    ----------
    similarities : callable
        Returns the similarities (n,) of one molecule, given by its number, to all molecules.
    n : int
        Number of molecules.
    cutoff : float
        Similarity in [0, 1] from which a molecule is excluded.
    n_leaders : int
        Maximum number of molecules to select, at least the length of `first`.
    first : sequence of int, default=()
        Molecules that are selected first, similar or not.

    Returns
    -------
    list of int
        Numbers of the selected molecules, in the order of selection.

    References
    ----------
    .. [1] Hudson et al. 1996, doi:10.1002/qsar.19960150402.

    Examples
    --------
    >>> similarity = np.array([[1.0, 0.2, 0.7], [0.2, 1.0, 0.1], [0.7, 0.1, 1.0]])
    >>> sphere_leaders(lambda i: similarity[i], 3, 0.6, 3)
    [0, 1]
    """
    cache: dict[int, np.ndarray] = {}

    def distance(leader: int, other: int) -> float:
        if leader not in cache:  # RDKit compares one leader with all others before it goes to the next one
            cache.clear()
            cache[leader] = 1.0 - similarities(leader)
        return float(cache[leader][other])

    picker = rdSimDivPickers.LeaderPicker()
    return list(picker.LazyPick(distance, n, _distance(cutoff), pickSize=n_leaders, firstPicks=tuple(first)))


def _distance(cutoff: float) -> float:
    """The distance of a similarity; a similarity that equals the cutoff has to be within it despite rounding."""
    return 1.0 - cutoff + 1e-9
