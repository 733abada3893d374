"""The protocol of a featurizer, which converts canonical SMILES to arrays."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from molvae.errors import CodecError
from molvae.feature_spec import FeatureSpec

_VERSION = 1


@dataclass(frozen=True)
class Features:
    """Features of molecules, one row per input, in order.

    Parameters
    ----------
    x : ndarray of shape (n, ...)
        Features; PAD or zero where `ok` is False.
    ok : ndarray of bool, shape (n,)
        Whether the molecule could be featurized.
    reason : list of str or None
        Why the molecule could not be featurized; None where `ok` is True.
    """

    x: np.ndarray
    ok: np.ndarray
    reason: list[str | None]


def read_description(path: Path, kind: str) -> dict[str, Any]:
    """Read the fields of a JSON file that `write_description` wrote.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Expected kind of featurizer.

    Returns
    -------
    dict
        The fields, and `version` and `kind`.

    Raises
    ------
    CodecError
        The file is missing or damaged, or of another kind or version.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, found = content["version"], content["kind"]
    except (RecursionError, OSError, KeyError, TypeError, ValueError) as error:
        raise CodecError(f"{path}: not a readable featurizer ({error}); create it again") from None
    if version != _VERSION:
        raise CodecError(f"{path}: featurizer version {version}; this release reads version {_VERSION}")
    if found != kind:
        raise CodecError(f"{path}: expected a featurizer of kind {kind!r}, got {found!r}")
    return content


def write_description(path: Path, kind: str, fields: dict[str, Any]) -> None:
    """Write the state of a featurizer into a JSON file.

    Parameters
    ----------
    path : Path
        The file to write.
    kind : str
        Kind of featurizer, its key in FEATURIZERS.
    fields : dict
        Everything that is needed to restore the featurizer, as JSON values.
    """
    content = {"version": _VERSION, "kind": kind, **fields}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class Featurizer(Protocol):
    """Converts canonical SMILES to arrays. An instance is always fitted: `from_corpus` or `load` creates it."""

    @property
    def spec(self) -> FeatureSpec:
        """Kind and size of the features."""
        ...

    @property
    def representation(self) -> str:
        """Name of the representation that it computes, as in FEATURIZERS."""
        ...

    def encode(self, smiles: Sequence[str]) -> Features:
        """Features of canonical SMILES; `ok` is False for a molecule that cannot be featurized."""
        ...

    def describe(self) -> str:
        """Short description to follow "reads" or "reconstructs": "500 tokens of SMILES, at most 25 per molecule"."""
        ...

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load_featurizer` restores the featurizer."""
        ...


@runtime_checkable
class DecodableFeaturizer(Featurizer, Protocol):
    """A featurizer whose features can be decoded to SMILES."""

    def decode(self, x: np.ndarray) -> list[str]:
        """Raw SMILES of feature rows; they are not checked."""
        ...
