"""The private Prefect API: it ends when its parent process ends for any reason, and leaves no files."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from molvae.pipeline.api import api

from molvae.errors import MolvaeError

HOLD = """
import os, sys, time
from pathlib import Path
from molvae.pipeline.api import api
with api(Path(sys.argv[1])) as wait:
    print(os.environ["PREFECT_HOME"], os.environ["PREFECT_API_URL"], flush=True)
    time.sleep(120)
"""


def becomes_true(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def servers(home: str) -> list[int]:
    """Process ids of the servers that use this home folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if home.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_its_parent(tmp_path: Path, sign: signal.Signals, clean_environment: None) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "log")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    home, url = parent.stdout.readline().split()
    assert url.startswith("http://127.0.0.1:")
    assert becomes_true(lambda: bool(servers(home)))
    parent.send_signal(sign)
    parent.wait()
    assert becomes_true(lambda: not servers(home))
    assert becomes_true(lambda: not Path(home).exists())


def test_the_api_of_the_user_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # answers every request with 501
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        before = dict(os.environ)
        with api(tmp_path / "log") as wait:
            wait()
            assert dict(os.environ) == before
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense"])
def test_an_unreachable_api_of_the_user_is_an_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    with (
        pytest.raises(MolvaeError, match=f"PREFECT_API_URL {url}"),
        api(tmp_path / "l") as wait,
    ):
        wait()


def test_a_server_that_cannot_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None
) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////nowhere/at/all.db")
    before = dict(os.environ)
    with pytest.raises(MolvaeError, match=r"code \d+; .*log"), api(tmp_path / "log") as wait:
        wait()
    assert dict(os.environ) == before
    assert (tmp_path / "log").stat().st_size
