"""Molecules per second of everything that handles many of them, with a bundled codec, and how near that is to what
cannot be beaten: prints two tables.

    python benchmarks/throughput.py                  # a few minutes; nothing else should be running
    python benchmarks/throughput.py --n 2000         # a quick look

The molecules are those of the bundled MOSES test set. "One thread" counts the CPU seconds of one process with one
thread; "all cores" counts seconds on the clock as a user meets them: worker processes for featurize and training,
torch's threads for the rest. The least time of the repeats is taken.

The second table sets each beside its floor, in CPU seconds of one thread in the same run: RDKit's own parsing and
canonical writing of the same molecules, and the matrix products alone, counted by torch, at the rate at which this
machine multiplies bfloat16 matrices of a GRU's size. Featurizing a file counts all its processes, their start and the
reading of the file, so that few molecules make it look slow.
"""

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rdkit import Chem
from torch.utils.flop_counter import FlopCounterMode

from molvae.autoencoder.trace import Batch
from molvae.bundled import bundled
from molvae.chem.molecules import standardize
from molvae.chem.pool import n_cores
from molvae.codec import Codec, load_codec
from molvae.datasets import open_molecules, standardize_file
from molvae.features.store import FeatureWriter
from molvae.training.config import TrainConfig
from molvae.training.trainer import train

Clock = Callable[[], float]


