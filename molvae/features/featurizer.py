"""The contract of a featurizer, which turns canonical SMILES into arrays."""

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
        Features; rows that are not ok hold PAD or zero.
    ok : ndarray of bool, shape (n,)
        Whether a molecule could be featurized.
    reason : list of str or None
        Why a row is not ok; None where it is.
    """

    x: np.ndarray
    ok: np.ndarray
    reason: list[str | None]


def read_description(path: Path, kind: str) -> dict[str, Any]:
    """The fields that `write_description` wrote into a JSON file.

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
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CodecError(f"{path}: not a readable featurizer ({error}); make it again") from None
    if version != _VERSION:
        raise CodecError(f"{path}: featurizer version {version}; this release reads version {_VERSION}")
    if found != kind:
        raise CodecError(f"{path}: holds a featurizer of kind {found!r}; expected {kind!r}")
    return content


def write_description(path: Path, kind: str, fields: dict[str, Any]) -> None:
    """Write the state of a featurizer into a JSON file.

    Parameters
    ----------
    path : Path
        The file to write.
    kind : str
        Kind of featurizer, the key of its row in FEATURIZERS.
    fields : dict
        Everything that the featurizer needs to be made again, as JSON values.
    """
    content = {"version": _VERSION, "kind": kind, **fields}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class Featurizer(Protocol):
    """Canonical SMILES to arrays. Made by `from_corpus` or `load`, so it is always fitted."""

    @property
    def spec(self) -> FeatureSpec:
        """Kind and size of the features."""
        ...

    @property
    def representation(self) -> str:
        """Name of the representation that it writes, as in FEATURIZERS."""
        ...

    def encode(self, smiles: Sequence[str]) -> Features:
        """Features of canonical SMILES; a molecule that cannot be featurized is a row that is not ok."""
        ...

    def describe(self) -> str:
        """Short description that follows "reads" or "writes": "500 tokens of SMILES, at most 25 per molecule"."""
        ...

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load_featurizer` makes an equal featurizer."""
        ...


@runtime_checkable
class DecodableFeaturizer(Featurizer, Protocol):
    """A featurizer whose features can be decoded to SMILES."""

    def decode(self, x: np.ndarray) -> list[str]:
        """Raw SMILES of feature rows, not yet validated."""
        ...
