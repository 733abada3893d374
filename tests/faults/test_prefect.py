"""The Prefect server stops, restarts or loses its database while a run is going on."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from molvae.pipeline.run_dir import RunDir

from .harness import Lab, continue_process, results, stops

STOP = stops("rename", "3-search/checkpoint-*/state.bin", after=2)


class Server:
    """A Prefect server as an operator starts it, with its database in a folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with contextlib.closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env |= {
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self.database}",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
            "DO_NOT_TRACK": "1",
        }
        self.home.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(self.port), "--no-services"]
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 170
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            time.sleep(0.5)
        raise AssertionError((self.home / "server.log").read_text()[-2000:])

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def database(self) -> Path:
        return self.home / "prefect.db"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("prefect")
    found = Server(tmp_path_factory.mktemp("prefect"))
    found.start()
    yield found
    found.stop()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["restarted", "stopped", "database locked", "database gone"])
def test_a_server_that_fails_while_a_run_is_going_on(fault: str, server: Server, lab: Lab, small: RunDir) -> None:
    """The run ends well, or ends early in one line that names Prefect; resumed, it has the same candidates."""
    run = lab.copy(small, "1-featurize")
    environment = {"PREFECT_API_URL": server.url}
    process = lab.start("design", "--resume", "run", faults=[STOP], with_prefect=True, environment=environment)
    lab.wait_until_stopped(process)
    with contextlib.ExitStack() as stack:
        if fault == "database locked":
            lock = stack.enter_context(contextlib.closing(sqlite3.connect(server.database, timeout=60)))
            lock.execute("begin exclusive")
        elif fault == "database gone":
            for path in server.home.glob("prefect.db*"):
                path.unlink()
        else:
            server.stop()
            if fault == "restarted":
                server.start()
        continue_process(process)
        ending = lab.finish(process, 540)
    if ending.code:
        ending.is_refused("Prefect", "resume with: molvae design --resume run", code=1)
    else:
        assert results(run) == results(small)
    assert fault != "restarted" or ending.code == 0, ending
    lab.heals(run, small)


@pytest.mark.slow
def test_the_private_server_is_killed_while_a_run_is_going_on(lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, "1-featurize")
    process = lab.start("design", "--resume", "run", faults=[STOP], with_prefect=True)
    lab.wait_until_stopped(process)
    servers = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == process.pid and b"pipeline.api" in (entry / "cmdline").read_bytes():
                servers.append(int(entry.name))
    assert len(servers) == 1
    os.kill(servers[0], signal.SIGKILL)
    continue_process(process)
    ending = lab.finish(process, 540)
    if ending.code:
        ending.is_refused("Prefect", "resume with: molvae design --resume run", code=1)
    else:
        assert results(run) == results(small)
    lab.heals(run, small)
