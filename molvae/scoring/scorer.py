"""The contract of a scorer: it computes the raw values of one term of an objective."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:  # processes that call a function of the user start faster without pydantic
    from molvae.chem.ligands import Pose
    from molvae.scoring.term import Term
    from molvae.workers import Mapper


class Values(NamedTuple):
    """The raw values of molecules, in order.

    Parameters
    ----------
    value : ndarray of shape (n,)
        Raw values in the unit of the scorer, float64; NaN where there is none.
    reasons : sequence of str or None
        Why a molecule has no value; None where it has one.
    extra : mapping of str to ndarray of shape (n,), default={}
        Further columns of the candidate table, such as `std`; NaN where there is no number.
    is_final : sequence of bool, optional
        False where another attempt could give another result: after a crash or a timeout. Only final results are stored
        in a cache. Default: all are final.
    """

    value: np.ndarray
    reasons: Sequence[str | None]
    extra: Mapping[str, np.ndarray] = {}
    is_final: Sequence[bool] | None = None


class Scorer(Protocol):
    """Computes the raw values of one term; a molecule has the same value in any order and batch.

    Parameters
    ----------
    settings : Term
        An instance of the class attribute `Settings`.

    Attributes
    ----------
    Settings : type of Term
        Class of the settings, the section `[objective.terms.<name>]` of a campaign.
    """

    Settings: "ClassVar[type[Term]]"

    def __init__(self, settings: "Term") -> None: ...

    def identity(self) -> Mapping[str, str]:
        """Describe what the values depend on, besides the settings.

        Returns
        -------
        mapping of str to str
            SHA-256 of each file, script or model by its name or path. A stage is computed again if the identity
            of a scorer has changed.
        """
        ...

    def __call__(self, smiles: Sequence[str], mapper: "Mapper") -> Values:
        """Compute the values of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES; may contain invalid ones, and may be empty.
        mapper : Mapper
            Applies a function to rows, in worker processes or in this one.

        Returns
        -------
        Values
            One row per molecule, in order.

        Raises
        ------
        MolvaeError
            The scorer cannot be used at all.
        """
        ...


@runtime_checkable
class PoseScorer(Protocol):
    """A scorer that can also give the poses of molecules in a receptor; `Term.has_poses` of its settings is True."""

    @property
    def receptor(self) -> str:
        """Name of the receptor."""
        ...

    @property
    def n_saved(self) -> int:
        """Number of best candidates whose poses are written."""
        ...

    def poses(self, smiles: Sequence[str], mapper: "Mapper") -> "list[list[Pose]]":
        """Compute the poses of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        mapper : Mapper
            Applies a function to rows.

        Returns
        -------
        list of list of Pose
            For each molecule, in order, its poses, the best one first; none if the molecule has no value.
        """
        ...
