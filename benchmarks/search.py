"""Compare the search methods at equal numbers of scored molecules, over several seeds.

    python benchmarks/search.py                        # all tasks, three seeds, 2,000 calls each
    python benchmarks/search.py --tasks celecoxib --budget 500 --seeds 1 --settings evolution.toml

AUC is the mean, over the calls of the whole budget, of the mean score of the ten best molecules so far (as in the PMO
benchmark, Gao et al. 2022, arXiv:2206.12411); after an early stop the last value counts. Higher is better.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import pandas as pd

from molvae.codec import Codec, load_codec
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.search.loop import optimize
from molvae.search.optimizers import OPTIMIZERS
from molvae.search.settings import SearchSettings
from molvae.settings import read_toml

CELECOXIB = "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1"
ALBUTEROL = "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"
LIDOCAINE = "CCN(CC)CC(=O)Nc1c(C)cccc1C"
_QED = {"property": "qed", "shape": "higher", "low": 0.0, "high": 1.0}
_EASY = {"property": "sa_score", "shape": "lower", "low": 2.0, "high": 5.0}
_CLEAN = {"property": "alerts", "shape": "lower", "low": 0.0, "high": 2.0}

TASKS: dict[str, tuple[dict[str, dict[str, Any]], list[str] | None]] = {
    "qed": ({"qed": _QED}, None),
    "lead_like": (
        {
            "qed": _QED,
            "easy": _EASY,
            "logp": {"property": "logp", "shape": "window", "low": 1.0, "high": 3.0, "soft": 1.0},
            "clean": _CLEAN,
        },
        None,
    ),
    "celecoxib": ({"near": {"property": "similarity", "to": CELECOXIB}}, None),
    "albuterol": ({"near": {"property": "similarity", "to": ALBUTEROL}}, None),
    "corner": (  # polar, with aromatic rings and many sp3 carbons: a rare combination
        {
            "tpsa": {"property": "tpsa", "shape": "window", "low": 100.0, "high": 110.0, "soft": 40.0},
            "sp3": {"property": "fraction_csp3", "shape": "higher", "low": 0.2, "high": 0.8},
            "rings": {"property": "aromatic_rings", "shape": "higher", "low": 0.0, "high": 2.0},
            "logp": {"property": "logp", "shape": "higher", "low": 0.0, "high": 4.0},
        },
        None,
    ),
    "lead": (  # better than the lead, and similar to it
        {
            "near": {"property": "similarity", "to": LIDOCAINE, "shape": "higher", "low": 0.2, "high": 0.5},
            "qed": _QED,
            "tpsa": {"property": "tpsa", "shape": "window", "low": 60.0, "high": 90.0, "soft": 30.0},
            "clean": _CLEAN,
        },
        [LIDOCAINE],
    ),
}
"""Terms of the objective and start molecules (None: the prior) of each task."""


def area(history: pd.DataFrame, budget: int) -> float:
    """Mean of the ten best so far, averaged over the calls of the budget; linear between rounds."""
    total, calls, level = 0.0, 0, 0.0
    for n_calls, top10 in zip(history["calls"], history["top10"].fillna(0.0), strict=True):
        total += (n_calls - calls) * (level + top10) / 2
        calls, level = n_calls, top10
    return (total + (budget - calls) * level) / budget


def measure(codec: Codec, task: str, budget: int, seed: int, settings: SearchSettings) -> dict[str, float]:
    terms, start = TASKS[task]
    objective = Objective(ObjectiveSettings.from_dict({"terms": terms}, task))
    begin = time.process_time()
    result = optimize(objective, codec=codec, budget=budget, start=start, seed=seed, settings=settings, notify=print)
    counts = result.funnel
    last = result.history.fillna(0.0).iloc[-1]
    return {
        "auc": area(result.history, budget),
        "top10": last["top10"],
        "best": last["best"],
        "valid": counts["n_valid"] / counts["n_proposed"],
        "proposals": counts["n_proposed"] / max(1, counts["n_scored"]),
        "seconds": time.process_time() - begin,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--budget", type=int, default=2000, help="scored molecules of each search")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each task and method")
    parser.add_argument("--settings", type=Path, help="TOML with settings of the search, e.g. proposals = 512")
    arguments = parser.parse_args()
    codec = load_codec(arguments.codec)
    given = read_toml(arguments.settings) if arguments.settings else {}
    print(f"{arguments.budget} calls, mean of {arguments.seeds} seeds (± standard deviation), codec {codec.name}\n")
    print("| task | method | AUC top-10 | top-10 | best | valid | proposals per call | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    means: dict[str, list[float]] = {method: [] for method in arguments.methods}
    for task in arguments.tasks:
        for method in arguments.methods:
            settings = SearchSettings.from_dict(given | {"method": method}, "settings")
            runs = [measure(codec, task, arguments.budget, seed, settings) for seed in range(arguments.seeds)]
            mean = {key: statistics.fmean(run[key] for run in runs) for key in runs[0]}
            spread = statistics.pstdev(run["auc"] for run in runs)
            means[method].append(mean["auc"])
            print(
                f"| {task} | {method} | {mean['auc']:.3f} ± {spread:.3f} | {mean['top10']:.3f} | {mean['best']:.3f} "
                f"| {mean['valid']:.2f} | {mean['proposals']:.1f} | {mean['seconds']:.0f} |",
                flush=True,
            )
    for method, areas in means.items():
        print(f"| mean | {method} | {statistics.fmean(areas):.3f} | | | | | |")


if __name__ == "__main__":
    main()
