"""Settings of a term of an objective: the keys of all terms, of terms with a desirability, and of costly terms."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from molvae.scoring.desirability import Scale, Shape, desirability
from molvae.settings import Settings


class Term(Settings):
    """One term of an objective; every scorer has a subclass with its own keys.

    Parameters
    ----------
    weight : float, default=1.0
        Weight in the mean; with 0, the term is reported but not counted. A condition has no weight.
    """

    weight: float = Field(1.0, ge=0, description="weight in the mean; 0: reported but not counted")

    has_poses: ClassVar[bool] = False
    """Whether its scorer is a `PoseScorer`."""

    not_in_scores: ClassVar[frozenset[str]] = frozenset()
    """Keys that change neither values nor scores, such as the number of processes."""

    not_in_values: ClassVar[frozenset[str]] = frozenset({"weight"})
    """Keys, besides `not_in_scores`, that do not change the raw value of a molecule; see `value_settings`."""

    def score_settings(self) -> dict[str, Any]:
        """The settings that the scores depend on: two terms with equal ones give equal scores.

        Returns
        -------
        dict
            Keys and values, as JSON can hold them.
        """
        return self.model_dump(mode="json", exclude=set(self.not_in_scores))

    def value_settings(self) -> dict[str, Any]:
        """The settings that the raw values depend on: two terms with equal ones share their stored values.

        Returns
        -------
        dict
            Keys and values, as JSON can hold them.
        """
        return self.model_dump(mode="json", exclude=set(self.not_in_scores | self.not_in_values))

    @property
    def is_condition(self) -> bool:
        """Whether the score is 0 if the term is 0, whatever the other terms are."""
        return True

    def unmet(self) -> str:
        """Why a molecule fails the condition.

        Returns
        -------
        str
            For the reason in the candidate table.
        """
        return "the condition is not met"

    @abstractmethod
    def score(self, value: np.ndarray) -> np.ndarray:
        """Convert raw values to numbers in [0, 1].

        Parameters
        ----------
        value : ndarray of shape (n,)
            Raw values; NaN where there is none.

        Returns
        -------
        ndarray of shape (n,)
            Higher is better; NaN for NaN.
        """
        ...

    def trust(self, extra: Mapping[str, np.ndarray]) -> np.ndarray | float:
        """How much of the score counts, by the further columns of the scorer; 1 unless overridden.

        Parameters
        ----------
        extra : mapping of str to ndarray of shape (n,)
            The further columns, such as `similarity`.

        Returns
        -------
        ndarray of shape (n,) or float
            Factors in [0, 1].
        """
        return 1.0


class ShapedTerm(Term):
    """A term whose raw value is converted to a desirability; see `desirability`.

    Parameters
    ----------
    weight : float, default=1.0
        Weight in the mean; with 0, the term is reported but not counted.
    shape : {"higher", "lower", "window"}
        Form of the desirability function.
    low, high : float
        Bounds in the unit of the value.
    soft : float, optional
        Width of the edges of a window; default 0.
    power : float, optional
        Exponent of the desirability; default 1.
    scale : {"linear", "log"}, optional
        Scale of the distances; default "linear".
    """

    shape: Shape = Field(description="form of the desirability function")
    low: float = Field(description="lower bound, in the unit of the value")
    high: float = Field(description="upper bound, in the unit of the value")
    soft: float | None = Field(None, ge=0, description="width of the edges of a window")
    power: float | None = Field(None, gt=0, description="exponent of the desirability")
    scale: Scale | None = Field(None, description="scale of the distances")

    not_in_values: ClassVar[frozenset[str]] = frozenset({"weight", "shape", "low", "high", "soft", "power", "scale"})

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Default keys of a term, from those that are given; a saved campaign contains them."""
        return {}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        defaults = cls._defaults(data)
        if "low" in data or "high" in data:  # one bound alone is an error
            defaults = {key: value for key, value in defaults.items() if key not in ("low", "high")}
        return defaults | {key: value for key, value in data.items() if value is not None}

    @field_validator("high")
    @classmethod
    def _is_a_range(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and low > high:
            raise PydanticCustomError("order", "expected at least low ({low}); swap the two", {"low": low})
        return high

    @field_validator("scale")
    @classmethod
    def _has_logarithm(cls, scale: Scale | None, info: ValidationInfo) -> Scale | None:
        low = info.data.get("low")
        if scale == "log" and low is not None and low <= 0:
            raise PydanticCustomError("logarithm", "the log scale needs low above 0, got {low}", {"low": low})
        return scale

    @property
    def is_condition(self) -> bool:
        """False: the term counts in the mean."""
        return False

    def score(self, value: np.ndarray) -> np.ndarray:
        """Convert raw values to desirabilities.

        Parameters
        ----------
        value : ndarray of shape (n,)
            Raw values; NaN where there is none.

        Returns
        -------
        ndarray of shape (n,)
            In [0, 1]; NaN for NaN.
        """
        return desirability(
            value, self.shape, self.low, self.high, self.soft or 0.0, self.power or 1.0, self.scale or "linear"
        )


class CostlyTerm(ShapedTerm):
    """A term whose values take long to compute, or may be missing for many molecules.

    Values are computed in steps of at most `n_per_step` molecules. After each step, they are stored in the cache of the
    objective, if it has one, and the share of molecules without a value is checked.

    Parameters
    ----------
    cache : bool, default=True
        Whether values are stored in the cache of the objective.
    max_failed : float, default=0.8
        Share of molecules without a value above which the run stops; checked once 20 molecules have been tried.
    """

    cache: bool = Field(True, description="whether values are stored in the cache of the objective")
    max_failed: float = Field(0.8, gt=0, le=1, description="share of molecules without a value that stops the run")

    not_in_scores: ClassVar[frozenset[str]] = frozenset({"cache", "max_failed"})

    @property
    def n_per_step(self) -> int:
        """Largest number of molecules between two writes to the cache."""
        return 1000
