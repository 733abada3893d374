"""The private Prefect API: gone with its process however that ends, and nothing of it left behind."""

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


def is_soon(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if true():
            return True
        time.sleep(0.1)
    return False


def servers(home: str) -> list[int]:
    """Process ids of the servers that keep their things in this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if home.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_the_server_goes_with_its_parent(tmp_path: Path, sign: signal.Signals, clean: None) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "log")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    home, url = parent.stdout.readline().split()
    assert url.startswith("http://127.0.0.1:")
    assert is_soon(lambda: bool(servers(home)))
    parent.send_signal(sign)
    parent.wait()
    assert is_soon(lambda: not servers(home))
    assert is_soon(lambda: not Path(home).exists())


def test_an_api_of_the_users_own_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # answers 501 to all that it is asked
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        before = dict(os.environ)
        with api(tmp_path / "log") as wait:
            wait()
            assert dict(os.environ) == before
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense"])
def test_an_api_of_the_users_own_that_is_not_there_is_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    with (
        pytest.raises(MolvaeError, match=f"PREFECT_API_URL {url}: no Prefect server answers"),
        api(tmp_path / "l") as wait,
    ):
        wait()


def test_a_server_that_cannot_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////nowhere/at/all.db")
    before = dict(os.environ)
    with pytest.raises(MolvaeError, match="ended at its start"), api(tmp_path / "log") as wait:
        wait()
    assert dict(os.environ) == before
    assert (tmp_path / "log").stat().st_size
