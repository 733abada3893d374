"""Moves in latent space: between two molecules, around one, along the direction in which a property increases."""

import itertools
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from molvae.chem.molecule_table import with_structures
from molvae.codec.results import Decoded
from molvae.codec.space import MoleculeSpace
from molvae.errors import InputError
from molvae.inputs import align
from molvae.latent import geometry
from molvae.latent.prior import Prior
from molvae.seeds import generator, integer_seed

PropertyFunction: TypeAlias = Callable[[list[str]], Iterable[float | None]]
"""Canonical SMILES -> one number each, in order; NaN or None where there is none."""

_MIN_VALUES = 10
_MEASURED = np.array([0.25, 0.5, 0.75])  # of the root mean square distance of molecules from the prior mean
_TRIED = np.arange(1, 25) / 24  # distances that `move` tries on each side, in the same unit
_PATH_BITS = 10  # a path is divided into at most 2**10 intervals
_NOISES = (0.1, 0.2, 0.3, 0.4, 0.5)  # noise levels of `interpolate` if too few molecules are on the path
_GROWTH, _MAX_LEVELS, _MIN_DRAWN = 1.25, 12, 16  # radius and noise of `neighborhood` grow until there are enough
_MAX_NOISE, _MAX_TEMPERATURE = 0.6, 0.9


