"""What an operator sees in Prefect of a run that fails, is resumed and completes; read back from a server."""

import base64
import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline.api import api

from molvae.candidates.files import read_candidates

pytestmark = pytest.mark.slow  # start Prefect servers

ROOT = Path(__file__).parents[2]
SCORER = """
from pathlib import Path

def score(smiles):
    if Path("down").exists():
        raise RuntimeError("the license server is down")
    return [min(len(one) / 60, 1.0) for one in smiles]
"""
CAMPAIGN = """
name = "night_ly"
[molecules]
path = "library.csv"
[codec]
name = "moses"
[objective.terms.length]
python = "scorer.py:score"
shape = "higher"
low = 0
high = 1
[search]
budget = 30
batch_size = 20
[notify]
min_passed = 30
"""


@dataclass(frozen=True)
class Server:
    """A Prefect server, and what it knows."""

    url: str
    auth: str

    def post(self, path: str, **body: object) -> list[dict]:
        request = urllib.request.Request(f"{self.url}{path}/filter", json.dumps(body).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Basic {base64.b64encode(self.auth.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=30) as response:
            found = json.load(response)
        return found["events"] if isinstance(found, dict) else found

    def flow_runs(self, name: str) -> list[dict]:
        return self.post("/flow_runs", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_ASC")

    def of_run(self, what: str, run: dict, **body: object) -> list[dict]:
        return self.post(f"/{what}", flow_runs={"id": {"any_": [run["id"]]}}, **body)

    def lines(self, run: dict) -> list[dict]:
        return self.post("/logs", logs={"flow_run_id": {"any_": [run["id"]]}}, sort="TIMESTAMP_ASC")

    def events(self, run_folder: str, n: int) -> list[dict]:
        """The events of a run, once there are n: the server stores them in the background."""
        resource = {"id": [f"molvae.run.{run_folder}"]}
        deadline, found = time.monotonic() + 30, []
        while len(found) < n and time.monotonic() < deadline:
            found = self.post("/events", filter={"resource": resource, "order": "ASC"})
            time.sleep(0.2)
        return found

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return {**kept, "PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": self.auth, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def serving(folder: Path, schedules: bool = False) -> Iterator[Server]:
    """A Prefect server whose logs are read; this process uses it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        with api(folder / "server.log", schedules) as wait:
            from prefect.settings import (
                PREFECT_API_AUTH_STRING,
                PREFECT_API_URL,
                PREFECT_LOGGING_TO_API_ENABLED,
                temporary_settings,
            )

            wait()
            server = Server(os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"])
            settings = {PREFECT_API_URL: server.url, PREFECT_API_AUTH_STRING: server.auth}
            with temporary_settings(settings | {PREFECT_LOGGING_TO_API_ENABLED: True}):
                yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "library.csv").write_text("name,SMILES\na,CCO\nb,c1ccccc1O\nc,CC(=O)Nc1ccc(O)cc1\n")
    (folder / "scorer.py").write_text(SCORER)
    (folder / "night.toml").write_text(CAMPAIGN)
    return folder


@dataclass(frozen=True)
class Night:
    """A run that failed and was resumed: its folder, the two flow runs, and what the terminal showed."""

    run: Path
    failed: dict
    completed: dict
    shown: str


@pytest.fixture(scope="module")
def night(server: Server, folder: Path) -> Night:
    (folder / "down").touch()
    first = design(server, folder, "night.toml", "--out", "mine")
    _, shown = first.communicate()
    assert first.returncode == 1, shown
    (folder / "down").unlink()
    second = design(server, folder, "--resume", "mine")
    _, shown_then = second.communicate()
    assert second.returncode == 0, shown_then
    failed, completed = server.flow_runs("night_ly: mine")
    return Night(folder / "mine", failed, completed, shown + shown_then)


def states(server: Server, run: dict) -> dict[str, tuple[str, str]]:
    deadline = time.monotonic() + 30  # task runs are stored from events, in the background
    found: list[dict] = []
    while sum(task["state"]["type"] in ("COMPLETED", "FAILED") for task in found) < 4 and time.monotonic() < deadline:
        found = server.of_run("task_runs", run)
        time.sleep(0.2)
    assert all(task["total_run_time"] > 0 for task in found)
    return {task["name"]: (task["state"]["name"], task["state"]["message"]) for task in found}


def test_a_failed_run_has_the_sentence_that_a_person_needs(server: Server, night: Night) -> None:
    assert night.failed["state"]["type"] == "FAILED"
    message = night.failed["state"]["message"]
    assert "length" in message
    assert "RuntimeError: the license server is down" in message
    assert message.endswith(f"; details: {night.run / 'run.log'}")
    assert states(server, night.failed)["night_ly: search"][0] == "Failed"
    assert "the license server is down" in states(server, night.failed)["night_ly: search"][1]


def test_a_traceback_is_only_in_the_log_file(server: Server, night: Night) -> None:
    assert "Traceback" in (night.run / "run.log").read_text()
    assert "Traceback" not in night.shown
    for run in (night.failed, night.completed):
        assert "Traceback" not in json.dumps([server.lines(run), run, server.of_run("artifacts", run)])


def test_stages_are_tasks_with_their_state(server: Server, night: Night) -> None:
    found = states(server, night.completed)
    assert {name: state for name, (state, _) in found.items()} == {
        "night_ly: fit": "Skipped",
        "night_ly: featurize": "Cached",
        "night_ly: train": "Skipped",
        "night_ly: search": "Completed",
        "night_ly: validate": "Completed",
    }
    assert found["night_ly: fit"][1] == "the campaign has no assay table"
    assert found["night_ly: train"][1] == "the campaign uses the codec moses"
    assert night.completed["tags"] == ["night_ly"]


def test_artifacts_agree_with_the_files(server: Server, night: Night) -> None:
    artifacts = {one["key"]: one for one in server.of_run("artifacts", night.completed)}
    assert set(artifacts) == {"night-ly-funnel", "night-ly-best", "night-ly-summary", "night-ly-progress"}
    candidates = read_candidates(night.run)
    funnel = {row["step"]: row["molecules"] for row in json.loads(artifacts["night-ly-funnel"]["data"])}
    history = json.loads((night.run / "3-search" / "history.json").read_text())["funnel"]
    assert list(funnel) == ["proposed", "decoded", "new", "feasible", "scored", "novel", "passed", "eligible"]
    assert funnel["proposed"] == history["n_proposed"]
    assert funnel["scored"] == len(candidates) == 30
    assert funnel["passed"] == candidates["passed"].sum()
    best = pd.DataFrame(json.loads(artifacts["night-ly-best"]["data"]))
    assert best["SMILES"].tolist() == candidates["smiles"].tolist()[:20]
    assert best["id"].tolist() == candidates["candidate_id"].tolist()[:20]
    assert best["score"].tolist() == pytest.approx(candidates["score"].tolist()[:20], abs=1e-4)
    page = artifacts["night-ly-summary"]["data"]
    assert f"molvae why {night.run} best" in page
    assert all(Path(path).exists() for path in re.findall(r"`(/[^`]*)`", page))
    assert artifacts["night-ly-progress"]["data"] == 100


def test_the_page_of_a_failed_run_says_how_to_resume(server: Server, night: Night) -> None:
    artifacts = {one["key"]: one for one in server.of_run("artifacts", night.failed)}
    page = artifacts["night-ly-summary"]["data"]
    assert f"molvae design --resume {night.run}\n" in page
    assert "the license server is down" in page
    assert artifacts["night-ly-progress"]["data"] < 100


def test_log_lines_are_those_of_the_log_file(server: Server, night: Night) -> None:
    sent = [line for run in (night.failed, night.completed) for line in server.lines(run)]
    sent_by_molvae = [line["message"] for line in sent if line["name"] == "pipeline"]
    written = re.findall(r"^\S+ \S+ \S+ \w+ +pipeline: (.*)$", (night.run / "run.log").read_text(), re.MULTILINE)
    assert sent_by_molvae == [line for line in written if not line.startswith("the run ended early")]
    (line,) = [line for line in sent_by_molvae if line.startswith("validate: ")]
    found = re.fullmatch(r"validate: in=(\d+) kept=(\d+) dropped=(\d+) seconds=([\d.]+) reasons=(\{.*\})", line)
    assert found is not None
    assert int(found[1]) == int(found[2]) + int(found[3]) == 30
    manifest = json.loads((night.run / "4-validate" / "manifest.json").read_text())
    assert json.loads(found[5]) == {name: n for name, n in manifest["counts"]["dropped"].items() if n}
    assert float(found[4]) == manifest["seconds"]
    assert {line["task_run_id"] is not None for line in sent if line["message"].startswith("search, round")} == {True}


def test_each_event_is_emitted_once(server: Server, night: Night) -> None:
    events = server.events("mine", 5)
    names = [event["event"].removeprefix("molvae.run.") for event in events]
    passed = int(read_candidates(night.run)["passed"].sum())
    assert passed < 30
    assert names == ["started", "failed", "resumed", "starved", "finished"]
    for event in events:
        assert event["payload"]["campaign"] == event["resource"]["molvae.campaign"] == "night_ly"
        assert event["payload"]["run"] == str(night.run)
        assert "molvae.campaign.night_ly" in {one["prefect.resource.id"] for one in event["related"]}
    payloads = {name: event["payload"] for name, event in zip(names, events, strict=True)}
    assert "the license server is down" in payloads["failed"]["sentence"]
    assert f"{passed} candidates passed every check, 30 were asked for" in str(payloads["starved"])
    assert payloads["finished"]["counts"]["passed"] == passed


def test_a_scheduled_run_shows_the_same(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from molvae.pipeline.deploy import scheduled

    monkeypatch.chdir(folder)
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "down").touch()
    arguments = {"campaign": str(folder / "night.toml"), "changes": ["search.seed=1"]}
    refused = scheduled(**arguments, return_state=True)
    assert refused.name == "Failed"
    assert "[search] seed" in str(refused.message)  # the sentence of a campaign that cannot be read
    arguments["changes"] = ["seed=1"]
    failed = scheduled(**arguments, return_state=True)
    assert failed.name == "Failed"
    assert "the license server is down" in str(failed.message)
    (folder / "down").unlink()
    assert scheduled(**arguments, return_state=True).name == "Completed"
    (run,) = folder.glob("runs/night_ly-*")
    first, second = server.flow_runs(run.name)
    assert first["state"]["message"] == failed.message
    assert {name: state for name, (state, _) in states(server, second).items()} == {
        "night_ly: fit": "Skipped",
        "night_ly: featurize": "Cached",
        "night_ly: train": "Skipped",
        "night_ly: search": "Completed",
        "night_ly: validate": "Completed",
    }
    names = [event["event"] for event in server.events(run.name, 5)]
    assert names == [f"molvae.run.{name}" for name in ("started", "failed", "resumed", "starved", "finished")]


class _Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    posts: queue.Queue[dict]

    def do_POST(self) -> None:
        self.posts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def design(server: Server, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "molvae.pipeline.cli", "design", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**server.environment(), "PREFECT_CLIENT_MAX_RETRIES": "1"},
    )


def test_the_automation_of_the_documentation_notifies_of_a_failed_run(folder: Path, tmp_path: Path) -> None:
    posts: queue.Queue[dict] = queue.Queue()
    handler = type("Receiver", (_Receiver,), {"posts": posts})
    with serving(tmp_path, schedules=True) as server, ThreadingHTTPServer(("127.0.0.1", 0), handler) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}/on-call"
        code = f"from prefect.blocks.webhook import Webhook as W; print(W(url={url!r}).save('on-call'))"
        run = {"env": server.environment(), "capture_output": True, "text": True, "check": True, "cwd": folder}
        block = subprocess.run([sys.executable, "-c", code], **run).stdout.split()[-1]
        automation = (ROOT / "docs" / "notify.yaml").read_text().replace("WEBHOOK_ID", block)
        (tmp_path / "notify.yaml").write_text(automation)
        create = ["-m", "prefect", "automation", "create", "--from-file", str(tmp_path / "notify.yaml")]
        subprocess.run([sys.executable, *create], **run)
        (folder / "down").touch()
        try:
            assert design(server, folder, "night.toml", "--out", str(tmp_path / "called")).wait(300) == 1
        finally:
            (folder / "down").unlink()
        post = posts.get(timeout=60)
        receiver.shutdown()
    assert post["campaign"] == "night_ly"
    assert post["run"] == str(tmp_path / "called")
    assert Path(post["log"]).is_file()
    assert post["text"].startswith("molvae, called: ")
    assert "RuntimeError: the license server is down" in post["text"]
    assert posts.empty(), "once per failure"


def test_a_run_completes_without_the_api(folder: Path, tmp_path: Path) -> None:
    """The server is killed during the search: the run gives all its files, and says so in one line."""
    with serving(tmp_path) as server:
        process = design(server, folder, "night.toml", "--out", str(tmp_path / "alone"), "--set", "search.batch_size=2")
        while not list(tmp_path.glob("alone/3-search/checkpoint-*")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        for pid in children():
            if "_serve(" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert out.startswith("alone: 30 molecules scored")
    assert len(read_candidates(tmp_path / "alone")) == 30
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "  note: Prefect's API is gone; it does not know how the run ended"
    assert "Error logging to API" not in err


def children() -> list[int]:
    """Process ids of the children of this process."""
    return [int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]
