"""The settings of `molvae serve`: which campaigns run when, from the command line or from a file."""

import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from molvae.errors import InputError
from molvae.settings import Settings

from .campaign import find_campaign

Overlap = Literal["skip", "queue", "cancel"]
"""What happens at a start time while the previous run of the same campaign has not ended."""

OVERLAPS: dict[Overlap, str] = {
    "skip": "the new run is skipped",
    "queue": "the new run waits until the earlier one has ended; at most one run waits",
    "cancel": "the earlier run is stopped, and the new run starts; the earlier one can be resumed",
}
"""The overlap policies, and what each does."""

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FIELDS = 5
_CRON_HELP = (
    'expected five fields "minute hour day month weekday", for example "0 3 * * *" (every night at three) or '
    '"30 18 * * 5" (Fridays at 18:30)'
)


class ScheduleSection(Settings):
    """The section `[campaigns.NAME]` of a schedule file; exactly one of `cron` and `every` is given.

    Parameters
    ----------
    campaign : Path
        The campaign file, relative to the schedule file, or the name of a bundled one.
    cron : str or None, default=None
        Start times: "minute hour day month weekday".
    every : str or None, default=None
        Time between two starts, such as "90m", "6h", "1d" or "2w", counted from a midnight.
    overlap : {"skip", "queue", "cancel"} or None, default=None
        What happens while the previous run has not ended; None: as in the whole file.
    set : tuple of str, default=()
        Changes to the settings of the campaign, as `section.key=value`.
    """

    campaign: Path
    cron: str | None = None
    every: str | None = None
    overlap: Overlap | None = None
    set: tuple[str, ...] = ()


class ScheduleFile(Settings):
    """A schedule file of `molvae serve --schedules`.

    Parameters
    ----------
    timezone : str or None, default=None
        Time zone of all schedules; None: that of the system.
    overlap : {"skip", "queue", "cancel"}, default="skip"
        What happens at a start time while the previous run of the same campaign has not ended.
    parallel : int, default=1
        Largest number of runs at the same time, of all campaigns; others wait for their turn.
    campaigns : dict of str to ScheduleSection
        The schedules, by the name of the deployment in Prefect.
    """

    timezone: str | None = None
    overlap: Overlap = "skip"
    parallel: int = Field(1, ge=1, le=100)
    campaigns: dict[str, ScheduleSection] = Field(min_length=1)


@dataclass(frozen=True)
class Schedule:
    """When one campaign runs.

    Parameters
    ----------
    name : str
        Name of the deployment in Prefect.
    campaign : Path
        The campaign file; read again at each start.
    changes : tuple of str
        Changes to its settings, as `section.key=value`.
    cron : str or None
        The start times; None: `every` is given.
    every : str or None
        Time between two starts.
    overlap : {"skip", "queue", "cancel"}
        What happens while the previous run has not ended.
    """

    name: str
    campaign: Path
    changes: tuple[str, ...]
    cron: str | None
    every: str | None
    overlap: Overlap

    @property
    def seconds(self) -> int | None:
        """Seconds between two starts; None for a cron schedule."""
        return None if self.every is None else parse_interval(self.every)

    def __str__(self) -> str:
        return f"cron {self.cron!r}" if self.cron is not None else f"every {self.every}"


def read_schedules(path: Path) -> tuple[list[Schedule], ScheduleFile]:
    """Read a schedule file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of Schedule
        The schedules, in the order of the file.
    ScheduleFile
        The settings of the whole file.

    Raises
    ------
    InputError
        The file or a schedule is invalid.
    """
    content = ScheduleFile.from_toml(path)
    found = []
    for name, section in content.campaigns.items():
        where = f"{path.name} [campaigns.{name}]"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise InputError(f"{where}: expected letters, digits, _, - and . in the name")
        check_times(section.cron, section.every, f"{where} ", ("cron", "every"))
        beside = path.parent / section.campaign.expanduser()
        campaign = beside if beside.exists() else section.campaign
        overlap = section.overlap or content.overlap
        found.append(Schedule(name, _absolute(campaign), section.set, section.cron, section.every, overlap))
    return found, content


