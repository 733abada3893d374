"""Latent vectors in few bytes: quantizers, and a memory-mapped file of quantized latent vectors."""

import base64
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from molvae.errors import InputError
from molvae.files import replacing
from molvae.latent.neighbors import nearest

_MAGIC, _VERSION = b"MOLVAEPT", 1
_START = struct.Struct("<8sIQQ")  # magic, version, bytes of the header, number of latent vectors
_BLOCK = 1 << 16
_N_CENTROIDS = 256
_N_FITTED = 20_000
_STORED_CENTROIDS = "centres"  # their name in the files of version 1


class Quantizer(Protocol):
    """Latent vectors to codes of a few bytes, and back."""

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        ...

    @property
    def n_bytes(self) -> int:
        """Bytes per code."""
        ...

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Codes (n, n_bytes), uint8, of latent vectors (n, D)."""
        ...

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Latent vectors (n, D), float32, of codes (n, n_bytes)."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        ...


@dataclass(frozen=True)
class Float16:
    """Half precision: two bytes per dimension, three decimal digits; values beyond 65,504 are clipped.

    Parameters
    ----------
    n_latent : int
        Number of latent dimensions, D.
    """

    n_latent: int

    @property
    def n_bytes(self) -> int:
        """Bytes per code."""
        return 2 * self.n_latent

    @classmethod
    def fit(cls, z: np.ndarray, *, n_bytes: int | None = None, seed: int = 0) -> Self:
        """Fit the quantizer.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.
        n_bytes : int, optional
            Unused; two bytes per dimension.
        seed : int, default=0
            Unused; the fit is deterministic.

        Returns
        -------
        Float16
            The quantizer.
        """
        return cls(z.shape[1])

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Codes (n, 2 D), uint8, of latent vectors (n, D)."""
        return np.clip(z, -65504, 65504).astype("<f2").view(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Latent vectors (n, D), float32, of codes."""
        return np.ascontiguousarray(codes).view("<f2").astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        return {"n_latent": np.array(self.n_latent)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored quantizer.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Self
            The quantizer.
        """
        return cls(int(arrays["n_latent"]))


@dataclass(frozen=True)
class Int8:
    """One byte per dimension, in 256 even steps; values outside the range are clipped.

    Parameters
    ----------
    low : ndarray of shape (D,)
        Lowest value of each dimension.
    step : ndarray of shape (D,)
        Width of a step of each dimension.
    """

    low: np.ndarray
    step: np.ndarray

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        return len(self.low)

    @property
    def n_bytes(self) -> int:
        """Bytes per code."""
        return len(self.low)

    @classmethod
    def fit(cls, z: np.ndarray, *, n_bytes: int | None = None, seed: int = 0) -> Self:
        """Fit the quantizer.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.
        n_bytes : int, optional
            Unused; one byte per dimension.
        seed : int, default=0
            Unused; the fit is deterministic.

        Returns
        -------
        Int8
            The quantizer.
        """
        # the range of the sample and 5 % on each side for other latent vectors; at most six standard deviations
        mean, reach, margin = z.mean(0), 6 * z.std(0), np.ptp(z, 0) / 20
        low, high = np.maximum(z.min(0) - margin, mean - reach), np.minimum(z.max(0) + margin, mean + reach)
        return cls(low.astype(np.float32), ((high - low) / 255).astype(np.float32))

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Codes (n, D), uint8, of latent vectors (n, D)."""
        return np.clip(np.rint((z - self.low) / np.where(self.step > 0, self.step, 1)), 0, 255).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Latent vectors (n, D), float32, of codes."""
        return codes.astype(np.float32) * self.step + self.low

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        return {"low": self.low, "step": self.step}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored quantizer.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Self
            The quantizer.
        """
        return cls(arrays["low"], arrays["step"])


@dataclass(frozen=True)
class ProductQuantizer:
    """Product quantization: one byte per group of principal axes, the index of the nearest of 256 centroids.

    Parameters
    ----------
    mean : ndarray of shape (D,)
        Mean of the latent vectors.
    rotation : ndarray of shape (D, D)
        Principal axes as columns, group by group; the groups have about equal products of variances.
    centroids : ndarray of shape (256, D)
        Centroids of each group, along its axes.
    sizes : ndarray of shape (n_bytes,)
        Number of axes in each group.

    References
    ----------
    .. [1] Ge et al. 2013, doi:10.1109/CVPR.2013.379, section 3.2 (eigenvalue allocation).
    """

    mean: np.ndarray
    rotation: np.ndarray
    centroids: np.ndarray
    sizes: np.ndarray

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        return len(self.mean)

    @property
    def n_bytes(self) -> int:
        """Bytes per code."""
        return len(self.sizes)

    @classmethod
    def fit(cls, z: np.ndarray, *, n_bytes: int | None = None, seed: int = 0) -> Self:
        """Fit the quantizer.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.
        n_bytes : int, optional
            Bytes per code, 1 to D; one per two dimensions by default.
        seed : int, default=0
            Seed of k-means.

        Returns
        -------
        ProductQuantizer
            The quantizer.

        Raises
        ------
        InputError
            `n_bytes` is out of range.
        """
        from sklearn.cluster import KMeans

        n_latent = z.shape[1]
        n_bytes = (n_latent + 1) // 2 if n_bytes is None else n_bytes
        if not 1 <= n_bytes <= n_latent:
            raise InputError(f"n_bytes: expected 1 to {n_latent}, the number of latent dimensions, got {n_bytes}")
        mean = z.mean(0)
        variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(z, rowvar=False, bias=True)))
        groups = _allocate(np.maximum(variance, 0), n_bytes)
        rotation = axes[:, np.concatenate(groups)]
        rotated = (z - mean) @ rotation
        centroids = np.zeros((_N_CENTROIDS, n_latent))
        for columns in _columns(np.array([len(group) for group in groups])):
            part = rotated[:, columns]
            unique = np.unique(part.astype(np.float32), axis=0)
            if len(unique) > _N_CENTROIDS:
                means = KMeans(_N_CENTROIDS, n_init=1, max_iter=30, random_state=seed, copy_x=False)
                unique = means.fit(part.astype(np.float32)).cluster_centers_
            centroids[:, columns] = unique[np.minimum(np.arange(_N_CENTROIDS), len(unique) - 1)]
        sizes = np.array([len(group) for group in groups])
        return cls(mean.astype(np.float32), rotation.astype(np.float32), centroids.astype(np.float32), sizes)

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Codes (n, n_bytes), uint8, of latent vectors (n, D)."""
        rotated = (np.asarray(z, np.float32) - self.mean) @ self.rotation
        codes = np.empty((len(rotated), self.n_bytes), np.uint8)
        for i, columns in enumerate(_columns(self.sizes)):
            centroids = self.centroids[:, columns]
            codes[:, i] = (np.square(centroids).sum(1) - 2 * rotated[:, columns] @ centroids.T).argmin(1)
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Latent vectors (n, D), float32, of codes."""
        rotated = np.empty((len(codes), self.n_latent), np.float32)
        for i, columns in enumerate(_columns(self.sizes)):
            rotated[:, columns] = self.centroids[:, columns][codes[:, i]]
        return rotated @ self.rotation.T + self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        return {"mean": self.mean, "rotation": self.rotation, _STORED_CENTROIDS: self.centroids, "sizes": self.sizes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored quantizer.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Self
            The quantizer.
        """
        return cls(arrays["mean"], arrays["rotation"], arrays[_STORED_CENTROIDS], arrays["sizes"])


def fit_quantizer(z: np.ndarray, method: str, *, n_bytes: int | None = None, seed: int = 0) -> Quantizer:
    """Fit a quantizer to latent vectors.

    Parameters
    ----------
    z : ndarray of shape (n, D)
        Latent vectors, of which at most 20,000 are used; rows with NaN or infinity are skipped.
    method : {"float16", "int8", "pq"}
        Half precision, one byte per dimension, or product quantization.
    n_bytes : int, optional
        Bytes per code, for "pq" only; 1 to D, by default half of D, rounded up.
    seed : int, default=0
        Seed of the rows that are drawn, and of k-means.

    Returns
    -------
    Quantizer
        The quantizer.

    Raises
    ------
    InputError
        The method is unknown, `n_bytes` does not fit it, or there is no finite latent vector.

    Examples
    --------
    >>> z = np.random.default_rng(0).normal(size=(1000, 8))
    >>> quantizer = fit_quantizer(z, "int8")
    >>> quantizer.encode(z).shape, bool(np.abs(quantizer.decode(quantizer.encode(z)) - z).max() < 0.1)
    ((1000, 8), True)
    """
    z = np.asarray(z)
    if method not in QUANTIZERS:
        raise InputError(f"quantizer: expected one of {', '.join(QUANTIZERS)}, got {method!r}")
    if n_bytes is not None and method != "pq":
        raise InputError(f"n_bytes: expected None for {method}, got {n_bytes}; only pq uses n_bytes")
    if z.ndim != 2:
        raise InputError(f"fit_quantizer: expected latent vectors (n, D), got {z.shape}")
    rows = np.flatnonzero(np.isfinite(z).all(1))
    if not len(rows):
        raise InputError(f"a quantizer needs at least 1 finite latent vector, got 0 of {len(z)}")
    if len(rows) > _N_FITTED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _N_FITTED, replace=False))
    return QUANTIZERS[method].fit(z[rows].astype(np.float64), n_bytes=n_bytes, seed=seed)


