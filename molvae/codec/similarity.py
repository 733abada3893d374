"""Which molecules the space holds to be alike: neighbours in a library, and maps to look at."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from molvae.codec.results import Encoding
from molvae.errors import InputError
from molvae.latent.maps import Method, map_points, quality
from molvae.latent.neighbors import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CodeMetric = Literal["cosine", "euclidean"]


@dataclass(frozen=True, eq=False)
class MoleculeMap:
    """A map of molecules by their codes, beside one by their fingerprints (Morgan radius 2, 2,048 bits).

    table: `row` of the molecule as given, `smiles`, `x`, `y`, `reason`; one that cannot be read has no place, and says
        why.
    quality: for each map (`map`) and each idea of who is a neighbour (`neighbors_by`: Euclidean distance of codes, or
        Tanimoto similarity of fingerprints) the `trustworthiness`, the `preservation` and the `k` they look at, and the
        `reason` where they are NaN; see molvae.latent.quality.
    fingerprint_xy: (n, 2) float32, the map of fingerprints; NaN where there is no molecule.
    method: how both were drawn.
    """

    table: pd.DataFrame
    quality: pd.DataFrame
    fingerprint_xy: np.ndarray
    method: Method

    def plot(self, values: Any = None, label: str = "") -> "Figure":
        """Both maps side by side, each with its two numbers; points coloured by values (n,) of the rows, if given.

        Raises:
            InputError: there is not one number for each row.
        """
        colors = None
        if values is not None:
            try:
                colors = np.asarray(values, np.float64)
            except (TypeError, ValueError):
                raise InputError("values: expected one number per row of the map") from None
            if colors.shape != (len(self.table),):
                raise InputError(
                    f"values: expected {len(self.table)} numbers, one per row of the map, got {colors.shape}"
                )
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.6), layout="constrained")
        own = self.quality[self.quality["map"] == self.quality["neighbors_by"]].set_index("map")
        places = {"codes": self.table[["x", "y"]].to_numpy(), "fingerprints": self.fingerprint_xy}
        size = float(np.clip(4000 / len(self.table), 4, 40))
        for axis, (name, xy) in zip(axes, places.items(), strict=True):
            drawn = axis.scatter(*xy.T, s=size, c=colors, linewidths=0, alpha=0.8, plotnonfinite=colors is not None)
            trust, kept = own.loc[name, ["trustworthiness", "preservation"]]
            axis.set_title(f"{name}: trustworthiness {trust:.2f}, neighbours kept {kept:.0%}", fontsize=10)
            axis.set_xticks([])
            axis.set_yticks([])
        if colors is not None:
            figure.colorbar(drawn, ax=axes, label=label)
        plt.close(figure)  # a notebook shows what is returned, and would show an open figure once more
        return figure


def neighbors(query: Encoding, library: Encoding, k: int, metric: CodeMetric) -> pd.DataFrame:
    """See Codec.neighbors."""
    from molvae.chem.fingerprints import tanimoto

    if metric not in ("cosine", "euclidean"):
        raise InputError(f"metric: expected 'cosine' or 'euclidean', got {metric!r}")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k: expected a whole number of at least 1 neighbour, got {k!r}")
    n_unreadable = int((~library.ok).sum())
    if n_unreadable == len(library.ok):
        first = f"; the first: {library.reason[0]}" if n_unreadable else ""
        raise InputError(f"library: expected at least one molecule that can be read, got none of {n_unreadable}{first}")
    rows, distances = nearest(query.z, library.z, k, metric)
    lines: list[dict[str, Any]] = []
    for place, (found, lengths) in enumerate(zip(rows, distances, strict=True)):
        line = {"query": place, "query_smiles": query.smiles[place], "reason": query.reason[place]}
        if not query.ok[place]:
            lines.append(line)
            continue
        smiles = [library.smiles[row] for row in found]
        similarity = tanimoto(str(query.smiles[place]), [str(text) for text in smiles])
        columns = zip(range(1, len(found) + 1), found, smiles, lengths, similarity, strict=True)
        lines += [line | dict(zip(_FOUND, values, strict=True)) for values in columns]
    table = pd.DataFrame(lines, columns=["query", "query_smiles", *_FOUND, "reason"])
    table = table.astype({"query": int, "rank": "Int64", "row": "Int64", "distance": float, "tanimoto": float})
    table.attrs["unreadable"] = n_unreadable
    return table


def map_molecules(encoding: Encoding, method: Method, seed: int) -> MoleculeMap:
    """See Codec.map."""
    from molvae.chem.fingerprints import morgan_bits

    rows = np.flatnonzero(encoding.ok)
    if len(rows) < 2:
        first = next((f"; the first that cannot: {why}" for why in encoding.reason if why), "")
        raise InputError(
            f"a map needs at least 2 molecules that can be read, got {len(rows)} of {len(encoding.ok)}{first}"
        )
    z, bits = encoding.z[rows], morgan_bits([str(encoding.smiles[row]) for row in rows])
    codes = map_points(z, method, seed)
    fingerprints = map_points(bits, method, seed, metric="jaccard")
    crossed = quality(bits, codes.xy, codes.k, "jaccard", seed) if codes.k else (np.nan, np.nan)
    lines = [
        ("codes", "codes", codes.trustworthiness, codes.preservation, codes.k, codes.reason),
        ("codes", "fingerprints", *crossed, codes.k, codes.reason),
        ("fingerprints", "fingerprints", fingerprints.trustworthiness, fingerprints.preservation, fingerprints.k,
         fingerprints.reason),
    ]  # fmt: skip
    names = ["map", "neighbors_by", "trustworthiness", "preservation", "k", "reason"]
    xy, fingerprint_xy = np.full((2, len(encoding.ok), 2), np.nan, np.float32)
    xy[rows], fingerprint_xy[rows] = codes.xy, fingerprints.xy
    table = pd.DataFrame(
        {
            "row": range(len(xy)),
            "smiles": encoding.smiles,
            "x": xy[:, 0],
            "y": xy[:, 1],
            "reason": encoding.reason,
        }
    )
    return MoleculeMap(table, pd.DataFrame(lines, columns=names), fingerprint_xy, method)


_FOUND = ["rank", "row", "smiles", "distance", "tanimoto"]
