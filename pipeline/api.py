"""A private Prefect API server of one process: on a loopback port, with a password; it ends with the process.

Prefect's own temporary server outlives a killed parent, shares one SQLite file between concurrent runs and starts no
scheduled runs. If PREFECT_API_URL is set, that API is used instead.
"""

import base64
import contextlib
import http.client
import ipaddress
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from molvae.errors import InputError, MolvaeError

STARTUP_SECONDS = 180
_WATCH_SECONDS = 0.5

_CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
_START = (
    "import json, pathlib, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import _serve; "
    "_serve(int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4]))"
)  # not -m: the working folder of the user may contain a folder named pipeline

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_EVENTS_RETENTION_PERIOD": "P7D",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(STARTUP_SECONDS),
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    _CONSOLE_LEVEL: "CRITICAL",  # scheduled runs write to their own logs
}


@contextlib.contextmanager
def api(log: Path, schedules: bool = False, ui: "UserInterface | None" = None) -> Iterator[Callable[[], None]]:
    """Run a Prefect API while the block runs.

    Prefect must be imported inside the block, not before; it may be imported before the API is ready.

    Parameters
    ----------
    log : Path
        File to which the errors of the server are appended.
    schedules : bool, default=False
        Whether the server also starts scheduled runs.
    ui : UserInterface or None, default=None
        Where the server shows Prefect's user interface; None: it has none, and a free loopback port.

    Yields
    ------
    callable
        Waits until the API is ready; raises MolvaeError if the server cannot be started.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        yield lambda: _check_reachable(url)
        return
    host = _reachable(ui.host).strip("[]") if ui else "127.0.0.1"
    home = Path(tempfile.mkdtemp(prefix="molvae-prefect-"))
    environment_before = dict(os.environ)
    try:
        with _listen(ui) as listener, log.open("ab") as output:
            port = listener.getsockname()[1]
            password = ui.password if ui else secrets.token_hex(16)
            os.environ.update(_environment(port, home, password, ui))
            arguments = [json.dumps(sys.path), str(listener.fileno()), str(os.getpid()), str(home)]
            server = subprocess.Popen(
                [sys.executable, "-P", "-c", _START.format(__name__), *arguments],
                env=_server_environment(schedules),
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches only this process, which then ends the server
            )
        try:
            yield lambda: _wait_until_healthy(host, port, password, server, log)
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)
        os.environ.clear()
        os.environ.update(environment_before)


@dataclass(frozen=True)
class UserInterface:
    """Where a server shows Prefect's user interface.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Its port.
    password : str
        What a user of it and of the API has to give, after `molvae:`.
    """

    host: str
    port: int
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine reach it."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    @property
    def url(self) -> str:
        """What a user opens in a browser."""
        is_any = self.host in ("0.0.0.0", "::")
        host = socket.gethostname() if is_any else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def _listen(ui: UserInterface | None) -> socket.socket:
    """A listening socket; connections wait in its queue until the server is ready."""
    host, port = (ui.host, ui.port) if ui else ("127.0.0.1", 0)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"--host {host} --port {port}: {reason}; choose another address or port") from None
    listener.listen(64)
    return listener


def _environment(port: int, home: Path, password: str, ui: UserInterface | None) -> dict[str, str]:
    """The settings of server and client; a home folder or database chosen by the user is kept."""
    changes = {
        **QUIET,
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_API_AUTH_STRING": f"molvae:{password}",
        "PREFECT_SERVER_API_AUTH_STRING": f"molvae:{password}",
    }
    defaults = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    }
    changes |= {name: value for name, value in defaults.items() if name not in os.environ}
    if ui is not None:
        changes |= {
            "PREFECT_UI_ENABLED": "true",
            "PREFECT_UI_API_URL": "/api",
            "PREFECT_LOGGING_TO_API_ENABLED": "true",
        }
        changes["PREFECT_API_URL"] = f"http://{_reachable(ui.host)}:{port}/api"
    for name in ("NO_PROXY", "no_proxy"):
        changes[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", ui.host if ui else None]))
    return changes


def _reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _check_reachable(url: str) -> None:
    """Raise MolvaeError if no server responds. Any HTTP status is accepted: Prefect checks the authorization."""
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=30).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError) as error:
        raise MolvaeError(
            f"PREFECT_API_URL {url}: no Prefect server responds ({error}); start it, or unset PREFECT_API_URL"
        ) from None


def _server_environment(schedules: bool) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != _CONSOLE_LEVEL}
    return environment if schedules else {**environment, "PREFECT__SERVER_EPHEMERAL": "1"}


def _wait_until_healthy(host: str, port: int, password: str, server: subprocess.Popen[bytes], log: Path) -> None:
    token = base64.b64encode(f"molvae:{password}".encode()).decode()
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MolvaeError(f"the Prefect server exited at startup with code {server.returncode}; details: {log}")
        connection = http.client.HTTPConnection(host, port, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/api/health", headers={"Authorization": f"Basic {token}"})
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.05)
    raise MolvaeError(f"the Prefect server did not start within {STARTUP_SECONDS} s; details: {log}")


def _serve(descriptor: int, parent: int, home: Path) -> None:
    """The server process: serve on the inherited socket until it is stopped or the parent ends."""
    end_with_parent(parent, home)
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


def end_with_parent(parent: int, home: Path | None = None) -> None:
    """Start a thread that ends this process when the parent process ends for any reason.

    Parameters
    ----------
    parent : int
        Process id of the parent.
    home : Path or None, default=None
        Folder to remove before this process ends.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
