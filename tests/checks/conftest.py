"""Fixtures of several test files: settings with few checks, and a codec."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pandas as pd
import pytest

from molvae.checks.checks import CHECKS
from molvae.checks.settings import ChecksSettings

PATTERNS = {"require": ["[#6]"], "forbid": ["[Se]", "[CX3H1]=O"]}


@dataclass(frozen=True)
class FakeCodec:
    """A codec with a given training set; cations are outside its domain."""

    training: Collection[str] | None = None
    calibration: object | None = "measured"
    name: str = "fake"

    def training_smiles(self) -> Collection[str] | None:
        return self.training

    def applicability_domain(
        self, molecules: Sequence[str], *, percentile: float = 99.0, remove_stereo: bool = False
    ) -> pd.DataFrame:
        assert remove_stereo
        return pd.DataFrame({"reason": [f"above {percentile:g}" if "+" in smiles else None for smiles in molecules]})


@pytest.fixture(scope="session")
def fake_codec() -> type[FakeCodec]:
    return FakeCodec


@pytest.fixture(scope="session")
def only() -> Callable[..., ChecksSettings]:
    """Settings in which all other checks are off; limits as keywords."""

    def make(*names: str, **limits: object) -> ChecksSettings:
        if "in_domain" in names:
            limits["in_domain"] = 99
        limits |= {name: limit for name, limit in PATTERNS.items() if name in names}
        off = {name: False for name in CHECKS if name not in names}
        return ChecksSettings.from_dict(off | limits, "test")

    return make
