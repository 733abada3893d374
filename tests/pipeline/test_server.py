"""A Prefect server on PostgreSQL, with a work pool and a worker that runs a campaign to its end."""

import asyncio
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
CAMPAIGN = {
    "name": "served",
    "objective": {"terms": {"qed": {"property": "qed", "shape": "higher", "low": 0.3, "high": 0.9}}},
    "search": {"budget": 20},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARIES, reason="needs PostgreSQL: apt-get install postgresql"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty PostgreSQL database, on loopback and with a password."""
    folder = Path(tempfile.mkdtemp(prefix="molvae-postgres-"))
    binaries, port = BINARIES[-1].parent, free_port()
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        names = {user.pw_name for user in pwd.getpwall()}
        user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        os.chown(folder, user.pw_uid, user.pw_gid)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o644)
    options = ["-D", folder / "data", "-U", "molvae", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
    subprocess.run([*as_user, binaries / "initdb", *options], check=True, capture_output=True, cwd=folder)
    arguments = ["-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*as_user, binaries / "postgres", *arguments], stderr=log, stdout=log, cwd=folder)
    try:
        create = [binaries / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "molvae", "prefect"]
        deadline = time.monotonic() + 120
        while subprocess.run(create, env={**os.environ, "PGPASSWORD": "secret"}, capture_output=True).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield f"postgresql+asyncpg://molvae:secret@127.0.0.1:{port}/prefect"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def request(url: str, body: dict | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=120) as response:
        return json.load(response)


def count_runs(database: str) -> int:
    """The number of completed flow runs in the database, read without Prefect."""
    import asyncpg

    async def count() -> int:
        connection = await asyncpg.connect(database.replace("+asyncpg", ""))
        try:
            return await connection.fetchval("SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED'")
        finally:
            await connection.close()

    return asyncio.run(count())


def test_a_worker_runs_a_campaign(database: str, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/api"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PWD": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }

    def prefect(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "prefect", "--no-prompt", *arguments]

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"{arguments[0]}.log").open("wb")
        return subprocess.Popen(prefect(*arguments), cwd=tmp_path, env=env, stdout=log, stderr=log)

    def run(*arguments: str) -> None:
        done = subprocess.run(prefect(*arguments), cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    started = [start("server", "start", "--host", "127.0.0.1", "--port", str(port))]
    try:
        deadline = time.monotonic() + 300
        while True:
            assert started[0].poll() is None, (tmp_path / "server.log").read_text()
            assert time.monotonic() < deadline
            try:
                assert request(f"{url}/health") is True
                break
            except OSError:
                time.sleep(0.5)
        run("work-pool", "create", "molvae", "--type", "process")
        run("deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml"))
        started.append(start("worker", "start", "--pool", "molvae"))
        deployment = request(f"{url}/deployments/name/molvae-campaign/campaign")
        form = deployment["parameter_openapi_schema"]["definitions"]["CampaignForm"]
        assert form["properties"]["search"]["properties"]["budget"]["minimum"] == 1
        assert "train" in form["properties"]
        create = f"{url}/deployments/{deployment['id']}/create_flow_run"
        with pytest.raises(urllib.error.HTTPError) as refused:
            request(create, {"parameters": {"campaign": {**CAMPAIGN, "search": {"budget": 0}}}})
        assert refused.value.code in (409, 422)
        assert "budget" in refused.value.read().decode() or refused.value.code == 409
        number = request(create, {"parameters": {"campaign": CAMPAIGN}})["id"]
        deadline = time.monotonic() + 500
        while (found := request(f"{url}/flow_runs/{number}"))["state"]["type"] not in (
            "COMPLETED",
            "FAILED",
            "CRASHED",
        ):
            assert time.monotonic() < deadline, found["state"]
            time.sleep(1)
        assert found["state"]["type"] == "COMPLETED", found["state"]["message"]
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(60)
    (table,) = tmp_path.glob("runs/served-*/candidates.csv")
    assert len(table.read_text().splitlines()) > 10
    assert count_runs(database) == 1
