"""Measurements of the objective; one subcommand per part.

OMP_NUM_THREADS=1 python benchmarks/scoring.py overhead    # functions and commands of the user, and the cache
"""

import argparse
from collections.abc import Callable

import scoring_overhead

PARTS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None], str]] = {
    "overhead": (
        scoring_overhead.add_options,
        scoring_overhead.run,
        "the overhead of functions, commands and the cache",
    ),
}
"""Options, function and one line of help of each subcommand."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="part", required=True)
    for name, (add_options, _, text) in PARTS.items():
        add_options(commands.add_parser(name, help=text))
    arguments = parser.parse_args()
    PARTS[arguments.part][1](arguments)


if __name__ == "__main__":
    main()
