"""The campaign as a form: everything is described and limited, and nonsense is refused before a run."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from molvae.pipeline.campaign import BUNDLED, Campaign, find_campaign
from molvae.pipeline.form import CampaignForm, campaign_schema
from pydantic import ValidationError

SCHEMA = campaign_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def keys(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of every section, with its schema."""
    if isinstance(schema, list):
        for one in schema:
            yield from keys(one, path)
    elif isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            yield f"{path}.{name}", one
            yield from keys(one, f"{path}.{name}")
        for name in ("anyOf", "items", "prefixItems", "additionalProperties"):
            yield from keys(schema.get(name), path)


def section(name: str) -> dict[str, Any]:
    found = SCHEMA["properties"][name]
    return next(one for one in found.get("anyOf", [found]) if "properties" in one)["properties"]


def test_every_key_has_a_description() -> None:
    found = list(keys(SCHEMA))
    assert len(found) > 250
    assert [path for path, one in found if not str(one.get("description", "")).endswith(".")] == []


def test_the_form_has_every_section() -> None:
    assert set(SCHEMA["properties"]) == set(Campaign.model_fields)
    assert "$ref" not in str(SCHEMA)
    assert [one["position"] for one in SCHEMA["properties"].values()] == list(range(len(Campaign.model_fields)))
    assert (SCHEMA["properties"]["checks"]["title"], SCHEMA["properties"]["search"]["title"]) == ("Checks", "Search")
    assert section("train")["training"]["properties"]["batch_size"]["minimum"] == 1
    assert section("search")["evolution"]["properties"]
    assert section("search")["method"]["enum"][0] == "evolution"
    assert section("checks")["mol_weight"]["default"]
    assert section("objective")["combine"]["enum"] == ["geometric_mean", "arithmetic_mean", "pareto"]
    assert (section("hold_out")["similarity"]["exclusiveMinimum"], section("hold_out")["similarity"]["maximum"]) == (
        0,
        1,
    )


@pytest.mark.parametrize("name", BUNDLED)
def test_the_form_accepts_every_bundled_campaign(name: str) -> None:
    path = find_campaign(Path(name))
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    VALIDATOR.validate(sections)
    assert CampaignForm.model_validate(sections).to_toml() == Campaign.load(path).to_toml()


def with_change(path: str, value: object) -> dict[str, Any]:
    sections: dict[str, Any] = {
        "name": "lead",
        "objective": {"terms": {"qed": {"property": "qed", "shape": "higher", "low": 0, "high": 1}}},
    }
    *names, key = path.split(".")
    table = sections
    for one in names:
        table = table.setdefault(one, {})
    table[key] = value
    return sections


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("search.budget", 0),
        ("search.budgt", 100),
        ("search.method", "luck"),
        ("seed", -1),
        ("name", "../lead"),
        ("objective.terms", {}),
        ("objective.terms.qed.shape", "sideways"),
        ("objective.terms.qed.weight", -1),
        ("objective.combine", "median"),
        ("train.training.batch_size", 0),
        ("checks.mol_wight", [0, 500]),
        ("hold_out.similarity", 1.5),
        ("checks.mol_weight", [0]),
        ("checks.fragments", 3),
    ],
)
def test_nonsense_is_refused(path: str, value: object) -> None:
    sections = with_change(path, value)
    assert not VALIDATOR.is_valid(sections), "by Prefect's server, before there is a run"
    with pytest.raises(ValidationError):
        CampaignForm.model_validate(sections)