def write_compressed(path: Path, z_chunks: Iterable[np.ndarray], quantizer: Quantizer) -> int:
    """Write latent vectors to a file, completely or not at all.

    Parameters
    ----------
    path : Path
        The file.
    z_chunks : iterable of ndarray of shape (n, D)
        Latent vectors, chunk by chunk.
    quantizer : Quantizer
        A fitted quantizer.

    Returns
    -------
    int
        Number of latent vectors that were written.

    Raises
    ------
    InputError
        A chunk is not of shape (n, D), or a latent vector holds NaN or infinity; drop such rows first.
    """
    names = [name for name, kind in QUANTIZERS.items() if isinstance(quantizer, kind)]
    header = {
        "quantizer": names[0],
        "arrays": {
            name: {"dtype": array.dtype.str, "shape": array.shape, "base64": base64.b64encode(array.tobytes()).decode()}
            for name, array in quantizer.arrays().items()
        },
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + _START.size) % 64)  # the codes begin at a multiple of 64 bytes
    n = 0
    with replacing(Path(path)) as part, part.open("wb") as file:
        file.write(_START.pack(_MAGIC, _VERSION, len(text), 0) + text)
        for chunk in z_chunks:
            z = np.asarray(chunk)
            if z.ndim != 2 or z.shape[1] != quantizer.n_latent:
                raise InputError(f"latent vectors from row {n}: expected (n, {quantizer.n_latent}), got {z.shape}")
            bad = np.flatnonzero(~np.isfinite(z).all(1))
            if len(bad):
                raise InputError(f"row {n + bad[0]} holds NaN or infinity; drop such rows")
            for begin in range(0, len(z), _BLOCK):
                file.write(quantizer.encode(z[begin : begin + _BLOCK]).tobytes())
            n += len(z)
        file.seek(0)
        file.write(_START.pack(_MAGIC, _VERSION, len(text), n))
    return n


