"""New molecules from old ones through the space: on the way between two, around one, along a property's direction."""

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from molvae.codec.results import Decoded
from molvae.errors import InputError
from molvae.latent import geometry
from molvae.seeds import generator, integer_seed

if TYPE_CHECKING:
    from molvae.codec.codec import Codec

PropertyFunction = Callable[[list[str]], Sequence[float] | np.ndarray | pd.Series]
"""Canonical SMILES to one number each, in order; NaN or None where there is none."""

_MIN_VALUES = 10
_MEASURED = np.array([0.25, 0.5, 0.75])  # of the usual distance of a molecule from the middle of the space
_MOVES = np.array([-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75])


@dataclass(frozen=True, eq=False)
class AttributeDirection:
    """The direction in the space in which a value grows, by a linear fit to molecules.

    vector: (D,) float32, of length 1.
    slope: growth of the value per unit of Euclidean length along it, by the fit; `Codec.measure_direction` says what
        molecules really do.
    r2: share of the variance that the fit explains in molecules held out from it; below 0 it is worse than the mean.
    scale: standard deviation of the molecules along it.
    n_used, n_unreadable, n_without_value: molecules fitted to, not readable by the codec, without a finite value.
    """

    vector: np.ndarray
    slope: float
    r2: float
    scale: float
    n_used: int
    n_unreadable: int
    n_without_value: int


@dataclass(frozen=True, eq=False)
class DirectionMeasurement:
    """What a property did when molecules were moved, both ways, along a direction and along random ones.

    slopes: one row per direction ("attribute", "random 1", ...) and way ("along", "against", "both"): `slope`, the
        value per unit of signed distance, so that one which grows along and falls against has two positive slopes;
        `standard_error`, molecules taken as independent; `n_molecules` and `n_steps`, those that bear on it; `valid`,
        the share of steps that gave a molecule.
    steps: one row per molecule, direction and distance: `row` of the molecule given, `direction`, `distance`, `smiles`,
        `reason`, `value`. At distance 0 stands the molecule itself.
    n_unreadable: molecules that the codec could not read.
    """

    slopes: pd.DataFrame
    steps: pd.DataFrame
    n_unreadable: int


def interpolate(codec: "Codec", a: Any, b: Any, steps: int, path: geometry.LatentPath) -> pd.DataFrame:
    """See Codec.interpolate."""
    steps = _whole(steps, 2, "steps")
    start, end = _read(codec, a, "a"), _read(codec, b, "b")
    z = geometry.interpolate(start.z, end.z, steps, path, codec.prior.mean if path == "spherical" else None)
    between = codec.decode(z[1:-1])
    table = pd.DataFrame(
        {
            "step": range(steps),
            "fraction": np.linspace(0, 1, steps),
            "smiles": [start.smiles, *(made.smiles for made in between), end.smiles],
            "reason": [None, *(made.reason for made in between), None],
        }
    )
    is_none = table["smiles"].isna()
    table["n_steps"] = table.groupby("smiles")["step"].transform("size").where(~is_none, 1).astype(int)
    is_kept = is_none | ~table["smiles"].duplicated()
    if start.smiles != end.smiles:  # b stands at its own end, however early the path came to it
        is_kept = is_kept.where(table["smiles"] != end.smiles, table["step"] == steps - 1)
    table = table[is_kept].reset_index(drop=True)
    table["similarity_to_a"] = _similarity(start.smiles, table["smiles"])
    table["similarity_to_b"] = _similarity(end.smiles, table["smiles"])
    table.attrs["counts"] = {
        "steps": steps,
        "invalid": int(is_none.sum()),
        "distinct": int((~table["smiles"].isna()).sum()),
    }
    return table


def neighborhood(
    codec: "Codec", smiles: Any, radius: float, n: int, decodes: int, seed: int, noise: float, temperature: float
) -> pd.DataFrame:
    """See Codec.neighborhood."""
    if isinstance(radius, bool) or not isinstance(radius, int | float | np.number):
        raise InputError(f"radius: expected a number of at least 0, got {radius!r}")
    n, decodes = _whole(n, 1, "n"), _whole(decodes, 1, "decodes")
    start = _read(codec, smiles, "smiles")
    points = geometry.step_around(start.z, float(radius), n, generator(seed, "neighborhood"), codec.prior.factor)
    decoded = codec.decode(points)
    decoded += codec.decode(
        np.repeat(points, decodes - 1, axis=0),
        noise=noise,
        temperature=temperature,
        seed=integer_seed(seed, "neighborhood"),
    )
    drawn = Counter(made.smiles for made in decoded if made.smiles is not None)
    counts = {"decodes": len(decoded), "start": drawn.pop(start.smiles, 0), "distinct": len(drawn)}
    found = list(drawn)
    z = codec.encode(found).z.astype(np.float64)
    table = pd.DataFrame(
        {
            "smiles": pd.Series(found, dtype=object if not found else None),
            "distance": np.linalg.norm(z - start.z, axis=1),
            "similarity": _similarity(start.smiles, found),
            "n_drawn": pd.Series([drawn[text] for text in found], dtype=int),
        }
    ).sort_values(
        ["similarity", "n_drawn", "distance", "smiles"], ascending=[False, False, True, True], ignore_index=True
    )
    table.attrs["start"] = start.smiles
    table.attrs["counts"] = counts | {"invalid": sum(made.smiles is None for made in decoded)}
    return table


