"""Terms that RDKit computes: properties, similarity, substructures and structural alerts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from molvae.chem.alerts import SOURCES, alerts
from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.chem.molecules import count_matches, is_substructure, parse_shared, parse_smarts, standardize
from molvae.chem.properties import PROPERTIES, compute, list_properties
from molvae.datasets.molecule_file import open_molecules
from molvae.datasets.standardized import standardize_file
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_molecules, check_name, one_by_one, report
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper, Serial

_SPECIAL = ("alerts", "similarity", "substructure")


class PropertyTerm(ShapedTerm):
    """A property of the molecule, such as `qed` or `logp`; its usual range is the default of `low` and `high`.

    Parameters
    ----------
    property : str
        Name of the property.
    """

    property: str = Field(description="name of the property")

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The usual range of the property."""
        name = data.get("property")
        entry = (PROPERTIES.get(name) or list_properties().get(name)) if isinstance(name, str) else None
        usual = (
            entry.usual if entry else (0.0, 1.0)
        )  # of an unknown name, which is refused, so that it is the only error
        return {"low": float(usual[0]), "high": float(usual[1])}

    @field_validator("property")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name in PROPERTIES:
            return name
        return check_name(name, sorted({*list_properties(), *_SPECIAL}), "property", "properties")


class PropertyScorer:
    """A property that RDKit or a plug-in computes.

    Parameters
    ----------
    settings : PropertyTerm
        Settings.
    """

    Settings: ClassVar[type[Term]] = PropertyTerm

    def __init__(self, settings: PropertyTerm) -> None:
        self.property = settings.property

    def identity(self) -> Mapping[str, str]:
        """Nothing besides the settings; see `Scorer.identity`."""
        return {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Compute the property; see `Scorer.__call__`."""
        value = compute(list(smiles), [self.property])[self.property].to_numpy(dtype=float)
        why = f"{self.property} cannot be computed"
        return Values(value, [why if is_missing else None for is_missing in np.isnan(value)])


class SimilarityTerm(ShapedTerm):
    """Tanimoto similarity to the nearest of some reference molecules; Morgan fingerprints of 2,048 bits.

    With `shape = "lower"`, the search keeps away from them, for example from the molecules of a patent.

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
    to: str | tuple[str, ...] | None = Field(None, description="reference SMILES")
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
            check_molecules(_as_tuple(to))
        return to

    @field_validator("to_file")
    @classmethod
    def _has_one_reference(cls, to_file: Path | None, info: ValidationInfo) -> Path | None:
        if "to" in info.data and (info.data["to"] is None) == (to_file is None):
            message = "expected one of to (SMILES) and to_file (a file of molecules), got {got}"
            raise PydanticCustomError("reference", message, {"got": "both" if to_file else "neither"})
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
        if settings.to_file is None:
            references = [standardize(raw).smiles or raw for raw in _as_tuple(settings.to)]
        else:
            references = _read_references(settings.to_file)
        self._bits = morgan_bits(references, self._radius)

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the file of references; see `Scorer.identity`."""
        return {str(self._file): sha256_of(self._file)} if self._file else {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Compute the similarities; see `Scorer.__call__`."""
        return one_by_one(
            smiles, lambda one: float(tanimoto_matrix(morgan_bits([one], self._radius), self._bits).max())
        )


class SubstructureTerm(Term):
    """A condition on a substructure: if it fails, the score is 0, whatever the other terms are.

    Parameters
    ----------
    weight : float, default=1.0
        A condition has no weight: only 1 is allowed.
    property : {"substructure"}
        Name of the term.
    smarts : str
        Pattern.
    wanted : bool, default=True
        Whether the substructure must be present; if not, it must be absent.
    least, most : int, optional
        Smallest and largest number of matches, instead of `wanted`.
    """

    property: str
    smarts: str = Field(description="SMARTS of the substructure")
    wanted: bool = Field(True, description="whether it must be present (true) or absent (false)")
    least: int | None = Field(None, ge=0, description="smallest number of matches")
    most: int | None = Field(None, ge=0, le=999, validate_default=True, description="largest number of matches")

    def unmet(self) -> str:
        """Why a molecule fails: it lacks the substructure, contains it, or has the wrong number of matches.

        Returns
        -------
        str
            For the reason in the candidate table.
        """
        if self.is_counted():
            limits = [f"at least {self.least}"] if self.least is not None else []
            limits += [f"at most {self.most}"] if self.most is not None else []
            return f"expected {' and '.join(limits)} matches of {self.smarts}"
        return f"{'lacks' if self.wanted else 'contains'} {self.smarts}"

    def is_counted(self) -> bool:
        """Check whether the value is the number of matches.

        Returns
        -------
        bool
        """
        return self.least is not None or self.most is not None

    @field_validator("smarts")
    @classmethod
    def _is_a_pattern(cls, smarts: str) -> str:
        report(lambda: parse_smarts(smarts))
        return smarts

    @field_validator("most")
    @classmethod
    def _is_a_range(cls, most: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("least")
        if most is not None and least is not None and least > most:
            raise PydanticCustomError("order", "expected at least least ({least}); swap the two", {"least": least})
        if info.data.get("wanted") is False and (most is not None or least is not None):
            raise PydanticCustomError("wanted", "expected least and most without wanted = false; give most = 0")
        return most

    @field_validator("weight")
    @classmethod
    def _has_no_weight(cls, weight: float) -> float:
        if weight != 1:
            raise PydanticCustomError("condition", "a substructure is a condition and has no weight; remove the weight")
        return weight

    def score(self, value: np.ndarray) -> np.ndarray:
        """Check the condition.

        Parameters
        ----------
        value : ndarray of shape (n,)
            Raw values; NaN where there is none.

        Returns
        -------
        ndarray of shape (n,)
            1 if it holds, else 0; NaN for NaN.
        """
        if self.is_counted():
            holds = (value >= (self.least or 0)) & (value <= (np.inf if self.most is None else self.most))
            return np.where(np.isnan(value), np.nan, holds.astype(float))
        return value if self.wanted else 1.0 - value


class SubstructureScorer:
    """Whether a substructure is present, 1 or 0; or the number of its matches.

    Parameters
    ----------
    settings : SubstructureTerm
        Settings.
    """

    Settings: ClassVar[type[Term]] = SubstructureTerm

    def __init__(self, settings: SubstructureTerm) -> None:
        self._pattern, self._is_counted = parse_smarts(settings.smarts), settings.is_counted()

    def identity(self) -> Mapping[str, str]:
        """Nothing besides the settings; see `Scorer.identity`."""
        return {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Look for the substructure; see `Scorer.__call__`."""
        find = count_matches if self._is_counted else is_substructure
        return one_by_one(smiles, lambda one: float(find(self._pattern, parse_shared(one))))


class AlertsTerm(ShapedTerm):
    """Number of structural alerts; by default the desirability is 1.0 for none, 0.5 for one and 0 for more.

    Parameters
    ----------
    property : {"alerts"}
        Name of the term.
    catalogs : tuple of str, default=("PAINS", "BRENK")
        Catalogs of alerts.
    """

    property: str
    catalogs: tuple[str, ...] = Field(("PAINS", "BRENK"), description="catalogs of structural alerts")

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Lower is better, from 0 to 2."""
        return {"shape": "lower", "low": 0.0, "high": 2.0}

    @field_validator("catalogs")
    @classmethod
    def _are_catalogs(cls, catalogs: tuple[str, ...]) -> tuple[str, ...]:
        for name in catalogs:
            check_name(name, sorted(SOURCES), "catalog", "catalogs")
        if not catalogs:
            known = ", ".join(sorted(SOURCES))
            raise PydanticCustomError("empty", "expected at least one of {known}", {"known": known})
        return catalogs


class AlertsScorer:
    """Number of structural alerts.

    Parameters
    ----------
    settings : AlertsTerm
        Settings.
    """

    Settings: ClassVar[type[Term]] = AlertsTerm

    def __init__(self, settings: AlertsTerm) -> None:
        self._catalogs = settings.catalogs

    def identity(self) -> Mapping[str, str]:
        """Nothing besides the settings; see `Scorer.identity`."""
        return {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Count the alerts; see `Scorer.__call__`."""
        return one_by_one(smiles, lambda one: len(alerts(parse_shared(one), self._catalogs)))


def _read_references(path: Path) -> list[str]:
    """Canonical SMILES of a molecule file; rows that cannot be read are left out."""
    found = [
        one for table in standardize_file(open_molecules(path), mapper=Serial()) for one in table["smiles"].dropna()
    ]
    if not found:
        raise InputError(f"{path}: no molecule can be read")
    return found


def _as_tuple(to: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if to is None else (to,) if isinstance(to, str) else to
