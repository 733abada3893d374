"""The Prefect flow of one run, on one screen; between its tasks travel files, through Prefect only the run's path."""

from pathlib import Path

from prefect import flow, task
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from molvae.workers import LocalProcesses

from . import terminal
from .campaign import Campaign
from .featurize import featurize as run_featurize
from .run_dir import RunDir
from .search import search as run_search
from .train import train as run_train
from .validate import validate as run_validate

_DRAIN_SECONDS = 5


@task
def featurize(run: str) -> None:
    """1-featurize: the reference library, standardized."""
    run_featurize(RunDir(Path(run)), LocalProcesses())


@task
def train(run: str) -> None:
    """2-train: a codec of this run's own."""
    run_train(RunDir(Path(run)))


@task
def search(run: str) -> None:
    """3-search: molecules proposed and scored."""
    run_search(RunDir(Path(run)))


@task
def validate(run: str) -> None:
    """4-validate: every molecule checked, and the report."""
    run_validate(RunDir(Path(run)))


@flow(name="molvae-design", flow_run_name="{run}", validate_parameters=False)
def design(run: str) -> None:
    """One run, end to end, in the folder `run`; stages that are done already are not done again."""
    featurize(run)
    campaign = Campaign.load(RunDir(Path(run)).campaign)
    if campaign.train is not None:
        train(run)
    else:
        terminal.say(
            f"train: skipped, the campaign names a finished codec ({campaign.finished_codec or 'the default'})"
        )
    search(run)
    validate(run)


def carry_out(run: str) -> None:
    """The flow, without the heartbeat thread that costs a second at its end, and with its last news delivered."""
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            design(run)
    finally:
        EventsWorker.drain_all(timeout=_DRAIN_SECONDS)
