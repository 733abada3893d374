import sys
import time
from importlib.util import find_spec

import pytest

from molvae import cluster as module
from molvae.chem.molecules import standardize
from molvae.cluster import DaskCluster, run_shard
from molvae.errors import InputError, MissingPackageError, MolvaeError
from molvae.workers import LocalProcesses, pack_task

needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra dask")

ROWS = """
import os, signal, time

def double(row):
    if row == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if row == "sleep": time.sleep(600)
    if row == "value": raise ValueError("bad row")
    if row == "bug": raise AttributeError("a bug of ours")
    if row == "kill the Dask worker": os.kill(os.getppid(), signal.SIGKILL)
    return row * 2

def slow(row):
    time.sleep(0.01)
    return row + 1
"""


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A module that the workers can import, too."""
    (tmp_path / "cluster_rows.py").write_text(ROWS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("cluster_rows", None)
    import cluster_rows

    return cluster_rows


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("molvae.extras.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"molvae\[dask\]"):
        DaskCluster("tcp://127.0.0.1:1")


def test_other_versions_are_refused_by_the_worker(monkeypatch):
    """In a worker: also one that joins in mid-run."""
    other = {**module.environment(), "rdkit": "2020.1"}
    with pytest.raises(InputError, match=r"rdkit .*2020\.1"):
        run_shard(pack_task(standardize, 2, 500), ["CCO"], other)


def test_the_environment_names_python_and_the_source():
    found = module.environment()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(found["molvae's source"]) == 12


@needs_dask
def test_a_wrong_address_is_named():
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9"):
        DaskCluster("tcp://127.0.0.1:9", wait_seconds=0.5).connect()
    assert time.monotonic() - begin < 20


@needs_dask
@pytest.mark.slow
def test_a_cluster_gives_what_local_processes_give(rows, tmp_path, start_cluster):
    chunks = [list(range(20)), [], [*range(5), "kill", "value", *range(5)], ["sleep", 1], [1, 2]]
    with DaskCluster(start_cluster(path=tmp_path).address) as mapper:
        expected = list(LocalProcesses(2)(rows.double, chunks, seconds_per_row=0.2, megabytes=300))
        assert list(mapper(rows.double, chunks, seconds_per_row=0.2, megabytes=300)) == expected
        assert mapper.n_workers == 2
        with pytest.raises(MolvaeError, match="AttributeError: a bug of ours"):
            list(mapper(rows.double, [["bug"]]))


@needs_dask
@pytest.mark.slow
def test_a_lost_worker_costs_one_shard_and_a_rerun_nothing(rows, tmp_path, start_cluster):
    chunks = [[100 * i + j for j in range(20)] for i in range(40)]
    n_read = 0

    def read():
        nonlocal n_read
        for chunk in chunks:
            n_read += 1
            yield chunk

    cluster = start_cluster(path=tmp_path)
    with DaskCluster(cluster.address, store=tmp_path / "shards") as mapper:
        answers = mapper(rows.slow, read())
        found = [next(answers)]
        assert n_read <= 8  # a limited number of shards is in flight
        cluster.workers[0].kill()
        found += list(answers)
    assert found == [[row + 1 for row in chunk] for chunk in chunks]
    for process in cluster.workers:
        process.kill()
    with DaskCluster(cluster.address, store=tmp_path / "shards") as mapper:
        mapper.connect = lambda: pytest.fail("the cluster was asked")
        assert list(mapper(rows.slow, chunks)) == found


@needs_dask
@pytest.mark.slow
def test_a_row_that_ends_its_dask_workers_costs_one_row(rows, tmp_path, start_cluster):
    cluster = start_cluster(5, path=tmp_path, allowed_failures=0)
    with DaskCluster(cluster.address) as mapper:
        (results,) = mapper(rows.double, [[1, "kill the Dask worker"]])
        assert results[0] == 2
        assert results[1].reason.startswith("crash: ")
        assert [process.poll() for process in cluster.workers].count(None) == 2


@needs_dask
@pytest.mark.slow
def test_a_cluster_without_workers_or_scheduler_is_one_sentence(rows, tmp_path, start_cluster):
    cluster = start_cluster(path=tmp_path)
    mapper = DaskCluster(cluster.address)
    answers = mapper(rows.slow, ([i] * 50 for i in range(100)))
    next(answers)
    for process in cluster.workers:
        process.kill()
    mapper._wait_seconds = 1
    with pytest.raises(MolvaeError, match="no worker"):
        list(answers)
    cluster.add_worker()
    answers = mapper(rows.slow, ([i] * 50 for i in range(100, 200)))
    mapper._wait_seconds = 60
    next(answers)
    cluster.scheduler.kill()
    with pytest.raises(MolvaeError, match="is gone"):
        list(answers)
    mapper.close()
