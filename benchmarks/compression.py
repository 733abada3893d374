"""Bytes per molecule and accuracy of quantized latent vectors of a bundled codec; prints one table.

    OMP_NUM_THREADS=1 python benchmarks/compression.py           # a few minutes
    OMP_NUM_THREADS=1 python benchmarks/compression.py --n 5000  # a quick look

100,000 molecules of the bundled MOSES training set. Exact decode: fraction of molecules whose quantized latent vector
decodes greedily to the same canonical SMILES. Recall@10: fraction of the ten exact Euclidean neighbors that are found
with quantized latent vectors and an exact query. Search time: one search with all queries, in CPU seconds relative to
the exact search.
"""

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from molvae.bundled import bundled
from molvae.codec import load_codec
from molvae.latent.compression import fit_quantizer, open_compressed, write_compressed
from molvae.latent.neighbors import nearest

SETTINGS = {"float16": ("float16", None), "int8": ("int8", None)} | {f"pq{n}": ("pq", n) for n in (64, 32, 16, 8)}


def timed(search: Callable[[], tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, float]:
    """Rows found, and the lowest CPU seconds of three searches."""
    taken = []
    for _ in range(3):
        begin = time.process_time()
        rows = search()[0]
        taken.append(time.process_time() - begin)
    return rows, min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--n", type=int, default=100_000, help="molecules")
    parser.add_argument("--decoded", type=int, default=2_000, help="molecules that are decoded")
    parser.add_argument("--queries", type=int, default=200, help="molecules whose neighbors are searched")
    arguments = parser.parse_args()
    codec = load_codec(arguments.codec)
    molecules = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].sample(arguments.n, random_state=0)
    encoding = codec.encode(molecules)
    z, smiles = encoding.z[encoding.ok], [one for one, ok in zip(encoding.smiles, encoding.ok, strict=True) if ok]
    random = np.random.default_rng(0)
    decoded = random.choice(len(z), min(arguments.decoded, len(z)), replace=False)
    queries = z[random.choice(len(z), min(arguments.queries, len(z)), replace=False)]

    def exact_decode(latent: np.ndarray) -> float:
        pairs = zip(codec.decode(latent), decoded, strict=True)
        return float(np.mean([molecule.smiles == smiles[row] for molecule, row in pairs]))

    exact, seconds = timed(lambda: nearest(queries, z, 10))
    lines = "\n".join(str(line) for line in smiles).encode()
    print(
        f"| {len(z):,} molecules | bytes per molecule | exact decode | recall@10 | search time |\n|---|---|---|---|---|"
    )
    print(f"| SMILES | {len(lines) / len(z):.1f} | | | |")
    print(f"| SMILES, zlib level 9 | {len(zlib.compress(lines, 9)) / len(z):.1f} | | | |")
    print(f"| float32 | {z.itemsize * z.shape[1]} | {exact_decode(z[decoded]):.1%} | 100.0% | 1.00 |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, (method, n_bytes) in SETTINGS.items():
            path = Path(folder, name)
            write_compressed(path, np.array_split(z, 10), fit_quantizer(z, method, n_bytes=n_bytes))
            codes = open_compressed(path)
            found, taken = timed(partial(codes.nearest, queries, 10))
            recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(exact, found, strict=True)])
            rate = exact_decode(codes.decode(decoded))
            row = f"| {name} | {codes.n_bytes} | {rate:.1%} | {recall:.1%} | {taken / seconds:.2f} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
