"""Prefect in the test process, without network access and without files in the home folder; small run folders."""

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import clock
from molvae.pipeline.manifest import Counts, Outcome, Plan
from molvae.pipeline.run_dir import PUBLISHED, RunDir

_home = tempfile.mkdtemp(prefix="molvae-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.setdefault("PREFECT_HOME", _home)
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

_HOLD = """
import sys, time
from pathlib import Path
from molvae.pipeline.run_dir import RunDir
with RunDir(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


class RunFolders:
    """Makes run folders as far as lists of runs read them; day 1 is the second day of January 1970."""

    day = 86_400.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, name: str, campaign: str = "lead", *, day: float = 1) -> RunDir:
        path = self.folder / name
        path.mkdir(parents=True)
        (path / "campaign.toml").write_text(f'name = "{campaign}"\nseed = 0\n', encoding="utf-8")
        (path / "start.json").write_text(json.dumps({"created": clock.iso(self.day * day)}), encoding="utf-8")
        return RunDir(path.resolve())

    def complete(
        self, name: str, campaign: str = "lead", *, day: float = 1, best: float = 0.5, smiles: tuple[str, ...] = ()
    ) -> RunDir:
        run = self.start(name, campaign, day=day)
        table = pd.DataFrame({"smiles": smiles or ("CCO", "CCN"), "score": best, "passed": True})

        def body(stage: Path) -> Outcome:
            for file in PUBLISHED:
                (stage / file).write_text(f"{file} of {name}")
            table.to_parquet(stage / "candidates.parquet")
            counts = Counts(into=len(table), kept=len(table))
            return Outcome(dict.fromkeys(PUBLISHED, len(table)), counts, facts={"best_score": best})

        Plan("validate", 1, run.validate, {}, 0).carry_out(body)
        self.change_manifest(run, finished=clock.iso(self.day * day))
        run.publish()
        return run

    @staticmethod
    def change_manifest(run: RunDir, **values: object) -> None:
        """Change values of the manifest of the last stage; None removes one."""
        path = run.validate / "manifest.json"
        manifest = json.loads(path.read_text()) | values
        manifest.pop("checksum", None)
        path.write_text(json.dumps({name: value for name, value in manifest.items() if value is not None}))

    @staticmethod
    @contextlib.contextmanager
    def held(run: RunDir) -> Iterator[None]:
        """Another process holds the lock of the run inside the block."""
        holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(run.path)], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield
        finally:
            holder.kill()
            holder.wait()


@pytest.fixture
def run_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolders:
    """Run folders in the folder `runs` of the working folder."""
    monkeypatch.chdir(tmp_path)
    return RunFolders(tmp_path / "runs")
