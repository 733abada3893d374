"""Holds out the most potent scaffold series of an assay, and every similar molecule: a test of a search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from molvae.chem.fingerprints import nearest_references
from molvae.chem.scaffolds import murcko
from molvae.datasets.columns import few
from molvae.errors import InputError
from molvae.files import write_text
from molvae.qsar.assay import MIN_MOLECULES, Assay
from molvae.workers import Serial

MIN_SERIES, SIMILARITY = 10, 0.6
"""Defaults: smallest number of molecules of a series, and the similarity from which a molecule is held out, too."""

_COLUMNS = ("smiles", "value", "scaffold")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The molecules of an assay that are held out.

    Parameters
    ----------
    table : DataFrame
        One row per held-out molecule, best series first: smiles, value, and scaffold: the Bemis-Murcko scaffold of its
        series; None for a molecule that is only similar to one of a series.
    similarity : float
        Molecules with at least this Tanimoto similarity to a molecule of a series are held out, too.
    """

    table: pd.DataFrame
    similarity: float

    @property
    def series(self) -> pd.DataFrame:
        """The rows of the series, without the molecules that are only similar."""
        return self.table[self.table["scaffold"].notna()]

    def covers(self, smiles: Sequence[str]) -> np.ndarray:
        """Check which molecules are held out, or would be if the assay had them.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        ndarray of shape (n,)
            True for molecules at or above the similarity to a molecule of a series.
        """
        if not len(smiles):
            return np.zeros(0, bool)
        nearest = nearest_references(smiles, self.series["smiles"].tolist(), Serial())[1]
        return np.asarray(nearest >= np.float32(self.similarity))

    def write(self, path: Path) -> None:
        """Write the table.

        Parameters
        ----------
        path : Path
            The CSV file.
        """
        write_text(path, self.table.to_csv(index=False, lineterminator="\n"))

    @classmethod
    def read(cls, path: Path, similarity: float) -> "HeldOut":
        """Read a table that `write` has written.

        Parameters
        ----------
        path : Path
            The CSV file.
        similarity : float
            See the class.

        Returns
        -------
        HeldOut
        """
        table = pd.read_csv(
            path, dtype={"smiles": str, "value": float, "scaffold": object}, float_precision="round_trip"
        )
        return cls(
            table.assign(scaffold=table["scaffold"].astype(object).where(table["scaffold"].notna(), None)), similarity
        )


def hold_out_series(
    assay: Assay,
    goodness: Callable[[np.ndarray], np.ndarray],
    *,
    n_series: int = 1,
    min_molecules: int = MIN_SERIES,
    similarity: float = SIMILARITY,
) -> HeldOut:
    """Choose the best scaffold series of an assay, and the molecules that are similar to them.

    A series is all molecules with the same Bemis-Murcko scaffold. Series of at least `min_molecules` molecules are
    ranked by the mean of their values.

    Parameters
    ----------
    assay : Assay
        The assay.
    goodness : callable
        Converts values to numbers of which higher is better.
    n_series : int, default=1
        Number of series.
    min_molecules : int, default=10
        Smallest number of molecules of a series.
    similarity : float, default=0.6
        Tanimoto similarity (Morgan fingerprints, radius 2, 2,048 bits) to a molecule of a series from which a molecule
        is held out, too.

    Returns
    -------
    HeldOut

    Raises
    ------
    InputError
        Too few series are large enough.
    """
    table = assay.table
    scaffold = pd.Series([murcko(one) for one in table["smiles"]], index=table.index)
    good = pd.Series(goodness(table["value"].to_numpy(float)), index=table.index)
    groups = good[scaffold != ""].groupby(scaffold).agg(["mean", "size"])  # sorted by scaffold: ties keep this order
    large = groups[groups["size"] >= min_molecules].sort_values("mean", ascending=False, kind="stable")
    if len(large) < n_series:
        sizes = groups["size"].sort_values(ascending=False).head(n_series).astype(str).tolist()
        raise InputError(
            f"{assay.path}: expected {n_series} scaffolds with at least {min_molecules} molecules each to hold out, "
            f"got {len(large)} (the largest have {few(sizes) or 'none'}); lower min_molecules"
        )
    rank = {str(name): row for row, name in enumerate(large.index[:n_series])}
    is_series = scaffold.isin(list(rank))
    series = table[is_series].assign(scaffold=scaffold[is_series])
    series = series.iloc[np.argsort([rank[one] for one in series["scaffold"]], kind="stable")]
    found = HeldOut(series[[*_COLUMNS]], similarity)
    is_similar = found.covers(table["smiles"].tolist()) & ~is_series.to_numpy()
    both = pd.concat([series, table[is_similar].assign(scaffold=None)], ignore_index=True)
    return HeldOut(both[[*_COLUMNS]], similarity)


def leave_out(assay: Assay, held_out: HeldOut) -> Assay:
    """The same assay without the held-out molecules.

    Parameters
    ----------
    assay : Assay
        The assay from which the molecules were held out, or another one.
    held_out : HeldOut
        The held-out molecules.

    Returns
    -------
    Assay
        Without the molecules that `held_out` covers.

    Raises
    ------
    InputError
        Fewer than 10 molecules are left.
    """
    is_held_out = held_out.covers(assay.table["smiles"].tolist())
    n_left = int((~is_held_out).sum())
    if n_left < MIN_MOLECULES:
        raise InputError(
            f"{assay.path}: without the held-out molecules, {n_left} of {len(is_held_out):,} are left, at least "
            f"{MIN_MOLECULES} are needed; hold out fewer series, or raise min_molecules or similarity"
        )
    if not is_held_out.any():
        return assay
    note = f"{is_held_out.sum():,} molecules are held out: the best series, and the molecules similar to them"
    return replace(assay, table=assay.table[~is_held_out].reset_index(drop=True), notes=[*assay.notes, note])
