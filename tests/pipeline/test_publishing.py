"""Records of a run reach Prefect's API late rather than never, and never stop or slow the run."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from molvae.pipeline import publishing
from molvae.pipeline.publishing import Publisher


class Api:
    """An API that answers with `status` and keeps what it accepted."""

    def __init__(self) -> None:
        self.status: Callable[[str], int] = lambda path: 200
        self.accepted: list[tuple[str, str, object]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = api.status(self.path)
                if status < 300:
                    api.accepted.append((self.command, self.path, body))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                answer = {"id": str(uuid.uuid4()), **body} if isinstance(body, dict) else {}
                self.wfile.write(json.dumps(answer).encode())

            def do_GET(self) -> None:
                self.send_error(503 if api.status(self.path) == 503 else 404)  # 404: without protection against CSRF

            do_POST = do_PATCH = answer

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def posted(self, path: str) -> list[object]:
        return [body for _, found, body in self.accepted if found.startswith(f"/api{path}")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setattr(publishing, "_SEND_SECONDS", 0.02)
    # events of artifacts would go through a websocket
    monkeypatch.setattr("prefect.events.utilities.emit_event", lambda **_: None)
    api = Api()
    with temporary_settings({PREFECT_API_URL: api.url}):
        yield api
    api.server.shutdown()
    api.server.server_close()


def line(text: str) -> logging.LogRecord:
    return logging.LogRecord("pipeline", logging.INFO, "", 0, text, None, (ValueError, ValueError("secret"), None))


def sent_lines(api: Api) -> list[str]:
    return [one["message"] for lines in api.posted("/logs") for one in lines]  # type: ignore[attr-defined]


def test_everything_arrives_after_the_api_was_gone(server: Api, caplog: pytest.LogCaptureFixture) -> None:
    server.status = lambda path: 503
    publisher = Publisher("A.b_c", uuid.uuid4(), ["kept"])
    publisher.start()
    publisher.label("the name")
    publisher.table("best", [{"rank": 1}], "title")
    publisher.table("best", [{"rank": 2}], "title")
    for number in range(500):
        publisher.line(line(f"line {number}"))
    deadline = time.monotonic() + 20
    while not publisher._is_failing and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)  # several attempts
    assert not server.accepted
    server.status = lambda path: 200
    publisher.close()
    assert sent_lines(server) == [f"line {number}" for number in range(500)]
    (artifact,) = server.posted("/artifacts")
    assert isinstance(artifact, dict)
    assert artifact["key"] == "a-b-c-best"
    assert json.loads(artifact["data"]) == [{"rank": 2}]
    (label,) = server.posted("/flow_runs")
    assert isinstance(label, dict)
    assert label["name"] == "the name"
    assert set(label["tags"]) == {"kept", "A.b_c"}
    assert [record.levelname for record in caplog.records if "Prefect's API" in record.message] == ["WARNING"]


def test_what_the_api_refuses_does_not_block_the_rest(server: Api) -> None:
    server.status = lambda path: 422 if "artifacts" in path else 200
    publisher = Publisher("lead", uuid.uuid4())
    publisher.start()
    publisher.table("best", [{"rank": 1}], "title")
    publisher.line(line("first"))
    deadline = time.monotonic() + 20
    while publisher._artifacts and time.monotonic() < deadline:
        time.sleep(0.02)
    publisher.line(line("second"))
    publisher.close()
    assert sent_lines(server) == ["first", "second"]
    assert publisher._artifacts == {}


def test_progress_is_sent_at_a_bounded_rate(server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_PROGRESS_SECONDS", 0.2)
    publisher = Publisher("lead", uuid.uuid4())
    publisher.start()
    begin = time.monotonic()
    for done in range(1, 201):
        publisher.progress("search", done, 200, "molecules scored")
        time.sleep(0.003)
    seconds = time.monotonic() - begin
    publisher.end_progress("complete", is_complete=True)
    publisher.close()
    sent = [(command, body) for command, path, body in server.accepted if "artifacts" in path]
    assert [command for command, _ in sent] == ["POST", *["PATCH"] * (len(sent) - 1)]
    assert 2 <= len(sent) <= seconds / 0.2 + 3
    shares = [body["data"] for _, body in sent]  # type: ignore[index]
    assert shares == sorted(shares)
    assert sent[-1][1]["description"] == "complete"  # type: ignore[index]
    assert shares[-1] == 100


def test_a_call_costs_next_to_nothing() -> None:
    publisher = Publisher("lead", uuid.uuid4())
    begin = time.process_time()
    for done in range(10_000):
        publisher.progress("search", done, 10_000, "molecules scored")
    assert time.process_time() - begin < 1.0


def test_an_api_that_hangs_does_not_hold_the_run(server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(publishing, "_TIMEOUT_SECONDS", 0.3)
    server.status = lambda path: 200 if released.wait(20) else 503
    publisher = Publisher("lead", uuid.uuid4())
    publisher.start()
    begin = time.monotonic()
    publisher.line(line("one"))
    publisher.close()
    assert time.monotonic() - begin < 5
    released.set()


def test_nothing_is_sent_without_readers(server: Api) -> None:
    with publishing.publishing("lead", is_on=False) as publisher:
        publisher.table("best", [{"rank": 1}], "title")
        publisher.event("finished", "run", {})
        logging.getLogger("pipeline").info("a line")
    assert not publisher.is_on
    assert not server.accepted
