"""The Prefect flow of one run: each stage is a task; only the path of the run goes through Prefect."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed

from molvae.codec.description import DEFAULT_NAME
from molvae.errors import first_line
from molvae.workers import Mapper

from . import terminal
from .assays import needs_assays
from .campaign import Campaign
from .failures import describe_failure, with_notes
from .featurize import featurize
from .log import log
from .manifest import Manifest
from .publishing import API_PROBLEMS, Publisher, has_readers, publishing, quiet_prefect
from .reporting import CACHED, DONE, SKIPPED, RunReport, report_failure
from .run_dir import RunDir
from .runner import open_mapper
from .search import search
from .train import train
from .validate import validate

if TYPE_CHECKING:
    from prefect.client.schemas import State

_DRAIN_SECONDS = 5


def _fit(run: RunDir, mapper: Mapper) -> Manifest | None:
    from .fit import fit  # imports scikit-learn, which a campaign without an assay does not need

    return fit(run, mapper)


STAGES: dict[str, tuple[str, Callable[[RunDir, Mapper], Manifest | None]]] = {
    "fit": ("Hold molecules out, choose the start molecules and fit the models of the score (0-fit).", _fit),
    "featurize": ("Standardize the reference library (1-featurize).", featurize),
    "train": ("Train a codec on the library (2-train).", lambda run, _: train(run)),
    "search": ("Propose and score molecules (3-search).", search),
    "validate": ("Check every molecule and write the report (4-validate).", validate),
}
"""The stages in order: what each does, and its function."""


def carry_out(run: RunDir, publisher: Publisher) -> str:
    """Run all stages as tasks of the current flow run; complete stages are skipped.

    Parameters
    ----------
    run : RunDir
        The run folder, which holds the settings.
    publisher : Publisher
        Where the report of the run goes.

    Returns
    -------
    str
        The result in one line.
    """
    campaign = Campaign.load(run.campaign)
    report = RunReport(run, campaign, publisher)
    report.begin()
    for stage in STAGES:
        report.add(stage, *_run_stage(stage, run, campaign))
    return report.complete()


def _run_stage(stage: str, run: RunDir, campaign: Campaign) -> tuple[str, str]:
    """Run one stage as a task; return the name and the message of its state.

    The message has the counts, or says why there was nothing to do or why the stage failed.
    """
    description, work = STAGES[stage]
    errors: list[Exception] = []

    @task(
        name=stage,
        description=description,
        task_run_name=f"{campaign.name}: {stage}",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    def run_stage(run: str) -> "State[None]":
        if reason := _skip_reason(stage, campaign):
            log.info("%s: skipped, %s", stage, reason)
            return Completed(name=SKIPPED, message=reason)
        try:
            with open_mapper(RunDir(Path(run))) as mapper:
                manifest = work(RunDir(Path(run)), mapper)
        except Exception as error:  # raised below, without what Prefect adds
            errors.append(error)
            return Failed(message=with_notes(describe_failure(error), error))
        if manifest is None or manifest.reused:
            return Completed(name=CACHED, message="complete already: same settings, same inputs, outputs unchanged")
        return Completed(name=DONE, message=f"{manifest.counts.into:,} in, {manifest.counts.kept:,} kept")

    state = run_stage(str(run.path), return_state=True)
    if errors:
        raise errors[0]
    return str(state.name), str(state.message)


def _skip_reason(stage: str, campaign: Campaign) -> str | None:
    """Why a campaign does not need a stage; None if it does."""
    if stage == "fit" and not needs_assays(campaign):
        return "the campaign has no assay table"
    if stage == "train" and campaign.train is None:
        reason = f"the campaign uses the codec {campaign.finished_codec or DEFAULT_NAME}"
        terminal.show(f"train: skipped, {reason}")
        return reason
    return None


def run_flow(run: str) -> None:
    """Run the flow, then send its remaining events; without the heartbeat thread, which takes a second to end.

    Parameters
    ----------
    run : str
        The run folder.
    """
    folder = RunDir(Path(run))
    campaign = Campaign.load(folder.campaign)
    name, is_on = name_run(folder, campaign), has_readers()
    results: list[str] = []
    errors: list[Exception] = []
    is_gone = False

    @flow(name="molvae-design", flow_run_name=name, validate_parameters=False)
    def design(run: str) -> "State[None]":
        """Run all stages; complete stages are skipped."""
        with publishing(campaign.name, is_on) as publisher:
            publisher.label(name)
            try:
                results.append(carry_out(folder, publisher))
            except Exception as error:  # raised below, without what Prefect adds
                errors.append(error)
                return Failed(message=report_failure(error, publisher, folder.log, folder))
        return Completed(message=results[0])

    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), quiet_prefect():
            design(run, return_state=True)
    except API_PROBLEMS as error:
        if not results and not errors:
            raise
        log.warning("Prefect's API is gone (%s); it does not know how the run ended", first_line(error))
        is_gone = True
    finally:
        EventsWorker.drain_all(timeout=_DRAIN_SECONDS)
    if is_gone:
        terminal.show("  note: Prefect's API is gone; it does not know how the run ended")
    if errors:
        raise errors[0]


def name_run(run: RunDir, campaign: Campaign) -> str:
    """The name of a flow run: that of the run folder, after that of the campaign if the folder lacks it.

    Parameters
    ----------
    run : RunDir
        The run.
    campaign : Campaign
        Its settings.

    Returns
    -------
    str
        The name.
    """
    folder = run.path.name
    return folder if folder.startswith(campaign.name) else f"{campaign.name}: {folder}"
