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


def refused(data):
    with pytest.raises(InputError) as caught:
        Campaign.from_dict(data, "campaign.toml")
    return str(caught.value)


def test_an_unknown_key_is_answered_with_the_near_one():
    message = refused({"name": "a", "search": {"budgt": 3}})
    assert message == "campaign.toml [search] budgt: unknown key; did you mean budget?"


def test_a_key_near_to_none_is_answered_with_all():
    assert "known keys: budget, method, weight" in refused({"name": "a", "terms": {"x": {"zzzzz": 1}}})


def test_every_wrong_key_has_a_line():
    message = refused({"search": {"budget": "many", "weight": float("nan")}})
    assert len(message.splitlines()) == 3
    assert "name: this key is needed" in message
    assert "budget" in message
    assert "'many'" in message
    assert "[search] weight: " in message
    assert "finite" in message


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Search().budget = 3


def test_toml_comes_back(tmp_path):
    campaign = Campaign(name="über", search=Search(budget=3), terms={"x": Search(method="m")})
    (tmp_path / "c.toml").write_text(campaign.to_toml(), encoding="utf-8")
    assert Campaign.from_toml(tmp_path / "c.toml") == campaign


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"[a]\n[a]"])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.toml"):
        read_toml(tmp_path / "bad.toml")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(tmp_path)
