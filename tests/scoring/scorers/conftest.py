import pytest

from molvae.scoring.objective import Objective, ObjectiveSettings


@pytest.fixture(scope="session")
def objective():
    """Makes an objective of terms by name."""

    def make(**terms):
        return Objective(ObjectiveSettings.from_dict({"terms": terms}, "campaign.toml"))

    return make
