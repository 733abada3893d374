"""The results of encoding and decoding: one row or record per input, in order."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


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
