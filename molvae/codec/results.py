"""The results of encoding and decoding: one row or record per input, in order."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from molvae.chem.molecule_table import MoleculeTable, structure_html


@dataclass(frozen=True, eq=False, repr=False)
class Encoding:
    """Latent vectors of molecules, one row per input, in order.

    Parameters
    ----------
    z : ndarray of shape (n, D)
        Latent vectors, float32; NaN where `ok` is False.
    ok : ndarray of shape (n,)
        Whether the molecule was encoded, bool.
    reason : list of str or None
        Why a molecule was not encoded; None where `ok` is True.
    smiles : list of str or None
        Canonical SMILES as encoded; None where the input is not a valid molecule.
    note : list of str or None
        What standardization changed, such as a stripped salt or removed stereo; None where it changed nothing.
    index : Index, optional
        Row labels of the molecules, if they came as a Series or a table.
    """

    z: np.ndarray
    ok: np.ndarray
    reason: list[str | None]
    smiles: list[str | None]
    note: list[str | None]
    index: pd.Index | None = None

    @property
    def labels(self) -> pd.Index:
        """Row labels of the molecules; positions from 0 if they came without labels."""
        return pd.RangeIndex(len(self.ok)) if self.index is None else self.index

    def __repr__(self) -> str:
        return f"Encoding({int(self.ok.sum())} of {len(self.ok)} molecules, {self.z.shape[1]} dimensions)"

    def _repr_html_(self) -> str:
        """The molecules as encoded, with the reasons and notes, for notebooks."""
        columns = {"smiles": self.smiles, "ok": self.ok, "reason": self.reason, "note": self.note}
        table = MoleculeTable(columns, index=self.labels)
        return f"<p>{escape(repr(self))}</p>{table._repr_html_()}"


@dataclass(frozen=True)
class Decoded:
    """One decoded latent vector.

    Parameters
    ----------
    raw_smiles : str
        The string as the decoder generated it.
    smiles : str or None
        Its canonical SMILES; None if it is invalid.
    reason : str or None
        Why it is invalid; None if it is valid.
    """

    raw_smiles: str
    smiles: str | None
    reason: str | None

    def _repr_html_(self) -> str:
        """The structure, or the reason why there is none, for notebooks."""
        if self.smiles is None:
            return f"<p>{escape(f'{self.raw_smiles}: {self.reason}')}</p>"
        return structure_html(self.smiles)


class DecodedList(list[Decoded]):
    """Decoded latent vectors in order: a list that a notebook shows with structures.

    Parameters
    ----------
    iterable : iterable of Decoded
        The elements.

    Examples
    --------
    >>> DecodedList([Decoded("OCC", "CCO", None), Decoded("C(", None, "invalid SMILES")])
    DecodedList(1 of 2 valid: CCO)
    """

    def __repr__(self) -> str:
        valid = [one.smiles for one in self if one.smiles is not None]
        first = f": {', '.join(valid[:3])}{', ...' if len(valid) > 3 else ''}" if valid else ""
        return f"DecodedList({len(valid)} of {len(self)} valid{first})"

    def _repr_html_(self) -> str:
        """The structures, and the reasons where there is none, for notebooks."""
        n_valid = sum(one.smiles is not None for one in self)
        return f"<p>{n_valid} of {len(self)} valid</p>{self.table().drop(columns='raw_smiles')._repr_html_()}"

    def table(self) -> MoleculeTable:
        """The list as a table.

        Returns
        -------
        MoleculeTable
            One row per latent vector, in order: `smiles`, `raw_smiles` and `reason`, as in `Decoded`.
        """
        names = ("smiles", "raw_smiles", "reason")
        return MoleculeTable({name: pd.Series([getattr(one, name) for one in self], dtype=object) for name in names})
