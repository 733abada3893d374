"""The term `similarity`: the Tanimoto similarity to the nearest of some reference molecules."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from molvae.chem.fingerprints import Fingerprints, mol_on_bits, nearest_similarities
from molvae.chem.molecules import parse_shared, standardize
from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_molecules
from molvae.scoring.scorers.references import (
    ReferenceSmiles,
    as_tuple,
    check_one_source,
    file_identity,
    read_references,
)
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper


class SimilarityTerm(ShapedTerm):
    """Tanimoto similarity to the nearest of some reference molecules; Morgan fingerprints of 2,048 bits.

    With `shape = "lower"`, the search keeps away from them, for example from the molecules of a patent. Salts and
    protonated or deprotonated molecules are compared as the neutral molecule; stereoisomers have a similarity of 1.

    Parameters
    ----------
    property : {"similarity"}
        Name of the term.
    to : str or tuple of str, optional
        Reference SMILES.
    to_file : Path, optional
        File of reference molecules, instead of `to`, in any format that molvae reads.
    radius : int, default=2
        Morgan radius.
    """

    property: str
    to: ReferenceSmiles = Field(None, description="reference SMILES")
    to_file: Path | None = Field(None, validate_default=True, description="file of reference molecules")
    radius: int = Field(2, ge=0, le=6, description="Morgan radius")

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Higher is better, from 0 to 1."""
        return {"shape": "higher", "low": 0.0, "high": 1.0}

    @field_validator("to")
    @classmethod
    def _are_molecules(cls, to: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if to is not None:
            check_molecules(as_tuple(to))
        return to

    @field_validator("to_file")
    @classmethod
    def _has_one_source(cls, to_file: Path | None, info: ValidationInfo) -> Path | None:
        if "to" in info.data:
            check_one_source("to", info.data["to"], to_file)
        return to_file


class SimilarityScorer:
    """Tanimoto similarity to the nearest of some reference molecules.

    Parameters
    ----------
    settings : SimilarityTerm
        Settings.

    Raises
    ------
    InputError
        The file cannot be read, or has no molecule.
    """

    Settings: ClassVar[type[Term]] = SimilarityTerm

    def __init__(self, settings: SimilarityTerm) -> None:
        self._radius, self._file = settings.radius, settings.to_file
        self._references = Fingerprints()
        for reference in read_references(settings.to, settings.to_file):
            self._references.append(mol_on_bits(parse_shared(reference.smiles), radius=self._radius))

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the file of references; see `Scorer.identity`."""
        return file_identity(self._file)

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Compute the similarities; see `Scorer.__call__`."""
        reasons: list[str | None] = [None] * len(smiles)
        queries = Fingerprints()
        for row, one in enumerate(smiles):
            try:
                queries.append(mol_on_bits(parse_shared(_neutral(one)), radius=self._radius))
            except InputError as error:
                reasons[row] = str(error)
        value = np.full(len(smiles), np.nan)
        value[[reason is None for reason in reasons]] = nearest_similarities(queries, self._references)
        return Values(value, reasons)


def _neutral(smiles: str) -> str:
    """The standardized molecule, as the references are; only a molecule with charges or several parts can differ."""
    return _standardized(smiles) if "+" in smiles or "-]" in smiles or "." in smiles else smiles


@lru_cache(maxsize=10_000)
def _standardized(smiles: str) -> str:
    return standardize(smiles).smiles or smiles
