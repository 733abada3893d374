"""Times of queries of a large candidate table, with stored values and without.

    python benchmarks/query.py data/moses_train.csv.gz
    python benchmarks/query.py library.csv --n 20000

The table has the molecules of a file, and random numbers in the other columns. Each time is that of a call of `query`
from Python, in seconds, with the transfer of the result; CPU seconds are those of the query's process and its workers
(Linux only). "first" computes the values of the molecules, "again" is the same query once more, and "other" has another
pattern. The values are stored in a temporary folder.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from molvae.chem.molecules import canonicalize
from molvae.datasets import open_molecules
from molvae.query import process
from molvae.query.process import close_process, query

QUERIES = {
    "condition": "passed and value_potency > 8 order by score desc limit 100",
    "half of all rows, all columns": "score > 0.5",
    "aggregate": "select round, count(*) as n, max(score) as best from candidates group by round",
    "best per scaffold column, window": "select candidate_id, score from candidates "
    "qualify row_number() over (partition by scaffold order by score desc) = 1",
    "has: first": "select count(*) as n from candidates where has('c1ccncc1')",
    "has: again": "select count(*) as n from candidates where has('c1ccncc1')",
    "has: other": "select count(*) as n from candidates where has('C(=O)[NX3;H1]')",
    "has: ring size (full parse), other": "select count(*) as n from candidates where has('[r7]')",
    "passed and has: other": "select count(*) as n from candidates where score > 0.99 and has('S(=O)(=O)N')",
    "similar_to: first": "select max(similar_to('{lead}')) as n from candidates",
    "similar_to: again": "select max(similar_to('{lead}')) as n from candidates",
    "similar_to: other": "select max(similar_to('CC(=O)Nc1ccc(O)cc1')) as n from candidates",
    "scaffold(): first": "select count(distinct scaffold()) as n from candidates",
    "scaffold(): again": "select count(distinct scaffold()) as n from candidates",
    "tpsa(): first": "select avg(tpsa()) as n from candidates",
    "tpsa(): again": "select avg(tpsa()) as n from candidates",
}
LEAD = "CCN(CC)CC(=O)Nc1c(C)cccc1C"


def make_table(path: Path, n: int) -> pd.DataFrame:
    """A candidate table of the first n valid molecules of a file."""
    found: dict[str, None] = {}
    for chunk in open_molecules(path):
        found |= dict.fromkeys(smiles for raw in chunk["raw"] if (smiles := canonicalize(raw).smiles) is not None)
        if len(found) >= n:
            break
    smiles = list(found)[:n]
    random = np.random.default_rng(0)
    numbers = random.random((len(smiles), 4)).round(6)
    scaffolds = [f"C1CC{'C' * size}C1" for size in random.integers(1, 400, len(smiles)).tolist()]
    return pd.DataFrame(
        {
            "candidate_id": [f"C{row:06d}" for row in range(len(smiles))],
            "smiles": smiles,
            "score": numbers[:, 0],
            "passed": numbers[:, 1] > 0.5,
            "reason": pd.Series([None] * len(smiles), dtype=object),
            "value_potency": numbers[:, 2] * 4 + 5,
            "score_potency": numbers[:, 2],
            "scaffold": scaffolds,
            "nearest_reference": "reference",
            "nearest_reference_smiles": "CCO",
            "nearest_reference_similarity": numbers[:, 3],
            "round": random.integers(0, 100, len(smiles)),
            "parent_id": pd.Series([None] * len(smiles), dtype=object),
            "open_stereo_centers": 0,
            "inchikey": "RZVAJINKPMORJF-UHFFFAOYSA-N",
            "raw_smiles": smiles,
            "latent_row": np.arange(len(smiles)),
        }
    )


def cpu_seconds() -> float:
    """CPU time of the query's process and its ended workers; 0 if there is none, NaN where /proc does not exist."""
    if process._process is None:
        return 0.0
    try:
        fields = Path(f"/proc/{process._process._process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return float("nan")
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", type=Path, help="a file of molecules")
    parser.add_argument("--n", type=int, default=100_000, help="rows of the table")
    parser.add_argument("--only", default="", help="queries whose name contains this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MOLVAE_CACHE"] = str(folder / "cache")
        table = make_table(given.molecules, given.n)
        table.to_parquet(folder / "candidates.parquet")
        print(f"{len(table):,} rows, {len(os.sched_getaffinity(0))} cores\n")
        print("| query | seconds | CPU seconds | rows |\n|---|---|---|---|")

        def measure(label: str, text: str) -> None:
            begin, cpu = time.monotonic(), cpu_seconds()
            found = query(folder / "candidates.parquet", text, seconds=600)
            wall, cpu = time.monotonic() - begin, cpu_seconds() - cpu
            print(f"| {label} | {wall:.2f} | {cpu:.2f} | {len(found):,} |", flush=True)

        measure("start of the process, reading the table", "limit 1")
        for label, text in QUERIES.items():
            if given.only in label:
                measure(label, text.replace("{lead}", LEAD))
        close_process()
        measure("new process: start, reading the table", "limit 1")
        if given.only in "has: again":
            measure("new process: has, again", QUERIES["has: again"])
            measure("new process: similar_to, other", QUERIES["similar_to: other"].replace("{lead}", LEAD))


if __name__ == "__main__":
    main()
