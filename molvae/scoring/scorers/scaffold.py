"""The term `scaffold`: whether a molecule has the Bemis-Murcko scaffold of a reference molecule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator

from molvae.chem.molecules import standardize
from molvae.chem.scaffolds import scaffold_key
from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_molecules, one_by_one, report
from molvae.scoring.scorers.conditions import Condition
from molvae.scoring.scorers.references import (
    ReferenceSmiles,
    as_tuple,
    check_one_source,
    file_identity,
    read_references,
)
from molvae.scoring.term import Term
from molvae.workers import Mapper


class ScaffoldTerm(Condition):
    """A condition on the scaffold: if it fails, the score is 0, whatever the other terms are.

    Parameters
    ----------
    weight : float, default=1.0
        A condition has no weight: only 1 is allowed.
    wanted : bool, default=True
        Whether the molecule must have the scaffold of one of the references; if not, it must have none of them.
    property : {"scaffold"}
        Name of the term.
    of : str or tuple of str, optional
        Reference SMILES: molecules or scaffolds.
    of_file : Path, optional
        File of reference molecules, instead of `of`, in any format that molvae reads.
    generic : bool, default=False
        Whether to compare generic scaffolds, in which all atoms are carbon and all bonds are single.
    """

    property: str
    of: ReferenceSmiles = Field(None, description="SMILES of molecules with the scaffold")
    of_file: Path | None = Field(None, validate_default=True, description="file of molecules with the scaffold")
    generic: bool = Field(False, description="whether all atoms and bonds of a scaffold count as equal")

    def _structure(self) -> str:
        """The scaffolds."""
        return f"the {'generic ' if self.generic else ''}scaffold of {self.of_file or ' or '.join(as_tuple(self.of))}"

    @field_validator("of")
    @classmethod
    def _have_scaffolds(cls, of: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if of is not None:
            check_molecules(as_tuple(of))
            report(lambda: [_scaffold_of(standardize(raw).smiles or raw, raw, False) for raw in as_tuple(of)])
        return of

    @field_validator("of_file")
    @classmethod
    def _has_one_source(cls, of_file: Path | None, info: ValidationInfo) -> Path | None:
        if "of" in info.data:
            check_one_source("of", info.data["of"], of_file)
        return of_file


class ScaffoldScorer:
    """Whether a molecule has the scaffold of one of the references, 1 or 0.

    Parameters
    ----------
    settings : ScaffoldTerm
        Settings.

    Raises
    ------
    InputError
        The file cannot be read, has no molecule, or has a molecule without rings.
    """

    Settings: ClassVar[type[Term]] = ScaffoldTerm

    def __init__(self, settings: ScaffoldTerm) -> None:
        self._generic, self._file = settings.generic, settings.of_file
        references = read_references(settings.of, settings.of_file)
        self._scaffolds = {_scaffold_of(one.smiles, one.source, settings.generic) for one in references}

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the file of references; see `Scorer.identity`."""
        return file_identity(self._file)

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Compare the scaffolds; see `Scorer.__call__`."""
        return one_by_one(smiles, lambda one: float(scaffold_key(one, self._generic) in self._scaffolds))


def _scaffold_of(smiles: str, source: str, generic: bool) -> str:
    scaffold = scaffold_key(smiles, generic)
    if not scaffold:
        raise InputError(f"{source}: the molecule has no ring and so no scaffold; remove it")
    return scaffold
