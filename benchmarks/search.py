"""Compare search methods at equal numbers of scored molecules: PMO tasks, and lead optimization.

    python benchmarks/search.py run --out runs --start zinc250k.smi.gz --workers 2 --minutes 60
    python benchmarks/search.py run --out runs --start zinc250k.smi.gz --workers 2 --methods mol_ga
    python benchmarks/search.py lead --out leads --library zinc250k.smi.gz --n 100
    python benchmarks/search.py table runs leads --csv

A run is one search: a method, a task, a seed and a start. It is written to a file of its own when it has finished, and
a run whose file exists is skipped; so a table is made in legs: give the same command again to go on, after `--minutes`
or after an interruption, also within a search. `mol_ga` is a genetic algorithm (pip install mol_ga; its environment
needs no molvae). docs/search.md describes the protocols and has the results.
"""

import argparse
import contextlib
import gzip
import hashlib
import json
import multiprocessing
import os
import platform
import re
import shutil
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pmo import tasks
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import QED, rdFingerprintGenerator
from search_tables import (
    CALLS,
    GROUPS,
    LEAD_CSV,
    N_SEEDS,
    SEARCH_CSV,
    ablation_table,
    add_rows,
    area,
    lead_table,
    marks,
    read_rows,
    search_tables,
    to_lead_row,
    to_row,
)

MOL_GA = "mol_ga"
N_STARTS = 100
N_LEADS = 800
_N_BEST = 100
_MAX_SA = 4.5
_MAX_GENERATIONS = 1_000_000
_NAME = re.compile(r"[\w.-]+")
_FINGERPRINTS = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)


class BenchmarkError(Exception):
    """An option that cannot be used."""


class Run(NamedTuple):
    """One search: what determines its result."""

    method: str
    label: str
    task: str
    seed: int
    start: str
    budget: int
    codec: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of its file, without suffix."""
        return f"{self.label}-{self.task}-{start_name(self.start)}-{self.budget}-{self.seed}"


class Clock:
    """CPU and wall time of a run by number of calls; a file keeps them if the run may be interrupted."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._before: tuple[float, ...] = (0.0, 0.0)
        self.now = self._before
        self.marks: dict[int, tuple[float, ...]] = {}
        if path and path.exists():
            saved = json.loads(path.read_text(encoding="utf-8"))
            self._before = tuple(saved["now"])
            self.marks = {int(n): tuple(times) for n, times in saved["marks"].items()}
        self._begin = (time.process_time(), time.perf_counter())

    def stop(self, n_calls: int, budget: int) -> None:
        """Note the time after a number of calls."""
        now = time.process_time() - self._begin[0], time.perf_counter() - self._begin[1]
        self.now = tuple(part + before for part, before in zip(now, self._before, strict=True))
        for mark in marks(budget):
            if n_calls >= mark:
                self.marks.setdefault(mark, self.now)
        if self._path:
            write(self._path, {"now": self.now, "marks": self.marks})

    def seconds(self, part: int, budget: int) -> dict[str, float]:
        """CPU seconds (part 0) or wall seconds (1) at each mark; those of the end where a run ended before it."""
        return {str(n): round(self.marks.get(n, self.now)[part], 2) for n in marks(budget)}


class Finished(Exception):
    """The budget of a run without a search of its own is spent."""


class Counted:
    """An oracle that counts distinct canonical molecules and ends a run after `budget` of them."""

    def __init__(self, task: Callable[[Chem.Mol], float], budget: int, clock: Clock) -> None:
        self._task, self._budget, self._clock = task, budget, clock
        self.scores: dict[str, float] = {}

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        """Scores of molecules; 0 for an invalid one, which is not counted."""
        return [self._score(one) for one in smiles]

    def _score(self, smiles: str) -> float:
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            return 0.0
        canonical = Chem.MolToSmiles(mol)
        if canonical not in self.scores:
            if len(self.scores) >= self._budget:
                raise Finished
            self.scores[canonical] = float(self._task(mol))
            self._clock.stop(len(self.scores), self._budget)
        return self.scores[canonical]


# Runs


