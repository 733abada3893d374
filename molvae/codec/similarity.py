"""Similarity in latent space: nearest neighbors in a library, and two-dimensional maps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from molvae.chem.molecule_table import with_structures
from molvae.codec.interactive_map import InteractiveMap, Panel, make_map
from molvae.codec.results import Encoding
from molvae.errors import InputError
from molvae.inputs import align
from molvae.latent.maps import Map, Method, map_quality, project
from molvae.latent.neighbors import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LatentMetric = Literal["cosine", "euclidean"]

_FOUND = ["rank", "row", "smiles", "distance", "tanimoto"]


@dataclass(frozen=True, eq=False, repr=False)
class MoleculeMap:
    """Two maps of the same molecules: one of their latent vectors, one of their fingerprints (Morgan, radius 2).

    Parameters
    ----------
    table : DataFrame
        One row per molecule, in order, with the row labels of the molecules: `row` (the same label), `smiles`, `x` and
        `y` on the map of latent vectors, and `reason`. A molecule that cannot be encoded has NaN coordinates and a
        reason.
    quality : DataFrame
        One row per map (`map`: "latent" or "fingerprints") and neighbor definition (`neighbors_by`: "latent", Euclidean
        distance of latent vectors, or "fingerprints", Tanimoto similarity): `trustworthiness`, `preservation`, `k`, the
        number of neighbors, and `reason`, why `trustworthiness` and `preservation` are NaN; see
        `molvae.latent.map_quality`.
    fingerprint_xy : ndarray of shape (n, 2)
        Coordinates on the map of fingerprints, float32; NaN where a molecule cannot be encoded.
    method : {"pca", "tsne"}
        The projection of both maps.
    axis_labels : mapping of str to pair of str
        The labels of the x and y axes of the maps "latent" and "fingerprints".
    """

    table: pd.DataFrame
    quality: pd.DataFrame
    fingerprint_xy: np.ndarray
    method: Method
    axis_labels: Mapping[str, tuple[str, str]]

    def plot(self, values: Iterable[float] | None = None, *, label: str = "") -> "Figure":
        """Draw both maps side by side, with their trustworthiness and neighborhood preservation.

        The figure is open in pyplot: `savefig`, `matplotlib.pyplot.show` and the end of a notebook cell show it.

        Parameters
        ----------
        values : iterable of float, optional
            One number per row of the table, shown as color; molecules with NaN are gray. A Series is matched by its
            row labels.
        label : str, default=""
            Label of the color bar.

        Returns
        -------
        matplotlib.figure.Figure
            The figure.

        Raises
        ------
        InputError
            The number of values differs from the number of rows, or a value is not a number.
        """
        colors = None if values is None else self._numbers(values)
        from molvae.figures import new_figure, scatter_values

        figure, axes = new_figure(2, 9.6, 4.6)
        size, drawn = float(np.clip(4000 / len(self.table), 4, 40)), None
        for axis, (name, xy) in zip(axes, self._coordinates().items(), strict=True):
            drawn = scatter_values(axis, xy, colors, size)
            axis.set_title(self._title(name), fontsize=10)
            axis.set(xticks=[], yticks=[], xlabel=self.axis_labels[name][0], ylabel=self.axis_labels[name][1])
        if drawn is not None:
            figure.colorbar(drawn, ax=axes, label=label)
        return figure

    def interactive(
        self,
        values: Iterable[float] | None = None,
        *,
        label: str = "",
        names: Iterable[object] | None = None,
        n_structures: int = 2000,
    ) -> "InteractiveMap":
        """Both maps with structures: a page that works in notebooks, and offline as a file.

        Pointing at a molecule shows its structure, and highlights it on both maps; a click keeps the structure below
        the maps. The wheel zooms, and dragging moves a map.

        Parameters
        ----------
        values : iterable of float, optional
            One number per row of the table, shown as color. A Series is matched by its row labels.
        label : str, default=""
            Name of the values.
        names : iterable, optional
            Name of each molecule; by default its row label. A Series is matched by its row labels.
        n_structures : int, default=2000
            Molecules that are drawn, the first of the table, at about 0.3 kB and 2 milliseconds each; for the others,
            the SMILES is shown.

        Returns
        -------
        InteractiveMap
            A notebook shows it; its `save` writes it as an HTML file.

        Raises
        ------
        InputError
            The number of values or names differs from the number of rows, or a value is not a number.
        """
        n = len(self.table)
        colors = None if values is None else self._numbers(values)
        shown = self.table["row"].tolist()
        if names is not None:
            shown = list(align(names, self.table.index, n, "names"))
            if len(shown) != n:
                raise InputError(f"names: expected {n}, one per row of the map, got {len(shown)}")
        panels = [Panel(self._title(name), *self.axis_labels[name], xy) for name, xy in self._coordinates().items()]
        return make_map(
            panels, self.table["smiles"].tolist(), list(map(str, shown)), colors, label, n_structures=n_structures
        )

    def __repr__(self) -> str:
        n = int(self.table["x"].notna().sum())
        return f"MoleculeMap({self.method}, {n:,} of {len(self.table):,} molecules; {self._title('latent')})"

    def _repr_html_(self) -> str:
        """The interactive maps, for notebooks."""
        return self.interactive()._repr_html_()

    def _coordinates(self) -> dict[str, np.ndarray]:
        return {"latent": self.table[["x", "y"]].to_numpy(), "fingerprints": self.fingerprint_xy}

    def _title(self, name: str) -> str:
        own = self.quality[(self.quality["map"] == name) & (self.quality["neighbors_by"] == name)].iloc[0]
        title = {"latent": "latent vectors", "fingerprints": "fingerprints"}[name]
        return f"{title}: trustworthiness {own['trustworthiness']:.2f}, neighbors kept {own['preservation']:.0%}"

    def _numbers(self, values: Iterable[float]) -> np.ndarray:
        """One number per row (n,), float64; NaN where there is none."""
        n = len(self.table)
        aligned = align(values, self.table.index, n, "values")
        try:
            numbers = np.asarray(list(aligned), np.float64)
        except (TypeError, ValueError):
            raise InputError("values: expected one number per row of the map") from None
        if numbers.shape != (n,):
            raise InputError(f"values: expected {n} numbers, one per row of the map, got {numbers.shape}")
        return numbers


def neighbors(query: Encoding, library: Encoding, *, k: int, metric: LatentMetric) -> pd.DataFrame:
    """Find the nearest molecules of a library; the table of `Codec.neighbors`.

    Parameters
    ----------
    query, library : Encoding
        The encoded molecules.
    k, metric
        As for `Codec.neighbors`.

    Returns
    -------
    DataFrame
        k rows per query, the nearest first; one row for a query that cannot be encoded.
    """
    from molvae.chem.fingerprints import tanimoto

    if metric not in ("cosine", "euclidean"):
        raise InputError(f"metric: expected 'cosine' or 'euclidean', got {metric!r}")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k: expected an integer of at least 1, got {k!r}")
    n_unreadable = int((~library.ok).sum())
    if n_unreadable == len(library.ok):
        first = f"; the first: {library.reason[0]}" if n_unreadable else ""
        raise InputError(f"library: expected at least one molecule that can be encoded, got 0 of {n_unreadable}{first}")
    rows, distances = nearest(query.z, library.z, k, metric=metric)
    labels, library_labels = query.labels, library.labels
    lines: list[dict[str, object]] = []
    for row, (found, lengths) in enumerate(zip(rows, distances, strict=True)):
        line: dict[str, object] = {"query": labels[row], "query_smiles": query.smiles[row], "reason": query.reason[row]}
        if not query.ok[row]:
            lines.append(line)
            continue
        smiles = [library.smiles[neighbor] for neighbor in found]
        similarity = tanimoto(str(query.smiles[row]), [str(one) for one in smiles])
        columns = zip(range(1, len(found) + 1), library_labels[found], smiles, lengths, similarity, strict=True)
        lines += [line | dict(zip(_FOUND, values, strict=True)) for values in columns]
    table = pd.DataFrame(lines, columns=["query", "query_smiles", *_FOUND, "reason"])
    kinds = {
        "query": labels.dtype,
        "rank": "Int64",
        "row": _nullable(library_labels),
        "distance": float,
        "tanimoto": float,
    }
    table = table.astype(kinds)
    table.attrs["unreadable"] = n_unreadable
    return table


def map_molecules(encoding: Encoding, *, method: Method, seed: int) -> MoleculeMap:
    """Project molecules to two dimensions; the result of `Codec.project`.

    Parameters
    ----------
    encoding : Encoding
        The encoded molecules.
    method, seed
        As for `Codec.project`.

    Returns
    -------
    MoleculeMap
        The maps of latent vectors and of fingerprints.
    """
    from molvae.chem.fingerprints import morgan_bits

    rows = np.flatnonzero(encoding.ok)
    if len(rows) < 2:
        first = next((f"; the first that cannot: {reason}" for reason in encoding.reason if reason), "")
        raise InputError(
            f"a map needs at least 2 molecules that can be encoded, got {len(rows)} of {len(encoding.ok)}{first}"
        )
    z, bits = encoding.z[rows], morgan_bits([str(encoding.smiles[row]) for row in rows])
    latent = project(z, method=method, seed=seed)
    fingerprints = project(bits, method=method, seed=seed, metric="jaccard")
    crossed = (np.nan, np.nan)
    if latent.k:
        crossed = map_quality(bits, latent.xy, k=latent.k, metric="jaccard", seed=seed)
    lines = [
        ("latent", "latent", latent.trustworthiness, latent.preservation, latent.k, latent.reason),
        ("latent", "fingerprints", *crossed, latent.k, latent.reason),
        ("fingerprints", "fingerprints", fingerprints.trustworthiness, fingerprints.preservation, fingerprints.k,
         fingerprints.reason),
    ]  # fmt: skip
    names = ["map", "neighbors_by", "trustworthiness", "preservation", "k", "reason"]
    xy, fingerprint_xy = np.full((2, len(encoding.ok), 2), np.nan, np.float32)
    xy[rows], fingerprint_xy[rows] = latent.xy, fingerprints.xy
    table = pd.DataFrame(
        {
            "row": encoding.labels,
            "smiles": encoding.smiles,
            "x": xy[:, 0],
            "y": xy[:, 1],
            "reason": encoding.reason,
        },
        index=encoding.index,
    )
    labels = {"latent": _axis_labels(latent), "fingerprints": _axis_labels(fingerprints)}
    quality = pd.DataFrame(lines, columns=names)
    return MoleculeMap(with_structures(table), quality, fingerprint_xy, method, labels)


def _axis_labels(projected: Map) -> tuple[str, str]:
    if projected.explained is None:
        return "t-SNE 1 (no unit)", "t-SNE 2 (no unit)"
    first, second = projected.explained
    return f"component 1 ({first:.0%} of the variance)", f"component 2 ({second:.0%})"


def _nullable(labels: pd.Index) -> str:
    """A type for row labels of which some are missing."""
    return "Int64" if pd.api.types.is_integer_dtype(labels) else "object"
