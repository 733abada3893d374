"""Runs on a Dask cluster: the same candidates as on one machine, also when a worker is lost."""

import os
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign, RunnerSection
from molvae.pipeline.featurize import featurize
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.runner import open_mapper
from molvae.pipeline.search import search
from molvae.pipeline.validate import validate

from molvae.bundled import bundled
from molvae.candidates import build as building
from molvae.checks import run as checking
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.workers import LocalProcesses

ADDRESS = "tcp://127.0.0.1:8786"
STAGES = """
import sys
from pathlib import Path
from molvae.pipeline.featurize import featurize
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.runner import open_mapper
from molvae.pipeline.search import search
run = RunDir(Path(sys.argv[1]))
with run.lock():
    for stage in (featurize, search):
        with open_mapper(run) as mapper:
            stage(run, mapper)
"""
SCORE = """
import sys, time
for line in sys.stdin:
    time.sleep(0.02)
    print(line.count("N") / 10)
"""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "local", "address": ADDRESS}, "address"),
        ({"kind": "dask", "address": ADDRESS, "workers": 3}, "workers"),
        ({"kind": "dask", "address": "10.0.0.5"}, "address"),
        ({"kind": "ray"}, "kind"),
        ({"workers": 0}, "workers"),
    ],
)
def test_a_runner_that_cannot_be_used_is_refused_by_its_key(settings, words):
    with pytest.raises(InputError, match=words):
        RunnerSection.from_dict(settings, "campaign.toml [runner]")


def test_the_address_may_come_from_the_environment(monkeypatch):
    section = RunnerSection(kind="dask")
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with pytest.raises(InputError, match="DASK_SCHEDULER_ADDRESS"):
        _ = section.scheduler
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", ADDRESS)
    assert section.scheduler == ADDRESS


def test_the_number_of_workers_reaches_the_mapper(tmp_path):
    run = runs.start(Campaign.load(Path("lead_like.toml"), ["runner.workers=3"]), tmp_path / "run")
    with open_mapper(run) as mapper:
        assert mapper == LocalProcesses(3)


@pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra dask")
def test_a_wrong_address_ends_before_a_run_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = ["runner.kind=dask", "runner.address=tcp://127.0.0.1:9", "runner.wait_seconds=0.3"]
    with pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9"):
        runs.load(Path("lead_like.toml"), changes)
    assert not list(tmp_path.iterdir())


def start(tmp_path: Path, name: str, *changes: str) -> RunDir:
    """A run with a library of 1,500 molecules and a command as a term."""
    library, script = tmp_path / "library.csv.gz", tmp_path / "score.py"
    if not library.exists():
        pd.read_csv(bundled("moses_sample.csv.gz")).head(1_500).to_csv(library, index=False)
        script.write_text(SCORE)
    (tmp_path / "campaign.toml").write_text(
        f"""
[molecules]
path = "library.csv.gz"

[objective.terms.qed]
property = "qed"
shape = "higher"
low = 0
high = 1

[objective.terms.nitrogen]
command = ["{sys.executable}", "score.py"]
batch_size = 5
shape = "higher"
low = 0
high = 1

[search]
budget = 120
batch_size = 40
proposals = 100

[checks]
in_training = false
"""
    )
    return runs.start(Campaign.load(tmp_path / "campaign.toml", changes), tmp_path / name)


def carry_out(run: RunDir) -> None:
    with run.lock():
        for stage in (featurize, search, validate):
            with open_mapper(run) as mapper:
                stage(run, mapper)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra dask")
def test_a_run_on_a_cluster_that_loses_a_worker_has_the_same_candidates(tmp_path, monkeypatch, start_cluster):
    monkeypatch.setattr(checking, "MIN_FOR_MAPPER", 50)
    monkeypatch.setattr(building, "MIN_FOR_MAPPER", 50)
    local = start(tmp_path, "local")
    carry_out(local)
    cluster = start_cluster()
    run = start(tmp_path, "cluster", "runner.kind=dask", f"runner.address={cluster.address}")
    seen = []

    def kill_in_mid_search() -> None:
        while not (run.search.exists() and list(run.shards.glob("*/*"))):
            time.sleep(0.005)
        seen.append(len(list(run.shards.glob("*/*"))))
        cluster.workers[0].kill()

    thread = threading.Thread(target=kill_in_mid_search, daemon=True)
    thread.start()
    carry_out(run)
    thread.join(timeout=1)
    assert seen
    assert cluster.workers[0].poll() is not None
    for one, other in zip(local.published[:3], run.published[:3], strict=True):
        assert sha256_of(one) == sha256_of(other)
    assert sha256_of(local.molecules) == sha256_of(run.molecules)
    assert not run.shards.exists()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra dask")
def test_a_run_whose_scheduler_is_gone_is_resumed(tmp_path, start_cluster):
    local = start(tmp_path, "local")
    carry_out(local)
    cluster = start_cluster()
    run = start(tmp_path, "cluster", "runner.kind=dask", f"runner.address={cluster.address}")
    command = [sys.executable, "-c", STAGES, str(run.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(run.shards.glob("*/*")):
        time.sleep(0.005)
    cluster.scheduler.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "MolvaeError: the Dask scheduler at" in errors
    assert list(run.shards.glob("*/*"))
    other = start_cluster()
    run.campaign.write_text(run.campaign.read_text().replace(cluster.address, other.address))
    carry_out(run)
    assert sha256_of(run.published[0]) == sha256_of(local.published[0])