def execute(run: Run, folder: Path, deadline: float, codec: Any = None) -> str | None:
    """Finish a run and write its file; returns a line that describes it, or None if the deadline (Unix time) came."""
    if time.time() > deadline:
        return None
    start = draw_start(Path(run.start), run.seed) if run.start != "prior" else None
    kept = folder / "unfinished" / f"{run.name}-{code_version()}"
    if run.method == MOL_GA:
        found = run_mol_ga(run, start or [])
    else:
        found = run_molvae(run, start, codec or load(run.codec), kept, deadline)
    if found is None:
        return None
    scores, result = list(found["scores"].values()), found.pop("scores")
    best = {n: sorted(list(result)[:n], key=lambda one: -result[one])[:_N_BEST] for n in marks(run.budget)}
    record = {
        **run._asdict(),
        "start": start_name(run.start),
        "start_sha256": hashlib.sha256("\n".join(start).encode()).hexdigest() if start else None,
        **found,
        **facts(found["codec"] is not None),
        "scores": [round(score, 6) for score in scores],
        "best": {str(n): [[one, round(result[one], 6)] for one in ones] for n, ones in best.items()},
    }
    write(folder / f"{run.name}.json", record)
    for path in kept.parent.glob(f"{run.name}-*"):
        shutil.rmtree(path)
    cpu = record["cpu_s"][str(run.budget)]
    return f"{run.name}: AUC {area(scores, run.budget):.3f}, {len(scores)} calls, {cpu:.0f} CPU s"


def run_molvae(run: Run, start: list[str] | None, codec: Any, kept: Path, deadline: float) -> dict[str, Any] | None:
    """A search of molvae, with a checkpoint in the folder `kept`; None if the deadline came."""
    from molvae.search.search import Search

    kept.mkdir(parents=True, exist_ok=True)
    score, clock = tasks()[run.task], Clock(kept / "clock.json")
    search = Search(
        codec,
        budget=run.budget,
        start=start,
        seed=run.seed,
        settings=run.settings | {"method": run.method},
        notify=lambda note: None,
        checkpoint=kept / "checkpoint",
    )
    while smiles := search.pending or search.ask():
        search.tell(smiles, [float(score(Chem.MolFromSmiles(one))) for one in smiles])
        clock.stop(search.n_scored, run.budget)
        if time.time() > deadline and search.stop_reason is None:
            return None
    clock.stop(search.n_scored, run.budget)
    result = search.result()
    table = result.table.sort_values("latent_row")  # in the order of the calls
    return {
        "scores": dict(zip(table["smiles"], table["score"].fillna(0.0).tolist(), strict=True)),
        "codec": {"name": run.codec, "sha256": codec.sha256},
        "cpu_s": clock.seconds(0, run.budget),
        "wall_s": clock.seconds(1, run.budget),
        "funnel": result.funnel,
        "stop_reason": result.stop_reason,
    }


def run_mol_ga(run: Run, start: list[str]) -> dict[str, Any]:
    """The genetic algorithm mol_ga with the settings of its PMO entry; it has no checkpoint, and no deadline."""
    import random

    import mol_ga

    clock = Clock()
    oracle = Counted(tasks()[run.task], run.budget, clock)
    with contextlib.suppress(Finished):
        mol_ga.default_ga(
            starting_population_smiles=start,
            scoring_function=oracle,
            max_generations=_MAX_GENERATIONS,
            population_size=500,
            offspring_size=5,
            rng=random.Random(run.seed),
        )
    clock.stop(len(oracle.scores), run.budget)
    return {
        "scores": oracle.scores,
        "codec": None,
        "cpu_s": clock.seconds(0, run.budget),
        "wall_s": clock.seconds(1, run.budget),
        "funnel": {"n_scored": len(oracle.scores)},
        "stop_reason": "budget" if len(oracle.scores) == run.budget else f"{_MAX_GENERATIONS} generations",
    }


def plan(arguments: argparse.Namespace) -> list[Run]:
    """All runs of a command line, those of the first seed first."""
    settings = tomllib.loads(arguments.settings.read_text(encoding="utf-8")) if arguments.settings else {}
    check_methods(arguments.methods, arguments.start)
    if arguments.settings and not arguments.label:
        raise BenchmarkError("--settings: needs --label, the name of the row in the tables")
    if arguments.label and (len(arguments.methods) > 1 or not _NAME.fullmatch(arguments.label)):
        raise BenchmarkError("--label: expected one method, and a name of letters, digits, '_', '.' and '-'")
    names = dict.fromkeys(name for given in arguments.tasks for name in GROUPS.get(given, (given,)))
    if unknown := [name for name in names if name not in tasks()]:
        raise BenchmarkError(f"--tasks: unknown: {', '.join(unknown)}; known: {', '.join([*GROUPS, *tasks()])}")
    return [
        Run(
            method,
            arguments.label or method,
            task,
            seed,
            arguments.start,
            arguments.budget,
            arguments.codec,
            {} if method == MOL_GA else settings,
        )
        for seed in arguments.seeds
        for task in names
        for method in arguments.methods
    ]


