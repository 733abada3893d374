"""Terms that count the problems of a molecule (structural alerts, violated rules), and the partial CNS MPO."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.chem.alerts import SOURCES, alerts
from molvae.chem.molecules import parse_shared
from molvae.chem.rules import RULES, cns_mpo_4_of_6
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_name, one_by_one
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper


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


class RuleTerm(ShapedTerm):
    """Number of limits of a rule that a molecule violates; by default the desirability is 1 for none and 0.5 for one.

    Parameters
    ----------
    property : {"lipinski", "veber", "ghose", "reos", "lead_like", "rule_of_three"}
        Name of the term, a key of `RULES`.
    """

    property: str

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Lower is better, from 0 to 2."""
        return {"shape": "lower", "low": 0.0, "high": 2.0}


class RuleScorer:
    """Number of limits of a rule that a molecule violates.

    Parameters
    ----------
    settings : RuleTerm
        Settings.
    """

    Settings: ClassVar[type[Term]] = RuleTerm

    def __init__(self, settings: RuleTerm) -> None:
        self._rule = RULES[settings.property]

    def identity(self) -> Mapping[str, str]:
        """Nothing besides the settings; see `Scorer.identity`."""
        return {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Count the violated limits; see `Scorer.__call__`."""
        return one_by_one(smiles, lambda one: len(self._rule.violated(parse_shared(one))))


class CnsMpoTerm(ShapedTerm):
    """Four of the six components of CNS MPO, from 0 to 4; not the published score, see `cns_mpo_4_of_6`.

    Parameters
    ----------
    property : {"cns_mpo_4_of_6"}
        Name of the term.
    """

    property: str

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Higher is better, from 0 to 4."""
        return {"shape": "higher", "low": 0.0, "high": 4.0}


class CnsMpoScorer:
    """Four of the six components of CNS MPO.

    Parameters
    ----------
    settings : CnsMpoTerm
        Settings.
    """

    Settings: ClassVar[type[Term]] = CnsMpoTerm

    def __init__(self, settings: CnsMpoTerm) -> None:
        pass

    def identity(self) -> Mapping[str, str]:
        """Nothing besides the settings; see `Scorer.identity`."""
        return {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Compute the sum of the components; see `Scorer.__call__`."""
        return one_by_one(smiles, lambda one: cns_mpo_4_of_6(parse_shared(one)))
