"""Overlap policies: which of the runs that are due may start."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from molvae.pipeline.schedules import Overlap, Schedule
from molvae.pipeline.serving import _Runner
from prefect.client.schemas.objects import FlowRun

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


class Client:
    """Records the states that are set."""

    def __init__(self) -> None:
        self.states: dict[UUID, str] = {}

    async def set_flow_run_state(self, number: UUID, state: Any, force: bool) -> None:
        assert force
        self.states[number] = state.name


class RunnerOfTest(_Runner):
    """A runner of one campaign, without a server."""

    def __init__(self, overlap: Overlap) -> None:
        super().__init__(parallel=2)
        self.deployment = uuid4()
        self._schedules[self.deployment] = Schedule("lead", Path("lead.toml"), (), None, "1m", overlap)
        self._client = Client()
        self.stopped: list[UUID] = []

    def _stop(self, run: FlowRun, schedule: Schedule) -> None:
        self.stopped.append(run.id)

    def due(self, minute: int) -> FlowRun:
        at = START + timedelta(minutes=minute)
        return FlowRun(flow_id=uuid4(), deployment_id=self.deployment, next_scheduled_start_time=at)

    def allow(self, due: list[FlowRun], in_flight: list[FlowRun]) -> list[UUID]:
        return [run.id for run in asyncio.run(self._allow(due, {run.id for run in in_flight}))]


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
def test_overlapping_starts(overlap: Overlap) -> None:
    runner = RunnerOfTest(overlap)
    first, second, third = (runner.due(minute) for minute in range(3))
    assert runner.allow([first], []) == [first.id]
    assert runner.allow([third, second], [first]) == [], "the first run has not ended"
    skipped = {"skip": {second.id, third.id}, "queue": {third.id}, "cancel": {second.id}}
    assert set(runner._client.states) == skipped[overlap]
    assert set(runner._client.states.values()) == {"Skipped"}
    assert runner.stopped == ([first.id] if overlap == "cancel" else [])
    left = [run for run in (second, third) if run.id not in skipped[overlap]]
    assert runner.allow(left, []) == [run.id for run in left], "it starts once the first run has ended"


@pytest.mark.parametrize(("overlap", "kept"), [("skip", 0), ("queue", 0), ("cancel", 1)])
def test_one_run_of_a_campaign_waits_for_other_campaigns(overlap: Overlap, kept: int) -> None:
    runner = RunnerOfTest(overlap)
    waiting = [runner.due(0), runner.due(1)]
    assert runner.allow(waiting, []) == [waiting[kept].id], "the runner may have no room for it yet"
    assert set(runner._client.states) == {waiting[1 - kept].id}
