"""How many dimensions data really fill, and which size of a bottleneck is enough."""

from collections.abc import Sequence

import numpy as np

from molvae.errors import InputError
from molvae.latent.neighbors import Metric, nearest

_MIN_ROWS = 10


def two_nearest_neighbors(x: np.ndarray, discard: float = 0.1, metric: Metric = "euclidean") -> float:
    """The intrinsic dimension of data (n, F), from how much farther the second neighbour lies than the first.

    Only the two nearest of each row count, so that neither curvature nor density matters much; above about ten
    dimensions thousands of rows still give too small a number. All rows are compared with all: take a sample of a few
    thousand. Equal rows count once, and rows that hold NaN or infinity are left out. On bits many neighbours are
    equally near, which makes the estimate rough.

    discard: share of the rows, those with the largest ratios, that does not enter the fit.

    Raises:
        InputError: fewer than 10 distinct rows, all neighbours equally far, or discard outside [0, 1).
    Source: Facco et al. 2017, doi:10.1038/s41598-017-11873-y, equation 3 and the algorithm below it.
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise InputError(f"two_nearest_neighbors: expected data (n, F), got {x.shape}")
    if not 0 <= discard < 1:
        raise InputError(f"discard: expected a share in [0, 1), got {discard}")
    rows = np.unique(x[np.isfinite(x).all(1)] > 0 if metric == "jaccard" else x[np.isfinite(x).all(1)], axis=0)
    if len(rows) < _MIN_ROWS:
        raise InputError(
            f"an intrinsic dimension needs at least {_MIN_ROWS} distinct rows, got {len(rows)} of {len(x)}"
        )
    distances = nearest(rows, rows, 3, metric)[1].astype(np.float64)  # the nearest of all is the row itself
    distances = distances[distances[:, 1] > 0]
    ratio = np.sort(np.log(distances[:, 2] / distances[:, 1]))
    below = np.arange(1, len(ratio) + 1) / len(ratio)
    kept = slice(0, min(int(np.ceil(len(ratio) * (1 - discard))), len(ratio) - 1))  # the last has no finite logarithm
    ratio, exponent = ratio[kept], -np.log1p(-below[kept])
    if not (ratio**2).sum() > 0:
        raise InputError("the first and the second neighbours of all rows are equally far: no dimension can be told")
    return float((ratio * exponent).sum() / (ratio**2).sum())


def knee(sizes: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> int | None:
    """Place in `sizes` beyond which a larger one brings little more, or None where there is no such place.

    The values may fall and flatten (an error) or rise and flatten (a rate of success); sizes may stand in any order,
    and values that are NaN are passed over. Where sizes double from one to the next, give their logarithms. Sensitivity
    is 1; nothing is smoothed, for a sweep has few points.

    Raises:
        InputError: not as many values as sizes.
    Source: Satopaa et al. 2011 (Kneedle), doi:10.1109/ICDCSW.2011.20, section III.
    """
    x, y = np.asarray(sizes, np.float64), np.asarray(values, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"knee: expected as many values as sizes, got {y.shape} and {x.shape}")
    places = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    places = places[np.argsort(x[places], kind="stable")]
    x, y = x[places], y[places]
    if len(x) < 3 or x[0] == x[-1] or np.ptp(y) == 0:
        return None
    x, y = (x - x[0]) / (x[-1] - x[0]), (y - y.min()) / np.ptp(y)
    above = (y if y[-1] > y[0] else 1 - y) - x
    for place in range(1, len(above) - 1):
        is_peak = above[place - 1] < above[place] >= above[place + 1]
        later = above[place + 1 :]
        higher = np.flatnonzero(later > above[place])
        threshold = above[place] - 1 / (len(x) - 1)
        if is_peak and threshold > 0 and (later[: higher[0] if len(higher) else None] < threshold).any():
            return int(places[place])
    return None
