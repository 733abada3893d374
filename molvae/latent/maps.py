"""Points on a plane: maps to look at, each with two numbers that say how far to trust it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from molvae.errors import InputError
from molvae.latent.neighbors import Metric, nearest

Method = Literal["pca", "tsne"]

_N_JUDGED = 2000
_PERPLEXITY = 30
_MIN_TSNE = 5


@dataclass(frozen=True)
class Map:
    """A map of n points.

    xy: (n, 2) float32; NaN where a point holds NaN or infinity.
    method: how it was drawn.
    trustworthiness: in [0, 1]; how seldom points are neighbours on the map alone. 1: never. Chance is about 0.5.
    preservation: in [0, 1]; share of each point's k nearest that are among its k nearest on the map.
    k: neighbours that the two numbers look at.
    reason: why the two numbers are NaN, in words; None where they are not.
    """

    xy: np.ndarray
    method: Method
    trustworthiness: float
    preservation: float
    k: int
    reason: str | None = None


def map_points(z: np.ndarray, method: Method = "pca", seed: int = 0, k: int = 10, metric: Metric = "euclidean") -> Map:
    """A map of points (n, D), or, by metric="jaccard", of fingerprints (n, bits).

    pca: the two directions of most variance, whatever the metric; each axis points where its largest loading does.
    tsne: neighbours by the metric stay neighbours; distances between groups mean little. Begins from the PCA, draws
        nothing else at random, and is made on one core (2,000 points in a few seconds).
    seed: of t-SNE, and of the at most 2,000 points by which the map is judged.
    k: lowered where there are fewer than 2 k + 1 points.

    Raises:
        InputError: fewer than 2 finite points, fewer than 5 for t-SNE, k below 1, or an unknown method.
    """
    z = np.asarray(z)
    if z.ndim != 2:
        raise InputError(f"a map needs points (n, D), got {z.shape}")
    if method not in ("pca", "tsne"):
        raise InputError(f"method: expected 'pca' or 'tsne', got {method!r}")
    finite = np.isfinite(z).all(1)
    n, least = int(finite.sum()), _MIN_TSNE if method == "tsne" else 2
    if n < least:
        raise InputError(f"a map by {method} needs at least {least} finite points, got {n} of {len(z)}")
    points = z[finite].astype(np.float64)
    flat = _pca(points)
    if method == "tsne":
        flat = _tsne(points, flat, seed, metric)
    xy = np.full((len(z), 2), np.nan, np.float32)
    xy[finite] = flat
    trustworthiness, preservation = quality(points, xy[finite], k, metric, seed)
    reason = f"{n} points are too few to judge a map by" if np.isnan(trustworthiness) else None
    return Map(xy, method, trustworthiness, preservation, min(k, (n - 1) // 2), reason)


def quality(
    high: np.ndarray, low: np.ndarray, k: int = 10, metric: Metric = "euclidean", seed: int = 0
) -> tuple[float, float]:
    """Trustworthiness and neighbourhood preservation of a map `low` (n, 2) of points `high` (n, D), both in [0, 1].

    Judged by at most 2,000 points drawn with the seed, their neighbours among each other. k is lowered to (n - 1) / 2;
    both are NaN below 3 points. Preservation by chance is about k / n.

    Raises:
        InputError: k is below 1, or `low` has not a row for each point.
    Source: Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68 (trustworthiness).
    """
    from sklearn.manifold import trustworthiness

    high, low = np.asarray(high), np.asarray(low)
    if k < 1:
        raise InputError(f"k: expected at least 1 neighbour, got {k}")
    if len(high) != len(low):
        raise InputError(f"quality: expected a place on the map for each of {len(high)} points, got {len(low)}")
    if len(high) > _N_JUDGED:
        chosen = np.sort(np.random.default_rng(seed).choice(len(high), _N_JUDGED, replace=False))
        high, low = high[chosen], low[chosen]
    k = min(k, (len(high) - 1) // 2)
    if k < 1:
        return float("nan"), float("nan")
    seen = high > 0 if metric == "jaccard" else high
    trust = float(trustworthiness(seen, low, n_neighbors=k, metric=metric))
    near, near_on_map = _others(high, k, metric)[0], _others(low, k, "euclidean")[0]
    kept = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(near, near_on_map, strict=True)]
    return trust, float(np.mean(kept) / k)


def _others(points: np.ndarray, k: int, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of each point among the others, and their distances (n, k)."""
    indices, distances = nearest(points, points, k + 1, metric)
    is_other = indices != np.arange(len(points))[:, None]
    is_other[is_other.all(1), -1] = False  # a point that more than k equal ones stand before
    return indices[is_other].reshape(len(points), -1), distances[is_other].reshape(len(points), -1)


def _pca(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))
    flat = np.zeros((len(points), 2))
    flat[:, : len(axes)] = centred @ axes.T
    return flat


def _tsne(points: np.ndarray, flat: np.ndarray, seed: int, metric: Metric) -> np.ndarray:
    from openTSNE import TSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
    neighbors = PrecomputedNeighbors(*_others(points, int(3 * perplexity), metric))
    affinities = PerplexityBasedNN(perplexity=perplexity, knn_index=neighbors, n_jobs=1, random_state=seed)
    begin = flat / max(flat[:, 0].std(), 1e-12) * 1e-4  # as small as openTSNE makes it itself
    method = "bh" if len(points) < 10_000 else "fft"
    tsne = TSNE(n_jobs=1, random_state=seed, negative_gradient_method=method, perplexity=perplexity)
    return np.asarray(tsne.fit(affinities=affinities, initialization=begin))