def check_methods(methods: Sequence[str], start: str) -> None:
    """Fail unless every method can be run."""
    if MOL_GA in methods:
        if find_spec(MOL_GA) is None:
            raise BenchmarkError("mol_ga is not installed in this environment: pip install mol_ga==0.2.1")
        if start == "prior":
            raise BenchmarkError("mol_ga: needs start molecules; give --start FILE")
    if start != "prior" and not Path(start).is_file():
        raise BenchmarkError(f"--start: expected 'prior' or a file of SMILES, no such file: {start}")
    others = [method for method in methods if method != MOL_GA]
    if others:
        from molvae.search.optimizers import find_optimizer

        for method in others:
            find_optimizer(method)


def is_finished(run: Run, folder: Path) -> bool:
    """Whether the file of a run exists; fails if it is from other settings."""
    path = folder / f"{run.name}.json"
    if not path.exists():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))
    before = found["method"], found["settings"], (found["codec"] or {"name": run.codec})["name"]
    if before != (run.method, run.settings, run.codec):
        raise BenchmarkError(f"{path}: from other settings ({before}); give another --label or --out")
    return True


# Lead optimization


class Goal(NamedTuple):
    """What a molecule must reach to be a success."""

    qed: float = 0.9
    similarity: float = 0.4


GOAL = Goal()


