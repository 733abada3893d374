import tomllib

import pytest

from molvae.checks.settings import ChecksSettings
from molvae.errors import InputError


def test_settings_survive_a_round_trip_through_toml() -> None:
    settings = ChecksSettings(mol_weight=False, alerts=["nih"], sa_score=0, charge=[-1, 1])
    assert settings.alerts == ("NIH",)
    assert ChecksSettings.from_dict(tomllib.loads(settings.to_toml()), "again") == settings


def test_limits_are_those_of_the_checks_that_are_on() -> None:
    limits = ChecksSettings(mol_weight=False, logp=[0, 1]).limits()
    assert limits["logp"] == (0.0, 1.0)
    assert limits["fragments"] is True
    assert {"mol_weight", "require"}.isdisjoint(limits)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ChecksSettings().logp = (0.0, 1.0)


@pytest.mark.parametrize(
    ("key", "value", "fact"),
    [
        ("mol_weight", [500, 100], r"\[500, 100\]"),
        ("mol_weight", [100], r"\[100\]"),
        ("mol_weight", [0, float("nan")], "nan"),
        ("logp", True, "True"),
        ("in_domain", 100, "between 0 and 100"),
        ("in_domain", True, "between 0 and 100"),
        ("sa_score", "low", "'low'"),
        ("sa_score", True, "True"),
        ("fragments", 3, "3"),
        ("elements", [], r"\[\]"),
        ("alerts", ["PAIN"], r"PAIN; did you mean PAINS\?"),
        ("alerts", "PAINS", "'PAINS'"),
        ("alerts", ["xyz"], "xyz; known: PAINS, BRENK, NIH, CHEMBL"),
        ("mol_wieght", [0, 1], r"did you mean mol_weight\?"),
    ],
)
def test_a_wrong_limit_is_reported_with_its_key(key: str, value: object, fact: str) -> None:
    with pytest.raises(InputError, match=f"^campaign.toml {key}: .*{fact}"):
        ChecksSettings.from_dict({key: value}, "campaign.toml")


def test_every_wrong_limit_is_reported() -> None:
    with pytest.raises(InputError) as caught:
        ChecksSettings.from_dict({"logp": 3, "mol_weigth": 3, "alerts": 3}, "campaign.toml")
    assert len(str(caught.value).splitlines()) == 3
