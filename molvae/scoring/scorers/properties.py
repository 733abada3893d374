"""The term of a property that RDKit or a plug-in computes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from molvae.chem.properties import PROPERTIES, compute, list_properties
from molvae.chem.rules import RULES
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_name
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper

OTHER_TERMS = (
    "alerts", "charge_at_ph", "cns_mpo_4_of_6", "functional_group", "scaffold", "similarity", "substructure",
    "unseen_rings", *RULES,
)  # fmt: skip
"""Values of the key `property` that have a scorer of their own; the registry has the same."""


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
        return check_name(name, sorted({*list_properties(), *OTHER_TERMS}), "property", "properties")


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
