"""How good is a molecule: an objective is a set of named terms, each a desirability, combined into one score."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from molvae.chem.alerts import SOURCES, alerts
from molvae.chem.fingerprints import morgan_bits
from molvae.chem.molecules import is_substructure, parse, parse_smarts, standardize
from molvae.chem.properties import PROPERTIES, compute
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
"""Terms that need keys of their own, beside the plain properties of PROPERTIES; and what a term need not say."""


class TermSettings(Settings):
    """One term of an objective: a property and what is wanted of it.

    property: a name of PROPERTIES (qed, logp, ...), or
        "similarity": Tanimoto similarity to the molecule `to` (of several: to the nearest), Morgan of `radius`;
        "substructure": the SMARTS pattern `smarts` must be there, or must not (`wanted` = false). A condition, not a
            wish: where it fails the score is 0, however good the rest is, and it has no weight;
        "alerts": the number of structural alerts of the `catalogs`; without low and high: none 1.0, one 0.5, more 0.
    shape, low, high, soft, power, scale: see `desirability`; without low and high, the property's usual range.
    weight: its share in the mean; 0 shows the term in the table without letting it count.
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
        """What the term did not say, so that a saved campaign says everything."""
        if not isinstance(data, Mapping):
            return data
        name = data.get("property")
        defaults = _OWN_DEFAULTS.get(name, {}) if isinstance(name, str) else {}
        if isinstance(name, str) and name not in _OWN_DEFAULTS and name in PROPERTIES:
            low, high = PROPERTIES[name].usual
            defaults = {"low": float(low), "high": float(high)}
        if "low" in data or "high" in data:  # half a range is a slip, and is told so
            defaults = {key: value for key, value in defaults.items() if key not in ("low", "high")}
        return defaults | {key: value for key, value in data.items() if value is not None}

    @field_validator("property")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return _known(name, sorted({*PROPERTIES, *_OWN_KEYS}), "property", "properties")

    @field_validator("shape", "low", "high", "soft", "power", "scale", "to", "radius", "smarts", "wanted", "catalogs")
    @classmethod
    def _belongs(cls, value: Any, info: ValidationInfo) -> Any:
        """Keys of another kind of term are refused; keys that this kind needs are asked for."""
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
            raise PydanticCustomError("missing", "this key is needed and is not there")
        return value

    @field_validator("high")
    @classmethod
    def _is_a_range(cls, high: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("low")
        if high is not None and low is not None and low > high:
            raise PydanticCustomError("order", "expected at least low ({low}); exchange the two", {"low": low})
        return high

    @field_validator("scale")
    @classmethod
    def _has_logarithm(cls, scale: Scale | None, info: ValidationInfo) -> Scale | None:
        low = info.data.get("low")
        if scale == "log" and low is not None and low <= 0:
            raise PydanticCustomError("logarithm", "the log scale needs a low above 0, not {low}", {"low": low})
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
        for raw in _texts(to):
            reason = standardize(raw).reason
            if reason:
                raise PydanticCustomError("smiles", "{reason}", {"reason": reason})
        if to is not None and not _texts(to):
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
            raise PydanticCustomError("condition", "a substructure is a condition and has no weight; leave it out")
        return weight


class ObjectiveSettings(Settings):
    """The `[objective]` of a campaign: terms by name, and how their desirabilities become one score.

    combine: "geometric_mean", where one worthless term makes the molecule worthless, or "arithmetic_mean", where the
        good may outweigh the bad.
    """

    terms: dict[str, TermSettings]
    combine: Literal["geometric_mean", "arithmetic_mean"] = "geometric_mean"

    @field_validator("terms")
    @classmethod
    def _can_score(cls, terms: dict[str, TermSettings]) -> dict[str, TermSettings]:
        if not terms:
            raise PydanticCustomError("empty", "an objective needs at least one term, e.g. [objective.terms.qed]")
        for name in terms:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise PydanticCustomError(
                    "name", "{name}: a term's name may hold letters, digits, _ and -; it names a column", {"name": name}
                )
        weighed = [name for name, term in terms.items() if term.property != "substructure"]
        if weighed and not any(terms[name].weight for name in weighed):
            raise PydanticCustomError(
                "weights",
                "every weight is 0 ({names}); set one above 0",
                {"names": _join(f"{name}.weight" for name in weighed)},
            )
        return terms


class Objective:
    """Scores molecules; two calls give the same numbers."""

    def __init__(self, settings: ObjectiveSettings) -> None:
        self.settings = settings
        self._special = {name: _special(term) for name, term in settings.terms.items() if term.property in _OWN_KEYS}

    def __call__(self, smiles: Sequence[str]) -> pd.DataFrame:
        """One row per molecule, in order, index 0 to n-1.

        Columns: for each term `value_<term>` in the property's own unit (a substructure: 1 where it is there) and
        `score_<term>` in [0, 1]; and `score` in [0, 1], higher is better. NaN where a value could not be computed, and
        then `score` is NaN as well, unless that term's weight is 0.
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
        weighed = [name for name, term in terms.items() if term.property != "substructure" and term.weight > 0]
        score = np.ones(n)
        if weighed:
            scores = np.stack([table[f"score_{name}"] for name in weighed])  # (terms, n)
            weights = np.array([[terms[name].weight] for name in weighed])
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
        raise InputError(f"{term.property}: shape, low and high are needed; make the term from TermSettings.from_dict")
    return desirability(
        value, term.shape, term.low, term.high, term.soft or 0.0, term.power or 1.0, term.scale or "linear"
    )


def _special(term: TermSettings) -> Callable[[list[str]], np.ndarray]:
    """The function that measures a term with keys of its own: SMILES -> values (n,), NaN where it cannot."""
    if term.property == "similarity":
        return _Similarity(_texts(term.to), 2 if term.radius is None else term.radius)
    if term.property == "substructure":
        pattern = parse_smarts(term.smarts or "")
        return lambda smiles: _each(smiles, lambda text: is_substructure(pattern, parse(text)))
    catalogs = term.catalogs or ()
    return lambda smiles: _each(smiles, lambda text: len(alerts(parse(text), catalogs)))


class _Similarity:
    """Largest Tanimoto similarity to a few molecules, Morgan fingerprints of 2,048 bits."""

    def __init__(self, to: Iterable[str], radius: int) -> None:
        self._radius = radius
        self._bits = morgan_bits([standardize(raw).smiles or raw for raw in to], radius)

    def __call__(self, smiles: list[str]) -> np.ndarray:
        """Values (n,) in [0, 1]; NaN where the text is no molecule."""
        return _each(smiles, self._to_nearest)

    def _to_nearest(self, smiles: str) -> float:
        bits = morgan_bits([smiles], self._radius)[0]
        common = np.minimum(bits, self._bits).sum(axis=1)  # (targets,)
        either = np.maximum(bits, self._bits).sum(axis=1)
        return float((common / either).max())


def _each(smiles: list[str], measure: Callable[[str], float]) -> np.ndarray:
    """A number per molecule; NaN where the text is no molecule."""
    values = np.full(len(smiles), np.nan)
    for row, text in enumerate(smiles):
        try:
            values[row] = measure(text)
        except InputError:
            continue  # stays NaN: the score of this row becomes NaN, and is counted as failed
    return values


def _known(name: str, names: Sequence[str], one: str, many: str) -> str:
    if name not in names:
        near = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1)
        hint = [known for known in names if near and known.lower() == near[0]]
        rest = f"did you mean {hint[0]}?" if hint else f"known {many}: {', '.join(names)}"
        raise PydanticCustomError("unknown_name", "unknown {one}; {rest}", {"one": one, "rest": rest})
    return name


def _reported(check: Callable[[], Any]) -> None:
    """Run a check whose InputError becomes the message of the key at hand."""
    try:
        check()
    except InputError as error:
        raise PydanticCustomError("input", "cannot be used: {problem}", {"problem": str(error)}) from None


def _texts(to: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if to is None else (to,) if isinstance(to, str) else to


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