@dataclass(frozen=True)
class CompressedVectors:
    """Latent vectors in a memory-mapped file.

    Parameters
    ----------
    codes : ndarray of shape (n, n_bytes)
        Codes, uint8.
    quantizer : Quantizer
        The quantizer that decodes them.
    """

    codes: np.ndarray
    quantizer: Quantizer

    @property
    def n(self) -> int:
        """Number of latent vectors."""
        return len(self.codes)

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        return self.quantizer.n_latent

    @property
    def n_bytes(self) -> int:
        """Bytes per code."""
        return self.codes.shape[1]

    def decode(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Decode rows to latent vectors.

        Parameters
        ----------
        rows : ndarray of int or slice, default=slice(None)
            Row numbers; all by default.

        Returns
        -------
        ndarray of shape (m, D)
            Latent vectors, float32, in the order of `rows`.

        Raises
        ------
        InputError
            A row number is out of range.
        """
        try:
            codes = self.codes[rows if isinstance(rows, slice) else np.atleast_1d(rows)]
        except IndexError as error:
            raise InputError(f"rows: expected row numbers below {self.n}; {error}") from error
        return self.quantizer.decode(np.asarray(codes))

    def nearest(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest latent vectors of each query.

        Distances are from the query, which is not quantized, to the decoded latent vectors (asymmetric distance).

        Parameters
        ----------
        query : ndarray of shape (m, D)
            Queries.
        k : int
            Number of neighbors, at most the number of latent vectors.

        Returns
        -------
        rows : ndarray of shape (m, k)
            Row numbers, int64, the nearest first; ties and NaN as in `nearest`.
        distances : ndarray of shape (m, k)
            Euclidean distances, float32.

        Raises
        ------
        InputError
            `k` is below 1, the file is empty, or the queries are not of shape (m, D).
        """
        if not self.n:
            raise InputError("the file is empty; expected at least one latent vector")
        indices, distances = np.empty((len(query), 0), np.int64), np.empty((len(query), 0), np.float32)
        for begin in range(0, self.n, _BLOCK):
            found, distance = nearest(query, self.decode(slice(begin, begin + _BLOCK)), k)
            indices = np.concatenate([indices, np.where(found < 0, -1, found + begin)], 1)
            distances = np.concatenate([distances, distance], 1)
            best = np.argsort(distances, axis=1, kind="stable")[:, :k]
            indices, distances = np.take_along_axis(indices, best, 1), np.take_along_axis(distances, best, 1)
        return indices, distances


def open_compressed(path: Path) -> CompressedVectors:
    """Open a file of compressed latent vectors, memory-mapped.

    Parameters
    ----------
    path : Path
        A file that `write_compressed` wrote.

    Returns
    -------
    CompressedVectors
        The latent vectors.

    Raises
    ------
    InputError
        The file is missing, truncated, in another format, or of an unsupported version.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(_START.size)
            if not start.startswith(_MAGIC) or len(start) < _START.size:
                raise InputError(f"{path}: not a file of compressed latent vectors")
            _, version, n_header, n = _START.unpack(start)
            if version != _VERSION:
                raise InputError(f"{path}: expected compressed latent vectors of version {_VERSION}, got {version}")
            size = path.stat().st_size
            if _START.size + n_header > size:
                raise InputError(f"{path}: truncated: its header alone takes {n_header} bytes; write it again")
            text = file.read(n_header)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        header = json.loads(text)
        arrays = {
            name: np.frombuffer(base64.b64decode(array["base64"]), array["dtype"]).reshape(array["shape"])
            for name, array in header["arrays"].items()
        }
        quantizer: Quantizer = QUANTIZERS[header["quantizer"]].from_arrays(arrays)
        n_bytes = quantizer.n_bytes
    except (RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: its header is damaged ({error}); write it again") from error
    expected = _START.size + n_header + n * n_bytes
    if size != expected:
        raise InputError(f"{path}: expected {expected} bytes for {n} latent vectors, got {size}; write it again")
    if not n:  # an empty array cannot be memory-mapped
        return CompressedVectors(np.empty((0, n_bytes), np.uint8), quantizer)
    codes = np.memmap(path, np.uint8, "r", offset=_START.size + n_header, shape=(n, n_bytes))
    return CompressedVectors(codes, quantizer)


def _allocate(variance: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Axes (D,) in groups of about equal size, with about equal products of their variances."""
    weight = np.log(np.maximum(variance / max(variance.max(), 1e-300), 1e-12))
    weight -= weight.min()
    room = [len(part) for part in np.array_split(np.arange(len(variance)), n_groups)]
    groups: list[list[int]] = [[] for _ in room]
    for axis in np.argsort(-weight, kind="stable"):
        free = [i for i in range(n_groups) if len(groups[i]) < room[i]]
        groups[min(free, key=lambda i: (weight[groups[i]].sum(), len(groups[i])))].append(int(axis))
    return [np.array(group) for group in groups]


def _columns(sizes: np.ndarray) -> list[slice]:
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]


QUANTIZERS: dict[str, type[Float16] | type[Int8] | type[ProductQuantizer]] = {
    "float16": Float16,
    "int8": Int8,
    "pq": ProductQuantizer,
}
