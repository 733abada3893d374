"""Terms on substructures: a SMARTS pattern, or a functional group by its name."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from molvae.chem.functional_groups import FUNCTIONAL_GROUPS, count_functional_group
from molvae.chem.molecules import count_matches, is_substructure, parse_shared, parse_smarts
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_name, one_by_one, report
from molvae.scoring.scorers.conditions import CountedCondition
from molvae.scoring.term import Term
from molvae.workers import Mapper


class SubstructureTerm(CountedCondition):
    """A condition on a substructure: if it fails, the score is 0, whatever the other terms are.

    Parameters
    ----------
    weight : float, default=1.0
        A condition has no weight: only 1 is allowed.
    wanted : bool, default=True
        Whether the substructure must be present; if not, it must be absent.
    least, most : int, optional
        Smallest and largest number of matches, instead of `wanted`.
    property : {"substructure"}
        Name of the term.
    smarts : str
        Pattern.
    """

    property: str
    smarts: str = Field(description="SMARTS of the substructure")

    def _structure(self) -> str:
        """The pattern."""
        return self.smarts

    @field_validator("smarts")
    @classmethod
    def _is_a_pattern(cls, smarts: str) -> str:
        report(lambda: parse_smarts(smarts))
        return smarts


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


class FunctionalGroupTerm(CountedCondition):
    """A condition on a functional group: if it fails, the score is 0, whatever the other terms are.

    Parameters
    ----------
    weight : float, default=1.0
        A condition has no weight: only 1 is allowed.
    wanted : bool, default=True
        Whether the group must be present; if not, it must be absent.
    least, most : int, optional
        Smallest and largest number of groups, instead of `wanted`.
    property : {"functional_group"}
        Name of the term.
    group : str
        Name of the functional group, a key of `FUNCTIONAL_GROUPS`.
    """

    property: str
    group: str = Field(description="name of the functional group")

    def _structure(self) -> str:
        """The name of the group."""
        return self.group

    @field_validator("group")
    @classmethod
    def _is_known(cls, group: str) -> str:
        return check_name(group, sorted(FUNCTIONAL_GROUPS), "functional group", "functional groups")


class FunctionalGroupScorer:
    """Whether a functional group is present, 1 or 0; or how many there are.

    Parameters
    ----------
    settings : FunctionalGroupTerm
        Settings.
    """

    Settings: ClassVar[type[Term]] = FunctionalGroupTerm

    def __init__(self, settings: FunctionalGroupTerm) -> None:
        self._group, self._is_counted = settings.group, settings.is_counted()

    def identity(self) -> Mapping[str, str]:
        """Nothing besides the settings; see `Scorer.identity`."""
        return {}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Count the groups; see `Scorer.__call__`."""
        counts = one_by_one(smiles, lambda one: count_functional_group(parse_shared(one), self._group))
        return counts if self._is_counted else counts._replace(value=counts.value.clip(max=1))
