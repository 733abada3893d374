"""The campaign as a form: a JSON schema in which every section and key has its description, limits and default.

Prefect shows the schema as a form in its user interface, and refuses parameters that do not match it before a run
starts. The form has every section, also those that a campaign file imports only when it has them.
"""

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from molvae.checks.checks import list_checks
from molvae.checks.settings import ChecksSettings
from molvae.chem.properties import PROPERTIES
from molvae.scoring.objective import ObjectiveSettings
from molvae.scoring.scorers.properties import PropertyScorer
from molvae.scoring.scorers.registry import SCORERS, SPECIAL
from molvae.search.acquisitions import ACQUISITIONS
from molvae.search.optimizers import list_optimizers
from molvae.search.settings import SearchSettings
from molvae.search.surrogates import SURROGATES
from molvae.settings import Settings

from .campaign import Campaign, complete

Schema = dict[str, Any]


class CampaignForm(Campaign):
    """A campaign whose sections come from a form instead of a file; relative paths start from the working folder."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, sections: object) -> object:
        return complete(copy.deepcopy(sections), Path.cwd()) if isinstance(sections, dict) else sections

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return campaign_schema()


def campaign_schema() -> Schema:
    """The JSON schema of a campaign, without references.

    Returns
    -------
    dict
        Every section and key has a description; keys with a fixed set of values have `enum`.
    """
    from .train_section import TrainSection  # imports torch

    schema = _schema_of(Campaign)
    schema["properties"]["train"] |= {"anyOf": [_schema_of(TrainSection), {"type": "null"}]}
    _order(schema, "Campaign")
    return schema


def _order(schema: Any, name: str) -> None:
    """Keep the order of the keys, which a database may lose, and name sections as in a campaign file."""
    if isinstance(schema, list):
        for one in schema:
            _order(one, name)
    elif isinstance(schema, dict):
        if str(schema.get("title", "")).endswith(("Section", "Settings")):
            schema["title"] = name
        for position, (key, value) in enumerate(schema.get("properties", {}).items()):
            value["position"] = position
            _order(value, key.replace("_", " ").capitalize())
        for key in ("anyOf", "items", "additionalProperties"):
            _order(schema.get(key), name)


def _schema_of(model: type[Settings]) -> Schema:
    schema = model.model_json_schema(schema_generator=_Described)
    found = _inline(schema, schema.pop("$defs", {}))
    assert isinstance(found, dict)
    return found


class _Described(GenerateJsonSchema):
    """Schemas with the descriptions in the docstrings of the settings classes."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model = schema["cls"]
        found["description"] = (inspect.getdoc(model) or "").split("\n\n")[0].replace("\n", " ")
        described = _parameters(model)
        for key, value in found.get("properties", {}).items():
            if text := described.get(key):
                value["description"] = text
        if change := _CHANGES.get(model):
            change(found)
        return found


def _parameters(model: type) -> Mapping[str, str]:
    """Descriptions of the keys of a settings class, from its docstring and those of its base classes."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        text = inspect.getdoc(one) if one.__doc__ else None
        section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\n\w[\w ]*\n-+\n|\Z)", text or "", re.DOTALL | re.MULTILINE)
        for entry in re.finditer(
            r"^(\w[\w, ]*) : .*\n((?:[ \t]+.*\n?|\n)+)", section[1] if section else "", re.MULTILINE
        ):
            description = " ".join(entry[2].split())
            found |= dict.fromkeys(entry[1].split(", "), description)
    return found


def _inline(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    """The schema with its definitions in the place of references; what is beside a reference takes precedence."""
    if isinstance(schema, list):
        return [_inline(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: _inline(value, definitions) for key, value in schema.items() if key != "$ref"}
    if "$ref" not in schema:
        return rest
    return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions) | rest


# Sections whose classes are found in registries, and are therefore no fields of the settings class.


def _add_terms(schema: Schema) -> None:
    """Objective: the keys of each scorer."""
    names: dict[type[Settings], list[str]] = {PropertyScorer.Settings: list(PROPERTIES)}
    for name, scorer in SPECIAL.items():
        names.setdefault(scorer.Settings, []).append(name)
    kinds = [_term_schema(kind, "property", values) for kind, values in names.items()]
    kinds += [_term_schema(one.Settings, key) for key, one in SCORERS.items() if one is not PropertyScorer]
    terms = schema["properties"]["terms"]
    terms |= {
        "additionalProperties": {"anyOf": kinds},
        "minProperties": 1,
        "propertyNames": {"pattern": "^[A-Za-z0-9_-]+$"},
    }


def _term_schema(kind: type[Settings], key: str, names: Sequence[str] = ()) -> Schema:
    """The keys of a term, whose scorer is named by `key`; scorers have defaults for other required keys."""
    found = _schema_of(kind)
    found |= {"required": [key], "title": ", ".join(names) if 0 < len(names) < 4 else key}
    if names:
        found["properties"][key]["enum"] = list(names)
    return found


def _add_sections(schema: Schema) -> None:
    """Search: names of the methods, and the section of each optimizer and surrogate."""
    keys, optimizers = schema["properties"], list_optimizers()
    keys["method"]["enum"] = list(optimizers)
    keys["acquisition"]["enum"] = list(ACQUISITIONS)
    surrogates = {one.Settings: None for one in SURROGATES.values()}
    keys["surrogate"]["anyOf"] = [_schema_of(one) for one in surrogates]
    for name, optimizer in optimizers.items():
        section = _schema_of(optimizer.Settings)
        if section.get("properties"):
            keys[name] = section | {"title": name, "description": f"Settings of the method {name}."}
    schema["additionalProperties"] = False


def _add_checks(schema: Schema) -> None:
    """Checks: the limit of each check, with its default."""
    for name, entry in list_checks().items():
        limit = entry.default
        schema["properties"][name] = {
            "title": name,
            "description": f"{entry.passes[:1].upper()}{entry.passes[1:]}; false omits the check.",
            "default": list(limit) if isinstance(limit, tuple) else limit,
            **_limit_schema(limit),
        }
    schema["additionalProperties"] = False


def _limit_schema(limit: object) -> Schema:
    """The values that a check accepts, by its default limit."""
    off = {"type": "boolean", "const": False, "title": "off"}
    if limit is True:
        return {"type": "boolean"}
    if isinstance(limit, float):
        return {"anyOf": [{"type": "number"}, off]}
    if isinstance(limit, tuple) and all(isinstance(one, float) for one in limit):
        return {"anyOf": [{"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}, off]}
    if isinstance(limit, tuple):
        return {"anyOf": [{"type": "array", "items": {"type": "string"}}, off]}
    return {"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "array"}, {"type": "string"}]}


_CHANGES: dict[type, Callable[[Schema], None]] = {
    ObjectiveSettings: _add_terms,
    SearchSettings: _add_sections,
    ChecksSettings: _add_checks,
}