def attribute_direction(codec: "Codec", smiles: Iterable[Any], values: Any, seed: int) -> AttributeDirection:
    """See Codec.attribute_direction."""
    encoding = codec.encode(smiles)
    texts = [str(text) if ok else "" for text, ok in zip(encoding.smiles, encoding.ok, strict=True)]
    numbers = compute_values(values, texts) if isinstance(values, str) else _numbers(values, len(texts), "values")
    n_usable = int((encoding.ok & np.isfinite(numbers)).sum())
    n_unreadable, n_without_value = int((~encoding.ok).sum()), int((encoding.ok & ~np.isfinite(numbers)).sum())
    if n_usable < _MIN_VALUES:
        raise InputError(
            f"a direction needs at least {_MIN_VALUES} molecules with a value, got {n_usable}: of {len(texts)}, "
            f"{n_unreadable} cannot be read and {n_without_value} have no finite value"
        )
    found = geometry.attribute_direction(encoding.z, np.where(encoding.ok, numbers, np.nan), seed=seed)
    return AttributeDirection(found.vector, found.slope, found.r2, found.scale, n_usable, n_unreadable, n_without_value)


def move(
    codec: "Codec", smiles: Any, direction: AttributeDirection | np.ndarray, distances: Iterable[float] | None
) -> pd.DataFrame:
    """See Codec.move."""
    start = _read(codec, smiles, "smiles")
    vector, lengths = _vector(direction, codec.n_latent), _distances(codec, distances, _MOVES)
    decoded = codec.decode(start.z + lengths[:, None] * vector)
    made = [start.smiles if length == 0 else one.smiles for length, one in zip(lengths, decoded, strict=True)]
    reason = [None if length == 0 else one.reason for length, one in zip(lengths, decoded, strict=True)]
    table = pd.DataFrame({"distance": lengths, "smiles": made, "reason": reason})
    table["similarity_to_start"] = _similarity(start.smiles, made)
    return table


def measure_direction(
    codec: "Codec",
    direction: AttributeDirection | np.ndarray,
    smiles: Iterable[Any],
    values: str | PropertyFunction,
    distances: Iterable[float] | None,
    seed: int,
    n_random: int,
) -> DirectionMeasurement:
    """See Codec.measure_direction."""
    n_random = _whole(n_random, 1, "n_random")
    vector, asked = _vector(direction, codec.n_latent), _distances(codec, distances, _MEASURED)
    one_way = np.unique(np.abs(asked[asked != 0]))
    if not len(one_way):
        raise InputError("distances: expected at least one other than 0, for nothing moves otherwise")
    lengths = np.concatenate([-one_way[::-1], one_way])
    encoding = codec.encode(smiles)
    rows = np.flatnonzero(encoding.ok)
    if len(rows) < 2:
        raise InputError(f"a slope needs at least 2 molecules that can be read, got {len(rows)} of {len(encoding.ok)}")
    random, like = generator(seed, "random direction"), codec.draw(2000, seed=seed, spread=0.0)
    vectors = {"attribute": vector}
    vectors |= {f"random {i + 1}": geometry.random_direction(codec.n_latent, random, like) for i in range(n_random)}
    z = encoding.z[rows]
    starts = pd.DataFrame(
        {"row": rows, "distance": 0.0, "smiles": [encoding.smiles[row] for row in rows], "reason": None}
    )
    parts = []
    for name, step in vectors.items():
        points = z[:, None] + lengths[:, None] * step  # (molecules, distances, D)
        decoded = codec.decode(points.reshape(-1, codec.n_latent))
        parts += [starts.assign(direction=name), _as_table(decoded, np.repeat(rows, len(lengths)), lengths, name)]
    steps = pd.concat(parts, ignore_index=True)[["row", "direction", "distance", "smiles", "reason"]]
    distinct = steps["smiles"].dropna().drop_duplicates().tolist()
    steps["value"] = (
        steps["smiles"].map(dict(zip(distinct, compute_values(values, distinct), strict=True))).astype(float)
    )
    steps = steps.sort_values(["row", "direction", "distance"], ignore_index=True)
    return DirectionMeasurement(_slopes(steps, list(vectors)), steps, int((~encoding.ok).sum()))


def compute_values(values: str | PropertyFunction, smiles: Sequence[str]) -> np.ndarray:
    """A property (n,) float64 of molecules, by a name of molvae.chem.properties.PROPERTIES or by a function of a list.

    Raises:
        InputError: there is no property of that name, or the function answers with something else than n numbers.
    """
    if isinstance(values, str):
        from molvae.chem import properties

        return properties.compute(smiles, [values])[values].to_numpy()
    if not callable(values):
        raise InputError(f"property: expected a name or a function of a list of SMILES, got {values!r}")
    return _numbers(values(list(smiles)), len(smiles), "the property function's answer")


