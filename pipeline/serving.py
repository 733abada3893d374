"""The process of `molvae serve`: it starts scheduled runs, and decides what happens when two of a campaign overlap."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self
from uuid import UUID

from prefect.deployments.runner import RunnerDeployment
from prefect.flows import EntrypointType
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.states import Cancelled

from .deploy import print_line, scheduled
from .schedules import Schedule, anchor

if TYPE_CHECKING:
    import anyio.abc
    from prefect.client.schemas.objects import FlowRun

_POLL_SECONDS = 2.0


def serve(schedules: Sequence[Schedule], zone: str, parallel: int) -> int:
    """Run campaigns on their schedules until the process is stopped.

    Parameters
    ----------
    schedules : sequence of Schedule
        The schedules.
    zone : str
        Name of their time zone.
    parallel : int
        Largest number of runs at the same time.

    Returns
    -------
    int
        The signal that stopped the process.
    """
    runner = _Runner(parallel)
    for schedule in schedules:
        runner.add(schedule, zone)
    with contextlib.suppress(KeyboardInterrupt, SystemExit):  # SystemExit: a second SIGTERM
        asyncio.run(runner.start())
    return signal.SIGTERM if runner.is_terminated else signal.SIGINT


class _Runner(Runner):
    """Prefect's runner with overlap policies.

    Prefect's own limits per deployment do not see runs that wait because the runner has its largest number of runs, so
    they would start later instead of being skipped. Here every start passes `_allow`.
    """

    is_terminated = False
    """Whether SIGTERM stopped it: Prefect handles the signal and returns."""

    def __init__(self, parallel: int) -> None:
        super().__init__(name="molvae", limit=parallel, prefetch_seconds=0, query_seconds=_POLL_SECONDS)
        self._schedules: dict[UUID, Schedule] = {}
        self._seen: dict[UUID, FlowRun] = {}
        self._stopped: set[UUID] = set()

    def handle_sigterm(self, signum: int, frame: object) -> None:
        self.is_terminated = True
        super().handle_sigterm(signum, frame)

    def add(self, schedule: Schedule, zone: str) -> None:
        """Register a deployment with its schedule."""
        times = (
            Cron(schedule.cron, timezone=zone)
            if schedule.cron is not None
            else Interval(timedelta(seconds=schedule.seconds or 0), anchor_date=anchor(zone), timezone=zone)
        )
        deployment = scheduled.to_deployment(
            schedule.name,
            schedule=times,
            parameters={
                "campaign": str(schedule.campaign),
                "changes": list(schedule.changes),
                "resume": schedule.overlap != "cancel",  # else the new run would continue the one that was stopped
            },
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        assert isinstance(deployment, RunnerDeployment)  # a coroutine only inside an event loop
        deployment_id = self.add_deployment(deployment)
        assert isinstance(deployment_id, UUID)
        self._schedules[deployment_id] = schedule

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        poller = self._scheduled_run_poller
        submit = poller._submit_scheduled_flow_runs

        async def submit_allowed(flow_run_response: "list[FlowRun]", task_group: "anyio.abc.TaskGroup") -> None:
            allowed = await self._allow(flow_run_response, poller._submitting_flow_run_ids)
            await submit(flow_run_response=allowed, task_group=task_group)

        poller._submit_scheduled_flow_runs = submit_allowed  # type: ignore[method-assign]
        return self

    async def _allow(self, due: "list[FlowRun]", in_flight: set[UUID]) -> "list[FlowRun]":
        """The runs that may start now; the overlap policies skip some of the others and stop earlier runs."""
        self._seen = {number: run for number, run in self._seen.items() if number in in_flight}
        active = {run.deployment_id: run for run in self._seen.values()}
        allowed = []
        for deployment_id, schedule in self._schedules.items():
            waiting = [run for run in due if run.deployment_id == deployment_id and run.id not in in_flight]
            waiting.sort(key=lambda run: str(run.next_scheduled_start_time))  # ISO 8601 in UTC
            earlier = active.get(deployment_id)
            if not waiting:
                continue
            if earlier is not None and schedule.overlap == "skip":
                kept, skipped = None, waiting
            elif schedule.overlap == "cancel":
                kept, skipped = waiting[-1], waiting[:-1]
            else:
                kept, skipped = waiting[0], waiting[1:]
            for run in skipped:
                await self._skip(run, schedule, "a later run" if schedule.overlap == "cancel" else "an earlier run")
            if earlier is not None and schedule.overlap == "cancel":
                self._stop(earlier, schedule)
            elif earlier is None and kept is not None:
                allowed.append(kept)
                self._seen[kept.id] = kept
        return allowed

    async def _skip(self, run: "FlowRun", schedule: Schedule, other: str) -> None:
        reason = f"skipped: {other} of the campaign has not ended; overlap = {schedule.overlap!r}"
        await self._client.set_flow_run_state(run.id, Cancelled(name="Skipped", message=reason), force=True)
        print_line(f"{schedule.name}: start of {_start(run)} {reason}")

    def _stop(self, run: "FlowRun", schedule: Schedule) -> None:
        """Stop a run by SIGTERM, after 30 s by SIGKILL. Until it has ended, each poll calls this again."""
        reason = "stopped, because the next run of the campaign starts; overlap = 'cancel'"
        if run.id not in self._stopped:
            self._stopped.add(run.id)
            print_line(f"{schedule.name}: run of {_start(run)} {reason}")
        self._runs_task_group.start_soon(self._cancel_run, run.id, reason)


def _start(run: "FlowRun") -> str:
    start: datetime | None = run.next_scheduled_start_time or run.expected_start_time
    return f"{start.astimezone():%Y-%m-%d %H:%M %Z}" if start else "now"