class LeadRun(NamedTuple):
    """The optimization of one lead."""

    method: str
    label: str
    library: str
    lead: int
    smiles: str
    leads: int
    seed: int
    budget: int
    codec: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of its file, without suffix."""
        return f"lead-{self.label}-{start_name(self.library)}-{self.budget}-{self.seed}-{self.lead:03}"


def execute_lead(run: LeadRun, folder: Path, deadline: float, codec: Any = None, goal: Goal = GOAL) -> str | None:
    """Optimize a lead and write its file; returns a line that describes it, or None after the deadline (Unix time).

    Molecules with a similarity below 0.4 violate a constraint and are not scored. The score is the mean of QED / 0.9
    and of the similarity / 0.4, each at most 1; so it is 1 for a success, and no molecule gains from more than is
    required.
    """
    if time.time() > deadline:
        return None
    from molvae.errors import InputError
    from molvae.search.search import Search

    codec = codec or load(run.codec)
    begin, target = time.process_time(), _FINGERPRINTS.GetFingerprint(Chem.MolFromSmiles(run.smiles))
    is_success, calls, n_scored, reason = False, 0, 0, ""
    try:
        constraints = {"similar_to": [run.smiles], "similarity": [goal.similarity, 1.0]}
        settings = {"constraints": constraints} | run.settings | {"method": run.method}
        search = Search(
            codec, budget=run.budget, start=[run.smiles], seed=run.seed, settings=settings, notify=lambda note: None
        )
        while not is_success and (smiles := search.ask()):
            parts = [measure(one, target, goal) for one in smiles]
            successes = [row for row, (reached, _) in enumerate(parts) if reached]
            is_success = bool(successes)
            calls = n_scored + (successes[0] + 1 if successes else len(smiles))
            n_scored += len(smiles)
            search.tell(smiles, [score for _, score in parts])
        reason = "" if is_success else search.stop_reason or ""
    except InputError as error:  # the codec cannot encode the lead
        reason = str(error)
    cpu = time.process_time() - begin
    record = run._asdict() | {"library": start_name(run.library), "success": is_success, "calls": calls}
    record |= {"reason": reason, "cpu_s": round(cpu, 2), "codec": {"name": run.codec, "sha256": codec.sha256}}
    write(folder / f"{run.name}.json", record | facts(True))
    return f"{run.name}: {'success' if is_success else f'failure ({reason})'}, {calls} calls, {cpu:.0f} CPU s"


def measure(smiles: str, target: Any, goal: Goal) -> tuple[bool, float]:
    """Whether a molecule is a success, and its score."""
    mol = Chem.MolFromSmiles(smiles)
    qed = QED.qed(mol)
    similarity = DataStructs.TanimotoSimilarity(target, _FINGERPRINTS.GetFingerprint(mol))
    is_success = qed >= goal.qed and similarity >= goal.similarity
    return is_success, (min(1.0, qed / goal.qed) + min(1.0, similarity / goal.similarity)) / 2


def draw_leads(library: Path, n: int = N_LEADS) -> list[str]:
    """Molecules with a QED of 0.7 to 0.8, drawn at random with a fixed seed."""
    lines = read_library(library)
    leads: list[str] = []
    for row in np.random.default_rng(800).permutation(len(lines)):
        mol = Chem.MolFromSmiles(lines[row])
        if mol is not None and 0.7 <= QED.qed(mol) <= 0.8:
            leads.append(Chem.MolToSmiles(mol))
        if len(leads) == n:
            return leads
    return leads


def plan_leads(arguments: argparse.Namespace) -> list[LeadRun]:
    """The leads of a command line, in order."""
    check_methods([arguments.method], arguments.library)
    settings = tomllib.loads(arguments.settings.read_text(encoding="utf-8")) if arguments.settings else {}
    if arguments.settings and not arguments.label:
        raise BenchmarkError("--settings: needs --label, the name of the row in the tables")
    leads = draw_leads(Path(arguments.library))
    return [
        LeadRun(
            arguments.method,
            arguments.label or arguments.method,
            arguments.library,
            number,
            smiles,
            len(leads),
            arguments.seed,
            arguments.budget,
            arguments.codec,
            settings,
        )
        for number, smiles in enumerate(leads[: arguments.n])
    ]


# Tables


def clean_shares(run: dict[str, Any]) -> dict[int, float]:
    """Share of the 100 best molecules that pass the MOSES filters and have an SA score of at most 4.5, by calls."""
    return {int(n): np.mean([is_clean(smiles) for smiles, _ in best]) for n, best in run["best"].items()}


@cache
def is_clean(smiles: str) -> bool:
    """Whether a molecule passes the MOSES filters and has an SA score of at most 4.5."""
    from molvae.chem.moses_filters import first_failed_filter
    from molvae.chem.properties import PROPERTIES

    mol = Chem.MolFromSmiles(smiles)
    return first_failed_filter(mol) is None and PROPERTIES["sa_score"].function(mol) <= _MAX_SA


def print_tables(arguments: argparse.Namespace) -> None:
    """Print the tables of finished runs; without folders, of the committed ones."""
    files = [path for folder in arguments.folders for path in sorted(folder.glob("*.json"))]
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    rows = [to_row(run, clean_shares(run)) for run in runs if "task" in run]
    lead_rows = [to_lead_row(run) for run in runs if "lead" in run]
    if arguments.csv or not arguments.folders:
        rows, lead_rows = (add_rows(path, new) if new else read_rows(path) for path, new in _csv_files(rows, lead_rows))
    for start in sorted({row["start"] for row in rows}):
        used = [row for row in rows if row["start"] == start]
        for n_calls in [n for n in arguments.calls if any(int(row["budget"]) >= n for row in used)]:
            for what, make in {"Methods": search_tables, "Ablations": ablation_table}.items():
                print(
                    f"## {what}, {n_calls:,} calls, start {start}\n\n{make(used, n_calls, start, arguments.n_seeds)}\n"
                )
    if lead_rows:
        print(f"## Lead optimization\n\n{lead_table(lead_rows)}")


def _csv_files(rows: list[Any], lead_rows: list[Any]) -> list[tuple[Path, list[Any]]]:
    return [(SEARCH_CSV, rows), (LEAD_CSV, lead_rows)]


# Files and facts


def read_library(path: Path) -> list[str]:
    """The first field of every line of a file of SMILES."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [line.split()[0] for line in file if line.strip()]


def draw_start(path: Path, seed: int, n: int = N_STARTS) -> list[str]:
    """Random molecules of a file of SMILES; equal for all methods with the same seed."""
    lines = read_library(path)
    start: list[str] = []
    for row in np.random.default_rng(1000 + seed).permutation(len(lines)):
        mol = Chem.MolFromSmiles(lines[row])
        if mol is not None:
            start.append(Chem.MolToSmiles(mol))
        if len(start) == n:
            break
    return start


def start_name(start: str) -> str:
    """The name of a file without its suffixes."""
    return Path(start).name.partition(".")[0]


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file that is complete or missing."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content), encoding="utf-8")
    os.replace(part, path)


@cache
def load(codec: str) -> Any:
    """A codec, once per process."""
    from molvae.codec import load_codec

    return load_codec(codec)


