"""A campaign on a schedule: each start is a run of its own, in its own folder."""

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from prefect import flow
from prefect.flows import EntrypointType
from prefect.schedules import Cron
from prefect.server.schemas.schedules import CronSchedule

from molvae.errors import InputError

from . import runs
from .api import end_with_parent
from .campaign import find
from .flow import design
from .log import log, logging_to
from .run_dir import SERVE_LOG

_FIELDS = 5


@flow(name="molvae-scheduled", validate_parameters=False)
def scheduled(campaign: str, changes: list[str]) -> None:
    """One start: go on with the unfinished run of this campaign if there is one, else begin a new one.

    campaign: path of the campaign file, which is read anew.
    """
    end_with_parent(os.getppid())  # without `molvae serve` nobody would know of it; the next schedule goes on with it
    log_file = SERVE_LOG.absolute()
    try:
        loaded = runs.load(Path(campaign), changes)
        earlier = runs.unfinished(loaded)
        run = earlier or runs.start(loaded, None)
        _tell(f"{run.path} {'goes on' if earlier else 'begins'}")
        log_file = run.log
        with run.lock():
            run.tidy()
            with logging_to(run.log):
                design.fn(str(run.path))
            runs.finish(run)
    except Exception as error:
        with logging_to(log_file):
            log.error("a scheduled run failed", exc_info=error)
        _tell(f"failed: {error}; {log_file} tells more")
        raise
    _tell(f"{run.path} is complete")


def _tell(line: str) -> None:
    """One line on the terminal of `molvae serve`."""
    print(f"{datetime.now():%Y-%m-%d %H:%M} {line}", flush=True)


def next_starts(cron: str, zone: str, n: int = 3) -> list[datetime]:
    """The next n starts of a schedule, as Prefect will make them.

    Raises:
        InputError: the schedule cannot be understood, or never comes.
    """
    try:
        is_cron = len(cron.split()) == _FIELDS or cron.startswith(
            "@"
        )  # with six, Prefect would take the last for seconds
        starts = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(n)) if is_cron else []
    except ValueError:
        starts = []
    if len(starts) < n:
        raise InputError(
            f'--cron {cron!r}: expected five fields "minute hour day month weekday", for example "0 3 * * *" (each '
            f'night at three) or "30 18 * * 5" (Fridays at half past six)'
        )
    return list(starts)


def serve(name: str, campaign: Path, changes: Sequence[str], cron: str, zone: str) -> None:
    """Start the campaign whenever the schedule says so, one run at a time, until the process is told to stop."""
    scheduled.serve(
        name=name,
        schedule=Cron(cron, timezone=zone),
        parameters={"campaign": str(find(campaign).absolute()), "changes": list(changes)},
        entrypoint_type=EntrypointType.MODULE_PATH,
        limit=1,
        print_starting_message=False,
    )
