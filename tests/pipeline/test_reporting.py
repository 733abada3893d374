"""Which events a run emits, and when."""

import json
from pathlib import Path

import pytest
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.manifest import Counts, Outcome, Plan
from molvae.pipeline.publishing import Publisher
from molvae.pipeline.reporting import CACHED, DONE, RunReport, report_failure
from molvae.pipeline.run_dir import RunDir

from molvae.errors import InputError

FUNNEL = {"n_proposed": 100, "n_valid": 90, "n_unique": 60, "n_infeasible": 10, "n_scored": 40}
OBJECTIVE = {"terms": {"qed": {"property": "qed", "shape": "higher", "low": 0, "high": 1}}}


class Recorder(Publisher):
    """Keeps the events."""

    def __init__(self) -> None:
        super().__init__("lead", None)
        self.events: list[tuple[str, str | None, dict]] = []

    def event(self, name: str, run: str | None, payload: object) -> None:
        self.events.append((name, run, dict(payload)))  # type: ignore[call-overload]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "one").mkdir()
    return RunDir(tmp_path / "one")


def report(run: RunDir, recorder: Recorder) -> RunReport:
    return RunReport(run, Campaign.from_dict({"name": "lead", "objective": OBJECTIVE}, "test"), recorder)


def collapsed_search(run: RunDir) -> None:
    def body(folder: Path) -> Outcome:
        history = [{"calls": 10 * row, "new_share": 0.01} for row in range(1, 11)]
        content = {"funnel": FUNNEL, "stop_reason": "budget", "history": history}
        (folder / "history.json").write_text(json.dumps(content))
        return Outcome({"history.json": None}, Counts(into=100, kept=40))

    Plan("search", 1, run.search, {}, 0).carry_out(body)


def test_a_run_is_started_once(run: RunDir) -> None:
    recorder = Recorder()
    report(run, recorder).begin()
    run.featurize.mkdir()
    report(run, recorder).begin()
    about = {"campaign": "lead", "run": str(run.path)}
    assert recorder.events == [("started", "one", about), ("resumed", "one", about)]


def test_a_collapse_is_reported_by_the_attempt_that_searched(run: RunDir) -> None:
    collapsed_search(run)
    recorder = Recorder()
    report(run, recorder).add("search", CACHED, "complete already")
    assert not recorder.events
    report(run, recorder).add("search", DONE, "100 in, 40 kept")
    ((name, folder, payload),) = recorder.events
    assert (name, folder) == ("collapsed", "one")
    assert payload["counts"] == {"proposed": 100, "decoded": 90, "new": 60, "feasible": 50, "scored": 40}
    assert "100 molecules" in payload["sentence"]


def test_a_failure_before_there_is_a_run_is_reported(tmp_path: Path) -> None:
    recorder = Recorder()
    log_file = tmp_path / "serve.log"
    message = report_failure(InputError("lead.toml [search] budgt: unknown key"), recorder, log_file)
    assert message == f"lead.toml [search] budgt: unknown key; details: {log_file}"
    sentence = "lead.toml [search] budgt: unknown key"
    assert recorder.events == [("failed", None, {"campaign": "lead", "sentence": sentence, "log": str(log_file)})]
