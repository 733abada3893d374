"""The registry of scorers: which one a term of a campaign uses."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from molvae.chem.rules import RULES
from molvae.errors import InputError
from molvae.plugins import load_plugins
from molvae.scoring.scorer import Scorer
from molvae.scoring.scorers.admet import AdmetScorer
from molvae.scoring.scorers.assay import AssayScorer
from molvae.scoring.scorers.assay_table import AssayTableScorer
from molvae.scoring.scorers.charge import ChargeScorer
from molvae.scoring.scorers.command import CommandScorer
from molvae.scoring.scorers.docking import DockingScorer
from molvae.scoring.scorers.function import FunctionScorer
from molvae.scoring.scorers.properties import PropertyScorer
from molvae.scoring.scorers.ring_systems import UnseenRingsScorer
from molvae.scoring.scorers.rules import AlertsScorer, CnsMpoScorer, RuleScorer
from molvae.scoring.scorers.scaffold import ScaffoldScorer
from molvae.scoring.scorers.similarity import SimilarityScorer
from molvae.scoring.scorers.sklearn_model import SklearnScorer
from molvae.scoring.scorers.substructures import FunctionalGroupScorer, SubstructureScorer
from molvae.scoring.term import Term

SPECIAL: dict[str, type[Scorer]] = {
    "alerts": AlertsScorer,
    "charge_at_ph": ChargeScorer,
    "cns_mpo_4_of_6": CnsMpoScorer,
    "functional_group": FunctionalGroupScorer,
    "scaffold": ScaffoldScorer,
    "similarity": SimilarityScorer,
    "substructure": SubstructureScorer,
    "unseen_rings": UnseenRingsScorer,
    **dict.fromkeys(RULES, RuleScorer),
}
"""Scorers by the value of the key `property`; `PropertyScorer` has all other names."""

SCORERS: dict[str, type[Scorer]] = {
    "property": PropertyScorer,
    "python": FunctionScorer,
    "command": CommandScorer,
    "model": AssayScorer,
    "assay": AssayTableScorer,
    "sklearn": SklearnScorer,
    "dock": DockingScorer,
    "target": DockingScorer,
    "admet": AdmetScorer,
}
"""Scorers by the key that a term must have. Packages add scorers as entry points of the group `molvae.scorers`; a term
names one with `scorer = "name"`."""


def find_scorer(keys: Mapping[str, Any]) -> type[Scorer]:
    """Find the scorer of a term.

    Parameters
    ----------
    keys : mapping
        The keys of the term.

    Returns
    -------
    type of Scorer
        Its class.

    Raises
    ------
    InputError
        The term has none of the keys that name a scorer, or several, or an unknown plug-in.
    """
    named = [key for key in _keys() if keys.get(key) is not None]
    if len(named) != 1:
        expected = f"expected one of the keys {', '.join(_keys())}"
        raise InputError(f"{expected}; got {' and '.join(named) or 'none of them'}")
    value = keys[named[0]]
    if named == ["property"]:
        return SPECIAL.get(value, PropertyScorer) if isinstance(value, str) else PropertyScorer
    if named == ["scorer"]:
        plugins = load_plugins("molvae.scorers", {*SCORERS, *SPECIAL}, type)
        if value not in plugins:
            raise InputError(f"scorer: no package provides {value!r}; known: {', '.join(plugins) or 'none'}")
        return plugins[value]
    return SCORERS[named[0]]


def read_term(data: Any) -> Term:
    """Validate the keys of a term.

    Parameters
    ----------
    data : mapping or Term
        The keys.

    Returns
    -------
    Term
        An instance of the settings class of its scorer.

    Raises
    ------
    ValidationError
        A key is unknown, missing or invalid; a key of another scorer counts as unknown.
    """
    if isinstance(data, Term):
        return data
    if not isinstance(data, Mapping):
        problem = PydanticCustomError("term", "expected the keys of a term")
        raise ValidationError.from_exception_data("Term", [InitErrorDetails(type=problem, loc=(), input=data)])
    try:
        settings = find_scorer(data).Settings
    except InputError as error:
        problem = PydanticCustomError("scorer", "{problem}", {"problem": str(error)})
        raise ValidationError.from_exception_data(
            "Term", [InitErrorDetails(type=problem, loc=(), input=dict(data))]
        ) from None
    try:
        return settings.model_validate(dict(data))
    except ValidationError as error:
        details = [_explain(settings, problem, data) for problem in error.errors()]
        raise ValidationError.from_exception_data("Term", details) from None


def _keys() -> tuple[str, ...]:
    """The keys that name a scorer."""
    return (*SCORERS, "scorer")


def _explain(settings: type[Term], problem: Any, data: Mapping[str, Any]) -> InitErrorDetails:
    """The details of one error; that of an unknown key suggests a similar key or lists the known ones."""
    loc, message = problem["loc"], problem["msg"]
    if problem["type"] == "extra_forbidden":
        keys = sorted(settings.model_fields)
        near = difflib.get_close_matches(str(loc[-1]), keys, n=1, cutoff=0.7)
        known = f"did you mean {near[0]}?" if near else f"its keys: {', '.join(keys)}"
        kind = next(str(data[key]) if key in ("property", "scorer") else key for key in _keys() if key in data)
        message = f"not a key of {kind}; {known}"
    elif problem["type"] == "missing":
        message = "missing; this key is required"
    error = PydanticCustomError("term_key", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=loc, input=problem["input"])
