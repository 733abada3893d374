"""`molvae featurize` compared with RDKit alone on as many processes; prints one table.

    OMP_NUM_THREADS=1 python benchmarks/featurize.py           # eight minutes; nothing else should be running
    OMP_NUM_THREADS=1 python benchmarks/featurize.py --quick   # a quick look

Molecules: the first 100,000 of the bundled MOSES training set, then all of it. RDKit alone: one process per core parses
and canonicalizes each SMILES and discards it. Featurizing standardizes, drops duplicates, and writes tokens in the
vocabulary of `moses` and a manifest; no labels. Both times include the start and the reading of the file. RDKit runs
before and after featurizing; the table has the mean. Memory is the largest resident memory of all processes together,
sampled four times per second; shared pages count in each process.
"""

import argparse
import gzip
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import psutil
from rdkit import Chem

from molvae.bundled import bundled
from molvae.workers import n_cores


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, CPU seconds of all processes, and their largest total memory in bytes."""

    seconds: float
    cpu: float
    memory: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 and 5,000 molecules")
    parser.add_argument("--alone", type=Path, metavar="FILE", help="run only RDKit, on a file of SMILES")
    given = parser.parse_args()
    if given.alone:
        run_rdkit(given.alone)
        return
    with gzip.open(bundled("moses_train.csv.gz"), "rt", encoding="utf-8") as file:
        smiles = file.read().split()[1:]
    columns = (
        "RDKit alone, s",
        "featurize, s",
        "times",
        "RDKit alone, CPU s",
        "featurize, CPU s",
        "times",
        "memory, MB",
    )
    print(f"| molecules, {n_cores()} processes | {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|---|---|")
    for n in (1_000, 5_000) if given.quick else (100_000, len(smiles)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "molecules.smi")
            path.write_text("\n".join(smiles[:n]) + "\n", encoding="utf-8")
            by_rdkit = [sys.executable, str(Path(__file__).resolve()), "--alone", path.name]
            ours = [
                sys.executable,
                "-m",
                "molvae.pipeline.cli",
                "featurize",
                path.name,
                "--vocabulary",
                "moses",
                "-o",
                "out",
            ]
            first, own, second = (cost_of(command, folder) for command in (by_rdkit, ours, by_rdkit))
        seconds, cpu = (first.seconds + second.seconds) / 2, (first.cpu + second.cpu) / 2
        wall = f"{seconds:.1f} | {own.seconds:.1f} | {own.seconds / seconds:.2f}"
        cpu_time = f"{cpu:.1f} | {own.cpu:.1f} | {own.cpu / cpu:.2f}"
        print(f"| {n:,} | {wall} | {cpu_time} | {own.memory / 1e6:,.0f} |", flush=True)


def run_rdkit(path: Path) -> None:
    """Parse and canonicalize every SMILES of a file, on all cores."""
    with path.open(encoding="utf-8") as file, multiprocessing.Pool(n_cores()) as pool:
        for _ in pool.imap_unordered(canonicalize, iter(lambda: list(islice(file, 5_000)), [])):
            pass


def canonicalize(lines: list[str]) -> int:
    return len([Chem.MolToSmiles(Chem.MolFromSmiles(line.strip())) for line in lines])


def cost_of(command: list[str], folder: str) -> Cost:
    before, begin, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.25)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - begin, cpu, peak)


def memory_of(pid: int) -> int:
    total = 0
    try:
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


if __name__ == "__main__":
    main()
