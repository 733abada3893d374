"""Conditions: terms that make the score 0 if they fail."""

from abc import abstractmethod

import numpy as np
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from molvae.scoring.term import Term


class Condition(Term):
    """A condition on a structure: if it fails, the score is 0, whatever the other terms are.

    Parameters
    ----------
    weight : float, default=1.0
        A condition has no weight: only 1 is allowed.
    wanted : bool, default=True
        Whether the structure must be present; if not, it must be absent.
    """

    wanted: bool = Field(True, description="whether it must be present (true) or absent (false)")

    @field_validator("weight")
    @classmethod
    def _has_no_weight(cls, weight: float) -> float:
        if weight != 1:
            raise PydanticCustomError("condition", "this term is a condition and has no weight; remove the weight")
        return weight

    @abstractmethod
    def _structure(self) -> str:
        """The name of the structure, for messages."""
        ...

    def unmet(self) -> str:
        """Why a molecule fails: it lacks the structure, or contains it.

        Returns
        -------
        str
            For the reason in the candidate table.
        """
        return f"{'lacks' if self.wanted else 'contains'} {self._structure()}"

    def score(self, value: np.ndarray) -> np.ndarray:
        """Check the condition.

        Parameters
        ----------
        value : ndarray of shape (n,)
            1 if the structure is present, 0 if it is absent; NaN where there is no value.

        Returns
        -------
        ndarray of shape (n,)
            1 if the condition holds, else 0; NaN for NaN.
        """
        return value if self.wanted else 1.0 - value


class CountedCondition(Condition):
    """A condition on the presence of a structure, or on the number of times it occurs.

    Parameters
    ----------
    weight : float, default=1.0
        A condition has no weight: only 1 is allowed.
    wanted : bool, default=True
        Whether the structure must be present; if not, it must be absent.
    least, most : int, optional
        Smallest and largest number of occurrences, instead of `wanted`.
    """

    least: int | None = Field(None, ge=0, description="smallest number of matches")
    most: int | None = Field(None, ge=0, le=999, validate_default=True, description="largest number of matches")

    def is_counted(self) -> bool:
        """Check whether the value is the number of occurrences.

        Returns
        -------
        bool
        """
        return self.least is not None or self.most is not None

    def unmet(self) -> str:
        """Why a molecule fails: it lacks the structure, contains it, or has the wrong number of matches.

        Returns
        -------
        str
            For the reason in the candidate table.
        """
        if not self.is_counted():
            return super().unmet()
        limits = [f"at least {self.least}"] if self.least is not None else []
        limits += [f"at most {self.most}"] if self.most is not None else []
        return f"expected {' and '.join(limits)} matches of {self._structure()}"

    @field_validator("most")
    @classmethod
    def _is_a_range(cls, most: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("least")
        if most is not None and least is not None and least > most:
            raise PydanticCustomError("order", "expected at least least ({least}); swap the two", {"least": least})
        if info.data.get("wanted") is False and (most is not None or least is not None):
            raise PydanticCustomError("wanted", "expected least and most without wanted = false; give most = 0")
        return most

    def score(self, value: np.ndarray) -> np.ndarray:
        """Check the condition.

        Parameters
        ----------
        value : ndarray of shape (n,)
            Number of occurrences, or 1 and 0 for present and absent; NaN where there is no value.

        Returns
        -------
        ndarray of shape (n,)
            1 if the condition holds, else 0; NaN for NaN.
        """
        if not self.is_counted():
            return super().score(value)
        holds = (value >= (self.least or 0)) & (value <= (np.inf if self.most is None else self.most))
        return np.where(np.isnan(value), np.nan, holds.astype(float))
