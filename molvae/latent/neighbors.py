"""Exact nearest neighbors by exhaustive search in bounded memory."""

from typing import Literal

import numpy as np

from molvae.errors import InputError

Metric = Literal["euclidean", "cosine", "jaccard"]

_BLOCK = 1 << 22  # numbers of each array in memory at once
_FOLD = 32


def nearest(
    query: np.ndarray, library: np.ndarray, k: int, *, metric: Metric = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest rows of a library, exactly.

    Matrix products in float32 preselect rows, and float64 ranks them, so that the result is that of an exhaustive
    search in float64. Memory is bounded, whatever the size of the library.

    Parameters
    ----------
    query : ndarray of shape (m, D)
        Queries.
    library : ndarray of shape (n, D)
        Library, memory-mapped or not. Rows with NaN or infinity are never neighbors; with cosine, rows of length 0 are
        not either.
    k : int
        Number of neighbors, at most the number of usable rows of the library.
    metric : {"euclidean", "cosine", "jaccard"}, default="euclidean"
        Distance: cosine is 1 - cos, in [0, 2]; jaccard is 1 - Tanimoto of the columns above 0, in [0, 1], and 0 between
        two rows without such columns.

    Returns
    -------
    rows : ndarray of shape (m, k)
        Row numbers of the library, int64, the nearest first; equal distances are in the order of the library. -1 for a
        query that is not usable.
    distances : ndarray of shape (m, k)
        Distances, float32; NaN for a query that is not usable.

    Raises
    ------
    InputError
        `k` is below 1, the library has no usable row, the widths differ, or the metric is unknown.

    Examples
    --------
    >>> rows, distances = nearest(np.zeros((1, 2)), np.array([[3.0, 4.0], [0.0, 1.0]]), 2)
    >>> rows.tolist(), distances.tolist()
    ([[1, 0]], [[1.0, 5.0]])
    """
    query, library = np.asarray(query), np.asanyarray(library)
    if metric not in ("euclidean", "cosine", "jaccard"):
        raise InputError(f"metric: expected 'euclidean', 'cosine' or 'jaccard', got {metric!r}")
    if query.ndim != 2 or library.ndim != 2 or query.shape[1] != library.shape[1]:
        raise InputError(f"nearest: expected queries (m, D) and a library (n, D), got {query.shape}, {library.shape}")
    if k < 1:
        raise InputError(f"k: expected at least 1 neighbor, got {k}")
    if not len(library):
        raise InputError("the library is empty; expected at least one row")

    n_rows = max(1, _BLOCK // max(library.shape[1], 1))
    usable = np.concatenate([_usable(library[i : i + n_rows], metric) for i in range(0, len(library), n_rows)])
    k = min(k, int(usable.sum()))
    if not k:
        raise InputError(
            f"none of the library's {len(library)} rows is usable: each holds NaN or infinity, or has length 0 (cosine)"
        )
    valid = np.flatnonzero(_usable(query, metric))
    indices = np.full((len(query), k), -1, np.int64)
    distances = np.full((len(query), k), np.nan)
    indices[valid], distances[valid] = -1, np.inf
    queries = _transform(query[valid], metric)
    center = np.zeros(library.shape[1])
    for begin in range(0, len(library), n_rows):
        rows = begin + np.flatnonzero(usable[begin : begin + n_rows])
        if not len(rows):
            continue
        block = _transform(library[begin : begin + n_rows][rows - begin], metric)
        if begin == 0 and metric == "euclidean":
            center = block.mean(0)  # float32 keeps more digits of numbers near 0
        single = (block - center).astype(np.float32)
        size = max(1, _BLOCK // len(rows))
        for part in np.split(np.arange(len(valid)), range(size, len(valid), size)):
            if len(part):
                _merge(queries[part], center, block, single, rows, indices, distances, valid[part], metric)
    if metric == "euclidean":
        distances = np.sqrt(distances)
    elif metric == "cosine":
        distances /= 2  # of unit vectors, |a - b|^2 = 2 (1 - cos)
    return indices, distances.astype(np.float32)


def _usable(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """A mask (n,) of the rows with a usable length; a length that float32 cannot hold counts as infinite."""
    length = np.square(np.asarray(rows, np.float64)).sum(1)
    return (length < 1e36) & ((length > 1e-36) | (metric != "cosine"))


def _transform(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Rows for the metric, float64: unit vectors for cosine, zeros and ones for jaccard."""
    rows = np.asarray(rows, np.float64)
    if metric == "cosine":
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows > 0).astype(np.float64) if metric == "jaccard" else rows


def _jaccard(squared: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Jaccard distances, from the sizes of symmetric differences and the sums of the sizes of both sets."""
    return squared / np.maximum((squared + total) / 2, 1)


def _merge(
    queries: np.ndarray,
    center: np.ndarray,
    block: np.ndarray,
    single: np.ndarray,
    rows: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    valid: np.ndarray,
    metric: Metric,
) -> None:
    """Merge the nearest rows of a block (`block` float64, `single` float32 and centered) into the result."""
    k = indices.shape[1]
    near = (queries - center).astype(np.float32)
    lengths, block_lengths = np.square(near).sum(1), np.square(single).sum(1)
    rough = near @ single.T
    rough *= -2
    rough += lengths[:, None]
    rough += block_lengths
    # twice the largest rounding error of a float32 product of D terms, the cast and the two sums
    slack = 4 * (near.shape[1] + 8) * 2.0**-24 * (np.sqrt(lengths) + np.sqrt(block_lengths.max())) ** 2
    if metric == "jaccard":
        rough = _jaccard(rough, lengths[:, None] + block_lengths)  # integers below 2^24: only the division rounds
        slack = np.full(len(near), 1e-6)
    bound = np.minimum(_upper_bound(rough, k), distances[valid, -1]) + slack
    query_rows, block_rows = np.nonzero(rough <= bound[:, None].astype(np.float32))
    del rough
    exact = np.empty(len(query_rows))
    size = max(1, _BLOCK // near.shape[1])
    for begin in range(0, len(query_rows), size):
        part = slice(begin, begin + size)
        exact[part] = np.square(queries[query_rows[part]] - block[block_rows[part]]).sum(1)
    if metric == "jaccard":
        exact = _jaccard(exact, queries.sum(1)[query_rows] + block.sum(1)[block_rows])
    # earlier rows of the library come first: a stable sort keeps them before rows at the same distance
    query_rows = np.concatenate([np.repeat(np.arange(len(valid)), k), query_rows])
    value = np.concatenate([distances[valid].ravel(), exact])
    index = np.concatenate([indices[valid].ravel(), rows[block_rows]])
    order = np.lexsort((value, query_rows))
    first = np.searchsorted(query_rows[order], np.arange(len(valid)))
    best = order[first[:, None] + np.arange(k)]
    indices[valid], distances[valid] = index[best], value[best]


def _upper_bound(rough: np.ndarray, k: int) -> np.ndarray:
    """A bound per row (m,) that at least k of its values do not exceed; infinite if a row has fewer than k."""
    n = rough.shape[1]
    if n < k:
        return np.full(len(rough), np.inf)
    n_groups = n // _FOLD
    if n_groups >= 4 * k:  # the k-th smallest of the groups' minima is also a bound, and much faster to find
        rough = rough[:, : n_groups * _FOLD].reshape(len(rough), _FOLD, n_groups).min(1)
    return np.partition(rough, k - 1, axis=1)[:, k - 1].astype(np.float64)
