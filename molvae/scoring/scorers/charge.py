"""The term `charge_at_ph`: the formal charge at a pH; needs the extra `charge`."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from molvae.chem.protonation import PACKAGE, charge_at_ph
from molvae.extras import require
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import one_by_one
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper, WorkerFailure

_MIN_FOR_MAPPER = 500  # fewer molecules are computed in less time than worker processes need to start
_CHUNK_ROWS = 100
_PKA_VALUES = "site_substructures.smarts"


class ChargeTerm(ShapedTerm):
    """Formal charge of the most common protonation state at a pH; see `charge_at_ph`.

    Parameters
    ----------
    property : {"charge_at_ph"}
        Name of the term.
    ph : float, default=7.4
        The pH.
    """

    property: str
    ph: float = Field(7.4, ge=0, le=14, description="the pH")


class ChargeScorer:
    """Formal charge at a pH, in e.

    Parameters
    ----------
    settings : ChargeTerm
        Settings.

    Raises
    ------
    MissingPackageError
        Dimorphite-DL is not installed.
    """

    Settings: ClassVar[type[Term]] = ChargeTerm

    def __init__(self, settings: ChargeTerm) -> None:
        require(PACKAGE, "the term charge_at_ph")
        self._ph = settings.ph

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the pKa values of Dimorphite-DL, by its version; see `Scorer.identity`."""
        return {f"{PACKAGE} {version(PACKAGE)}": sha256_of(Path(str(files(PACKAGE) / "smarts" / _PKA_VALUES)))}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Compute the charges; see `Scorer.__call__`."""
        charge = partial(charge_at_ph, ph=self._ph)
        if len(smiles) < _MIN_FOR_MAPPER:
            return one_by_one(smiles, charge)
        chunks = [smiles[begin : begin + _CHUNK_ROWS] for begin in range(0, len(smiles), _CHUNK_ROWS)]
        answers = [answer for part in mapper(charge, chunks) for answer in part]
        reasons = [answer.reason if isinstance(answer, WorkerFailure) else None for answer in answers]
        return Values(np.array([np.nan if isinstance(one, WorkerFailure) else one for one in answers], float), reasons)
