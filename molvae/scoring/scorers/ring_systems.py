"""The term `unseen_rings`: how many ring systems of a molecule do not occur in a reference library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from molvae.bundled import bundled
from molvae.chem.ring_systems import TABLE, bundled_ring_systems, count_ring_systems, ring_systems
from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import one_by_one
from molvae.scoring.scorers.references import file_identity, read_references
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper


class UnseenRingsTerm(ShapedTerm):
    """Number of ring systems of a molecule that do not occur in a reference library; see `ring_systems`.

    By default the desirability is 1 for none, 0.5 for one and 0 for more, and the reference is the bundled table of
    ring systems that are in at least two molecules of the MOSES training set and of a sample of ChEMBL.

    Parameters
    ----------
    property : {"unseen_rings"}
        Name of the term.
    reference_file : Path, optional
        File of molecules, in any format that molvae reads, instead of the bundled table.
    min_count : int, default=1
        Smallest number of reference molecules with a ring system for it to count as seen.
    """

    property: str
    reference_file: Path | None = Field(None, description="file of reference molecules")
    min_count: int = Field(1, ge=1, description="number of reference molecules from which a ring system is seen")

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Lower is better, from 0 to 2."""
        return {"shape": "lower", "low": 0.0, "high": 2.0}


class UnseenRingsScorer:
    """Number of ring systems of a molecule that do not occur in a reference library.

    Parameters
    ----------
    settings : UnseenRingsTerm
        Settings.

    Raises
    ------
    InputError
        The file cannot be read, or has no molecule with a ring.
    """

    Settings: ClassVar[type[Term]] = UnseenRingsTerm

    def __init__(self, settings: UnseenRingsTerm) -> None:
        self._file = settings.reference_file
        if self._file is None:
            counts = bundled_ring_systems()
        else:
            counts = count_ring_systems(one.smiles for one in read_references(None, self._file))
        self._seen = frozenset(system for system, n in counts.items() if n >= settings.min_count)
        if not self._seen:
            where = self._file or TABLE
            raise InputError(f"{where}: no ring system is in at least {settings.min_count} molecules; lower min_count")

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the file of references or of the bundled table; see `Scorer.identity`."""
        return file_identity(self._file or bundled(TABLE))

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Count the unseen ring systems; see `Scorer.__call__`."""
        return one_by_one(smiles, lambda one: sum(system not in self._seen for system in ring_systems(one)))
