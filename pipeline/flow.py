"""The Prefect flow of one run; tasks exchange files, and only the path of the run goes through Prefect."""

from pathlib import Path

from prefect import flow, task
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from molvae.codec.description import DEFAULT_NAME
from molvae.workers import LocalProcesses

from . import terminal
from .assays import needs_assays
from .campaign import Campaign
from .featurize import featurize as run_featurize
from .run_dir import RunDir
from .search import search as run_search
from .train import train as run_train
from .validate import validate as run_validate

_DRAIN_SECONDS = 5


@task
def fit(run: str) -> None:
    """Hold molecules out, choose the start molecules and fit the models of the score (0-fit).

    Parameters
    ----------
    run : str
        The run folder.
    """
    from .fit import fit as run_fit  # imports scikit-learn, which a campaign without an assay does not need

    run_fit(RunDir(Path(run)), LocalProcesses())


@task
def featurize(run: str) -> None:
    """Standardize the reference library (1-featurize).

    Parameters
    ----------
    run : str
        The run folder.
    """
    run_featurize(RunDir(Path(run)), LocalProcesses())


@task
def train(run: str) -> None:
    """Train a codec on the library (2-train).

    Parameters
    ----------
    run : str
        The run folder.
    """
    run_train(RunDir(Path(run)))


@task
def search(run: str) -> None:
    """Propose and score molecules (3-search).

    Parameters
    ----------
    run : str
        The run folder.
    """
    run_search(RunDir(Path(run)))


@task
def validate(run: str) -> None:
    """Check every molecule and write the report (4-validate).

    Parameters
    ----------
    run : str
        The run folder.
    """
    run_validate(RunDir(Path(run)))


@flow(name="molvae-design", flow_run_name="{run}", validate_parameters=False)
def design(run: str) -> None:
    """Run all stages; complete stages are skipped.

    Parameters
    ----------
    run : str
        The run folder, which holds the settings.
    """
    campaign = Campaign.load(RunDir(Path(run)).campaign)
    if needs_assays(campaign):
        fit(run)
    featurize(run)
    if campaign.train is not None:
        train(run)
    else:
        terminal.show(f"train: skipped, the campaign uses the codec {campaign.finished_codec or DEFAULT_NAME}")
    search(run)
    validate(run)


def run_flow(run: str) -> None:
    """Run the flow, then send its remaining events; without the heartbeat thread, which takes a second to end.

    Parameters
    ----------
    run : str
        The run folder.
    """
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            design(run)
    finally:
        EventsWorker.drain_all(timeout=_DRAIN_SECONDS)
