"""`molvae serve`: runs of a campaign on a schedule, through Prefect."""

import os
import signal
import time
import zoneinfo
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from molvae.errors import InputError
from molvae.extras import require

from ..api import api
from ..log import logging_to
from ..run_dir import RUNS, SERVE_LOG
from .declaration import Changes, command


@command
def serve(
    *,
    campaign: Annotated[
        Path, typer.Argument(metavar="CAMPAIGN.toml", help="Settings of the runs; read again at each start.")
    ],
    cron: Annotated[str, typer.Option("--cron", metavar="CRON", help='The schedule: "minute hour day month weekday".')],
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Berlin. Default: that of the system."),
    ] = None,
    changes: Changes = None,
) -> None:
    """Run a campaign on a schedule.

    Runs until it is stopped. Prints the time zone and the next three start times. Each start creates a new run folder,
    or resumes an unfinished run of the same campaign that no other process uses.

    \b
    Examples:
      molvae serve lead.toml --cron "0 3 * * *"
      molvae serve lead.toml --cron "30 18 * * 5" --timezone Europe/Berlin
    """
    require("prefect", "molvae serve")
    zone = _find_zone(timezone)
    if timezone is not None:
        _use_zone(zone)
    from .. import runs  # imports torch and RDKit, which take seconds

    name = runs.load(campaign, changes or ()).name
    SERVE_LOG.parent.mkdir(exist_ok=True)
    with logging_to(SERVE_LOG), api(SERVE_LOG, schedules=True) as wait:
        from .. import deploy  # imports Prefect

        starts = deploy.next_starts(cron, zone)
        wait()
        print(f"{name}: schedule {cron!r}, time zone {zone}. Next start times:")
        print("\n".join(f"  {start:%a %Y-%m-%d %H:%M %Z}" for start in starts))
        print(f"Run folders: {RUNS}/{name}-TIME. Press Ctrl-C to stop.", flush=True)
        sigterm_handler = signal.getsignal(signal.SIGTERM)
        stopped_by = deploy.serve(name=name, campaign=campaign, changes=changes or (), cron=cron, zone=zone)
    if stopped_by == signal.SIGTERM:  # Prefect handles both signals itself and returns
        signal.signal(signal.SIGTERM, sigterm_handler)
        signal.raise_signal(signal.SIGTERM)
    raise KeyboardInterrupt


def _use_zone(zone: str) -> None:
    """Let this process and its children write times in a zone: lines on the terminal, logs and names of run folders."""
    now = datetime.now(zoneinfo.ZoneInfo(zone))
    for name in (zone, f":{_zone_file(zone)}"):  # a system may lack the database of zones that Python brings along
        os.environ["TZ"] = name
        time.tzset()
        local = now.astimezone()
        if (local.utcoffset(), local.tzname()) == (now.utcoffset(), now.tzname()):
            return
    del os.environ["TZ"]
    time.tzset()


def _zone_file(zone: str) -> Path:
    from importlib.resources import files

    try:
        return Path(str(files("tzdata"))) / "zoneinfo" / zone
    except ModuleNotFoundError:
        return Path(zone)


def _find_zone(timezone: str | None) -> str:
    """The name of the given time zone, or of the time zone of the system.

    Raises InputError if the given zone does not exist or the zone of the system is unknown.
    """
    import tzlocal  # in the extra `pipeline`

    try:
        zone = timezone or tzlocal.get_localzone_name()
        return zoneinfo.ZoneInfo(zone).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        if timezone is None:
            raise InputError(
                f"the time zone of the system is unknown ({error}); give one, such as --timezone Europe/Berlin"
            ) from None
        raise InputError(
            f"--timezone {timezone}: no such time zone; expected a name such as Europe/Berlin or UTC"
        ) from None
