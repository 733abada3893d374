"""The subcommand `docking` of scoring.py: CPU seconds per docked molecule (pip install 'molvae[docking]').

The molecules are drawn from the MOSES test set; one process docks one after the other. Preparation, the 3-D embedding
included, is part of the time; the maps of the receptor, which are computed once, are not: one molecule is docked first.
"""

import argparse
import time
from pathlib import Path

import pandas as pd

from molvae.bundled import bundled
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.seeds import generator
from molvae.workers import Serial

RESULTS = Path(__file__).parent / "results" / "scoring_docking.csv"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the subcommand."""
    parser.add_argument("--targets", nargs="+", default=["DRD2", "F2"], help="receptors of dockstring")
    parser.add_argument("--exhaustiveness", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--n", type=int, default=10, help="molecules per row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="table of all results")


def run(given: argparse.Namespace) -> None:
    """Dock, print and write the table."""
    molecules = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].to_numpy()
    chosen = generator(given.seed, "docking").choice(molecules, given.n + 1, replace=False).tolist()
    rows = []
    for target in given.targets:
        for exhaustiveness in given.exhaustiveness:
            term = {"target": target, "exhaustiveness": exhaustiveness, "low": -12.0, "high": -5.0}
            objective = Objective(ObjectiveSettings.from_dict({"terms": {"dock": term}}, "docking"), Serial())
            objective(chosen[:1])
            begin = time.process_time()
            score = objective(chosen[1:])["value_dock"]
            seconds = time.process_time() - begin
            row = {"target": target, "exhaustiveness": exhaustiveness, "n": given.n, "docked": int(score.notna().sum())}
            rows.append(row | {"cpu_s_per_molecule": seconds / given.n, "mean_kcal_per_mol": float(score.mean())})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(given.out, index=False, float_format="%.3g", lineterminator="\n")
    print("| target | exhaustiveness | docked | CPU s per molecule | mean score, kcal/mol |")
    print("|---|---|---|---|---|")
    for one in rows:
        docked = f"{one['docked']} of {one['n']}"
        print(
            f"| {one['target']} | {one['exhaustiveness']} | {docked} | {one['cpu_s_per_molecule']:.2f} "
            f"| {one['mean_kcal_per_mol']:.1f} |"
        )