@dataclass(frozen=True, eq=False, repr=False)
class AttributeDirection:
    """The direction in latent space in which a value increases, by a linear fit to molecules.

    Parameters
    ----------
    vector : ndarray of shape (D,)
        The direction, float32, of length 1.
    slope : float
        Fitted increase of the value per unit of Euclidean distance; `Codec.measure_direction` measures the slope on
        decoded molecules.
    r2 : float
        Coefficient of determination on held-out molecules; below 0 the fit is worse than the mean.
    scale : float
        Standard deviation of the molecules along the direction.
    n_used : int
        Number of molecules in the fit.
    n_unreadable : int
        Number of molecules that could not be encoded.
    n_without_value : int
        Number of encoded molecules without a finite value.
    """

    vector: np.ndarray
    slope: float
    r2: float
    scale: float
    n_used: int
    n_unreadable: int
    n_without_value: int

    def __repr__(self) -> str:
        return (
            f"AttributeDirection({len(self.vector)} dimensions, {self.n_used} molecules, held-out R² {self.r2:.2f}, "
            f"slope {self.slope:.3g} per unit of distance)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class DirectionMeasurement:
    """How a property changed when molecules were moved along a direction and along random ones.

    Parameters
    ----------
    slopes : DataFrame
        One row per direction ("attribute", "random 1", ...) and way ("along", "against", "both"): `slope`, the change
        of the value per unit of signed distance; `standard_error`, with molecules as independent clusters;
        `n_molecules` and `n_steps`, to which it is fitted; `valid`, the share of steps with a valid molecule. A
        property that increases along the direction and decreases against it has two positive slopes.
    steps : DataFrame
        One row per molecule, direction and distance: `row` of the molecule in the input (its row label, if it has one),
        `direction`, `distance`, `smiles`, `reason` and `value`. Distance 0 is the molecule itself.
    n_unreadable : int
        Number of molecules that could not be encoded.
    """

    slopes: pd.DataFrame
    steps: pd.DataFrame
    n_unreadable: int

    def __repr__(self) -> str:
        both = self.slopes[self.slopes["way"] == "both"]
        slopes = ", ".join(
            f"{name} {slope:.3g} ± {error:.2g}"
            for name, slope, error in zip(both["direction"], both["slope"], both["standard_error"], strict=True)
        )
        return f"DirectionMeasurement(slopes: {slopes})"

    def _repr_html_(self) -> str:
        """The slopes as a table, for notebooks."""
        return str(self.slopes.to_html(index=False, float_format="{:.3g}".format))


def interpolate(
    space: MoleculeSpace, prior: Prior, a: object, b: object, *, n: int, path: geometry.LatentPath, seed: int
) -> pd.DataFrame:
    """Interpolate between two molecules; the table of `Codec.interpolate`.

    Parameters
    ----------
    space : MoleculeSpace
        Encodes and decodes the molecules.
    prior : Prior
        Its mean is the center of a spherical path.
    a, b, n, path, seed
        As for `Codec.interpolate`.

    Returns
    -------
    DataFrame
        One row per unique molecule, in order of the fraction of the path.
    """
    n = _integer(n, 2, "n")
    start, end = _encode_one(space, a, "a"), _encode_one(space, b, "b")
    n_grid = 2**_PATH_BITS + 1
    z = geometry.interpolate(start.z, end.z, n_grid, path=path, center=prior.mean if path == "spherical" else None)
    at: dict[int, str | None] = {0: start.smiles, n_grid - 1: end.smiles}  # point of the grid -> SMILES
    n_invalid = 0

    def decode(points: Sequence[int]) -> None:
        nonlocal n_invalid
        decoded = [one.smiles for one in space.decode(z[list(points)])]
        at.update(zip(points, decoded, strict=True))
        n_invalid += decoded.count(None)

    decode(sorted({round(point) for point in np.linspace(0, n_grid - 1, n)[1:-1]}))
    while len({*at.values()} - {None}) < n and (points := _midpoints(at)):
        decode(points)
    found: dict[str, tuple[float, float]] = {}  # SMILES -> fraction of the path, noise
    for point in sorted(at):
        smiles = at[point]
        if smiles is not None:
            found.setdefault(smiles, (point / (n_grid - 1), 0.0))
    found[end.smiles] = (float(start.smiles != end.smiles), 0.0)
    for level, noise in enumerate(_NOISES if len(found) < n and start.smiles != end.smiles else ()):
        rows = np.linspace(0, n_grid - 1, 2 * n + 2).round().astype(int)[1:-1]
        decoded = space.decode(z[rows], noise=noise, temperature=noise, seed=integer_seed(seed, f"path {level}"))
        n_invalid += sum(one.smiles is None for one in decoded)
        for point, one in zip(rows.tolist(), decoded, strict=True):
            if one.smiles is not None:
                found.setdefault(one.smiles, (point / (n_grid - 1), noise))
        if len(found) >= n:
            break
    between = sorted(found.keys() - {start.smiles, end.smiles}, key=lambda smiles: (found[smiles], smiles))
    kept = _spread(len(between), n - 2)
    listed = sorted({start.smiles, end.smiles, *(between[i] for i in kept)}, key=lambda smiles: (found[smiles], smiles))
    table = pd.DataFrame(
        {
            "fraction": [found[smiles][0] for smiles in listed],
            "smiles": listed,
            "noise": [found[smiles][1] for smiles in listed],
            "similarity_to_a": _similarity(start.smiles, listed),
            "similarity_to_b": _similarity(end.smiles, listed),
        }
    )
    table.attrs["counts"] = {"unique": len(found), "invalid": n_invalid}
    _warn_if_few(len(table), n, "interpolate", "the decoder gives no other molecule on the path, even with noise")
    return table


def neighborhood(
    space: MoleculeSpace,
    prior: Prior,
    molecule: object,
    *,
    n: int,
    radius: float,
    seed: int,
    noise: float,
    temperature: float,
) -> pd.DataFrame:
    """Find molecules around a molecule in latent space; the table of `Codec.neighborhood`.

    Parameters
    ----------
    space : MoleculeSpace
        Encodes and decodes the molecules.
    prior : Prior
        Its covariance scales the steps.
    molecule, n, radius, seed, noise, temperature
        As for `Codec.neighborhood`.

    Returns
    -------
    DataFrame
        One row per unique molecule, the most similar first.
    """
    if isinstance(radius, bool) or not isinstance(radius, int | float | np.number):
        raise InputError(f"radius: expected a number of at least 0, got {radius!r}")
    n = _integer(n, 1, "n")
    start = _encode_one(space, molecule, "molecule")
    random, n_drawn = generator(seed, "neighborhood"), max(n, _MIN_DRAWN)
    found: dict[str, float] = {}  # SMILES -> radius at which it was first decoded
    counts = dict.fromkeys(("decodes", "start", "invalid"), 0)
    for level in range(_MAX_LEVELS):
        factor = _GROWTH**level
        at = float(radius) * factor
        around = geometry.step_around(start.z, at, n_drawn, random, prior.factor)
        decoded = space.decode(around)
        decoded += space.decode(
            around,
            noise=min(noise * factor, max(noise, _MAX_NOISE)),
            temperature=min(temperature * factor, max(temperature, _MAX_TEMPERATURE)),
            seed=integer_seed(seed, f"neighborhood {level}"),
        )
        for one in decoded:
            counts["decodes"] += 1
            if one.smiles is None:
                counts["invalid"] += 1
            elif one.smiles == start.smiles:
                counts["start"] += 1
            else:
                found.setdefault(one.smiles, at)
        if len(found) >= n:
            break
    smiles = list(found)
    z = space.encode(smiles).z.astype(np.float64)
    table = pd.DataFrame(
        {
            "smiles": pd.Series(smiles, dtype=object if not found else None),
            "distance": np.linalg.norm(z - start.z, axis=1),
            "similarity": _similarity(start.smiles, smiles),
            "radius": pd.Series(list(found.values()), dtype=float),
        }
    ).sort_values(["similarity", "distance", "smiles"], ascending=[False, True, True], ignore_index=True)
    table = table.iloc[:n].copy()
    table.attrs["start"] = start.smiles
    table.attrs["counts"] = counts | {"unique": len(found)}
    if len(found) < n:
        reason = f"of {counts['decodes']} decodes up to radius {at:.2g}, {counts['start']} gave the molecule itself"
        _warn_if_few(len(found), n, "neighborhood", f"{reason} and {counts['invalid']} were invalid")
    return table


def attribute_direction(
    space: MoleculeSpace, molecules: Iterable[object], values: str | Iterable[float | None], *, seed: int
) -> AttributeDirection:
    """Fit the direction in which a value increases; the result of `Codec.attribute_direction`.

    Parameters
    ----------
    space : MoleculeSpace
        Encodes the molecules.
    molecules, values, seed
        As for `Codec.attribute_direction`.

    Returns
    -------
    AttributeDirection
        The direction and the quality of the fit.
    """
    encoding = space.encode(molecules)
    smiles = [str(one) if ok else "" for one, ok in zip(encoding.smiles, encoding.ok, strict=True)]
    numbers = (
        compute_values(values, smiles)
        if isinstance(values, str)
        else _numbers(values, len(smiles), "values", encoding.index)
    )
    n_usable = int((encoding.ok & np.isfinite(numbers)).sum())
    n_unreadable, n_without_value = int((~encoding.ok).sum()), int((encoding.ok & ~np.isfinite(numbers)).sum())
    if n_usable < _MIN_VALUES:
        raise InputError(
            f"a direction needs at least {_MIN_VALUES} molecules with a value, got {n_usable}: of {len(smiles)}, "
            f"{n_unreadable} cannot be encoded and {n_without_value} have no finite value"
        )
    found = geometry.attribute_direction(encoding.z, np.where(encoding.ok, numbers, np.nan), seed=seed)
    return AttributeDirection(found.vector, found.slope, found.r2, found.scale, n_usable, n_unreadable, n_without_value)


def move(
    space: MoleculeSpace,
    prior: Prior,
    molecule: object,
    direction: AttributeDirection | np.ndarray,
    *,
    n: int,
    distances: Iterable[float] | None,
    seed: int,
) -> pd.DataFrame:
    """Move a molecule along a direction; the table of `Codec.move`.

    Parameters
    ----------
    space : MoleculeSpace
        Encodes and decodes the molecules.
    prior : Prior
        Its covariance scales the distances that are tried.
    molecule, direction, n, distances, seed
        As for `Codec.move`.

    Returns
    -------
    DataFrame
        One row per distance, in order.
    """
    n = _integer(n, 1, "n")
    start, vector = _encode_one(space, molecule, "molecule"), _unit_vector(direction, space.n_latent)
    if distances is None:
        table = _nearest_moves(space, start, vector, _distances(prior, None, _TRIED), n=n, seed=seed)
    else:
        lengths = _distances(prior, distances, _TRIED)
        decoded = space.decode(start.z + lengths[:, None] * vector)
        table = pd.DataFrame(
            {
                "distance": lengths,
                "smiles": [start.smiles if at == 0 else one.smiles for at, one in zip(lengths, decoded, strict=True)],
                "reason": [None if at == 0 else one.reason for at, one in zip(lengths, decoded, strict=True)],
                "noise": 0.0,
            }
        )
    table["similarity_to_start"] = _similarity(start.smiles, table["smiles"])
    return table


def _nearest_moves(
    space: MoleculeSpace, start: "_Molecule", vector: np.ndarray, lengths: np.ndarray, *, n: int, seed: int
) -> pd.DataFrame:
    """The molecule, and n unique ones on each side; with noise if too few are found without."""
    rows: list[tuple[float, str, float]] = [(0.0, start.smiles, 0.0)]
    for sign, side in ((-1, "against"), (1, "along")):
        found: dict[str, tuple[float, float]] = {}  # SMILES -> distance, noise
        for noise in (0.0, *_NOISES):
            step = sign * lengths[:, None] * vector
            key = integer_seed(seed, f"move {side} {noise}")
            decoded = space.decode(start.z + step, noise=noise, temperature=noise, seed=key)
            for length, one in zip(lengths.tolist(), decoded, strict=True):
                if one.smiles is not None and one.smiles != start.smiles:
                    found.setdefault(one.smiles, (length, noise))
            if len(found) >= n:
                break
        ranked = sorted(found, key=lambda smiles: (found[smiles], smiles))
        rows += [(sign * found[ranked[i]][0], ranked[i], found[ranked[i]][1]) for i in _spread(len(ranked), n)]
        reason = f"distances up to {lengths[-1]:.3g} {side} the direction give no others, even with noise"
        _warn_if_few(len(found), n, "move", reason)
    table = pd.DataFrame(sorted(rows), columns=["distance", "smiles", "noise"])
    table.insert(2, "reason", None)
    return table


def measure_direction(
    space: MoleculeSpace,
    prior: Prior,
    direction: AttributeDirection | np.ndarray,
    molecules: Iterable[object],
    values: str | PropertyFunction,
    *,
    distances: Iterable[float] | None,
    seed: int,
    n_random: int,
) -> DirectionMeasurement:
    """Measure how a property changes along a direction; the result of `Codec.measure_direction`.

    Parameters
    ----------
    space : MoleculeSpace
        Encodes and decodes the molecules, and draws from its prior.
    prior : Prior
        Its covariance scales the default distances.
    direction, molecules, values, distances, seed, n_random
        As for `Codec.measure_direction`.

    Returns
    -------
    DirectionMeasurement
        The slopes, and the steps to which they are fitted.
    """
    n_random = _integer(n_random, 1, "n_random")
    vector, asked = _unit_vector(direction, space.n_latent), _distances(prior, distances, _MEASURED)
    one_way = np.unique(np.abs(asked[asked != 0]))
    if not len(one_way):
        raise InputError("distances: expected at least one other than 0")
    lengths = np.concatenate([-one_way[::-1], one_way])
    encoding = space.encode(molecules)
    rows = np.flatnonzero(encoding.ok)
    if len(rows) < 2:
        raise InputError(
            f"a slope needs at least 2 molecules that can be encoded, got {len(rows)} of {len(encoding.ok)}"
        )
    random, like = generator(seed, "random direction"), space.draw(2000, seed=seed, spread=0.0)
    vectors = {"attribute": vector}
    vectors |= {
        f"random {i + 1}": geometry.random_direction(space.n_latent, random, like=like) for i in range(n_random)
    }
    z = encoding.z[rows]
    starts = pd.DataFrame(
        {"row": rows, "distance": 0.0, "smiles": [encoding.smiles[row] for row in rows], "reason": None}
    )
    parts = []
    for name, step in vectors.items():
        moved = z[:, None] + lengths[:, None] * step  # (molecules, distances, D)
        decoded = space.decode(moved.reshape(-1, space.n_latent))
        parts += [starts.assign(direction=name), _as_table(decoded, np.repeat(rows, len(lengths)), lengths, name)]
    steps = pd.concat(parts, ignore_index=True)[["row", "direction", "distance", "smiles", "reason"]]
    unique = steps["smiles"].dropna().drop_duplicates().tolist()
    computed = dict(zip(unique, compute_values(values, unique), strict=True))
    steps["value"] = steps["smiles"].map(computed).astype(float)
    steps = steps.sort_values(["row", "direction", "distance"], ignore_index=True)
    slopes = _slopes(steps, list(vectors))
    steps["row"] = encoding.labels[steps["row"]]
    return DirectionMeasurement(slopes, with_structures(steps), int((~encoding.ok).sum()))


def compute_values(values: str | PropertyFunction, smiles: Sequence[str]) -> np.ndarray:
    """Compute a property of molecules.

    Parameters
    ----------
    values : str or callable
        A name of `molvae.chem.properties.PROPERTIES`, or a function of a list of SMILES.
    smiles : sequence of str
        Canonical SMILES.

    Returns
    -------
    ndarray of shape (n,)
        Values, float64; NaN where there is none.

    Raises
    ------
    InputError
        The property is unknown, or the function does not return one number per molecule.
    """
    if isinstance(values, str):
        from molvae.chem import properties

        return properties.compute(smiles, [values])[values].to_numpy()
    if not callable(values):
        raise InputError(f"values: expected a property name or a function of a list of SMILES, got {values!r}")
    answer = values(list(smiles))
    return _numbers(answer, len(smiles), "values: result of the property function", others=[pd.Index(smiles)])


def pooled_slope(distance: np.ndarray, value: np.ndarray, molecule: np.ndarray) -> tuple[float, float, int]:
    """Slope of a value over distance within molecules, with a cluster-robust standard error.

    Each molecule has its own intercept.

    Parameters
    ----------
    distance : ndarray of shape (n,)
        Signed distances.
    value : ndarray of shape (n,)
        Values; NaN is skipped.
    molecule : ndarray of shape (n,)
        Molecule of each row.

    Returns
    -------
    slope : float
        The slope; NaN if fewer than two molecules have two distances.
    standard_error : float
        Its standard error, with molecules as independent clusters.
    n : int
        Number of molecules with two distances or more.

    References
    ----------
    .. [1] Liang and Zeger 1986, doi:10.1093/biomet/73.1.13.
    """
    table = pd.DataFrame({"x": distance, "y": value, "molecule": molecule}, dtype=float).dropna()
    centred = table[["x", "y"]] - table.groupby("molecule")[["x", "y"]].transform("mean")
    squares = (centred["x"] ** 2).groupby(table["molecule"]).sum()
    n, total = int((squares > 0).sum()), float(squares.sum())
    if n < 2:
        return np.nan, np.nan, n
    slope = float((centred["x"] * centred["y"]).sum() / total)
    scores = (centred["x"] * (centred["y"] - slope * centred["x"])).groupby(table["molecule"]).sum()
    return slope, float(np.sqrt((scores**2).sum() * n / (n - 1)) / total), n


class _Molecule(NamedTuple):
    smiles: str
    z: np.ndarray


def _encode_one(space: MoleculeSpace, molecule: object, name: str) -> _Molecule:
    encoding = space.encode([molecule])
    if not encoding.ok[0]:
        raise InputError(f"{name}: {molecule!r} cannot be encoded: {encoding.reason[0]}")
    return _Molecule(str(encoding.smiles[0]), encoding.z[0])


def _similarity(start: str, smiles: Iterable[object]) -> np.ndarray:
    """Tanimoto similarity to the start (n,), float32; NaN where there is no SMILES."""
    from molvae.chem.fingerprints import tanimoto

    found = list(smiles)
    similarity = np.full(len(found), np.nan, np.float32)
    rows = [row for row, one in enumerate(found) if isinstance(one, str)]
    similarity[rows] = tanimoto(start, [str(found[row]) for row in rows])
    return similarity


def _unit_vector(direction: AttributeDirection | np.ndarray, n_latent: int) -> np.ndarray:
    try:
        vector = np.asarray(direction.vector if isinstance(direction, AttributeDirection) else direction, np.float64)
    except (TypeError, ValueError):
        raise InputError("direction: expected an AttributeDirection or a vector of numbers") from None
    if vector.shape != (n_latent,) or not np.isfinite(vector).all() or not vector.any():
        raise InputError(
            f"direction: expected a vector of shape ({n_latent},), finite and not all 0, got {vector.shape}"
        )
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _distances(prior: Prior, distances: Iterable[float] | None, default: np.ndarray) -> np.ndarray:
    if distances is None:
        return default * float(np.linalg.norm(prior.factor))
    try:
        lengths = np.atleast_1d(
            np.asarray(list(distances) if isinstance(distances, Iterable) else distances, np.float64)
        )
    except (TypeError, ValueError):
        raise InputError(f"distances: expected numbers, got {distances!r}") from None
    if lengths.ndim != 1 or not len(lengths) or not np.isfinite(lengths).all():
        raise InputError(f"distances: expected one finite number or more, got {distances!r}")
    return lengths


def _numbers(
    values: Iterable[float | None], n: int, name: str, labels: pd.Index | None = None, others: Sequence[pd.Index] = ()
) -> np.ndarray:
    """Values (n,) as float64; None and NA become NaN. A Series is matched by its row labels."""
    values = align(values, labels, n, name, others)
    try:
        numbers = pd.Series(list(values), dtype=object).astype("Float64").to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected {n} numbers, one per molecule; None or NaN where there is none") from None
    if len(numbers) != n:
        raise InputError(f"{name}: expected {n} numbers, one per molecule, got {len(numbers)}")
    return numbers


def _integer(value: int, least: int, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name}: expected an integer of at least {least}, got {value!r}") from None
    if number < least:
        raise InputError(f"{name}: expected at least {least}, got {number}")
    return number


def _midpoints(at: dict[int, str | None]) -> list[int]:
    """Points halfway between neighboring points of a path that decode differently."""
    pairs = itertools.pairwise(sorted(at))
    return [(low + high) // 2 for low, high in pairs if at[low] != at[high] and high - low > 1]


def _spread(n_found: int, n: int) -> list[int]:
    """At most n of some rows, evenly spread, the first one included."""
    return sorted({round(row) for row in np.linspace(0, n_found - 1, min(n, n_found))})


def _warn_if_few(n_found: int, n: int, name: str, reason: str) -> None:
    """Warn that a method found fewer molecules than requested."""
    if n_found < n:
        warnings.warn(f"{name}: found {n_found} of {n} molecules: {reason}", stacklevel=4)


def _as_table(decoded: Sequence[Decoded], rows: np.ndarray, lengths: np.ndarray, name: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": rows,
            "direction": name,
            "distance": np.tile(lengths, len(rows) // len(lengths)),
            "smiles": [one.smiles for one in decoded],
            "reason": [one.reason for one in decoded],
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
