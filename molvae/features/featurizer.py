"""The contract of everything that turns canonical SMILES into arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from molvae.feature_spec import FeatureSpec


@dataclass(frozen=True)
class Features:
    """One row per input, in order.

    x: (n, ...) features; the rows that are not ok hold PAD or zero.
    ok: (n,) bool.
    reason: why a row is not ok, in words; None where it is.
    """

    x: np.ndarray
    ok: np.ndarray
    reason: list[str | None]


class Featurizer(Protocol):
    """Canonical SMILES to arrays. Made by `from_corpus` or `load`, so an unfitted one cannot exist."""

    @property
    def spec(self) -> FeatureSpec:
        """What a model must know of these features."""
        ...

    def encode(self, smiles: Sequence[str]) -> Features:
        """Features of canonical SMILES; a molecule that cannot be written is a row that is not ok."""
        ...

    def describe(self) -> str:
        """What these features are, in words that follow "reads": "500 tokens of SMILES, at most 25 a molecule"."""
        ...

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load_featurizer` makes the same featurizer again."""
        ...


class DecodableFeaturizer(Featurizer, Protocol):
    """A featurizer whose arrays can be written as text again."""

    def decode(self, x: np.ndarray) -> list[str]:
        """The texts of feature rows, as written: not yet molecules."""
        ...
