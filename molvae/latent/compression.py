"""Points in few bytes: quantizers, and a file of quantized points that is searched and read where it lies."""

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
_START = struct.Struct("<8sIQQ")  # magic, version, bytes of the header, number of points
_BLOCK = 1 << 16
_N_CENTRES = 256
_N_FITTED = 20_000


class Quantizer(Protocol):
    """Points (n, D) as rows of bytes (n, bytes) uint8, and back; n_latent: D; n_bytes: per point."""

    @property
    def n_latent(self) -> int: ...  # noqa: D102
    @property
    def n_bytes(self) -> int: ...  # noqa: D102
    def encode(self, z: np.ndarray) -> np.ndarray: ...  # noqa: D102
    def decode(self, codes: np.ndarray) -> np.ndarray: ...  # noqa: D102
    def arrays(self) -> dict[str, np.ndarray]: ...  # noqa: D102


@dataclass(frozen=True)
class Float16:
    """Half precision: two bytes a dimension, three decimal digits; what lies beyond 65,504 is clipped."""

    n_latent: int

    @property
    def n_bytes(self) -> int:
        """Bytes of a point."""
        return 2 * self.n_latent

    @classmethod
    def fit(cls, z: np.ndarray, n_bytes: int | None = None, seed: int = 0) -> Self:
        """For points as wide as z (n, D)."""
        return cls(z.shape[1])

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Rows of bytes (n, 2 D) of points (n, D)."""
        return np.clip(z, -65504, 65504).astype("<f2").view(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Points (n, D) float32."""
        return np.ascontiguousarray(codes).view("<f2").astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {"n_latent": np.array(self.n_latent)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The quantizer that was saved."""
        return cls(int(arrays["n_latent"]))


@dataclass(frozen=True)
class Int8:
    """One byte a dimension, in 256 even steps from `low` (D,), each `step` (D,) wide; what lies beyond is clipped."""

    low: np.ndarray
    step: np.ndarray

    @property
    def n_latent(self) -> int:
        """Dimensions of a point."""
        return len(self.low)

    @property
    def n_bytes(self) -> int:
        """Bytes of a point."""
        return len(self.low)

    @classmethod
    def fit(cls, z: np.ndarray, n_bytes: int | None = None, seed: int = 0) -> Self:
        """Each dimension's range in z (n, D) and a twentieth more; at most six standard deviations from its mean."""
        mean, reach, more = z.mean(0), 6 * z.std(0), np.ptp(z, 0) / 20  # other points reach further than a sample
        low, high = np.maximum(z.min(0) - more, mean - reach), np.minimum(z.max(0) + more, mean + reach)
        return cls(low.astype(np.float32), ((high - low) / 255).astype(np.float32))

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Rows of bytes (n, D) of points (n, D)."""
        return np.clip(np.rint((z - self.low) / np.where(self.step > 0, self.step, 1)), 0, 255).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Points (n, D) float32."""
        return codes.astype(np.float32) * self.step + self.low

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {"low": self.low, "step": self.step}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The quantizer that was saved."""
        return cls(arrays["low"], arrays["step"])


@dataclass(frozen=True)
class ProductQuantizer:
    """One byte a group of dimensions: which of at most 256 centres lies nearest in it.

    mean: (D,); rotation: (D, D), whose columns, the principal axes, stand group after group, so shared out that each
    group holds as much variance as the others. centres: (256, D) along them. sizes: (n_bytes,), axes in each group.

    Source: Ge et al. 2013, doi:10.1109/CVPR.2013.379, section 3.2 (eigenvalue allocation).
    """

    mean: np.ndarray
    rotation: np.ndarray
    centres: np.ndarray
    sizes: np.ndarray

    @property
    def n_latent(self) -> int:
        """Dimensions of a point."""
        return len(self.mean)

    @property
    def n_bytes(self) -> int:
        """Bytes of a point."""
        return len(self.sizes)

    @classmethod
    def fit(cls, z: np.ndarray, n_bytes: int | None = None, seed: int = 0) -> Self:
        """For points like z (n, D), in n_bytes bytes each (default: one for every two dimensions).

        Raises:
            InputError: n_bytes is not in 1 to D.
        """
        from sklearn.cluster import KMeans

        n_latent = z.shape[1]
        n_bytes = (n_latent + 1) // 2 if n_bytes is None else n_bytes
        if not 1 <= n_bytes <= n_latent:
            raise InputError(f"n_bytes: expected 1 to {n_latent}, the dimensions of a point, got {n_bytes}")
        mean = z.mean(0)
        variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(z, rowvar=False, bias=True)))
        groups = _share_out(np.maximum(variance, 0), n_bytes)
        rotation = axes[:, np.concatenate(groups)]
        turned = (z - mean) @ rotation
        centres = np.zeros((_N_CENTRES, n_latent))
        for columns in _columns(np.array([len(group) for group in groups])):
            part = turned[:, columns]
            distinct = np.unique(part.astype(np.float32), axis=0)
            if len(distinct) > _N_CENTRES:
                means = KMeans(_N_CENTRES, n_init=1, max_iter=30, random_state=seed, copy_x=False)
                distinct = means.fit(part.astype(np.float32)).cluster_centers_
            centres[:, columns] = distinct[np.minimum(np.arange(_N_CENTRES), len(distinct) - 1)]
        sizes = np.array([len(group) for group in groups])
        return cls(mean.astype(np.float32), rotation.astype(np.float32), centres.astype(np.float32), sizes)

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Rows of bytes (n, n_bytes) of points (n, D)."""
        turned = (np.asarray(z, np.float32) - self.mean) @ self.rotation
        codes = np.empty((len(turned), self.n_bytes), np.uint8)
        for i, columns in enumerate(_columns(self.sizes)):
            centres = self.centres[:, columns]
            codes[:, i] = (np.square(centres).sum(1) - 2 * turned[:, columns] @ centres.T).argmin(1)
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Points (n, D) float32."""
        turned = np.empty((len(codes), self.n_latent), np.float32)
        for i, columns in enumerate(_columns(self.sizes)):
            turned[:, columns] = self.centres[:, columns][codes[:, i]]
        return turned @ self.rotation.T + self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {"mean": self.mean, "rotation": self.rotation, "centres": self.centres, "sizes": self.sizes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The quantizer that was saved."""
        return cls(arrays["mean"], arrays["rotation"], arrays["centres"], arrays["sizes"])


def fit_quantizer(z: np.ndarray, method: str, n_bytes: int | None = None, seed: int = 0) -> Quantizer:
    """A quantizer fitted to points (n, D): float16, int8 or pq.

    At most 20,000 of the points are used, drawn with the seed; those that hold NaN or infinity are left out.
    n_bytes: bytes of a point, for pq alone; 1 to D, default half of D.

    Raises:
        InputError: the method is unknown, n_bytes does not suit it, or there is no finite point.
    """
    z = np.asarray(z)
    if method not in QUANTIZERS:
        raise InputError(f"quantizer: expected one of {', '.join(QUANTIZERS)}, got {method!r}")
    if n_bytes is not None and method != "pq":
        raise InputError(f"n_bytes: only pq has a choice, got {n_bytes} for {method}")
    if z.ndim != 2:
        raise InputError(f"a quantizer is fitted to points (n, D), got {z.shape}")
    rows = np.flatnonzero(np.isfinite(z).all(1))
    if not len(rows):
        raise InputError(f"a quantizer needs at least 1 finite point, got none among {len(z)}")
    if len(rows) > _N_FITTED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _N_FITTED, replace=False))
    return QUANTIZERS[method].fit(z[rows].astype(np.float64), n_bytes, seed)


