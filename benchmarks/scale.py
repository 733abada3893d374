"""CPU time, memory and bytes of each stage at several sizes: results/scale.csv, from which docs/scale.md is filled.

    OMP_NUM_THREADS=1 python benchmarks/scale.py                   # ten minutes of CPU time; resumes where it stopped
    OMP_NUM_THREADS=1 python benchmarks/scale.py --stage encode --sizes 10000 100000
    python docs/figures.py                                         # writes the table in docs/scale.md

Each stage runs in a process of its own, so that its peak memory is its own. CPU time is that of the process and its
workers, from the moment when packages are imported and codecs are loaded; other work on the machine makes it a few
percent longer. Molecules: the bundled MOSES training set, in file order; candidates and queries: the test set.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from molvae.bundled import bundled

RESULTS = Path(__file__).parent / "results" / "scale.csv"
COLUMNS = ("stage", "n", "cpu_s", "peak_mb", "mb", "machine", "rdkit")
SMALL, LARGE = (10_000, 50_000), (1_000, 10_000)


def molecules(n: int, name: str = "moses_train.csv.gz") -> list[str]:
    with gzip.open(bundled(name), "rt", encoding="utf-8") as file:
        next(file)
        return [line.split(",")[0].strip() for _, line in zip(range(n), file, strict=False)]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


Work = Callable[[], int]
"""Does the work that is measured; returns the bytes of its result."""


def prepare_standardize(n: int, folder: Path, like: str | None = None) -> Work:
    from molvae.datasets import open_molecules
    from molvae.features.views import FeatureSettings
    from molvae.training.featurizing import FeaturePlan, read_featurizers, write_library

    source, out = folder / "molecules.smi", folder / "out"
    source.write_text("\n".join(molecules(n)) + "\n", encoding="utf-8")
    out.mkdir()
    plan = None
    if like:
        from molvae.codec.description import find_codec

        plan = FeaturePlan(FeatureSettings(labels=0), read_featurizers(find_codec(like)))

    def work() -> int:
        write_library(open_molecules(source), out, plan)
        return size_of(out)

    return work


def prepare_featurize(n: int, folder: Path) -> Work:
    return prepare_standardize(n, folder, "moses")


def prepare_label(n: int, folder: Path) -> Work:
    from functools import partial

    from molvae.features.parallel import label
    from molvae.training.featurizing import LABELS
    from molvae.workers import LocalProcesses

    smiles = molecules(n)

    def work() -> int:
        chunks = (smiles[begin : begin + 500] for begin in range(0, n, 500))
        parts = LocalProcesses()(partial(label, properties=LABELS, n_bits=1024), chunks)
        return sum(4 * len(LABELS) + 128 for part in parts for _ in part)

    return work


def prepare_encode(n: int, folder: Path) -> Work:
    from molvae import load_codec

    codec, smiles = load_codec("druglike"), molecules(n)
    codec.encode(smiles[:100])

    def work() -> int:
        parts = [codec.encode(smiles[begin : begin + 10_000]).z for begin in range(0, n, 10_000)]
        return sum(part.nbytes for part in parts)

    return work


def prepare_decode(n: int, folder: Path) -> Work:
    from molvae import load_codec

    codec = load_codec("druglike")
    z = np.tile(codec.encode(molecules(2_000)).z, (n // 2_000 + 1, 1))[:n]
    codec.decode(z[:100])

    def work() -> int:
        parts = [codec.decode(z[begin : begin + 10_000]) for begin in range(0, n, 10_000)]
        return sum(len(one.smiles or "") for part in parts for one in part)

    return work


def prepare_score(n: int, folder: Path) -> Work:
    from molvae.scoring.objective import Objective, ObjectiveSettings

    terms = {name: {"property": name, "shape": "higher", "low": 0, "high": 1} for name in ("qed", "sa_score", "logp")}
    objective, smiles = Objective(ObjectiveSettings.from_dict({"terms": terms}, "benchmark")), molecules(n)
    objective(smiles[:100])
    return lambda: int(objective(smiles).memory_usage(deep=True).sum())


def prepare_qsar(n: int, folder: Path) -> Work:
    from molvae.qsar import fit_assay

    model, smiles = fit_assay(bundled("d4_ki.csv"), folder / "model"), molecules(n)
    model.predict_standardized(smiles[:100])

    def work() -> int:
        parts = [model.predict_standardized(smiles[begin : begin + 1_000]) for begin in range(0, n, 1_000)]
        return int(sum(part.memory_usage(index=False).sum() for part in parts))

    return work


def prepare_search(n: int, folder: Path) -> Work:
    import molvae
    from molvae.scoring.objective import Objective, ObjectiveSettings

    terms = {"qed": {"property": "qed", "shape": "higher", "low": 0, "high": 1}}
    objective = Objective(ObjectiveSettings.from_dict({"terms": terms}, "benchmark"))
    codec = molvae.load_codec("druglike")

    def work() -> int:
        molvae.optimize(objective, budget=n, codec=codec, checkpoint=folder / "checkpoint", notify=lambda note: None)
        return size_of(folder)

    return work


def candidates_of(n: int) -> pd.DataFrame:
    smiles = molecules(n, "moses_test.csv.gz")
    ids = [f"C{row:06d}" for row in range(n)]
    columns = {"candidate_id": ids, "smiles": smiles, "raw_smiles": smiles, "score": np.linspace(0, 1, n)}
    return pd.DataFrame(columns | {"round": 0, "latent_row": range(n), "parent_id": None})


def prepare_validate(n: int, folder: Path) -> Work:
    import molvae
    from molvae.candidates.files import write_candidates

    proposals, library = candidates_of(n), dict.fromkeys(molecules(10_000))

    def work() -> int:
        write_candidates(folder, molvae.build_candidates(proposals, library))
        return size_of(folder)

    return work


def prepare_page(n: int, folder: Path) -> Work:
    from molvae.chem.properties import compute
    from molvae.report.grid import write_grid

    table = candidates_of(n)
    names = ("mol_weight", "logp", "tpsa", "qed")
    table = pd.concat([table, compute(table["smiles"].tolist(), names)], axis=1)

    def work() -> int:
        write_grid(folder / "page.html", table, title="candidates")
        return size_of(folder)

    return work


def prepare_query(n: int, folder: Path) -> Work:
    import molvae
    from molvae.query import query

    path, table = folder / "candidates.parquet", candidates_of(n)
    one = molvae.build_candidates(candidates_of(1), ["CCO"]).iloc[[0] * n].reset_index(drop=True)
    one.assign(**{name: table[name] for name in table}).to_parquet(path)  # with the columns of a candidate table
    text = "similar_to('CC(=O)Nc1ccc(O)cc1') > 0.2 ORDER BY score"
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")

    def work() -> int:
        return int(query(path, text, seconds=3600).memory_usage(deep=True).sum())

    return work


STAGES: dict[str, tuple[Callable[[int, Path], Work], tuple[int, ...]]] = {
    "standardize": (prepare_standardize, SMALL),
    "standardize and tokens": (prepare_featurize, SMALL),
    "labels for training": (prepare_label, (1_000, 10_000)),
    "encode": (prepare_encode, SMALL),
    "decode": (prepare_decode, (2_000, 10_000)),
    "score: three properties": (prepare_score, (1_000, 10_000)),
    "score: model of an assay": (prepare_qsar, (500, 2_000)),
    "search, per call": (prepare_search, (300, 1_000)),
    "validate": (prepare_validate, (1_200, 3_000)),
    "page": (prepare_page, LARGE),
    "query": (prepare_query, LARGE),
}
"""What is measured -> its preparation, and the numbers of molecules."""


def measure(stage: str, n: int) -> dict[str, object]:
    """Run a stage in this process; print its row."""
    with tempfile.TemporaryDirectory() as folder:
        work = STAGES[stage][0](n, Path(folder))
        before = cpu_seconds()
        n_bytes = work()
        cpu = cpu_seconds() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"stage": stage, "n": n, "cpu_s": round(cpu, 2), "peak_mb": round(peak), "mb": round(n_bytes / 1e6, 3)}


def cpu_seconds() -> float:
    """CPU time of this process and of its workers, also of those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    alive = [one.cpu_times() for one in psutil.Process().children()]
    total = sum(one.ru_utime + one.ru_stime for one in used)
    return total + sum(one.user + one.system + one.children_user + one.children_system for one in alive)


