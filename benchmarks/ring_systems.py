"""Counts the ring systems of the MOSES training set and of a ChEMBL sample; writes data/ring_systems.csv.gz.

    OMP_NUM_THREADS=1 python benchmarks/ring_systems.py chembl.smi.gz            # about 10 minutes of processor time

The argument is a molecule file. Each molecule counts once; ring systems that are in fewer than two molecules of both
sets together are left out. The same files give the same bytes.
"""

import argparse
import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from molvae.bundled import bundled
from molvae.chem.ring_systems import TABLE, distinct_ring_systems
from molvae.datasets.molecule_file import open_molecules
from molvae.files import replacing
from molvae.workers import LocalProcesses, WorkerFailure

MIN_COUNT = 2
CHUNK = 500


def unique(path: Path) -> Iterator[list[str]]:
    """The different SMILES of a file as it has them, in chunks."""
    seen: set[str] = set()
    for table in open_molecules(path, chunk_rows=CHUNK):
        new = [one for one in table["raw"].dropna() if one not in seen]
        seen.update(new)
        yield list(dict.fromkeys(new))


def count(path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    n, failures = 0, 0
    for answers in LocalProcesses()(distinct_ring_systems, unique(path)):
        n += len(answers)
        for answer in answers:
            if isinstance(answer, WorkerFailure):
                failures += 1
                print(f"{path.name}: {answer.reason}")
            else:
                counts.update(answer)
    print(f"{path.name}: {n:,} molecules, {failures:,} failures, {len(counts):,} ring systems")
    return counts


def write(path: Path, moses: Counter[str], chembl: Counter[str]) -> int:
    """Write the table, the most frequent ring system first; the number of its rows."""
    both = moses + chembl
    systems = sorted((one for one, n in both.items() if n >= MIN_COUNT), key=lambda one: (-both[one], one))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["ring_system", "moses", "chembl"])
    rows.writerows([one, moses[one], chembl[one]] for one in systems)
    with replacing(path) as part:
        part.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    return len(systems)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chembl", type=Path, help="molecule file of the ChEMBL sample")
    parser.add_argument("--out", type=Path, default=bundled(TABLE))
    options = parser.parse_args()
    n = write(options.out, count(bundled("moses_train.csv.gz")), count(options.chembl))
    print(f"{options.out}: {n:,} ring systems, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
