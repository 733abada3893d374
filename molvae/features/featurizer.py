"""The contract of everything that turns canonical SMILES into arrays."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from molvae.errors import CodecError
from molvae.feature_spec import FeatureSpec

_VERSION = 1


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


def read_description(path: Path, kind: str) -> dict[str, Any]:
    """What a featurizer has written of itself into a JSON file.

    Raises:
        CodecError: the file is missing, damaged, of another kind, or of a version not known here.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, found = content["version"], content["kind"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CodecError(f"{path}: not a readable featurizer ({error}); make it again") from None
    if version != _VERSION:
        raise CodecError(f"{path}: featurizer version {version}; this release reads version {_VERSION}")
    if found != kind:
        raise CodecError(f"{path}: holds a featurizer of kind {found!r}; expected {kind!r}")
    return content


def write_description(path: Path, kind: str, fields: dict[str, Any]) -> None:
    """Write what a featurizer must know into a JSON file."""
    content = {"version": _VERSION, "kind": kind, **fields}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class Featurizer(Protocol):
    """Canonical SMILES to arrays. Made by `from_corpus` or `load`, so an unfitted one cannot exist."""

    @property
    def spec(self) -> FeatureSpec:
        """What a model must know of these features."""
        ...

    @property
    def representation(self) -> str:
        """Name of the representation that it writes, as in FEATURIZERS."""
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
