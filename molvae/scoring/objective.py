"""The objective of a search: named terms, each a desirability, combined into one score."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from molvae.chem.alerts import SOURCES, alerts
from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.chem.molecules import is_substructure, parse, parse_smarts, standardize
from molvae.chem.properties import PROPERTIES, compute, list_properties
from molvae.errors import InputError
from molvae.scoring.desirability import Scale, Shape, desirability
from molvae.settings import Settings

_SHAPED = {"shape", "low", "high", "soft", "power", "scale"}
_OWN_KEYS = {"similarity": {"to", "radius"}, "substructure": {"smarts", "wanted"}, "alerts": {"catalogs"}}
_OWN_DEFAULTS: dict[str, dict[str, Any]] = {
    "similarity": {"shape": "higher", "low": 0.0, "high": 1.0, "radius": 2},
    "substructure": {"wanted": True},
    "alerts": {"shape": "lower", "low": 0.0, "high": 2.0, "catalogs": ["PAINS", "BRENK"]},
}
"""Default keys of the terms that are not a plain property."""


class TermSettings(Settings):
    """One term of an objective.

    `property` is the name of a property (qed, logp, ...), or one of:

    - "similarity": Tanimoto similarity to the molecule `to`, or to the most similar of several; Morgan fingerprints of
      `radius`.
    - "substructure": a condition on the SMARTS pattern `smarts`. If it fails, the score is 0, whatever the other terms
      are. It has no weight.
    - "alerts": number of structural alerts of the `catalogs`. By default the desirability is 1.0 for none, 0.5 for one
      and 0 for more.

    Parameters
    ----------
    property : str
        Name of the property.
    shape : {"higher", "lower", "window"}
        Form of the desirability function; see `desirability`. Optional for a similarity ("higher") and for alerts
        ("lower").
    low, high : float, optional
        Bounds in the unit of the property, both or neither; default: its usual range, 0 and 1 for a similarity, 0 and
        2 for alerts.
    soft : float, optional
        Width of the edges of a window; default 0.
    power : float, optional
        Exponent of the desirability; default 1.
    scale : {"linear", "log"}, optional
        Scale of the distances; default "linear".
    to : str or tuple of str, optional
        Reference SMILES of a similarity.
    radius : int, optional
        Morgan radius of a similarity; default 2.
    smarts : str, optional
        Pattern of a substructure.
    wanted : bool, optional
        Whether the substructure must be present (default) or absent.
    catalogs : tuple of str, optional
        Catalogs of alerts; default PAINS and BRENK.
    weight : float, default=1.0
        Weight in the mean; 0 shows the term without counting it.
    """

    property: str
    shape: Shape | None = Field(None, validate_default=True)
    low: float | None = Field(None, validate_default=True)
    high: float | None = Field(None, validate_default=True)
    soft: float | None = Field(None, ge=0)
    power: float | None = Field(None, gt=0)
    scale: Scale | None = None
    to: str | tuple[str, ...] | None = Field(None, validate_default=True)
    radius: int | None = Field(None, ge=0, le=6)
    smarts: str | None = Field(None, validate_default=True)
    wanted: bool | None = None
    catalogs: tuple[str, ...] | None = None
    weight: float = Field(1.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Add the defaults of the property, so that a saved campaign is complete."""
        if not isinstance(data, Mapping):
            return data
        name = data.get("property")
        defaults = _defaults(name) if isinstance(name, str) else {}
        if "low" in data or "high" in data:  # one bound alone is an error, reported by `_belongs`
            defaults = {key: value for key, value in defaults.items() if key not in ("low", "high")}
        return defaults | {key: value for key, value in data.items() if value is not None}

    @field_validator("property")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name in PROPERTIES or name in _OWN_KEYS:
            return name
        return _known(name, sorted({*list_properties(), *_OWN_KEYS}), "property", "properties")

    @field_validator("shape", "low", "high", "soft", "power", "scale", "to", "radius", "smarts", "wanted", "catalogs")
    @classmethod
    def _belongs(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse keys of other kinds of term, and require those of this kind."""
        kind = info.data.get("property")
        if kind is None or info.field_name is None:
            return value
        keys = (_SHAPED if kind != "substructure" else set()) | _OWN_KEYS.get(kind, set())
        if value is not None and info.field_name not in keys:
            raise PydanticCustomError(
                "foreign_key", "not a key of {kind}; its keys: {keys}", {"kind": kind, "keys": _join(keys)}
            )
        needed = {"shape", "low", "high", "to", "smarts"} & keys
        if value is None and info.field_name in needed:
            raise PydanticCustomError("missing", "this key is required")
        return value

    @field_validator("high")
    @classmethod
    def _is_a_range(cls, high: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("low")
        if high is not None and low is not None and low > high:
            raise PydanticCustomError("order", "expected at least low ({low}); swap the two", {"low": low})
        return high

    @field_validator("scale")
    @classmethod
    def _has_logarithm(cls, scale: Scale | None, info: ValidationInfo) -> Scale | None:
        low = info.data.get("low")
        if scale == "log" and low is not None and low <= 0:
            raise PydanticCustomError("logarithm", "the log scale needs low above 0, got {low}", {"low": low})
        return scale

    @field_validator("smarts")
    @classmethod
    def _is_a_pattern(cls, smarts: str | None) -> str | None:
        if smarts is not None:
            _reported(lambda: parse_smarts(smarts))
        return smarts

    @field_validator("to")
    @classmethod
    def _are_molecules(cls, to: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for raw in _as_tuple(to):
            reason = standardize(raw).reason
            if reason:
                raise PydanticCustomError("smiles", "{reason}", {"reason": reason})
        if to is not None and not _as_tuple(to):
            raise PydanticCustomError("empty", "expected at least one SMILES")
        return to

    @field_validator("catalogs")
    @classmethod
    def _are_catalogs(cls, catalogs: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in catalogs or ():
            _known(name, sorted(SOURCES), "catalog", "catalogs")
        if catalogs == ():
            raise PydanticCustomError("empty", "expected at least one of {all}", {"all": _join(SOURCES)})
        return catalogs

    @field_validator("weight")
    @classmethod
    def _has_weight(cls, weight: float, info: ValidationInfo) -> float:
        if info.data.get("property") == "substructure" and weight != 1:
            raise PydanticCustomError("condition", "a substructure is a condition and has no weight; remove the weight")
        return weight


class ObjectiveSettings(Settings):
    """The section `[objective]` of a campaign.

    Parameters
    ----------
    terms : dict of str to TermSettings
        Terms by name; the name becomes part of the column names.
    combine : {"geometric_mean", "arithmetic_mean"}, default="geometric_mean"
        How desirabilities are combined. With the geometric mean a desirability of 0 makes the score 0; with the
        arithmetic mean other terms can compensate for it.
    """

    terms: dict[str, TermSettings]
    combine: Literal["geometric_mean", "arithmetic_mean"] = "geometric_mean"

    @field_validator("terms")
    @classmethod
    def _can_score(cls, terms: dict[str, TermSettings]) -> dict[str, TermSettings]:
        if not terms:
            raise PydanticCustomError("empty", "expected at least one term, e.g. [objective.terms.qed]")
        for name in terms:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise PydanticCustomError(
                    "name",
                    "{name}: expected letters, digits, _ and - in the name of a term; it becomes a column name",
                    {"name": name},
                )
        weighted = [name for name, term in terms.items() if term.property != "substructure"]
        if weighted and not any(terms[name].weight for name in weighted):
            raise PydanticCustomError(
                "weights",
                "every weight is 0 ({names}); set one above 0",
                {"names": _join(f"{name}.weight" for name in weighted)},
            )
        return terms


class Objective:
    """A scoring function for molecules; deterministic, each molecule independent of the others.

    Parameters
    ----------
    settings : ObjectiveSettings
        Terms and how they are combined.

    Examples
    --------
    >>> terms = {"qed": {"property": "qed", "shape": "higher", "low": 0, "high": 1}}
    >>> objective = Objective(ObjectiveSettings.from_dict({"terms": terms}, "example"))
    >>> objective(["CCO", "invalid"])["score"].round(3).tolist()
    [0.407, nan]
    """

    def __init__(self, settings: ObjectiveSettings) -> None:
        self.settings = settings
        self._special = {name: _special(term) for name, term in settings.terms.items() if term.property in _OWN_KEYS}

    def __call__(self, smiles: Sequence[str]) -> pd.DataFrame:
        """Score molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        DataFrame
            One row per molecule, in order. For each term, `value_<term>` in the unit of the property (a substructure: 1
            if present, 0 if absent) and `score_<term>` in [0, 1]; and `score` in [0, 1], higher is better. NaN where a
            value cannot be computed; `score` is then NaN, too, unless the weight of that term is 0.
        """
        smiles = list(smiles)
        terms = self.settings.terms
        plain = dict.fromkeys(term.property for name, term in terms.items() if name not in self._special)
        properties = compute(smiles, list(plain))
        table: dict[str, np.ndarray] = {}
        for name, term in terms.items():
            if name in self._special:
                value = self._special[name](smiles)
            else:
                value = properties[term.property].to_numpy(dtype=float)
            table[f"value_{name}"] = value
            table[f"score_{name}"] = _score(term, value)
        table["score"] = self._combine(table, len(smiles))
        return pd.DataFrame(table, index=pd.RangeIndex(len(smiles)))

    def _combine(self, table: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        terms = self.settings.terms
        conditions = [name for name, term in terms.items() if term.property == "substructure"]
        weighted = [name for name, term in terms.items() if term.property != "substructure" and term.weight > 0]
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
        for name in conditions:
            score = score * table[f"score_{name}"]
        return score


def _score(term: TermSettings, value: np.ndarray) -> np.ndarray:
    if term.property == "substructure":
        return value if term.wanted else 1.0 - value
    if term.shape is None or term.low is None or term.high is None:
        raise InputError(
            f"{term.property}: shape, low and high are required; create the term with TermSettings.from_dict"
        )
    return desirability(
        value, term.shape, term.low, term.high, term.soft or 0.0, term.power or 1.0, term.scale or "linear"
    )


def _defaults(name: str) -> dict[str, Any]:
    """Default keys of a term with this property; empty if it is unknown."""
    if name in _OWN_DEFAULTS:
        return _OWN_DEFAULTS[name]
    entry = PROPERTIES.get(name) or list_properties().get(name)
    return {"low": float(entry.usual[0]), "high": float(entry.usual[1])} if entry else {}


def _special(term: TermSettings) -> Callable[[list[str]], np.ndarray]:
    """The function of a term that is not a plain property: SMILES to values (n,), NaN for failures."""
    if term.property == "similarity":
        return _Similarity(_as_tuple(term.to), 2 if term.radius is None else term.radius)
    if term.property == "substructure":
        pattern = parse_smarts(term.smarts or "")
        return lambda smiles: _each(smiles, lambda one: is_substructure(pattern, parse(one)))
    catalogs = term.catalogs or ()
    return lambda smiles: _each(smiles, lambda one: len(alerts(parse(one), catalogs)))


class _Similarity:
    """Tanimoto similarity to the most similar of a few molecules, Morgan fingerprints of 2,048 bits."""

    def __init__(self, to: Iterable[str], radius: int) -> None:
        self._radius = radius
        self._bits = morgan_bits([standardize(raw).smiles or raw for raw in to], radius)

    def __call__(self, smiles: list[str]) -> np.ndarray:
        """Values (n,) in [0, 1]; NaN for an invalid SMILES."""
        return _each(smiles, self._to_nearest)

    def _to_nearest(self, smiles: str) -> float:
        return float(tanimoto_matrix(morgan_bits([smiles], self._radius), self._bits).max())


def _each(smiles: list[str], measure: Callable[[str], float]) -> np.ndarray:
    """One number per molecule; NaN for an invalid SMILES."""
    values = np.full(len(smiles), np.nan)
    for row, one in enumerate(smiles):
        try:
            values[row] = measure(one)
        except InputError:
            continue  # NaN: the molecule counts as failed
    return values


def _known(name: str, names: Sequence[str], one: str, many: str) -> str:
    if name not in names:
        near = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1)
        hint = [known for known in names if near and known.lower() == near[0]]
        rest = f"did you mean {hint[0]}?" if hint else f"known {many}: {', '.join(names)}"
        raise PydanticCustomError("unknown_name", "unknown {one}; {rest}", {"one": one, "rest": rest})
    return name


def _reported(check: Callable[[], Any]) -> None:
    """Run a check; its InputError becomes the message of the key."""
    try:
        check()
    except InputError as error:
        raise PydanticCustomError("input", "invalid: {problem}", {"problem": str(error)}) from None


def _as_tuple(to: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if to is None else (to,) if isinstance(to, str) else to


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
