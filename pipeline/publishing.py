"""What a run sends to Prefect beside its states: artifacts, progress, log lines and events.

Everything except events, which Prefect sends itself, goes through one thread that wakes every two seconds. A call only
stores what is to be sent, so that the run never waits for the API, and an API that is gone never ends a run: what could
not be sent is sent again at the next time, or dropped when the run ends.
"""

import contextlib
import contextvars
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate, LogCreate
from prefect.context import FlowRunContext, TaskRunContext
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.settings import (
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_LOGGING_TO_API_ENABLED,
    get_current_settings,
    temporary_settings,
)
from prefect.types._datetime import from_timestamp

from molvae.errors import first_line

from . import terminal
from .log import log

if TYPE_CHECKING:
    from pydantic import JsonValue

EVENTS = ("started", "resumed", "finished", "starved", "collapsed", "failed")
"""The events of a run; their names in Prefect are `molvae.run.started` and so on."""

_SEND_SECONDS = 2.0
_PROGRESS_SECONDS = 10.0
_TIMEOUT_SECONDS = 5.0
_MAX_LINES = 5000  # kept while the API does not answer
_MAX_LINE = 20_000  # characters
_LINES_PER_CALL = 200

_LOGGERS = ("pipeline", "molvae", "prefect.flow_runs")  # states of tasks are shown as such
_SERVICES = ("prefect._internal.concurrency", "prefect.events.clients")  # print events that could not be sent, in full
_ENGINE = ("prefect.engine", "prefect.flow_runs", "prefect.task_runs")
API_PROBLEMS = (httpx.HTTPError, httpx.InvalidURL, PrefectException, OSError, ValueError)
"""What a call of the API can raise; ValueError includes an answer that is not what Prefect expects."""