def seconds(work: Callable[[], object], clock: Clock, repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        begin = clock()
        work()
        taken.append(clock() - begin)
    return min(taken)


def featurize_here(codec: Codec, smiles: list[str]) -> None:
    texts = [standard.smiles for standard in map(standardize, smiles) if standard.smiles]
    codec.featurizer.encode(texts)


def featurize_file(codec: Codec, path: Path) -> None:
    for chunk in standardize_file(open_molecules(path)):
        codec.featurizer.encode(chunk["smiles"].dropna().tolist())


def write_features(codec: Codec, smiles: list[str], folder: Path) -> None:
    names = tuple(codec.card.get("property_names", ()))
    labels = np.random.default_rng(0).standard_normal((len(smiles), len(names)))  # any numbers cost the same
    folder.mkdir()
    with FeatureWriter(folder, codec.featurizer.spec, names) as writer:
        features = codec.featurizer.encode(smiles)
        writer.write(features.x[features.ok], labels[features.ok] if names else None)


def train_for(codec: Codec, features: Path, n: int, n_processes: int) -> Callable[[], None]:
    """Training on n molecules, its start and its one validation counted, too."""
    training = {"n_molecules": n, "evaluate_every": 10 * n, "n_held_out": 64, "n_processes": n_processes}
    config = TrainConfig.from_dict({"model": codec.settings.model_dump(), "training": training}, "benchmark")

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(config, features, Path(folder, "work"))

    return work


def training_rate(codec: Codec, features: Path, n: int, n_processes: int, clock: Clock, repeats: int) -> float:
    """Molecules per second of the steps alone: what a longer training takes more than a shorter one."""
    short, long = (
        seconds(train_for(codec, features, size, n_processes), clock, repeats) for size in (n // 4, n // 4 + n)
    )
    return n / (long - short)


def measure(codec: Codec, n: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Step -> molecules per CPU second of one thread, and per second on all cores."""
    smiles = pd.read_csv(bundled("moses_test.csv.gz"), nrows=n)["SMILES"].tolist()
    points = codec.draw(n, seed=0)
    jobs: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(smiles),
        "decode": lambda: codec.decode(points),
        "sample": lambda: codec.sample(n, seed=0),
    }
    rates: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, features = Path(folder, "molecules.csv"), Path(folder, "features")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["smiles"], *([text] for text in smiles)])
        write_features(codec, smiles, features)
        featurize_here(codec, smiles[:100])  # whatever is set up at first use
        codec.sample(100)
        torch.set_num_threads(1)
        one = {
            "featurize": n / seconds(lambda: featurize_here(codec, smiles), time.process_time, repeats),
            **{name: n / seconds(work, time.process_time, repeats) for name, work in jobs.items()},
            "train step": training_rate(codec, features, n, 1, time.process_time, repeats),
        }
        torch.set_num_threads(n_cores())
        every = {
            "featurize": n / seconds(lambda: featurize_file(codec, path), time.monotonic, repeats),
            **{name: n / seconds(work, time.monotonic, repeats) for name, work in jobs.items()},
            "train step": training_rate(codec, features, n, n_cores(), time.monotonic, repeats),
        }
    for name in one:
        rates[name] = (one[name], every[name])
    return rates


def multiplications_per_second() -> float:
    """Floating-point operations a second of one thread, in bfloat16 products of the size of a GRU's step."""
    a, b = torch.randn(512, 512).bfloat16(), torch.randn(512, 1536).bfloat16()
    n, taken = 50, []
    for _ in range(10):
        begin = time.process_time()
        for _ in range(n):
            torch.mm(a, b)
        taken.append(time.process_time() - begin)
    return 2 * 512 * 512 * 1536 * n / min(taken)


def operations(codec: Codec, smiles: list[str]) -> dict[str, float]:
    """Floating-point operations of matrix products a molecule, of a training step, encoding and greedy decoding."""
    x = codec.featurizer.encode(smiles).x
    x = x[np.argsort((x != 0).sum(1), kind="stable")]
    counts = dict.fromkeys(("train step", "encode", "decode"), 0.0)
    for begin in range(0, len(x), 512):
        part = torch.from_numpy(x[begin : begin + 512].astype(np.int64))
        part = part[:, : int((part != 0).sum(1).max())]
        y = torch.zeros(len(part), len(codec.card.get("property_names", ())))
        with FlopCounterMode(display=False) as encoding:
            z = codec.model.encode(part)
        with FlopCounterMode(display=False) as decoding:
            codec.model.decode(z)
        codec.model.requires_grad_(True)
        with FlopCounterMode(display=False) as training:
            terms = codec.model.terms(codec.model(Batch(part, None, y)))
            torch.stack([term.mean() for term in terms.values()]).sum().backward()
        codec.model.zero_grad()
        codec.model.requires_grad_(False)
        for name, counter in zip(counts, (training, encoding, decoding), strict=True):
            counts[name] += counter.get_total_flops() / len(x)
    return counts


def processes_seconds(command: list[str], folder: str) -> float:
    """CPU seconds of a command and of every process that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def floors(codec: Codec, n: int, repeats: int, rates: dict[str, tuple[float, float]]) -> list[str]:
    """Rows of the second table."""
    smiles = pd.read_csv(bundled("moses_train.csv.gz"), nrows=10 * n)["SMILES"].tolist()
    torch.set_num_threads(1)
    parsing = n / seconds(
        lambda: [Chem.MolToSmiles(Chem.MolFromSmiles(text)) for text in smiles[:n]], time.process_time, repeats
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "molecules.smi").write_text("\n".join(smiles) + "\n")
        command = [sys.executable, "-m", "pipeline.cli", "featurize", "molecules.smi", "--vocabulary", codec.name]
        featurizing = len(smiles) / processes_seconds([*command, "-o", "features"], folder)
    rate, per_molecule = multiplications_per_second(), operations(codec, smiles[: min(n, 4_096)])
    rows = [
        f"| RDKit: parse and write canonically | {parsing:,.0f} | |",
        f"| encode | {rates['encode'][0]:,.0f} | takes {parsing / rates['encode'][0]:.2f} times as long as RDKit |",
        f"| featurize a file of {len(smiles):,} | {featurizing:,.0f} | takes {parsing / featurizing:.2f} times |",
    ]
    for name, count in per_molecule.items():
        floor = rate / count
        rows.append(
            f"| {name}: products alone, {count / 1e6:,.0f} MFLOP at {rate / 1e9:,.0f} GFLOP/s | {floor:,.0f} "
            f"| {rates[name][0] / floor:.0%} of it reached |"
        )
    return rows


WHAT = {
    "featurize": "read, standardize, tokens",
    "encode": "SMILES to points, standardization counted",
    "decode": "points of the prior to canonical SMILES, greedy",
    "sample": "molecules from the prior, up to three tries",
    "train step": "forward, backward, optimizer",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--n", type=int, default=20_000, help="molecules of each measurement")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    codec = load_codec(arguments.codec)
    rates = measure(codec, arguments.n, arguments.repeats)
    print(f"| molecules per second, codec {codec.name} | one thread, per CPU second | all {n_cores()} cores |")
    print("|---|---|---|")
    for name, (one, every) in rates.items():
        print(f"| {name}: {WHAT[name]} | {one:,.0f} | {every:,.0f} |")
    print("\n| molecules per CPU second | of one thread | beside it |")
    print("|---|---|---|")
    for row in floors(codec, arguments.n, arguments.repeats, rates):
        print(row)


if __name__ == "__main__":
    main()