def schedules_of(
    campaigns: Sequence[tuple[str, Path]],
    changes: Sequence[str],
    cron: str | None,
    every: str | None,
    overlap: Overlap,
) -> list[Schedule]:
    """The schedules of a command line: the same times for each campaign.

    Parameters
    ----------
    campaigns : sequence of (str, Path)
        Name and file of each campaign.
    changes : sequence of str
        Changes to their settings, as `section.key=value`.
    cron, every : str or None
        The start times, or the time between two starts.
    overlap : {"skip", "queue", "cancel"}
        What happens while the previous run of a campaign has not ended.

    Returns
    -------
    list of Schedule

    Raises
    ------
    InputError
        Two campaigns have the same name, or not exactly one of `cron` and `every` is given.
    """
    check_times(cron, every, "", ("--cron", "--every"))
    names = [name for name, _ in campaigns]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two campaigns have the name {name}; change one, for example with a schedule file")
    return [Schedule(name, _absolute(path), tuple(changes), cron, every, overlap) for name, path in campaigns]


def check_times(cron: str | None, every: str | None, where: str, names: tuple[str, str]) -> None:
    """Refuse a schedule that does not have exactly one of cron and interval, or an invalid one.

    Parameters
    ----------
    cron, every : str or None
        The start times, or the time between two starts.
    where : str
        What an error message starts with.
    names : (str, str)
        How the two are called there.

    Raises
    ------
    InputError
        The schedule is invalid.
    """
    if (cron is None) == (every is None):
        raise InputError(f"{where}expected either {names[0]} or {names[1]}, got {'none' if cron is None else 'both'}")
    if every is not None:
        parse_interval(every, f"{where}{names[1]}")
    # Prefect accepts a sixth field and reads it as seconds.
    elif cron is not None and len(cron.split()) != _FIELDS and not cron.startswith("@"):
        raise InputError(f"{where}{names[0]} {cron!r}: {_CRON_HELP}")


def parse_interval(text: str, where: str = "--every") -> int:
    """Read a time between two starts.

    Parameters
    ----------
    text : str
        A whole number and m (minutes), h (hours), d (days) or w (weeks).
    where : str, default="--every"
        What an error message starts with.

    Returns
    -------
    int
        Seconds.

    Raises
    ------
    InputError
        It is no such time, or not between a minute and a year.

    Examples
    --------
    >>> parse_interval("6h"), parse_interval("90m")
    (21600, 5400)
    """
    found = re.fullmatch(r"([1-9]\d{0,5})\s*([mhdw])", text.strip().lower(), re.ASCII)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= 366 * 86_400:
        raise InputError(
            f"{where} {text!r}: expected a number and m (minutes), h (hours), d (days) or w (weeks), at most a year, "
            "for example 6h"
        )
    return seconds


def next_starts(schedule: Schedule, zone: str, n: int = 3) -> list[datetime]:
    """The next start times of a schedule, as Prefect computes them.

    Parameters
    ----------
    schedule : Schedule
        The schedule.
    zone : str
        Name of the time zone.
    n : int, default=3
        Number of start times.

    Returns
    -------
    list of datetime
        The times, in order.

    Raises
    ------
    InputError
        The schedule is invalid, or has fewer than `n` start times.
    """
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

    found: IntervalSchedule | CronSchedule
    try:
        if schedule.seconds is not None:
            found = IntervalSchedule(
                interval=timedelta(seconds=schedule.seconds), anchor_date=anchor(zone), timezone=zone
            )
        else:
            found = CronSchedule(cron=schedule.cron, timezone=zone)
        starts = asyncio.run(found.get_dates(n))
    except ValueError:
        starts = []
    if len(starts) < n:
        raise InputError(f"{schedule.name}: cron {schedule.cron!r}: {_CRON_HELP}")
    return list(starts)


def anchor(zone: str) -> datetime:
    """A midnight from which intervals are counted, so that a restart does not move the start times.

    Parameters
    ----------
    zone : str
        Name of the time zone.

    Returns
    -------
    datetime
    """
    return datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone))  # a Monday, so that weeks start on Mondays


def _absolute(campaign: Path) -> Path:
    return find_campaign(campaign).absolute()