def machine() -> str:
    """The processor and the number of cores."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def read_results() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scale_table() -> str:
    """The table of docs/scale.md: a line through the two smallest sizes, checked at the largest if there are three."""
    rows = read_results()
    lines = [
        "| work | molecules | CPU ms a molecule | constant, s | memory, MB | bytes a molecule | check |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage in STAGES:
        sizes = sorted((int(row["n"]), float(row["cpu_s"]), row) for row in rows if row["stage"] == stage)
        if len(sizes) < 2:
            continue
        (n0, cpu0, _), (n1, cpu1, last), *more = sizes
        slope = (cpu1 - cpu0) / (n1 - n0)
        constant = max(0.0, cpu0 - slope * n0)
        check = ""
        if more:
            n2, cpu2, last = more[-1]
            check = f"{n2:,}: {cpu2:,.0f} s, expected {constant + slope * n2:,.0f} s"
        n_bytes = 1e6 * float(last["mb"]) / int(last["n"])
        lines.append(
            f"| {stage} | {n0:,}; {n1:,} | {1e3 * slope:.3g} | {constant:.1f} | {int(last['peak_mb']):,} | "
            f"{n_bytes:,.0f} | {check} |"
        )
    machines = sorted({f"{row['machine']}, RDKit {row['rdkit']}" for row in rows})
    return "\n".join([*lines, "", f"Machine: {'; '.join(machines)}."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=STAGES, help="only this one")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of molecules")
    parser.add_argument("--measure", action="store_true", help="measure one size in this process, and print it")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.stage, given.sizes[0])))
        return
    from importlib.metadata import version

    for stage in [given.stage] if given.stage else STAGES:
        for n in given.sizes or STAGES[stage][1]:
            if any(row["stage"] == stage and int(row["n"]) == n for row in read_results()):
                continue
            command = [sys.executable, __file__, "--measure", "--stage", stage, "--sizes", str(n)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            row = json.loads(answer.splitlines()[-1]) | {"machine": machine(), "rdkit": version("rdkit")}
            is_new = not RESULTS.exists()
            with RESULTS.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