def write_compressed(path: Path, z_chunks: Iterable[np.ndarray], quantizer: Quantizer) -> int:
    """The number of points written to `path`, chunk by chunk (each (n, D)); whole or not at all.

    Raises:
        InputError: a chunk is not (n, D), or a point holds NaN or infinity: leave such rows out, and keep their places.
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
                raise InputError(f"points from row {n}: expected (n, {quantizer.n_latent}), got {z.shape}")
            bad = np.flatnonzero(~np.isfinite(z).all(1))
            if len(bad):
                raise InputError(f"point {n + bad[0]} holds NaN or infinity: leave such rows out")
            for begin in range(0, len(z), _BLOCK):
                file.write(quantizer.encode(z[begin : begin + _BLOCK]).tobytes())
            n += len(z)
        file.seek(0)
        file.write(_START.pack(_MAGIC, _VERSION, len(text), n))
    return n


@dataclass(frozen=True)
class CompressedCodes:
    """Points in a file, memory-mapped: opened at once, whatever their number.

    codes: (n, bytes_per_code) uint8; quantizer: what makes points of them.
    """

    codes: np.ndarray
    quantizer: Quantizer

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.codes)

    @property
    def n_latent(self) -> int:
        """Dimensions of a point."""
        return self.quantizer.n_latent

    @property
    def bytes_per_code(self) -> int:
        """Bytes of a point."""
        return self.codes.shape[1]

    def decode(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Points (m, D) float32 of these rows, in their order (default: all).

        Raises:
            InputError: a row that is not there.
        """
        try:
            codes = self.codes[rows if isinstance(rows, slice) else np.atleast_1d(rows)]
        except IndexError as error:
            raise InputError(f"rows: expected places below {self.n}; {error}") from error
        return self.quantizer.decode(np.asarray(codes))

    def nearest(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows (m, k) int64 of the points nearest to each query (m, D), and their Euclidean distances (m, k) float32.

        The distance is that of the query, which is not quantized, to the point read back (asymmetric distance). Each
        block of codes is read back once for all queries, from the table of centres. Ties, NaN and k as in
        `molvae.latent.neighbors.nearest`.

        Raises:
            InputError: k is below 1, there are no points, or the queries are not (m, D).
        """
        if not self.n:
            raise InputError("the file holds no points: there is nothing to be near to")
        indices, distances = np.empty((len(query), 0), np.int64), np.empty((len(query), 0), np.float32)
        for begin in range(0, self.n, _BLOCK):
            found, away = nearest(query, self.decode(slice(begin, begin + _BLOCK)), k)
            indices = np.concatenate([indices, np.where(found < 0, -1, found + begin)], 1)
            distances = np.concatenate([distances, away], 1)
            best = np.argsort(distances, axis=1, kind="stable")[:, :k]
            indices, distances = np.take_along_axis(indices, best, 1), np.take_along_axis(distances, best, 1)
        return indices, distances


def open_compressed(path: Path) -> CompressedCodes:
    """The points that `write_compressed` wrote, memory-mapped.

    Raises:
        InputError: no such file, or one that is foreign, truncated, or of a version this release cannot read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(_START.size)
            if not start.startswith(_MAGIC) or len(start) < _START.size:
                raise InputError(f"{path}: expected a file of compressed points, got something else")
            _, version, n_header, n = _START.unpack(start)
            if version != _VERSION:
                raise InputError(f"{path}: expected compressed points of version {_VERSION}, got {version}")
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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: its header is damaged ({error}); write it again") from error
    expected = _START.size + n_header + n * n_bytes
    if size != expected:
        raise InputError(f"{path}: expected {expected} bytes for {n} points, got {size}; write it again")
    if not n:  # no empty file can be mapped
        return CompressedCodes(np.empty((0, n_bytes), np.uint8), quantizer)
    codes = np.memmap(path, np.uint8, "r", offset=_START.size + n_header, shape=(n, n_bytes))
    return CompressedCodes(codes, quantizer)


def _share_out(variance: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Axes (D,) shared out among groups of even size so that the products of their variances are about equal."""
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
