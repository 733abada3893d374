"""Schedules: options and files are read, and start times follow the time zone."""

from datetime import UTC
from pathlib import Path

import pytest
from molvae.pipeline.schedules import Schedule, next_starts, read_schedules, schedules_of

from molvae.errors import InputError

FILE = """
timezone = "Europe/Berlin"
overlap = "queue"
parallel = 2

[campaigns.nightly]
campaign = "lead_like.toml"
cron = "0 3 * * *"

[campaigns.often]
campaign = "own/lead.toml"
every = "6h"
overlap = "cancel"
set = ["search.budget=500"]
"""


def planned(cron: str | None = None, every: str | None = None) -> Schedule:
    return Schedule("lead", Path("lead.toml"), (), cron, every, "skip")


def test_a_file_has_several_campaigns(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "lead.toml").touch()
    path = tmp_path / "nightly.toml"
    path.write_text(FILE)
    (nightly, often), file = read_schedules(path)
    assert (file.timezone, file.parallel) == ("Europe/Berlin", 2)
    assert (nightly.name, nightly.cron, nightly.seconds, nightly.overlap) == ("nightly", "0 3 * * *", None, "queue")
    assert nightly.campaign.name == "lead_like.toml"
    assert nightly.campaign.is_file(), "a bundled campaign"
    assert (often.campaign, often.seconds, often.overlap) == (tmp_path / "own" / "lead.toml", 21_600, "cancel")
    assert often.changes == ("search.budget=500",)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('cron = "0 3 * * *"', "", ("[campaigns.nightly] ", "either cron or every, got none")),
        ('every = "6h"', 'every = "0h"', ("[campaigns.often] every '0h'",)),
        ('overlap = "queue"', 'overlap = "wait"', ("overlap: ", "'skip', 'queue' or 'cancel'")),
        ("parallel = 2", "paralel = 2", ("paralel: unknown key; did you mean parallel?",)),
        ("[campaigns.nightly]", "[campaigns.'a/b']", ("[campaigns.a/b]: ",)),
    ],
)
def test_an_invalid_file_is_refused(old: str, new: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "nightly.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(InputError) as error:
        read_schedules(path)
    assert str(error.value).startswith("nightly.toml ")
    assert all(part in str(error.value) for part in parts)


def test_two_campaigns_need_two_names() -> None:
    with pytest.raises(InputError, match="lead"):
        schedules_of([("lead", Path("a.toml")), ("lead", Path("b.toml"))], (), None, "6h", "skip")


@pytest.mark.parametrize("cron", ["0 25 * * *", "every night here now ok", "0 3 30 2 *", ""])
def test_an_invalid_schedule_is_refused(cron: str) -> None:
    with pytest.raises(InputError, match=r"minute hour day month weekday"):
        next_starts(planned(cron), "UTC")


def test_start_times_follow_daylight_saving_time() -> None:
    for schedule in (planned("0 3 * * *"), planned(every="1d")):
        starts = next_starts(schedule, "Europe/Berlin", 300)
        assert len({start.hour for start in starts}) == 1
        assert len({start.astimezone(UTC).hour for start in starts}) == 2


def test_intervals_are_counted_from_midnight() -> None:
    starts = next_starts(planned(every="6h"), "Asia/Kolkata", 8)
    assert {(start.hour, start.minute) for start in starts} == {(0, 0), (6, 0), (12, 0), (18, 0)}
