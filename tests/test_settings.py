import re

import pytest
from pydantic import Field, ValidationError

from molvae.errors import InputError
from molvae.settings import Settings, read_toml


class Search(Settings):
    budget: int = 10
    weight: float = 1.0
    method: str | None = None


class Campaign(Settings):
    name: str
    search: Search = Search()
    terms: dict[str, Search] = Field(default_factory=dict)


def error_of(data):
    with pytest.raises(InputError) as caught:
        Campaign.from_dict(data, "campaign.toml")
    return str(caught.value)


def test_an_unknown_key_gets_a_suggestion():
    message = error_of({"name": "a", "search": {"budgt": 3}})
    assert message.startswith("campaign.toml [search] budgt: ")
    assert message.endswith(" budget?")


def test_an_unknown_key_without_a_similar_one_lists_the_known_keys():
    assert "budget, method, weight" in error_of({"name": "a", "terms": {"x": {"zzzzz": 1}}})


def test_every_invalid_key_has_a_line_in_the_message():
    message = error_of({"search": {"budget": "many", "weight": float("nan")}})
    assert len(message.splitlines()) == 3
    assert "campaign.toml name: " in message
    assert "budget" in message
    assert "'many'" in message
    assert "[search] weight: " in message
    assert "finite" in message


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Search().budget = 3


def test_settings_are_restored_from_their_toml(tmp_path):
    campaign = Campaign(name="über", search=Search(budget=3), terms={"x": Search(method="m")})
    (tmp_path / "c.toml").write_text(campaign.to_toml(), encoding="utf-8")
    assert Campaign.from_toml(tmp_path / "c.toml") == campaign


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"[a]\n[a]"])
def test_the_error_for_an_invalid_file_names_the_file(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.toml"):
        read_toml(tmp_path / "bad.toml")


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        read_toml(tmp_path)
