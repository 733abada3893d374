"""Which points of a library lie nearest to others: all of them compared, exactly."""

from typing import Literal

import numpy as np

from molvae.errors import InputError

Metric = Literal["euclidean", "cosine", "jaccard"]

_BLOCK = 1 << 22  # numbers held at once, of each array
_FOLD = 32


def nearest(
    query: np.ndarray, library: np.ndarray, k: int, metric: Metric = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the library (m, k) int64 nearest to each query, the nearest first, and their distances (m, k) float32.

    query (m, D), library (n, D), memory-mapped or not. Equal distances stand in the order of the library. k is lowered
    to the number of points there are: the width tells. A library row that holds NaN or infinity is never a neighbour,
    nor is one of length 0 by cosine; a query like that gets rows -1 and distances NaN. Memory is bounded, whatever the
    library's length. Matrix products in float32 find the candidates, float64 decides among them, so that the answer is
    that of comparing all in float64.

    metric: euclidean; cosine, 1 - cos, in [0, 2]; jaccard, 1 - Tanimoto, in [0, 1], of which numbers are above 0 (two
        rows without any are equal).

    Raises:
        InputError: k is below 1, the library is empty or without any usable row, the widths differ, or the metric is
            unknown.
    """
    query, library = np.asarray(query), np.asanyarray(library)
    if metric not in ("euclidean", "cosine", "jaccard"):
        raise InputError(f"metric: expected 'euclidean', 'cosine' or 'jaccard', got {metric!r}")
    if query.ndim != 2 or library.ndim != 2 or query.shape[1] != library.shape[1]:
        raise InputError(f"nearest: expected queries (m, D) and a library (n, D), got {query.shape}, {library.shape}")
    if k < 1:
        raise InputError(f"k: expected at least 1 neighbour, got {k}")
    if not len(library):
        raise InputError("the library is empty: there is nothing to be near to")

    n_rows = max(1, _BLOCK // max(library.shape[1], 1))
    usable = np.concatenate([_usable(library[i : i + n_rows], metric) for i in range(0, len(library), n_rows)])
    k = min(k, int(usable.sum()))
    if not k:
        raise InputError(
            f"none of the library's {len(library)} rows is a point: each holds NaN, infinity or, by cosine, 0"
        )
    asked = np.flatnonzero(_usable(query, metric))
    indices = np.full((len(query), k), -1, np.int64)
    distances = np.full((len(query), k), np.nan)
    indices[asked], distances[asked] = -1, np.inf
    points = _seen(query[asked], metric)
    centre = np.zeros(library.shape[1])
    for begin in range(0, len(library), n_rows):
        rows = begin + np.flatnonzero(usable[begin : begin + n_rows])
        if not len(rows):
            continue
        block = _seen(library[begin : begin + n_rows][rows - begin], metric)
        if begin == 0 and metric == "euclidean":
            centre = block.mean(0)  # float32 keeps more digits of what lies about 0
        single = (block - centre).astype(np.float32)
        size = max(1, _BLOCK // len(rows))
        for part in np.split(np.arange(len(asked)), range(size, len(asked), size)):
            if len(part):
                _merge(points[part], centre, block, single, rows, indices, distances, asked[part], metric)
    if metric == "euclidean":
        distances = np.sqrt(distances)
    elif metric == "cosine":
        distances /= 2  # of unit vectors, |a - b|^2 = 2 (1 - cos)
    return indices, distances.astype(np.float32)


def _usable(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Which rows are points (n,); a length that float32 cannot hold counts as infinite."""
    length = np.square(np.asarray(rows, np.float64)).sum(1)
    return (length < 1e36) & ((length > 1e-36) | (metric != "cosine"))


def _seen(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Rows as the metric sees them, float64: unit vectors for cosine, zeros and ones for jaccard."""
    rows = np.asarray(rows, np.float64)
    if metric == "cosine":
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows > 0).astype(np.float64) if metric == "jaccard" else rows


def _share(squared: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Jaccard distances of sets, from the sizes of their symmetric differences and the sums of their sizes."""
    return squared / np.maximum((squared + total) / 2, 1)


def _merge(
    points: np.ndarray,
    centre: np.ndarray,
    block: np.ndarray,
    single: np.ndarray,
    rows: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    asked: np.ndarray,
    metric: Metric,
) -> None:
    """Put what is nearer in a block of the library (`block` float64, `single` float32 and centred) into the answer."""
    k = indices.shape[1]
    near = (points - centre).astype(np.float32)
    lengths, block_lengths = np.square(near).sum(1), np.square(single).sum(1)
    rough = near @ single.T
    rough *= -2
    rough += lengths[:, None]
    rough += block_lengths
    # twice the worst rounding of a float32 product of D terms, of the cast, and of the two sums
    slack = 4 * (near.shape[1] + 8) * 2.0**-24 * (np.sqrt(lengths) + np.sqrt(block_lengths.max())) ** 2
    if metric == "jaccard":
        rough = _share(rough, lengths[:, None] + block_lengths)  # whole numbers below 2^24: only the division rounds
        slack = np.full(len(near), 1e-6)
    bound = np.minimum(_upper_bound(rough, k), distances[asked, -1]) + slack
    who, where = np.nonzero(rough <= bound[:, None].astype(np.float32))
    del rough
    exact = np.empty(len(who))
    size = max(1, _BLOCK // near.shape[1])
    for begin in range(0, len(who), size):
        part = slice(begin, begin + size)
        exact[part] = np.square(points[who[part]] - block[where[part]]).sum(1)
    if metric == "jaccard":
        exact = _share(exact, points.sum(1)[who] + block.sum(1)[where])
    # the best so far came from earlier rows of the library: a stable order keeps them before their equals
    who = np.concatenate([np.repeat(np.arange(len(asked)), k), who])
    value = np.concatenate([distances[asked].ravel(), exact])
    index = np.concatenate([indices[asked].ravel(), rows[where]])
    order = np.lexsort((value, who))
    first = np.searchsorted(who[order], np.arange(len(asked)))
    best = order[first[:, None] + np.arange(k)]
    indices[asked], distances[asked] = index[best], value[best]


def _upper_bound(rough: np.ndarray, k: int) -> np.ndarray:
    """A number per row (m,) that at least k of its values do not exceed; infinite where there are fewer."""
    n = rough.shape[1]
    if n < k:
        return np.full(len(rough), np.inf)
    n_groups = n // _FOLD
    if n_groups >= 4 * k:  # the k-th smallest of the groups' least values is a bound, too, and far sooner found
        rough = rough[:, : n_groups * _FOLD].reshape(len(rough), _FOLD, n_groups).min(1)
    return np.partition(rough, k - 1, axis=1)[:, k - 1].astype(np.float64)
