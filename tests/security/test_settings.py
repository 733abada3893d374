"""Campaigns with hostile values: a valid campaign or one clear error, and no path by way of a name."""

import contextlib
import copy
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from molvae.pipeline.campaign import _FOLDER, Campaign

from molvae.errors import InputError
from molvae.settings import read_toml

TERMS = """
[objective.terms.a]
sklearn = "x.skops"
shape = "higher"
low = 0
high = 1
[objective.terms.b]
python = "x.py:f"
shape = "higher"
low = 0
high = 1
[objective.terms.c]
command = ["echo", "a"]
files = ["b"]
shape = "higher"
low = 0
high = 1
[objective.terms.d]
property = "similarity"
to = "CCO"
[molecules]
path = "x.csv"
[lead]
smiles = "CCO"
[search]
budget = 10
keep = "[*:1]c1ccccc1"
"""
BASES = [*(tomllib.loads(path.read_text()) for path in sorted(_FOLDER.glob("*.toml"))), tomllib.loads(TERMS)]
VALUES: list[Any] = [
    True, -1, 0, 2**31, 2**63 - 1, 10.5, float("nan"), float("inf"), "", "x", "../../x", "/dev/zero", "~nobody9/x",
    "a\x00b", "x" * 5000, "\x1b[2J\u202e", [], [1], ["\x00"], [[1]], {}, {"a": 1}, [{"a": "\x00"}], "CC(", "median",
]  # fmt: skip


def _places(table: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [place for key, value in items for place in [(*above, key), *_places(value, (*above, key))]]


CHANGES = st.sampled_from(range(len(BASES))).flatmap(
    lambda base: st.tuples(
        st.just(base),
        st.sampled_from(_places(BASES[base])),
        st.one_of(st.sampled_from(VALUES), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=8)),
    )
)


def _check(change: tuple[int, tuple[Any, ...], Any], folder: Path) -> None:
    base, place, value = change
    data = copy.deepcopy(BASES[base])
    table = data
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    path = folder / "campaign.toml"
    try:
        path.write_text(tomli_w.dumps(data), encoding="utf-8")
    except UnicodeEncodeError:
        return
    with contextlib.suppress(InputError):  # any other error fails the test
        assert Campaign.load(path).to_toml()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(change=CHANGES)
def test_any_value_of_any_key_is_valid_or_refused(change: Any, tmp_path: Path) -> None:
    _check(change, tmp_path)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(change=CHANGES)
def test_many_values_of_any_key_are_valid_or_refused(change: Any, tmp_path: Path) -> None:
    _check(change, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/tmp/x",
        "a/b",
        "..",
        ".",
        "a\x00b",
        "a\nb",
        "a\n",
        "x" * 65,
        "-rf",
        ".hidden",
        "",
        "a b",
        "latest",
        "\x1b",
        "é",
    ],
)
def test_the_name_of_a_campaign_is_a_plain_file_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(tomli_w.dumps({"name": name}), encoding="utf-8")
    with pytest.raises(InputError, match="name"):
        Campaign.load(tmp_path / "campaign.toml")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\x00b", "a b", "\x1b[2J", "<b>", "=x", "$$$$", "x" * 300])
def test_the_name_of_a_term_is_a_plain_word(name: str, tmp_path: Path) -> None:
    data = {"objective": {"terms": {name: {"property": "qed"}}}}
    (tmp_path / "campaign.toml").write_text(tomli_w.dumps(data), encoding="utf-8")
    with pytest.raises(InputError):
        Campaign.load(tmp_path / "campaign.toml")


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        "x = " + "{a=" * 100_000,
        "a" + ".a" * 50_000 + " = 1",
        f"seed = {'9' * 5_000}",
        "x = 1" * 2,
        "seed = 1e999999999",
        'name = "\\ud800"',
        "\x00",
    ],
    ids=["lists", "tables", "keys", "digits", "twice", "exponent", "surrogate", "NUL"],
)
def test_hostile_toml_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"campaign\.toml"):
        Campaign.load(tmp_path / "campaign.toml")
    with pytest.raises(InputError, match="--set"):
        Campaign.load(None, [f"seed={text}"])


def test_a_pipe_a_device_and_a_large_file_are_not_read_as_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(10**12)
    for path, fact in (
        (tmp_path / "pipe.toml", "pipe"),
        (Path("/dev/zero"), "device"),
        (tmp_path / "large.toml", "MB"),
    ):
        with pytest.raises(InputError, match=fact):
            read_toml(path)