class Publisher:
    """The records of one flow run in Prefect; every method returns at once.

    Parameters
    ----------
    campaign : str
        Name of the campaign; part of the keys of the artifacts, so that each night adds a version.
    flow_run : UUID or None
        Id of the flow run; None sends nothing.
    tags : iterable of str, default=()
        Tags of the flow run, which are kept.
    """

    def __init__(self, campaign: str, flow_run: UUID | None, tags: Iterable[str] = ()) -> None:
        self.campaign, self._flow_run, self._tags = campaign, flow_run, tags
        self._lines: deque[LogCreate] = deque(maxlen=_MAX_LINES)
        self._artifacts: dict[str, ArtifactCreate] = {}
        self._name: str | None = None
        self._progress: tuple[float, str] | None = None
        self._progress_id: UUID | None = None
        self._progress_sent = float("-inf")
        self._is_failing = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether anything is sent."""
        return self._flow_run is not None

    def label(self, name: str) -> None:
        """Name the flow run, and tag it with the campaign; not its tasks, which would then wait for the API.

        Parameters
        ----------
        name : str
            The name.
        """
        self._name = name

    def table(self, key: str, rows: Sequence[Mapping[str, "JsonValue"]], description: str) -> None:
        """Show a table.

        Parameters
        ----------
        key : str
            What it shows, one word.
        rows : sequence of mapping
            One mapping of column to value per row, all with the same columns.
        description : str
            Title, as Markdown.
        """
        self._keep(key, "table", json.dumps(list(rows), allow_nan=False), description)

    def markdown(self, key: str, text: str, description: str) -> None:
        """Show a page.

        Parameters
        ----------
        key : str
            What it shows, one word.
        text : str
            The page, as Markdown.
        description : str
            Title, as Markdown.
        """
        self._keep(key, "markdown", text, description)

    def progress(self, label: str, done: int, total: int | None, unit: str) -> None:
        """Show how far a stage is; sent at most every ten seconds. A `terminal.Watcher`.

        Parameters
        ----------
        label : str
            What runs.
        done : int
            Units done.
        total : int or None
            Number of units; None while it is unknown.
        unit : str
            Name of the unit, and what else is known.
        """
        of = f" of {total:,}" if total is not None else ""
        self._progress = (100.0 * min(done / total, 1.0) if total else 0.0, f"{label}: {done:,}{of} {unit}")

    def end_progress(self, description: str, *, is_complete: bool) -> None:
        """Show the last state of the progress, if any was shown.

        Parameters
        ----------
        description : str
            How the run ended.
        is_complete : bool
            Whether to show 100 %.
        """
        if self._progress is not None:
            self._progress = (100.0 if is_complete else self._progress[0], description)

    def event(self, name: str, run: str | None, payload: Mapping[str, "JsonValue"]) -> None:
        """Emit an event of the run.

        Parameters
        ----------
        name : str
            A member of `EVENTS`.
        run : str or None
            Name of the run folder; None before there is one.
        payload : mapping
            What happened; campaign and the like.
        """
        if self._flow_run is None:
            return
        emit_event(
            f"molvae.run.{name}",
            resource={
                "prefect.resource.id": f"molvae.run.{run or self._flow_run}",
                "prefect.resource.name": run or self.campaign,
                "molvae.campaign": self.campaign,
            },
            related=[
                {"prefect.resource.id": f"molvae.campaign.{self.campaign}", "prefect.resource.role": "campaign"},
            ],
            payload=dict(payload),
        )

    def line(self, record: logging.LogRecord) -> None:
        """Send a line of the log, without its traceback.

        Parameters
        ----------
        record : LogRecord
            The line.
        """
        task = TaskRunContext.get()
        task_run = task.task_run.id if task else getattr(record, "task_run_id", None)
        self._lines.append(
            LogCreate(
                name=record.name,
                level=record.levelno,
                message=record.getMessage()[:_MAX_LINE],
                timestamp=from_timestamp(record.created),
                flow_run_id=self._flow_run,
                task_run_id=task_run,
            )
        )

    def start(self) -> None:
        """Start the thread that sends."""
        if self._flow_run is None:
            return
        context = contextvars.copy_context()  # holds the settings of Prefect
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="molvae-prefect", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send the rest, for at most five seconds."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_TIMEOUT_SECONDS)

    def _keep(self, key: str, kind: str, data: str, description: str) -> None:
        if self._flow_run is not None:
            self._artifacts[key] = ArtifactCreate(
                key=self._key(key), type=kind, data=data, description=description, flow_run_id=self._flow_run
            )

    def _key(self, key: str) -> str:
        """Prefect allows lowercase letters, digits and dashes."""
        return f"{re.sub(r'[^a-z0-9]+', '-', self.campaign.lower()).strip('-')}-{key}"

    # in the thread

    def _work(self) -> None:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_SECONDS}) as client,
        ):
            is_last = False
            while not is_last:
                is_last = self._closing.wait(_SEND_SECONDS)
                self._send(client)

    def _send(self, client: SyncPrefectClient) -> None:
        """Send what is kept; it is kept no longer once the API has accepted or refused it."""
        if self._flow_run is None:
            return
        if self._name is not None:
            tags = {*self._tags, self.campaign}
            if self._deliver(partial(client.update_flow_run, self._flow_run, name=self._name, tags=tags)):
                self._name = None
        while self._lines:
            lines = [self._lines[row] for row in range(min(len(self._lines), _LINES_PER_CALL))]
            if not self._deliver(partial(client.create_logs, lines)):
                break
            for _ in lines:
                self._lines.popleft()
        for key, artifact in [*self._artifacts.items()]:
            if self._deliver(partial(client.create_artifact, artifact)) and self._artifacts.get(key) is artifact:
                del self._artifacts[key]
        self._send_progress(client)

    def _send_progress(self, client: SyncPrefectClient) -> None:
        now, is_due = time.monotonic(), self._closing.is_set()
        if self._progress is None or (now - self._progress_sent < _PROGRESS_SECONDS and not is_due):
            return
        self._progress_sent = now
        share, description = self._progress
        if self._progress_id is not None:
            update = ArtifactUpdate(data=share, description=description)
            self._deliver(partial(client.update_artifact, self._progress_id, update))
            return
        first = ArtifactCreate(
            key=self._key("progress"), type="progress", data=share, description=description, flow_run_id=self._flow_run
        )

        def create() -> None:
            self._progress_id = client.create_artifact(first).id

        self._deliver(create)

    def _deliver(self, call: Callable[[], object]) -> bool:
        """Call the API; False if what the call sends is to be sent again."""
        try:
            call()
        except API_PROBLEMS as error:
            if not self._is_failing:
                log.warning(
                    "Prefect's API does not take the records of this run (%s: %s); the run goes on without it",
                    type(error).__name__,
                    first_line(error),
                    extra={"send_to_api": False},
                )
            self._is_failing = True
            return isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error
        self._is_failing = False
        return True


def has_readers() -> bool:
    """Whether anybody sees what is sent: not with a private API, which takes no log lines and ends with its process.

    Returns
    -------
    bool
        False if nothing is to be sent.
    """
    return bool(get_current_settings().logging.to_api.enabled)


@contextlib.contextmanager
def publishing(campaign: str, is_on: bool) -> Iterator[Publisher]:
    """Publish the current flow run inside the block, with the log lines and the progress of its stages.

    Parameters
    ----------
    campaign : str
        Name of the campaign.
    is_on : bool
        Whether to send anything; see `has_readers`.

    Yields
    ------
    Publisher
        The records of the flow run.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context and is_on else None
    publisher = Publisher(campaign, flow_run.id if flow_run else None, flow_run.tags if flow_run else ())
    handler = _LineHandler(publisher)
    with contextlib.ExitStack() as stack:
        if flow_run is not None:
            stack.enter_context(quiet_prefect())
            stack.enter_context(terminal.watching(publisher.progress))
            for name in _LOGGERS:
                logging.getLogger(name).addHandler(handler)
                stack.callback(logging.getLogger(name).removeHandler, handler)
        publisher.start()
        stack.callback(publisher.close)
        yield publisher


@contextlib.contextmanager
def quiet_prefect() -> Iterator[None]:
    """Keep Prefect from writing tracebacks, and complaints about an API that is gone, to the terminal.

    Inside the block, Prefect itself sends no log lines. After it, the tracebacks of failed runs stay out of Prefect's
    log lines; run.log has them from molvae.

    Yields
    ------
    None
        While Prefect sends no log lines.
    """
    for name in _ENGINE:
        logging.getLogger(name).addFilter(_drop_traceback)
    for name in _SERVICES:
        logging.getLogger(name).addFilter(_drop_line)
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):
        yield


class _LineHandler(logging.Handler):
    """Passes the lines of the log to a publisher."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__(logging.INFO)
        self._publisher = publisher

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "send_to_api", True):
            self._publisher.line(record)


def _drop_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


def _drop_line(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL
