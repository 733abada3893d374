"""Memory and time of large jobs: many campaigns, a large library, a large table of candidates.

    python benchmarks/load.py campaigns [N]     N tiny campaigns (50), two at a time
    python benchmarks/load.py library FILE      featurize a molecule file, with a vocabulary to learn
    python benchmarks/load.py candidates [N]    validate, report and query a table of N candidates (100,000)

Each prints, per step, the time, the largest memory of the process tree and its growth over the second half of the step,
and that every row is accounted for. docs/reliability.md has the last results.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
MOLVAE = [sys.executable, "-m", "molvae.pipeline.cli"]
LIBRARY = "CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\n"


@contextmanager
def measured(step: str, pid: int | None = None) -> Iterator[None]:
    """Print time and memory of the block: of this process or another one, with its children."""
    root, samples, is_over = psutil.Process(pid), [], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.5):
            try:
                samples.append(sum(one.memory_info().rss for one in [root, *root.children(recursive=True)]))
            except psutil.NoSuchProcess:
                continue

    thread, start = threading.Thread(target=watch), time.monotonic()
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        half = samples[len(samples) // 2 :] or [0]
        growth = np.mean(half[-len(half) // 5 :]) - np.mean(half[: len(half) // 5 + 1])
        print(
            f"{step}: {time.monotonic() - start:,.0f} s, largest memory {max(samples, default=0) / 1e6:,.0f} MB, "
            f"growth in the second half {growth / 1e6:+,.0f} MB",
            flush=True,
        )


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MOLVAE, *arguments], cwd=cwd, capture_output=True, text=True)


def campaigns(n: int) -> None:
    """N campaigns with different seeds, two at a time; each has its run folder and its candidates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "library.smi").write_text(LIBRARY)
        small = ["molecules.path=library.smi", "search.budget=20", "search.proposals=20", "checks.in_training=false"]

        def one(seed: int) -> int:
            changes = [part for change in [*small, f"seed={seed}"] for part in ("--set", change)]
            done = run("design", "lead_like.toml", *changes, cwd=folder)
            if done.returncode:
                print(done.stderr.splitlines()[-1])
            return done.returncode

        with measured(f"{n} campaigns, two at a time"), ThreadPoolExecutor(2) as threads:
            codes = list(threads.map(one, range(n)))
        tables = [pd.read_csv(path) for path in sorted(folder.glob("runs/*-*/candidates.csv"))]
        print(f"exit code 0: {codes.count(0)} of {n}; tables: {len(tables)}; rows: {sum(map(len, tables))}")
        print(f"left over: {len(list(folder.rglob('.part-*')))} files")


def library(source: Path) -> None:
    """Featurize a molecule file: every row is kept or dropped with a reason."""
    with tempfile.TemporaryDirectory() as name:
        command = [*MOLVAE, "featurize", str(source.absolute()), "-o", "features", "--config", "small.toml"]
        process = subprocess.Popen(command, cwd=name)
        with measured(f"featurize {source.name}", process.pid):
            process.wait()
        manifest = json.loads(Path(name, "features", "manifest.json").read_text())
        counts = manifest["counts"]
        n = pq.ParquetFile(Path(name, "features", "molecules.parquet")).metadata.num_rows
        print(f"rows {counts['into']:,}, kept {counts['kept']:,} (in the file: {n:,}), dropped {counts['dropped']}")


def candidates(n: int) -> None:
    """Validate a table of n scored molecules, write its report, and query it."""
    from molvae.pipeline import runs
    from molvae.pipeline.campaign import Campaign
    from molvae.pipeline.featurize import featurize
    from molvae.pipeline.search import search
    from molvae.pipeline.validate import validate

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "library.smi").write_text(LIBRARY)
        changes = [f"molecules.path={folder / 'library.smi'}", "search.budget=60", "checks.in_training=false"]
        run_dir = runs.start(Campaign.load(Path("lead_like.toml"), changes), folder / "run")
        featurize(run_dir)
        search(run_dir)
        few, latent = pd.read_parquet(run_dir.proposals), np.load(run_dir.latent)
        names = ("moses_train.csv.gz", "moses_test.csv.gz", "moses_test_scaffolds.csv.gz")
        tables = [pd.read_csv(ROOT / "data" / one) for one in names]
        smiles = pd.concat([table.iloc[:, -1] for table in tables]).drop_duplicates().iloc[:n].tolist()
        rows = np.arange(len(smiles)) % len(few)
        many = few.iloc[rows].reset_index(drop=True)
        many = many.assign(smiles=smiles, raw_smiles=smiles, latent_row=range(len(smiles)), parent_id=None)
        many["candidate_id"] = [f"C{number:06d}" for number in range(len(smiles))]
        many = many[[column for column in few if column in many]]
        many.to_parquet(run_dir.proposals, index=False)
        np.save(run_dir.latent, latent[rows])
        with measured(f"validate {len(many):,} molecules and write the report"):
            manifest = validate(run_dir)
        print(f"molecules {manifest.counts.into:,}, passed {manifest.counts.kept:,}")
        for path in run_dir.published:
            print(f"  {path.name}: {path.stat().st_size / 1e6:,.1f} MB")
        n_parquet = pq.ParquetFile(run_dir.path / "candidates.parquet").metadata.num_rows
        n_sdf = sum(line == "$$$$\n" for line in (run_dir.path / "candidates.sdf").open())
        print(f"rows: parquet {n_parquet:,}, sdf {n_sdf:,}")
        query = "select count(*) n, sum(cast(passed as int)) passed, avg(score) score from candidates"
        process = subprocess.Popen([*MOLVAE, "query", str(run_dir.path), query], stdout=subprocess.PIPE, text=True)
        with measured("query", process.pid):
            print(process.communicate()[0])
        shutil.rmtree(folder / "run")


if __name__ == "__main__":
    job, *rest = sys.argv[1:] or ["help"]
    if job == "campaigns":
        campaigns(int(rest[0]) if rest else 50)
    elif job == "library":
        library(Path(rest[0]))
    elif job == "candidates":
        candidates(int(rest[0]) if rest else 100_000)
    else:
        print(__doc__)
