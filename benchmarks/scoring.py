"""Measurements of the objective; one subcommand per part.

OMP_NUM_THREADS=1 python benchmarks/scoring.py overhead    # functions and commands of the user, and the cache
OMP_NUM_THREADS=1 python benchmarks/scoring.py pareto      # several goals, compared with scalar scores and NSGA-II
OMP_NUM_THREADS=1 python benchmarks/scoring.py qsar DIR    # models of assays, on sets of MoleculeACE in the folder DIR
OMP_NUM_THREADS=1 python benchmarks/scoring.py infill      # fillings of fixed parts with attachment points
OMP_NUM_THREADS=1 python benchmarks/scoring.py docking     # CPU seconds per docked molecule
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import scoring_docking
import scoring_infill
import scoring_overhead
import scoring_pareto
import scoring_qsar

PARTS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None], str]] = {
    "overhead": (
        scoring_overhead.add_options,
        scoring_overhead.run,
        "the overhead of functions, commands and the cache",
    ),
    "pareto": (
        scoring_pareto.add_options,
        scoring_pareto.run,
        "the Pareto front of two goals, compared with scalar scores and NSGA-II",
    ),
    "qsar": (scoring_qsar.add_options, scoring_qsar.run, "models of assays, on sets of MoleculeACE"),
    "infill": (scoring_infill.add_options, scoring_infill.run, "fillings of fixed parts with attachment points"),
    "docking": (scoring_docking.add_options, scoring_docking.run, "CPU seconds per docked molecule"),
}
"""Options, function and one line of help of each subcommand."""


def main(given: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="part", required=True)
    for name, (add_options, _, text) in PARTS.items():
        add_options(commands.add_parser(name, help=text))
    arguments = parser.parse_args(given)
    try:
        PARTS[arguments.part][1](arguments)
    except scoring_pareto.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
