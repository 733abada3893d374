"""The subcommand `overhead` of scoring.py: what a scorer of the user costs besides its own work.

The function and the commands only count characters. Times are wall-clock milliseconds per molecule: the fastest of
`--repeats` calls, each with molecules that were not scored before, without the first, which starts the processes of a
function. `cached_ms` is that of calls whose values are all in the cache.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from molvae.bundled import bundled
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.workers import LocalProcesses

RESULTS = Path(__file__).parent / "results" / "scoring_overhead.csv"
FUNCTION = "def score(smiles):\n    return [len(one) for one in smiles]\n"
PROGRAM = "import sys\nfor line in sys.stdin:\n    print(len(line))\n"
SHELL = 'while read -r smiles; do echo "${#smiles}"; done\n'
_SHAPE = {"shape": "higher", "low": 0, "high": 100}


@contextmanager
def _terms() -> Iterator[dict[str, dict[str, Any]]]:
    """The scorers that are measured."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"score.py": FUNCTION, "program.py": PROGRAM, "program.sh": SHELL}.items():
            Path(folder, name).write_text(text)
        python = [sys.executable, f"{folder}/program.py"]
        yield {
            "function": {"python": f"{folder}/score.py:score"},
            "function, parallel": {"python": f"{folder}/score.py:score", "parallel": True},
            "command, Python, batch_size 1": {"command": python, "batch_size": 1},
            "command, Python, batch_size 32": {"command": python},
            "command, Python, batch_size 32, 2 processes": {"command": python, "processes": 2},
            "command, shell, batch_size 32": {"command": ["sh", f"{folder}/program.sh"]},
        }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("--n", type=int, default=100, help="molecules per call")
    parser.add_argument("--repeats", type=int, default=9, help="calls per scorer")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="table of the results")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the results as a table."""
    n, repeats = arguments.n, arguments.repeats
    smiles = pd.read_csv(bundled("moses_test.csv.gz"), nrows=n * (repeats + 1)).iloc[:, 0].tolist()
    calls = [smiles[begin : begin + n] for begin in range(0, len(smiles), n)]
    rows = []
    with _terms() as terms:
        for name, term in terms.items():
            with tempfile.TemporaryDirectory() as cache:
                computed, stored, cached = (
                    _measure(term, calls, folder) for folder in (None, Path(cache), Path(cache))
                )
            rows.append({"scorer": name, "computed_ms": computed, "with_cache_ms": stored, "cached_ms": cached})
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out, index=False, float_format="%.3g", lineterminator="\n")
    print(f"| ms per molecule, calls of {n} molecules | computed | computed and stored | from the cache |")
    print("|---|---|---|---|")
    for row in table.itertuples(index=False):
        print(f"| {row[0]} | {' | '.join(f'{cell:.3g}' for cell in row[1:])} |")


def _measure(term: dict[str, Any], calls: list[list[str]], cache: Path | None) -> float:
    """Milliseconds per molecule of the fastest call, without the first."""
    settings = ObjectiveSettings.from_dict({"terms": {"it": _SHAPE | term}, "cache": cache}, "overhead")
    objective = Objective(settings, LocalProcesses(2))
    seconds = []
    for smiles in calls:
        begin = time.perf_counter()
        objective(smiles)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:]) / len(calls[0]) * 1000
