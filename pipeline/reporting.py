"""When a run reports what: events as they happen, tables and a page at its end, and the sentence on a failure."""

from pathlib import Path

from pydantic import JsonValue

from molvae.candidates.files import read_candidates

from . import overview
from .campaign import Campaign
from .failures import describe_failure, with_notes
from .log import log
from .manifest import Manifest
from .publishing import Publisher
from .run_dir import RunDir

DONE, CACHED, SKIPPED = "Completed", "Cached", "Skipped"
"""What became of a stage: the name of the state of its task in Prefect."""


class RunReport:
    """The report of one attempt at a run.

    Parameters
    ----------
    run : RunDir
        The run.
    campaign : Campaign
        Its settings.
    publisher : Publisher
        Where the report goes.
    """

    def __init__(self, run: RunDir, campaign: Campaign, publisher: Publisher) -> None:
        self._run, self._campaign, self._publisher = run, campaign, publisher
        self._states: dict[str, str] = {}

    def begin(self) -> None:
        """Report that the run has started, or that it is resumed after its first stage began."""
        is_resumed = any(folder.exists() for folder in self._run.stages)
        self._event("resumed" if is_resumed else "started")

    def add(self, stage: str, state: str, message: str) -> None:
        """Take note of the end of a stage, and report a search that collapsed.

        Parameters
        ----------
        stage : str
            Name of the stage.
        state : str
            `DONE`, `CACHED` or `SKIPPED`.
        message : str
            Why the stage was skipped, or its counts.
        """
        self._states[stage] = f"{state}: {message}" if state == SKIPPED else state
        if stage == "search" and state == DONE and (sentence := overview.explain_collapse(self._run)):
            self._event("collapsed", sentence=sentence, counts=dict(overview.count_run(self._run)))

    def complete(self) -> str:
        """Report the result of the complete run.

        Returns
        -------
        str
            The result in one line.
        """
        checked = Manifest.read(self._run.validate)
        if checked is not None and not self._publisher.is_on:  # reading the table takes time
            return overview.describe_result({"scored": checked.counts.into, "passed": checked.counts.kept})
        candidates = read_candidates(self._run.validate)
        counts = overview.count_run(self._run, candidates)
        result = overview.describe_result(counts)
        starved = overview.explain_starvation(self._run, self._campaign, counts)
        notes = [note for note in (starved, overview.explain_collapse(self._run)) if note]
        page = overview.write_page(self._run, result, self._states, notes, is_complete=True)
        log.info("complete: %s", result)
        name, publish = self._run.path.name, self._publisher
        publish.table("funnel", overview.list_funnel(counts), f"{name}: from proposals to candidates")
        publish.table("best", overview.list_best(candidates), f"{name}: the first {overview.N_BEST} of candidates.csv")
        publish.markdown("summary", page, f"{name}: {result}")
        publish.end_progress(f"complete: {result}", is_complete=True)
        if starved and self._states["validate"] == DONE:
            self._event("starved", sentence=starved, counts=dict(counts))
        self._event("finished", sentence=result, counts=dict(counts))
        return result

    def _event(self, name: str, **payload: JsonValue) -> None:
        about: dict[str, JsonValue] = {"campaign": self._campaign.name, "run": str(self._run.path)}
        self._publisher.event(name, self._run.path.name, about | payload)


def report_failure(error: Exception, publisher: Publisher, log_file: Path, run: RunDir | None = None) -> str:
    """Report a failed run: an event, a page, and a line in the logs.

    Parameters
    ----------
    error : Exception
        Why it failed.
    publisher : Publisher
        Where the report goes.
    log_file : Path
        The log with the traceback.
    run : RunDir or None, default=None
        The run; None if it failed before there was one.

    Returns
    -------
    str
        The sentence that a person needs, and where the details are: the message of the state of the flow run.
    """
    sentence = with_notes(describe_failure(error), error)
    log.error("failed: %s", sentence)
    payload: dict[str, JsonValue] = {"campaign": publisher.campaign, "sentence": sentence, "log": str(log_file)}
    if run is not None:
        payload |= {"run": str(run.path), "counts": dict(overview.count_run(run))}
        states = {folder.name[2:]: "complete" for folder in run.stages if Manifest.read(folder)}
        page = overview.write_page(run, sentence, states, (), is_complete=False)
        publisher.markdown("summary", page, f"{run.path.name}: failed")
    publisher.end_progress(f"failed: {sentence}", is_complete=False)
    publisher.event("failed", run.path.name if run else None, payload)
    return f"{sentence}; details: {log_file}"
