"""What the plots of a report show: the map of latent vectors, the quality of the surrogate, scaffolds, alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from molvae.candidates.build import is_eligible
from molvae.chem.alerts import SOURCES, alert_atoms
from molvae.chem.molecules import parse
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError
from molvae.latent.maps import project

if TYPE_CHECKING:
    from molvae.codec import Codec

N_KNOWN, N_SCAFFOLDS = 100, 12
"""Largest number of known molecules of a kind on the map, and of scaffolds in the table."""
_WINDOWS, _MIN_IN_WINDOW = 12, 20


@dataclass(frozen=True, eq=False)
class SearchMap:
    """A map of the latent vectors of a search.

    Parameters
    ----------
    xy : ndarray of shape (m, 2)
        Coordinates by `latent_row`; NaN where a latent vector is not finite.
    known : DataFrame
        Other molecules on the map: kind, smiles, label, x, y.
    trustworthiness : float
        Of the map, in [0, 1]; see `molvae.latent.maps.Map`. NaN if there are too few molecules.
    """

    xy: np.ndarray
    known: pd.DataFrame
    trustworthiness: float


def map_search(z: np.ndarray, known: pd.DataFrame | None = None, codec: "Codec | None" = None) -> SearchMap | None:
    """Project the latent vectors of a search to two dimensions, by PCA.

    Parameters
    ----------
    z : ndarray of shape (m, D)
        Latent vectors of the scored molecules.
    known : DataFrame, optional
        Molecules to show for comparison: kind, smiles, label. Those that the codec cannot encode are left out.
    codec : Codec, optional
        Encodes them.

    Returns
    -------
    SearchMap or None
        None with fewer than two finite latent vectors.

    Examples
    --------
    >>> map_search(np.eye(4, dtype=np.float32)).xy.shape
    (4, 2)
    """
    if np.isfinite(z).all(axis=1).sum() < 2:
        return None
    others = pd.DataFrame(columns=["kind", "smiles", "label"]) if known is None else known.reset_index(drop=True)
    encoded = np.empty((0, z.shape[1]), np.float32)
    if codec is not None and len(others):
        encoding = codec.encode(others["smiles"].tolist())
        others, encoded = others[encoding.ok].reset_index(drop=True), encoding.z[encoding.ok]
    else:
        others = others.iloc[:0]
    drawn = project(np.concatenate([z, encoded]))
    xy = drawn.xy.astype(float)
    others = others.assign(x=xy[len(z) :, 0], y=xy[len(z) :, 1])
    return SearchMap(xy[: len(z)], others, float(drawn.trustworthiness))


def surrogate_quality(candidates: pd.DataFrame) -> pd.DataFrame:
    """How well the surrogate ranked the molecules that were then scored, in windows of calls.

    Parameters
    ----------
    candidates : DataFrame
        Candidate table.

    Returns
    -------
    DataFrame
        One row per window, in the order of scoring: calls (molecules scored until its end), n (molecules with a
        prediction), spearman (rank correlation of predicted and computed score, NaN if one of them is constant) and mae
        (mean absolute error). Empty if there are fewer than 20 predictions.
    """
    columns = ["calls", "n", "spearman", "mae"]
    if "predicted_score" not in candidates:
        return pd.DataFrame(columns=columns)
    ordered = candidates.sort_values("latent_row", kind="stable").reset_index(drop=True)
    known = ordered.dropna(subset=["predicted_score", "score"])
    if len(known) < _MIN_IN_WINDOW:
        return pd.DataFrame(columns=columns)
    rows = []
    for part in np.array_split(np.arange(len(known)), max(1, min(_WINDOWS, len(known) // _MIN_IN_WINDOW))):
        window = known.iloc[part]
        predicted, score = window["predicted_score"], window["score"]
        is_ranked = predicted.nunique() > 1 and score.nunique() > 1
        spearman = float(predicted.rank().corr(score.rank())) if is_ranked else np.nan
        rows.append([int(window.index[-1]) + 1, len(window), spearman, float((predicted - score).abs().mean())])
    return pd.DataFrame(rows, columns=columns)


def scaffold_table(candidates: pd.DataFrame) -> pd.DataFrame:
    """The Bemis-Murcko scaffolds of the candidates, those with the best molecules first.

    Parameters
    ----------
    candidates : DataFrame
        Candidate table.

    Returns
    -------
    DataFrame
        One row per scaffold: scaffold, n (molecules), n_passed, best (highest score among those that may be called the
        best, NaN without one), median (of all scores) and best_id. Molecules without rings are left out.
    """
    table = candidates.assign(scaffold=scaffolds_of(candidates), eligible=is_eligible(candidates))
    table = table[table["scaffold"] != ""]
    rows = []
    for scaffold, group in table.groupby("scaffold", sort=False):
        eligible = group[group["eligible"]]
        best = eligible.sort_values("score", ascending=False, kind="stable").iloc[:1]
        rows.append(
            {
                "scaffold": str(scaffold),
                "n": len(group),
                "n_passed": int(group["passed"].sum()),
                "best": float(best["score"].iloc[0]) if len(best) else np.nan,
                "median": float(group["score"].median()),
                "best_id": str(best["candidate_id"].iloc[0]) if len(best) else "",
            }
        )
    found = pd.DataFrame(rows, columns=["scaffold", "n", "n_passed", "best", "median", "best_id"])
    return found.sort_values(["best", "n"], ascending=False, kind="stable", na_position="last", ignore_index=True)


def scaffolds_of(candidates: pd.DataFrame) -> list[str]:
    """The Bemis-Murcko scaffold of each candidate; "" for a molecule without rings, or with an invalid SMILES.

    Parameters
    ----------
    candidates : DataFrame
        Candidate table; its column `scaffold` is used if there is one.

    Returns
    -------
    list of str
        One per row.
    """
    if "scaffold" in candidates:
        return [one if isinstance(one, str) else "" for one in candidates["scaffold"]]
    found = []
    for smiles in candidates["smiles"]:
        try:
            found.append(murcko(smiles))
        except InputError:
            found.append("")
    return found


def marked_atoms(candidates: pd.DataFrame) -> dict[int, list[int]]:
    """The atoms that match the structural alerts named in the reasons of the candidates.

    Parameters
    ----------
    candidates : DataFrame
        Candidate table; the alerts are those of `check_alerts`, or else of `reason`.

    Returns
    -------
    dict of int to list of int
        Position of a row -> positions of atoms in its SMILES; rows without alerts are left out.
    """
    texts = candidates["check_alerts"] if "check_alerts" in candidates else candidates["reason"]
    found = {}
    for row, (smiles, text) in enumerate(zip(candidates["smiles"], texts, strict=True)):
        names = (
            [part for part in text.split("; ") if part.partition(": ")[0] in SOURCES] if isinstance(text, str) else []
        )
        atoms = _find_atoms(smiles, names) if names else []
        if atoms:
            found[row] = atoms
    return found


def _find_atoms(smiles: str, names: Sequence[str]) -> list[int]:
    try:
        return alert_atoms(parse(smiles), names)
    except ValueError:
        return []


def explore_data(ordered: pd.DataFrame, reference: pd.DataFrame | None, search_map: SearchMap | None) -> dict[str, Any]:
    """The data of the plots.

    Parameters
    ----------
    ordered : DataFrame
        Candidates in the order of the grid.
    reference : DataFrame, optional
        Properties of a sample of the reference library, one column per column of the candidates.
    search_map : SearchMap, optional
        The map.

    Returns
    -------
    dict
        `map`, `reference` and `surrogate`, for report.js.
    """
    data: dict[str, Any] = {"map": None, "reference": {}, "surrogate": []}
    for name in [] if reference is None else map(str, reference):
        values = reference[name].to_numpy(float) if reference is not None else np.empty(0)
        data["reference"][name] = [float(f"{value:.4g}") for value in values[np.isfinite(values)]]
    quality = surrogate_quality(ordered)
    counts = quality[["calls", "n"]].to_numpy(int).tolist()
    measures = quality[["spearman", "mae"]].to_numpy(float).tolist()
    data["surrogate"] = [[*a, *map(_rounded, b)] for a, b in zip(counts, measures, strict=True)]
    if search_map is not None and len(ordered) and ordered["latent_row"].between(0, len(search_map.xy) - 1).all():
        xy = search_map.xy[ordered["latent_row"].to_numpy(int)]
        data["map"] = {
            "x": [_rounded(value) for value in xy[:, 0]],
            "y": [_rounded(value) for value in xy[:, 1]],
            "known": [
                {"kind": str(row.kind), "smiles": str(row.smiles), "label": str(row.label)}
                | {"x": _rounded(row.x), "y": _rounded(row.y)}
                for row in search_map.known.itertuples()
            ],
            "trustworthiness": _rounded(search_map.trustworthiness),
            "path": _best_so_far(ordered),
        }
    return data


def _best_so_far(ordered: pd.DataFrame) -> list[int]:
    """The rows of the molecules that had the highest score when they were scored, in that order."""
    score, call = ordered["score"].to_numpy(float), ordered["latent_row"].to_numpy(int)
    best, path = -np.inf, []
    for row in np.argsort(call, kind="stable").tolist():
        if score[row] > best:
            best = score[row]
            path.append(row)
    return path


def _rounded(value: Any) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
