"""The objective of a search: named terms, each scored by a scorer, combined into one score."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import InstanceOf, SerializeAsAny, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from molvae.errors import InputError
from molvae.inputs import read_molecules
from molvae.scoring.evaluation import Evaluation
from molvae.scoring.scorer import PoseScorer
from molvae.scoring.scorers.assay import PredictedTerm
from molvae.scoring.scorers.registry import find_scorer, read_term
from molvae.scoring.term import Term
from molvae.settings import Settings
from molvae.workers import Mapper, Serial


class ObjectiveSettings(Settings):
    """The section `[objective]` of a campaign.

    Parameters
    ----------
    terms : dict of str to Term
        Terms by name; the name becomes part of the column names. One key names the scorer, which determines the other
        keys: `property` (a calculated property, `similarity`, `substructure` or `alerts`), `model` (a model of an
        assay), `python` (a function), `command` (a program), or `scorer` (a plug-in).
    combine : {"geometric_mean", "arithmetic_mean", "pareto"}, default="geometric_mean"
        How desirabilities are combined. With the geometric mean, a desirability of 0 makes the score 0; with the
        arithmetic mean, other terms can compensate for it. "pareto" optimizes each term separately: the search looks
        for their Pareto front, and the score is the arithmetic mean.
    cache : Path or None, default=None
        Folder in which the values of costly terms are stored, by molecule; runs that name the same folder share them.
    """

    terms: dict[str, SerializeAsAny[InstanceOf[Term]]]
    combine: Literal["geometric_mean", "arithmetic_mean", "pareto"] = "geometric_mean"
    cache: Path | None = None

    @property
    def has_poses(self) -> bool:
        """Whether a term docks molecules, so that candidates have poses."""
        return any(term.has_poses for term in self.terms.values())

    @property
    def goals(self) -> tuple[str, ...]:
        """Names of the terms that are maximized separately; empty unless `combine` is "pareto"."""
        counted = [name for name, term in self.terms.items() if not term.is_condition and term.weight > 0]
        return tuple(counted) if self.combine == "pareto" else ()

    @property
    def conditions(self) -> dict[str, str]:
        """Names of the terms that are conditions, each with the reason why a molecule fails it."""
        return {name: term.unmet() for name, term in self.terms.items() if term.is_condition}

    @property
    def domains(self) -> dict[str, float]:
        """Names of the terms that a model predicts, each with the lowest similarity in the domain of the model."""
        return {name: term.min_similarity for name, term in self.terms.items() if isinstance(term, PredictedTerm)}

    def score_settings(self) -> dict[str, Any]:
        """The settings that the scores depend on: objectives with equal ones give equal scores.

        Returns
        -------
        dict
            Keys and values, as JSON can hold them.
        """
        terms = {name: term.score_settings() for name, term in self.terms.items()}
        return self.model_dump(mode="json", exclude={"terms", "cache"}) | {"terms": terms}

    @field_validator("terms", mode="before")
    @classmethod
    def _read_terms(cls, terms: Any) -> Any:
        """Validate each term by the settings class of its scorer."""
        if not isinstance(terms, Mapping):
            return terms
        found: dict[str, Term] = {}
        problems: list[InitErrorDetails] = []
        for name, data in terms.items():
            try:
                found[name] = read_term(data)
            except ValidationError as error:
                problems += [_nest(str(name), problem) for problem in error.errors()]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return found

    @field_validator("terms")
    @classmethod
    def _can_score(cls, terms: dict[str, Term]) -> dict[str, Term]:
        if not terms:
            raise PydanticCustomError("empty", "expected at least one term, e.g. [objective.terms.qed]")
        for name in terms:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise PydanticCustomError(
                    "name",
                    "{name}: expected letters, digits, _ and - in the name of a term; it becomes a column name",
                    {"name": name},
                )
        weighted = [name for name, term in terms.items() if not term.is_condition]
        if weighted and not any(terms[name].weight for name in weighted):
            raise PydanticCustomError(
                "weights",
                "every weight is 0 ({names}); set one above 0",
                {"names": ", ".join(sorted(f"{name}.weight" for name in weighted))},
            )
        return terms

    @model_validator(mode="after")
    def _has_several_goals(self) -> Self:
        if self.combine == "pareto" and len(self.goals) < 2:
            message = (
                "combine: pareto needs at least two terms with a weight above 0 that are not conditions, got {goals}; "
                "add a term, or use geometric_mean"
            )
            raise PydanticCustomError("goals", message, {"goals": ", ".join(self.goals) or "none"})
        return self


class Objective:
    """A scoring function for molecules; each molecule is independent of the others.

    Parameters
    ----------
    settings : ObjectiveSettings
        Terms and how they are combined.
    mapper : Mapper, optional
        Applies scorers to molecules, in worker processes or in this one; default: in this one.

    Raises
    ------
    MolvaeError
        A scorer cannot be used (a file or a program is missing), or the cache cannot be written.

    Examples
    --------
    >>> terms = {"qed": {"property": "qed", "shape": "higher", "low": 0, "high": 1}}
    >>> objective = Objective(ObjectiveSettings.from_dict({"terms": terms}, "example"))
    >>> objective(["CCO", "invalid"])["score"].round(3).tolist()
    [0.407, nan]
    """

    def __init__(self, settings: ObjectiveSettings, mapper: Mapper | None = None) -> None:
        self.settings = settings
        self._mapper = mapper or Serial()
        self._scorers = {name: find_scorer(term.model_dump())(term) for name, term in settings.terms.items()}
        self._evaluations = {
            name: Evaluation(name, term, self._scorers[name], settings.cache) for name, term in settings.terms.items()
        }

    @property
    def pose_scorers(self) -> dict[str, PoseScorer]:
        """The scorers that can give poses, by the name of their term."""
        return {name: scorer for name, scorer in self._scorers.items() if isinstance(scorer, PoseScorer)}

    @property
    def mapper(self) -> Mapper:
        """What applies scorers to molecules."""
        return self._mapper

    @property
    def n_from_cache(self) -> dict[str, tuple[int, int]]:
        """For each term with a cache: the number of values from the cache, and the number of all values."""
        used = {name: one for name, one in self._evaluations.items() if one.has_cache}
        return {name: (one.n_cached, one.n_cached + one.n_computed) for name, one in used.items()}

    @property
    def goals(self) -> tuple[str, ...]:
        """Names of the terms that are maximized separately; empty unless `combine` is "pareto"."""
        return self.settings.goals

    def identity(self) -> dict[str, str]:
        """Describe what the scores depend on, besides the settings.

        Returns
        -------
        dict of str to str
            SHA-256 of each file, script or model of the scorers, by its path or name.
        """
        return {path: sha256 for scorer in self._scorers.values() for path, sha256 in scorer.identity().items()}

    def __call__(self, smiles: Sequence[str]) -> pd.DataFrame:
        """Score molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        DataFrame
            One row per molecule, in order, with the row labels of a Series. For each term, `value_<term>` in the unit
            of the scorer (a substructure: 1 if present, 0 if absent), `value_<term>_<column>` for each further column
            of it, and `score_<term>` in [0, 1]; `score` in [0, 1], higher is better; and `unscored_reason`. A value is
            NaN where it cannot be computed; `score` is then NaN, too, unless the weight of that term is 0, and
            `unscored_reason` gives the reason.

        Raises
        ------
        MolvaeError
            A scorer cannot be used at all, or too many molecules have no value.
        InputError
            Two terms have a column of the same name, such as the mean of `a` and the value of a term `a_mean`.
        """
        smiles, index = read_molecules(smiles, "smiles")
        table: dict[str, np.ndarray] = {}
        reasons: list[str | None] = [None] * len(smiles)
        for name, term in self.settings.terms.items():
            values = self._evaluations[name](smiles, self._mapper)
            columns = {f"value_{name}": values.value}
            columns |= {f"value_{name}_{column}": extra for column, extra in values.extra.items()}
            if taken := table.keys() & columns.keys():
                raise InputError(
                    f"[objective.terms] {name}: another term also has the column {min(taken)}; rename one of the terms"
                )
            table |= columns
            table[f"score_{name}"] = term.score(values.value) * term.trust(values.extra)
            if term.is_condition or term.weight:
                for row, reason in enumerate(values.reasons):
                    reasons[row] = reasons[row] or (f"{name}: {reason}" if reason else None)
        score = self._combine(table, len(smiles))
        table["score"] = score
        reasons = [
            (why or "no value") if missing else None for why, missing in zip(reasons, np.isnan(score), strict=True)
        ]
        found = pd.DataFrame(table, index=pd.RangeIndex(len(smiles)))
        found = found.assign(unscored_reason=pd.Series(reasons, dtype="str"))
        return found if index is None else found.set_axis(index)

    def _combine(self, table: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        terms = self.settings.terms
        weighted = [name for name, term in terms.items() if not term.is_condition and term.weight > 0]
        score = np.ones(n)
        if weighted:
            scores = np.stack([table[f"score_{name}"] for name in weighted])  # (terms, n)
            weights = np.array([[terms[name].weight] for name in weighted])
            weights /= weights.sum()
            if self.settings.combine == "geometric_mean":
                with np.errstate(divide="ignore"):
                    score = np.exp((weights * np.log(scores)).sum(axis=0))
            else:
                score = (weights * scores).sum(axis=0)
        for name in (name for name, term in terms.items() if term.is_condition):
            score = score * table[f"score_{name}"]
        return score


def _nest(name: str, problem: Any) -> InitErrorDetails:
    """The details of an error of a term, with its name in the location."""
    error = PydanticCustomError(problem["type"], "{message}", {"message": problem["msg"]})
    return InitErrorDetails(type=error, loc=(name, *problem["loc"]), input=problem["input"])
