"""Runs of a campaign on a schedule, each in a separate folder."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import EntrypointType
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.server.schemas.schedules import CronSchedule
from prefect.states import Completed, Failed

from molvae.errors import InputError

from . import runs
from .api import end_with_parent
from .campaign import find_campaign
from .flow import carry_out, name_run
from .log import log, logging_to
from .publishing import has_readers, publishing
from .reporting import report_failure
from .run_dir import SERVE_LOG

if TYPE_CHECKING:
    from prefect.client.schemas import State

_FIELDS = 5


@flow(name="molvae-scheduled", validate_parameters=False)
def scheduled(campaign: str, changes: list[str]) -> "State[None]":
    """Resume the unfinished run of the campaign if there is one, else start a new run.

    Parameters
    ----------
    campaign : str
        Path of the campaign file, which is read at each start.
    changes : list of str
        Changes to its settings, as `section.key=value`.

    Returns
    -------
    State
        Completed or failed, with a sentence.
    """
    end_with_parent(os.getppid())  # no run continues unseen after `molvae serve` ended; the next start resumes it
    log_file, run = SERVE_LOG.absolute(), None
    with publishing(Path(campaign).stem, has_readers()) as publisher:
        try:
            loaded = runs.load(Path(campaign), changes)
            publisher.campaign = loaded.name
            earlier = runs.find_unfinished(loaded)
            run = earlier or runs.start(loaded, None)
            log_file = run.log
            publisher.label(name_run(run, loaded))
            _print(f"{run.path} {'resumed' if earlier else 'started'}")
            with run.lock(), runs.recording_failure(run):
                run.tidy()
                with logging_to(run.log):
                    result = carry_out(run, publisher)
                runs.finish(run)
        except Exception as error:
            with logging_to(log_file):
                log.error("a scheduled run failed", exc_info=error, extra={"send_to_api": False})
                message = report_failure(error, publisher, log_file, run)
            _print(f"failed: {message}")
            return Failed(message=message)
    _print(f"{run.path} completed")
    return Completed(message=result)


def _print(line: str) -> None:
    """Print a line with the current time and its zone on the terminal of `molvae serve`."""
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z} {line}", flush=True)


def next_starts(cron: str, zone: str, n: int = 3) -> list[datetime]:
    """The next start times of a schedule, as Prefect computes them.

    Parameters
    ----------
    cron : str
        The schedule: five fields, or a name such as @daily.
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
    try:
        # Prefect accepts a sixth field and reads it as seconds.
        is_cron = len(cron.split()) == _FIELDS or cron.startswith("@")
        starts = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(n)) if is_cron else []
    except ValueError:
        starts = []
    if len(starts) < n:
        raise InputError(
            f'--cron {cron!r}: expected five fields "minute hour day month weekday", for example "0 3 * * *" (every '
            f'night at three) or "30 18 * * 5" (Fridays at 18:30)'
        )
    return list(starts)


class _Runner(Runner):
    """Prefect's runner, which also remembers that SIGTERM stopped it: Prefect handles the signal and returns."""

    is_terminated = False

    def handle_sigterm(self, signum: int, frame: object) -> None:
        self.is_terminated = True
        super().handle_sigterm(signum, frame)


def serve(name: str, campaign: Path, changes: Sequence[str], cron: str, zone: str) -> int:
    """Run the campaign on the schedule, one run at a time, until the process is stopped.

    Parameters
    ----------
    name : str
        Name of the campaign.
    campaign : Path
        The campaign file, or the name of a bundled one.
    changes : sequence of str
        Changes to its settings, as `section.key=value`.
    cron : str
        The schedule, as for `next_starts`.
    zone : str
        Name of the time zone.

    Returns
    -------
    int
        The signal that stopped the process.
    """
    runner = _Runner(name=name, limit=1)
    deployment = scheduled.to_deployment(
        name,
        schedule=Cron(cron, timezone=zone),
        parameters={"campaign": str(find_campaign(campaign).absolute()), "changes": list(changes)},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(deployment, RunnerDeployment)  # a coroutine only inside an event loop
    runner.add_deployment(deployment)
    with contextlib.suppress(KeyboardInterrupt, SystemExit):  # SystemExit: a second SIGTERM
        asyncio.run(runner.start())
    return signal.SIGTERM if runner.is_terminated else signal.SIGINT