@cache
def code_version() -> str:
    """Hash of the source of molvae and of the tasks, 12 digits; of the tasks alone where molvae is not installed."""
    here = Path(__file__).parent
    molvae = here.parent / "molvae"
    sources = [here / "pmo.py", *(sorted(molvae.rglob("*.py")) if find_spec("molvae") else [])]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def facts(uses_molvae: bool) -> dict[str, Any]:
    """The machine and the code of a run."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else model
    precision = ""
    if uses_molvae:
        from molvae.devices import CODEC_DEVICE, choose_precision

        precision = choose_precision(CODEC_DEVICE)
    machine = {"cpu": model, "n_cpus": os.cpu_count(), "precision": precision, "rdkit": rdBase.rdkitVersion}
    return {"machine": machine, "code": code_version(), "date": time.strftime("%Y-%m-%d")}


# The command line


def run_all(runs: Sequence[Any], function: Callable[..., str | None], arguments: argparse.Namespace) -> int:
    """Execute runs in worker processes of one thread each until the deadline; returns the number of failed runs."""
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    left = [run for run in runs if not is_finished(run, folder)]
    print(f"{len(runs) - len(left)} of {len(runs)} runs are finished", flush=True)
    deadline = time.time() + 60 * arguments.minutes if arguments.minutes else float("inf")
    # read by the workers when they start; mol_ga depends on the order of sets
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    context = multiprocessing.get_context("spawn")
    n_failed = n_open = 0
    with ProcessPoolExecutor(min(arguments.workers, max(1, len(left))), context, initializer=_be_quiet) as pool:
        futures: dict[Future[str | None], Any] = {pool.submit(function, run, folder, deadline): run for run in left}
        for future in as_completed(futures):
            if error := future.exception():  # one run must not end the others
                n_failed += 1
                print(f"{futures[future].name}: failed", *traceback.format_exception(error), sep="\n", flush=True)
            elif line := future.result():
                print(line, flush=True)
            else:
                n_open += 1
    print(f"{len(runs) - n_open - n_failed} of {len(runs)} runs are finished", flush=True)
    return n_failed


def _be_quiet() -> None:
    rdBase.DisableLog("rdApp.*")


def read_arguments(given: Iterable[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--out", type=Path, required=True, help="folder of the files of the runs")
    shared.add_argument("--codec", default="druglike", help="name or folder of a codec")
    shared.add_argument("--settings", type=Path, help="TOML with settings of the search, e.g. batch_size = 96")
    shared.add_argument("--label", help="name of the row in the tables; default: the method")
    shared.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    shared.add_argument("--minutes", type=float, help="end the leg after this time; mol_ga finishes its runs first")

    run = commands.add_parser("run", parents=[shared], help="searches on the PMO tasks")
    run.add_argument("--methods", nargs="+", default=["evolution"], help="names of optimizers, or mol_ga")
    run.add_argument("--tasks", nargs="+", default=list(GROUPS), help="names, or the groups tuning and untouched")
    run.add_argument("--seeds", nargs="+", type=int, default=list(range(N_SEEDS)))
    run.add_argument("--budget", type=int, default=1_000, help="scored molecules of each search")
    run.add_argument("--start", default="prior", help="prior, or a file of SMILES of which each seed draws 100")

    lead = commands.add_parser("lead", parents=[shared], help="lead optimization")
    lead.add_argument("--library", required=True, help="file of SMILES of which the leads are drawn")
    lead.add_argument("--n", type=int, default=N_LEADS, help="number of leads, the first of 800")
    lead.add_argument("--method", default="evolution")
    lead.add_argument("--seed", type=int, default=0)
    lead.add_argument("--budget", type=int, default=500, help="scored molecules of each lead, itself included")

    table = commands.add_parser("table", help="print the tables")
    table.add_argument("folders", nargs="*", type=Path, help="folders of finished runs; default: the CSV files")
    table.add_argument("--csv", action="store_true", help="add the runs to the CSV files of benchmarks/results/")
    table.add_argument("--calls", nargs="+", type=int, choices=CALLS, default=list(CALLS))
    table.add_argument("--n-seeds", type=int, default=N_SEEDS, help="seeds of a complete table")
    return parser.parse_args(given if given is None else list(given))


def main(given: Iterable[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = read_arguments(given)
    if arguments.command == "table":
        print_tables(arguments)
        return 0
    try:
        if arguments.command == "run":
            n_failed = run_all(plan(arguments), execute, arguments)
        else:
            runs = plan_leads(arguments)
            n_failed = run_all(runs, execute_lead, arguments)
            files = [arguments.out / f"{run.name}.json" for run in runs]
            rows = [to_lead_row(json.loads(file.read_text(encoding="utf-8"))) for file in files if file.exists()]
            print(f"\n{lead_table(rows)}")
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return int(n_failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
