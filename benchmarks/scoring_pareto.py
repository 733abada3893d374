"""Searches for the Pareto front of two goals, compared at equal numbers of scored molecules.

    OMP_NUM_THREADS=1 python benchmarks/scoring.py pareto                    # several goals at 500 calls, seeds 0 to 2
    OMP_NUM_THREADS=1 python benchmarks/scoring.py pareto --pairs osimertinib_qed --methods pareto prior --seeds 0
    python benchmarks/scoring.py pareto --table                              # the table of the finished runs

The measure is the hypervolume: the area of the square of desirabilities, from (0, 0) to (1, 1), that the scored
molecules dominate. Runs that are in the results file are not repeated. The methods:

- `pareto`, `geometric_mean`, `arithmetic_mean`: the default search of molvae, with this value of `combine`.
- `prior`: draws from the prior, as a control.
- `nsga2_20`, `nsga2_50`, `nsga2_100`: NSGA-II of pymoo (pip install pymoo) with this population. Its variables are the
  latent vectors of the same codec in standard deviations of the prior, between -4 and 4. The first population is drawn
  from the prior. Every vector is decoded greedily; those that decode to a known molecule get its values, invalid ones
  are worse than all others, and neither is counted as a call.

All methods start from the prior of the same codec. A call is a distinct canonical SMILES.
"""

import argparse
import csv
import hashlib
import platform
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from molvae.codec import MoleculeSpace, load_codec
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.search.loop import optimize
from molvae.search.optimizers.scale import LatentScale
from molvae.search.ranking import fronts
from molvae.seeds import generator

RESULTS = Path(__file__).parent / "results"


class BenchmarkError(Exception):
    """An option that cannot be used."""


def _similarity(smiles: str) -> dict[str, Any]:
    return {"property": "similarity", "to": smiles, "shape": "higher", "low": 0.0, "high": 1.0}


_CELECOXIB = _similarity("CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F")
_OSIMERTINIB = _similarity("COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc2nccc(n2)c3cn(C)c4ccccc34")

PAIRS: dict[str, dict[str, dict[str, Any]]] = {
    "celecoxib_osimertinib": {"celecoxib": _CELECOXIB, "osimertinib": _OSIMERTINIB},
    "osimertinib_qed": {
        "osimertinib": _OSIMERTINIB,
        "qed": {"property": "qed", "shape": "higher", "low": 0.0, "high": 1.0},
    },
}
"""Terms of each pair of goals; the desirability is the raw value, except for a power."""

COMBINES = ("pareto", "geometric_mean", "arithmetic_mean")
POPULATIONS = {f"nsga2_{size}": size for size in (20, 50, 100)}
METHODS = (*COMBINES, "prior", *POPULATIONS)

_COLUMNS = ("pair", "method", "seed", "calls", "hypervolume", "front", "decoded", "cpu_s", "cpu", "codec", "code")
_KEY = ("pair", "method", "seed", "calls")
_BOUND = 4.0
_MAX_PER_CALL = 40
"""Latent vectors that NSGA-II decodes per call, on average, before it is stopped."""


def hypervolume(values: np.ndarray) -> float:
    """The area that molecules with two goals dominate, from (0, 0); rows with NaN dominate nothing.

    Parameters
    ----------
    values : ndarray of shape (n, 2)
        Values, higher is better; negative ones count as 0.

    Returns
    -------
    float
        Sum of rectangles: from the highest to the lowest first value, each row adds its first value times what its
        second value adds to the highest one so far.
    """
    values = np.maximum(values[~np.isnan(values).any(axis=1)], 0.0)
    ordered = values[np.lexsort((-values[:, 1], -values[:, 0]))]
    height = np.maximum.accumulate(ordered[:, 1])
    return float((ordered[:, 0] * np.diff(height, prepend=0.0)).sum())


def search_molvae(codec: MoleculeSpace, pair: str, method: str, seed: int, calls: int) -> tuple[np.ndarray, int]:
    """The goals (n, 2) of the molecules that a search of molvae scores, and the number of decoded latent vectors."""
    objective = _objective(pair, method if method in COMBINES else "pareto")
    settings: dict[str, Any] = {"goals": objective.settings.goals}
    if method == "prior":
        settings["method"] = "prior"
    result = optimize(objective, codec=codec, budget=calls, seed=seed, settings=settings, notify=lambda note: None)
    return result.table[[f"score_{name}" for name in PAIRS[pair]]].to_numpy(), result.funnel["n_proposed"]


