"""Molecules as Morgan fingerprints, bits or counts; they cannot be decoded to molecules."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np

from molvae.errors import CodecError, InputError
from molvae.feature_spec import FeatureSpec
from molvae.features.featurizer import Features, read_description, write_description

_MAX_COUNT = 255  # counts are stored in one byte


@dataclass(frozen=True)
class FingerprintFeaturizer:
    """Morgan fingerprints of canonical SMILES.

    Parameters
    ----------
    form : {"bits", "counts"}, default="bits"
        Whether a substructure is present (0 or 1), or how often (up to 255).
    radius : int, default=2
        Radius in bonds, 0 to 10.
    n_bits : int, default=1024
        Length of the fingerprint, 1 to 65,536.

    Raises
    ------
    InputError
        A value is out of range.
    """

    form: Literal["bits", "counts"] = "bits"
    radius: int = 2
    n_bits: int = 1024

    def __post_init__(self) -> None:
        if self.form not in ("bits", "counts"):
            raise InputError(f"fingerprint form {self.form!r}: expected bits or counts")
        if not 0 <= self.radius <= 10:
            raise InputError(f"fingerprint radius {self.radius}: expected 0 to 10 bonds")
        if not 1 <= self.n_bits <= 65_536:
            raise InputError(f"fingerprint n_bits {self.n_bits}: expected 1 to 65,536")

    @property
    def spec(self) -> FeatureSpec:
        """Kind "bits" or "counts" with `n_bits` columns."""
        return FeatureSpec(self.form, self.n_bits)

    @property
    def representation(self) -> str:
        """The form, "bits" or "counts"."""
        return self.form

    def encode(self, smiles: Sequence[str]) -> Features:
        """Fingerprints of canonical SMILES.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        Features
            `x` of shape (n, n_bits), uint8; an invalid SMILES gives a row of zeros with a reason.
        """
        from molvae.chem.fingerprints import morgan_bits, morgan_counts

        reason: list[str | None] = [None] * len(smiles)
        x = np.zeros((len(smiles), self.n_bits), np.uint8)
        compute = morgan_bits if self.form == "bits" else morgan_counts
        for row, one in enumerate(smiles):
            try:
                x[row] = np.minimum(compute([one], self.radius, self.n_bits)[0], _MAX_COUNT)
            except InputError as error:
                reason[row] = str(error)
        return Features(x, np.array([r is None for r in reason], bool), reason)

    def describe(self) -> str:
        """Short description of these features."""
        return f"Morgan {self.form} of radius {self.radius}, length {self.n_bits:,}"

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load` restores the featurizer."""
        write_description(path, "fingerprint", {"form": self.form, "radius": self.radius, "n_bits": self.n_bits})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a featurizer that `save` wrote.

        Parameters
        ----------
        path : Path
            The file that `save` wrote.

        Returns
        -------
        FingerprintFeaturizer
            An equal featurizer.

        Raises
        ------
        CodecError
            The file is missing, damaged or of another version.
        """
        content = read_description(path, "fingerprint")
        try:
            return cls(content["form"], int(content["radius"]), int(content["n_bits"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CodecError(f"{path}: not a readable fingerprint featurizer ({error})") from None
