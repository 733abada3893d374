"""`molvae serve`: runs of a campaign on a schedule, through Prefect."""

import os
import signal
import time
import zoneinfo
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molvae.errors import InputError
from molvae.extras import require

from ..api import UserInterface, api
from ..log import logging_to
from ..run_dir import RUNS, SERVE_LOG
from .declaration import Changes, command

if TYPE_CHECKING:
    from ..schedules import Schedule


@command
def serve(
    *,
    campaigns: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CAMPAIGN.toml...", help="Settings of the runs; read again at each start."),
    ] = None,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="CRON", help='Start times: "minute hour day month weekday".')
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="Time between two starts, such as 90m, 6h or 1d.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Berlin. Default: that of the system."),
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap",
            metavar="POLICY",
            help="While the earlier run of a campaign has not ended: skip the new one, queue it, or cancel the earlier "
            "one. Default: skip.",
        ),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, max=100, metavar="N", help="Runs at the same time. Default: 1.")
    ] = None,
    schedules: Annotated[
        Path | None,
        typer.Option("--schedules", metavar="FILE.toml", help="Schedules of several campaigns; instead of the above."),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui", help="Show Prefect's user interface, with a password.")] = False,
    host: Annotated[str, typer.Option("--host", help="Address of the user interface.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port of the user interface.")] = 4200,
    changes: Changes = None,
) -> None:
    """Run campaigns on a schedule.

    Runs until it is stopped. Prints the time zone and the next three start times of each campaign. Each start creates
    a new run folder, or resumes an unfinished run of the same campaign that no other process uses.

    \b
    Examples:
      molvae serve lead.toml --cron "0 3 * * *"
      molvae serve lead.toml d4.toml --cron "30 18 * * 5" --timezone Europe/Berlin
      molvae serve lead.toml --every 6h --overlap cancel --ui
      molvae serve --schedules nightly.toml
    """
    require("prefect", "molvae serve")
    if ui and os.environ.get("PREFECT_API_URL"):
        raise InputError("--ui: PREFECT_API_URL names a server, which has its own user interface; remove --ui")
    if not ui and host != "127.0.0.1":
        raise InputError("--host is the address of the user interface; add --ui")
    if schedules is None:
        planned = _plan_line(campaigns or [], changes or [], cron, every, overlap or "skip")
        zone_name, n_parallel = timezone, parallel or 1
    else:
        given = {"CAMPAIGN.toml": campaigns, "--cron": cron, "--every": every, "--timezone": timezone}
        _refuse_options({**given, "--overlap": overlap, "--parallel": parallel, "--set": changes})
        planned, zone_name, n_parallel = _plan_file(schedules)
    zone = _find_zone(zone_name)
    if zone_name is not None:
        _use_zone(zone)
    address = UserInterface(host, port) if ui else None
    SERVE_LOG.parent.mkdir(exist_ok=True)
    with logging_to(SERVE_LOG), api(SERVE_LOG, schedules=True, ui=address) as wait:
        from .. import serving  # imports Prefect
        from ..deploy import print_line
        from ..schedules import OVERLAPS, next_starts

        starts = {one.name: next_starts(one, zone) for one in planned}
        wait()
        for one in planned:
            print_line(f"{one.name}: {one}, time zone {zone}; overlap {one.overlap}: {OVERLAPS[one.overlap]}")
            times = ", ".join(f"{start:%a %Y-%m-%d %H:%M %Z}" for start in starts[one.name])
            print_line(f"{one.name}: next start times: {times}")
        if address is not None:
            _print_address(address, print_line)
        print_line(f"run folders: {RUNS}/NAME-TIME; log: {SERVE_LOG}; press Ctrl-C to stop")
        sigterm_handler = signal.getsignal(signal.SIGTERM)
        stopped_by = serving.serve(planned, zone, n_parallel)
    if stopped_by == signal.SIGTERM:  # Prefect handles both signals itself and returns
        signal.signal(signal.SIGTERM, sigterm_handler)
        signal.raise_signal(signal.SIGTERM)
    raise KeyboardInterrupt


def _refuse_options(given: dict[str, object]) -> None:
    for name, value in given.items():
        if value:
            raise InputError(f"--schedules has the settings of all campaigns; remove {name}")


def _plan_line(
    campaigns: list[Path], changes: list[str], cron: str | None, every: str | None, overlap: str
) -> list["Schedule"]:
    """The schedules of the options."""
    if not campaigns:
        raise InputError("expected a campaign file, or --schedules with a schedule file")
    from .. import runs, schedules  # imports torch and RDKit, which take seconds

    policy = next((known for known in schedules.OVERLAPS if known == overlap), None)
    if policy is None:
        raise InputError(f"--overlap {overlap}: expected {', '.join(schedules.OVERLAPS)}")
    schedules.check_times(cron, every, "", ("--cron", "--every"))
    named = [(runs.load(path, changes).name, path) for path in campaigns]
    return schedules.schedules_of(named, changes, cron, every, policy)


def _plan_file(path: Path) -> tuple[list["Schedule"], str | None, int]:
    """The schedules of a file, its time zone and its number of runs at the same time."""
    from .. import runs, schedules

    planned, file = schedules.read_schedules(path)
    for one in planned:
        runs.load(one.campaign, one.changes)
    return planned, file.timezone, file.parallel


def _print_address(address: UserInterface, print_line: Callable[[str], None]) -> None:
    """Print where the user interface is, and a warning if other machines reach it."""
    print_line(f"Prefect: {address.url}, password molvae:{address.password}")
    if not address.is_local:
        print_line(
            f"warning: other machines reach {address.url}. Whoever has the password can start programs as this user, "
            "and the connection is not encrypted. Use it in a trusted network only, or behind a proxy with TLS."
        )


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