def search_nsga2(codec: MoleculeSpace, pair: str, size: int, seed: int, calls: int) -> tuple[np.ndarray, int]:
    """The goals (n, 2) of the molecules that NSGA-II scores, and the number of decoded latent vectors."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.problems.static import StaticProblem

    objective, scale = _objective(pair, "pareto"), LatentScale(codec, seed)
    columns = [f"score_{name}" for name in PAIRS[pair]]
    first = np.clip(scale.draw(size, generator(seed, "benchmark/nsga2")), -_BOUND, _BOUND)
    problem = Problem(n_var=codec.n_latent, n_obj=2, xl=-_BOUND, xu=_BOUND)
    algorithm = NSGA2(pop_size=size, sampling=first)
    algorithm.setup(problem, termination=NoTermination(), seed=seed, verbose=False)
    known: dict[str, np.ndarray] = {}
    n_decoded = 0
    while len(known) < calls and n_decoded < _MAX_PER_CALL * calls:
        asked = algorithm.ask()
        smiles = [one.smiles for one in codec.decode(scale.to_latent(asked.get("X")))]
        n_decoded += len(smiles)
        new = [one for one in dict.fromkeys(smiles) if one is not None and one not in known][: calls - len(known)]
        known |= dict(zip(new, objective(new)[columns].to_numpy(), strict=True))
        worst = np.full(2, -1.0)
        values = np.array([known.get(one, worst) if one is not None else worst for one in smiles])
        Evaluator().eval(StaticProblem(problem, F=-np.nan_to_num(values, nan=-1.0)), asked)
        algorithm.tell(infills=asked)
    return np.array(list(known.values())), n_decoded


def pareto_table(rows: Iterable[Mapping[str, str]], calls: int) -> str:
    """The hypervolumes of finished runs as a markdown table: mean and standard deviation over the seeds."""
    rows = [row for row in rows if row["calls"] == str(calls)]
    lines = [f"| hypervolume at {calls} calls | {' | '.join(PAIRS)} | CPU s | runs |", "|---" * (len(PAIRS) + 3) + "|"]
    for method in METHODS:
        of_method = [row for row in rows if row["method"] == method]
        if not of_method:
            continue
        cells = []
        for pair in PAIRS:
            found = [float(row["hypervolume"]) for row in of_method if row["pair"] == pair]
            spread = f" ± {statistics.stdev(found):.3f}" if len(found) > 1 else ""
            cells.append(f"{statistics.mean(found):.3f}{spread}" if found else "")
        seconds = statistics.mean(float(row["cpu_s"]) for row in of_method)
        lines.append(f"| {method} | {' | '.join(cells)} | {seconds:.0f} | {len(of_method)} |")
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> None:
    """Run the searches that are not in the results file, and print the table."""
    path: Path = arguments.out
    done = {tuple(row[name] for name in _KEY) for row in read_rows(path)}
    runs = [
        (pair, method, seed) for seed in arguments.seeds for pair in arguments.pairs for method in arguments.methods
    ]
    runs = [one for one in runs if (*map(str, one), str(arguments.calls)) not in done]
    if arguments.table:
        runs = []
    if any(method in POPULATIONS for _, method, _ in runs) and not find_spec("pymoo"):
        raise BenchmarkError("NSGA-II needs pymoo: pip install pymoo, or leave out the methods nsga2_*")
    codec = load_codec(arguments.codec) if runs else None
    for pair, method, seed in runs:
        begin = time.process_time()
        if method in POPULATIONS:
            values, n_decoded = search_nsga2(codec, pair, POPULATIONS[method], seed, arguments.calls)
        else:
            values, n_decoded = search_molvae(codec, pair, method, seed, arguments.calls)
        row = {
            "pair": pair,
            "method": method,
            "seed": seed,
            "calls": arguments.calls,
            "hypervolume": f"{hypervolume(values):.4f}",
            "front": len(np.unique(values[fronts(values) == 1], axis=0)),
            "decoded": n_decoded,
            "cpu_s": f"{time.process_time() - begin:.1f}",
            "cpu": platform.processor() or platform.machine(),
            "codec": f"{codec.name} {codec.sha256[:12]}",
            "code": code_version(),
        }
        add_row(path, row, _COLUMNS)
        print(f"{pair} {method} seed {seed}: {row['hypervolume']}, {len(values)} calls, {row['cpu_s']} s", flush=True)
    print(pareto_table(read_rows(path), arguments.calls))


def _objective(pair: str, combine: str) -> Objective:
    return Objective(ObjectiveSettings.from_dict({"terms": PAIRS[pair], "combine": combine}, pair))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.add_argument("--pairs", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--calls", type=int, default=500, help="scored molecules of each search")
    parser.add_argument("--codec", default="druglike", help="name or folder of a codec")
    parser.add_argument("--out", type=Path, default=RESULTS / "scoring_pareto.csv", help="file of the results")
    parser.add_argument("--table", action="store_true", help="only print the table of the finished runs")


def code_version() -> str:
    """Hash of the source of molvae, 12 digits."""
    sources = sorted((Path(__file__).parent.parent / "molvae").rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results file; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def add_row(path: Path, row: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Append a row to a results file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)