def pooled_slope(distance: np.ndarray, value: np.ndarray, molecule: np.ndarray) -> tuple[float, float, int]:
    """Slope of value on distance within molecules (n,), its standard error, and how many molecules bear on it.

    Each molecule has a level of its own. The error takes molecules as independent, but not the steps of one. NaN where
    fewer than two molecules have two distances.

    Source: Liang and Zeger 1986, doi:10.1093/biomet/73.1.13.
    """
    table = pd.DataFrame({"x": distance, "y": value, "molecule": molecule}, dtype=float).dropna()
    centred = table[["x", "y"]] - table.groupby("molecule")[["x", "y"]].transform("mean")
    spread = (centred["x"] ** 2).groupby(table["molecule"]).sum()
    n, total = int((spread > 0).sum()), float(spread.sum())
    if n < 2:
        return np.nan, np.nan, n
    slope = float((centred["x"] * centred["y"]).sum() / total)
    pull = (centred["x"] * (centred["y"] - slope * centred["x"])).groupby(table["molecule"]).sum()
    return slope, float(np.sqrt((pull**2).sum() * n / (n - 1)) / total), n


class _Molecule(NamedTuple):
    smiles: str
    z: np.ndarray


def _read(codec: "Codec", molecule: Any, name: str) -> _Molecule:
    """The one molecule that a path or a neighborhood starts from."""
    encoding = codec.encode([molecule])
    if not encoding.ok[0]:
        raise InputError(f"{name}: {molecule!r} cannot be read: {encoding.reason[0]}")
    return _Molecule(str(encoding.smiles[0]), encoding.z[0])


def _similarity(start: str, smiles: Iterable[Any]) -> np.ndarray:
    """Tanimoto to the start (n,) float32; NaN where there is no molecule."""
    from molvae.chem.fingerprints import tanimoto

    texts = list(smiles)
    rows = [row for row, text in enumerate(texts) if isinstance(text, str)]
    similarity = np.full(len(texts), np.nan, np.float32)
    similarity[rows] = tanimoto(start, [texts[row] for row in rows])
    return similarity


def _vector(direction: AttributeDirection | np.ndarray, n_latent: int) -> np.ndarray:
    """The direction as a vector (D,) of length 1."""
    try:
        vector = np.asarray(direction.vector if isinstance(direction, AttributeDirection) else direction, np.float64)
    except (TypeError, ValueError):
        raise InputError("direction: expected an AttributeDirection, or a vector of numbers") from None
    if vector.shape != (n_latent,) or not np.isfinite(vector).all() or not vector.any():
        raise InputError(f"direction: expected a vector ({n_latent},) of finite numbers, not all 0, got {vector.shape}")
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _distances(codec: "Codec", distances: Iterable[float] | None, usual: np.ndarray) -> np.ndarray:
    if distances is None:
        return usual * float(np.linalg.norm(codec.prior.factor))
    try:
        lengths = np.atleast_1d(
            np.asarray(list(distances) if isinstance(distances, Iterable) else distances, np.float64)
        )
    except (TypeError, ValueError):
        raise InputError(f"distances: expected numbers, got {distances!r}") from None
    if lengths.ndim != 1 or not len(lengths) or not np.isfinite(lengths).all():
        raise InputError(f"distances: expected at least one finite number in a row, got {distances!r}")
    return lengths


def _numbers(values: Any, n: int, name: str) -> np.ndarray:
    """(n,) float64; None, NaN and NA are NaN."""
    try:
        numbers = pd.Series(list(values), dtype=object).astype("Float64").to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected {n} numbers, one per molecule; None or NaN where there is none") from None
    if len(numbers) != n:
        raise InputError(f"{name}: expected {n} numbers, one per molecule, got {len(numbers)}")
    return numbers


def _whole(value: Any, least: int, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name}: expected a whole number of at least {least}, got {value!r}") from None
    if number < least:
        raise InputError(f"{name}: expected at least {least}, got {number}")
    return number


def _as_table(decoded: Sequence[Decoded], rows: np.ndarray, lengths: np.ndarray, name: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": rows,
            "direction": name,
            "distance": np.tile(lengths, len(rows) // len(lengths)),
            "smiles": [made.smiles for made in decoded],
            "reason": [made.reason for made in decoded],
        }
    )


def _slopes(steps: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    lines = []
    for name in names:
        of_direction = steps[steps["direction"] == name]
        for way, sign in (("along", 1), ("against", -1), ("both", 0)):
            used = of_direction[of_direction["distance"] * sign >= 0]
            slope, error, n = pooled_slope(
                used["distance"].to_numpy(), used["value"].to_numpy(), used["row"].to_numpy()
            )
            moved = used[used["distance"] != 0]
            lines.append(
                {
                    "direction": name,
                    "way": way,
                    "slope": slope,
                    "standard_error": error,
                    "n_molecules": n,
                    "n_steps": int(moved["value"].notna().sum()),
                    "valid": float(moved["smiles"].notna().mean()),
                }
            )
    return pd.DataFrame(lines)
