"""Runs of a campaign on a schedule, each in a separate folder."""

import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow
from prefect.states import Completed, Failed

from . import runs
from .api import end_with_parent
from .flow import carry_out, name_run
from .form import CampaignForm
from .log import log, logging_to
from .publishing import has_readers, publishing
from .reporting import report_failure
from .run_dir import SERVE_LOG

if TYPE_CHECKING:
    from prefect.client.schemas import State


@flow(name="molvae-scheduled", validate_parameters=False)
def scheduled(campaign: str, changes: list[str], resume: bool = True) -> "State[None]":
    """Resume the unfinished run of the campaign if there is one, else start a new run.

    Parameters
    ----------
    campaign : str
        Path of the campaign file, which is read at each start.
    changes : list of str
        Changes to its settings, as `section.key=value`.
    resume : bool, default=True
        Whether an unfinished run is resumed.

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
            earlier = runs.find_unfinished(loaded) if resume else None
            run = earlier or runs.start(loaded, None)
            log_file = run.log
            publisher.label(name_run(run, loaded))
            print_line(f"{run.path} {'resumed' if earlier else 'started'}")
            with run.lock(), runs.recording_failure(run):
                run.tidy()
                with logging_to(run.log):
                    result = carry_out(run, publisher)
                runs.finish(run)
        except Exception as error:
            with logging_to(log_file):
                log.error("a scheduled run failed", exc_info=error, extra={"send_to_api": False})
                message = report_failure(error, publisher, log_file, run)
            print_line(f"failed: {message}")
            return Failed(message=message)
    print_line(f"{run.path} completed")
    return Completed(message=result)


@flow(name="molvae-campaign")
def run_campaign(campaign: CampaignForm, resume: bool = True) -> "State[None]":
    """Run a campaign that a person filled in as a form; for a worker of a Prefect server.

    Parameters
    ----------
    campaign : CampaignForm
        All settings of the run. Relative paths start from the working folder of the worker.
    resume : bool, default=True
        Resume an unfinished run with the same settings instead of a new one.

    Returns
    -------
    State
        Completed or failed, with a sentence.
    """
    SERVE_LOG.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="molvae-form-") as folder:
        path = Path(folder) / f"{campaign.name}.toml"
        path.write_text(campaign.to_toml(), encoding="utf-8")
        return scheduled.fn(str(path), [], resume)


def print_line(line: str) -> None:
    """Print a line with the current time and its zone on the terminal of `molvae serve`.

    Parameters
    ----------
    line : str
        The line.
    """
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z} {line}", flush=True)
