"""Fixtures that several folders use."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from molvae import plugins


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a package with entry points on the import path: `install_plugin(package, group, code, name=object)`."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins._load.cache_clear()
    modules: list[str] = []

    def install(package: str, group: str, code: str, **entries: str) -> None:
        modules.append(f"{package}_code")
        (tmp_path / f"{package}_code.py").write_text(code)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}_code:{target}" for name, target in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")

    yield install
    plugins._load.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def candidates() -> pd.DataFrame:
    """A candidate table of four molecules: two failed a check, and one has no score."""
    return pd.DataFrame(
        {
            "candidate_id": ["C000001", "C000002", "C000003", "C000004"],
            "smiles": ["CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)NC1CCCCC1", "O=Cc1ccncc1", "Cc1ccc(S(N)(=O)=O)cc1Cl"],
            "raw_smiles": ["CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)NC1CCCCC1", "c1cc(C=O)ccn1", "Cc1ccc(S(N)(=O)=O)cc1Cl"],
            "round": [0, 0, 1, 1],
            "parent_id": [None, None, "C000001", "C000002"],
            "latent_row": [0, 1, 2, 3],
            "score": [0.812345678901, 0.75, float("nan"), 0.4],
            "value_logp": [1.3506, 0.9, 0.8866, -1.0],
            "value_mol_weight": [151.165, 170.256, 107.112, 205.666],
            "score_logp": [0.9, 0.5, float("nan"), 0.1],
            "check_mol_weight": ["pass", "pass", "MW 107.1 < 150 Da", "pass"],
            "check_alerts": ["pass", "pass", "BRENK: aldehyde; PAINS: made up", "BRENK: made up"],
            "passed": [True, True, False, False],
            "failed_checks": [None, None, "mol_weight, alerts", "alerts"],
            "reason": [None, None, "MW 107.1 < 150 Da; BRENK: aldehyde; PAINS: made up", "BRENK: made up"],
            "mol_weight": [151.165, 170.256, 107.112, 205.666],
            "scaffold": ["c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccccc1"],
            "is_start": [True, True, False, False],
            "is_known": [True, False, False, False],
            "parent_smiles": [None, None, "CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)NC1CCCCC1"],
            "nearest_reference": ["CHEMBL112", "CHEMBL2", "CHEMBL112", "CHEMBL3"],
            "nearest_reference_smiles": ["CC(=O)Nc1ccccc1", "CC(N)C(N)=O", "CC(=O)Nc1ccccc1", "NS(=O)(=O)c1ccccc1"],
            "nearest_reference_similarity": [0.55, 0.31, 0.12, 0.47],
            "inchikey": ["RZVAJINKPMORJF-UHFFFAOYSA-N", "A", "B", "C"],
            "open_stereo_centers": [0, 0, 0, 0],
        }
    )


class _Cluster:
    """A Dask scheduler and workers with one thread each, as processes on this machine."""

    def __init__(self, path: Path | None, log: Path, allowed_failures: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        paths = [str(path)] if path else []
        self._env = os.environ | {
            "PYTHONPATH": os.pathsep.join([*paths, *sys.path]),
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
        }
        self._log = log
        self.scheduler = self._start("dask_scheduler", "--port", str(self._port))
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self) -> None:
        name = f"worker-{len(self.workers)}"
        self.workers.append(self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--name", name))

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def _start(self, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.{module}",
            *arguments,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, env=self._env, stdout=log, stderr=log, cwd=self._log.parent)


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., _Cluster]]:
    """Start a Dask cluster: `start_cluster(n_workers=2, path=None)`; its workers can import modules from `path`."""
    clusters: list[_Cluster] = []

    def start(n_workers: int = 2, path: Path | None = None, allowed_failures: int = 3) -> _Cluster:
        clusters.append(_Cluster(path, tmp_path / "cluster.log", allowed_failures))
        for _ in range(n_workers):
            clusters[-1].add_worker()
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.close()
