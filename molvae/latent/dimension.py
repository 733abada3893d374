"""Intrinsic dimension of data, and the knee of a curve: how many latent dimensions are enough."""

from collections.abc import Sequence

import numpy as np

from molvae.errors import InputError
from molvae.latent.neighbors import Metric, nearest

_MIN_ROWS = 10


def two_nearest_neighbors(x: np.ndarray, *, discard: float = 0.1, metric: Metric = "euclidean") -> float:
    """Estimate the intrinsic dimension of data from the distances to the two nearest neighbors.

    Using only two neighbors makes the estimate robust to curvature and to variations in density. Above about ten
    dimensions, thousands of rows still give too low an estimate. The cost is quadratic: use a sample of a few thousand
    rows. On bits, many neighbors are equally near, so that the estimate is rough.

    Parameters
    ----------
    x : ndarray of shape (n, F)
        Data. Equal rows count once; rows with NaN or infinity are skipped.
    discard : float, default=0.1
        Share of the rows, with the largest ratios of distances, that is excluded from the fit, in [0, 1).
    metric : {"euclidean", "cosine", "jaccard"}, default="euclidean"
        Distance, as in `nearest`.

    Returns
    -------
    float
        The intrinsic dimension.

    Raises
    ------
    InputError
        There are fewer than 10 unique rows, all neighbors are equally far, or `discard` is out of range.

    References
    ----------
    .. [1] Facco et al. 2017, doi:10.1038/s41598-017-11873-y, equation 3 and the algorithm below it.
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise InputError(f"two_nearest_neighbors: expected data (n, F), got {x.shape}")
    if not 0 <= discard < 1:
        raise InputError(f"discard: expected a share in [0, 1), got {discard}")
    rows = np.unique(x[np.isfinite(x).all(1)] > 0 if metric == "jaccard" else x[np.isfinite(x).all(1)], axis=0)
    if len(rows) < _MIN_ROWS:
        raise InputError(f"an intrinsic dimension needs at least {_MIN_ROWS} unique rows, got {len(rows)} of {len(x)}")
    distances = nearest(rows, rows, 3, metric=metric)[1].astype(np.float64)  # the first is the row itself
    distances = distances[distances[:, 1] > 0]
    ratio = np.sort(np.log(distances[:, 2] / distances[:, 1]))
    below = np.arange(1, len(ratio) + 1) / len(ratio)
    kept = slice(0, min(int(np.ceil(len(ratio) * (1 - discard))), len(ratio) - 1))  # the last has no finite logarithm
    ratio, exponent = ratio[kept], -np.log1p(-below[kept])
    if not (ratio**2).sum() > 0:
        raise InputError(
            "the first and second neighbors of all rows are equally far; there is no estimate of the dimension"
        )
    return float((ratio * exponent).sum() / (ratio**2).sum())


def knee(sizes: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> int | None:
    """Find the knee of a curve, beyond which a larger size improves little.

    The algorithm is Kneedle with sensitivity 1 and without smoothing, because a sweep has few sizes.

    Parameters
    ----------
    sizes : sequence of float
        Sizes, in any order. Pass logarithms if the sizes double.
    values : sequence of float
        One value per size, falling (an error) or rising (a success rate); NaN is skipped.

    Returns
    -------
    int or None
        Index of the knee in `sizes`; None if there is none.

    Raises
    ------
    InputError
        There are not as many values as sizes.

    References
    ----------
    .. [1] Satopaa et al. 2011, doi:10.1109/ICDCSW.2011.20, section III.

    Examples
    --------
    >>> knee([1, 2, 3, 4, 5, 6], [10, 5, 1.2, 1.1, 1.05, 1.0])
    2
    """
    x, y = np.asarray(sizes, np.float64), np.asarray(values, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"knee: expected as many values as sizes, got {y.shape} and {x.shape}")
    order = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    order = order[np.argsort(x[order], kind="stable")]
    x, y = x[order], y[order]
    if len(x) < 3 or x[0] == x[-1] or np.ptp(y) == 0:
        return None
    x, y = (x - x[0]) / (x[-1] - x[0]), (y - y.min()) / np.ptp(y)
    above = (y if y[-1] > y[0] else 1 - y) - x
    for i in range(1, len(above) - 1):
        is_peak = above[i - 1] < above[i] >= above[i + 1]
        later = above[i + 1 :]
        higher = np.flatnonzero(later > above[i])
        threshold = above[i] - 1 / (len(x) - 1)
        if is_peak and threshold > 0 and (later[: higher[0] if len(higher) else None] < threshold).any():
            return int(order[i])
    return None
