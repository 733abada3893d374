"""A term that a model of an assay predicts; the model is fitted to the assay table when the search starts."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.datasets.molecule_file import open_molecules
from molvae.files import sha256_of
from molvae.qsar.assay import Assay, read_assay
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.assay import AssayTerm, PredictedTerm, predict
from molvae.scoring.term import Term
from molvae.workers import Mapper

if TYPE_CHECKING:
    from molvae.qsar.model import AssayModel

_SHARED = (
    "weight",
    "shape",
    "low",
    "high",
    "soft",
    "power",
    "scale",
    "pessimism",
    "min_similarity",
    "cache",
    "max_failed",
)


class AssayTableTerm(PredictedTerm):
    """The prediction of a model that is fitted to a table of measured molecules; see `molvae.qsar.fit_assay`.

    The value and the further columns of the candidate table are those of a term with `model`.

    Parameters
    ----------
    assay : Path
        The assay table, in any format that molvae reads. A relative path starts at the campaign file.
    column : str, optional
        Column of the measured values; default: found by its name.
    unit : str, optional
        Unit of the values; default: found.
    smiles_column : str, optional
        Column of the SMILES; default: found.
    fit : str, default="gaussian_process"
        Name of the model, a key of `molvae.qsar.MODELS`.
    pessimism : float, default=1.0
        Number of standard deviations.
    min_similarity : float, default=0.3
        Lowest similarity to a training molecule in the applicability domain.
    """

    assay: Path = Field(description="table of measured molecules")
    column: str | None = Field(None, description="column of the measured values")
    unit: str | None = Field(None, description="unit of the measured values")
    smiles_column: str | None = Field(None, description="column of the SMILES")
    fit: str = Field("gaussian_process", description="name of the model")

    @field_validator("fit")
    @classmethod
    def _is_model(cls, fit: str) -> str:
        from molvae.qsar.registry import MODELS  # imports scikit-learn

        if fit not in MODELS:
            raise PydanticCustomError("fit", "unknown model; known: {known}", {"known": ", ".join(MODELS)})
        return fit

    def read(self, mapper: Mapper | None = None) -> Assay:
        """Read the assay table.

        Parameters
        ----------
        mapper : Mapper, optional
            Standardizes the molecules; default: worker processes.

        Returns
        -------
        Assay

        Raises
        ------
        InputError
            The file or a column cannot be used, or it has too few molecules.
        """
        return read_assay(self.assay, self.column, smiles_column=self.smiles_column, unit=self.unit, mapper=mapper)

    def with_model(self, folder: Path) -> AssayTerm:
        """The same term with a model that has been fitted already.

        Parameters
        ----------
        folder : Path
            Folder of the model.

        Returns
        -------
        AssayTerm
        """
        return AssayTerm(model=folder, **{key: getattr(self, key) for key in _SHARED})


class AssayTableScorer:
    """Predicts with a model that it fits to an assay table.

    Parameters
    ----------
    settings : AssayTableTerm
        Settings.

    Raises
    ------
    InputError
        The table cannot be read. At the first call: a column cannot be used, or there are too few molecules.
    """

    Settings: ClassVar[type[Term]] = AssayTableTerm

    def __init__(self, settings: AssayTableTerm) -> None:
        self._settings = settings
        open_molecules(settings.assay, settings.smiles_column)

    @cached_property
    def _model(self) -> "AssayModel":
        """The model, fitted when it is needed first: a run fits and stores its own."""
        from molvae.qsar.fitting import fit_in_memory  # imports scikit-learn

        return fit_in_memory(self._settings.read(), self._settings.fit)

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the table; see `Scorer.identity`."""
        return {str(self._settings.assay): sha256_of(self._settings.assay)}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Predict molecules; see `Scorer.__call__`."""
        return predict(self._model, self._settings, smiles)
