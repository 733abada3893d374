"""The interface of a check: its arguments, its return value, and its entry in the registry."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import pandas as pd

from molvae.errors import MolvaeError

L = TypeVar("L")

PASS = "pass"

Library = Mapping[str, str | None] | Iterable[str]
"""Known molecules as canonical SMILES; a mapping gives the id of each, or None."""


class MissingData(MolvaeError):
    """The context lacks the data that a check needs; the check is skipped, and the message gives the reason."""


class Molecule(NamedTuple):
    """A molecule as a check receives it.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    mol : rdkit.Chem.Mol
        The molecule parsed from it.
    """

    smiles: str
    mol: Any


class TrainedCodec(Protocol):
    """The part of a codec that checks use; `molvae.Codec` implements it."""

    @property
    def name(self) -> str:
        """Name, for messages."""
        ...

    @property
    def calibration(self) -> object | None:
        """Calibration of the applicability domain; None if the domain was not measured."""
        ...

    def training_smiles(self) -> Collection[str] | None:
        """Canonical SMILES of the training set; None if it is not available."""
        ...

    def applicability_domain(
        self, molecules: Sequence[str], *, percentile: float = 99.0, remove_stereo: bool = False
    ) -> pd.DataFrame:
        """A table with one row per molecule, in order; its column `reason` is None for molecules inside the domain."""
        ...


@dataclass(frozen=True)
class CheckContext:
    """The data that checks compare molecules with.

    Parameters
    ----------
    reference : mapping or iterable of str, optional
        Reference library: canonical SMILES, or a mapping of canonical SMILES to ids.
    codec : TrainedCodec, optional
        Codec that proposed the molecules.
    unmet : mapping of str to str, default={}
        Molecules that violate a condition of the objective: canonical SMILES to the reason.
    outside : mapping of str to str, default={}
        Molecules outside the applicability domain of a model of the objective: canonical SMILES to the reason.
    """

    reference: Library | None = None
    codec: TrainedCodec | None = None
    unmet: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)


class Check(Protocol):
    """A filter of molecules. The result for a molecule does not depend on the other molecules."""

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None if it passes, else the reason (`MW 612.3 > 500 Da`)."""
        ...


@dataclass(frozen=True)
class CheckEntry(Generic[L]):
    """An entry of the registry of checks: how a check is configured, created and documented.

    Parameters
    ----------
    make : callable
        Called with the limit and the `CheckContext`; returns the check. Raises `MissingData` if the context lacks
        what the check needs.
    default : object or False
        Limit if the settings do not give one; False if the check is off by default.
    read : callable
        Converts a value in the settings file, other than `false`, to the limit. Raises ValueError with the expected
        value.
    passes : str
        Which molecules pass, for the documentation.
    needs_only_molecule : bool, default=False
        Whether the check ignores the context, so that worker processes can make it from the limit.
    """

    make: Callable[[L, CheckContext], Check]
    default: L | Literal[False]
    read: Callable[[object], L]
    passes: str
    needs_only_molecule: bool = False
