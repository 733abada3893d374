"""Molecules as fingerprints: which circular substructures they hold, or how many of each; one way only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np

from molvae.errors import CodecError, InputError
from molvae.feature_spec import FeatureSpec
from molvae.features.featurizer import Features, read_description, write_description

_MOST = 255  # counts are kept in one byte


@dataclass(frozen=True)
class FingerprintFeaturizer:
    """Morgan fingerprints of canonical SMILES.

    form: "bits", 0 or 1; "counts", up to 255. radius: in bonds; n_bits: into how many places substructures fall.
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
        """Bits or counts in rows of `n_bits`."""
        return FeatureSpec(self.form, self.n_bits)

    @property
    def representation(self) -> str:
        """ "bits" or "counts"."""
        return self.form

    def encode(self, smiles: Sequence[str]) -> Features:
        """Fingerprints (n, n_bits) uint8; a text that does not parse is a row of zeros with a reason."""
        from molvae.chem.fingerprints import morgan_bits, morgan_counts

        reason: list[str | None] = [None] * len(smiles)
        x = np.zeros((len(smiles), self.n_bits), np.uint8)
        write = morgan_bits if self.form == "bits" else morgan_counts
        for row, text in enumerate(smiles):
            try:
                x[row] = np.minimum(write([text], self.radius, self.n_bits)[0], _MOST)
            except InputError as error:
                reason[row] = str(error)
        return Features(x, np.array([why is None for why in reason], bool), reason)

    def describe(self) -> str:
        """What these features are, in words."""
        return f"Morgan {self.form} of radius {self.radius} in {self.n_bits:,} places"

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load` makes the same featurizer again."""
        write_description(path, "fingerprint", {"form": self.form, "radius": self.radius, "n_bits": self.n_bits})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The featurizer that was saved in a file.

        Raises:
            CodecError: the file is missing, damaged or of another version.
        """
        content = read_description(path, "fingerprint")
        try:
            return cls(content["form"], int(content["radius"]), int(content["n_bits"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CodecError(f"{path}: not a readable fingerprint's description ({error})") from None
