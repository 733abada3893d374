"""Throughput of every step that processes many molecules, with a bundled codec; prints two tables.

    python benchmarks/throughput.py                  # a few minutes; nothing else should be running
    python benchmarks/throughput.py --n 2000         # a quick look
    python benchmarks/throughput.py --precision float32
    python benchmarks/throughput.py --peer DIR       # also the VAE of MOSES, in the same run

Molecules of the bundled MOSES test set. "One thread": CPU seconds of one process with one thread. "All cores":
wall-clock seconds, with worker processes for featurize and training and torch threads for the rest. The lowest time of
the repeats counts. "Decode as in a search": batches of 100 draws from the prior without its random steps, two fifths of
them with noise and temperature.

`--precision float32` shows a processor that does not multiply bfloat16. With the environment variables
ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2, too, it shows one without AVX-512.

The second table compares each step with a lower bound, in CPU seconds of one thread in the same run: RDKit parses and
canonicalizes the same molecules, and the matrix products alone, counted by torch, at the rate at which this machine
multiplies matrices of the size of a GRU step, in the same precision. Featurizing a file includes all its processes,
their start and the reading of the file, so that it looks slow for few molecules.

DIR holds the package `moses` of MOSES: `pip download --no-deps molsets==0.3.1`, and unzip the wheel. Only its VAE is
imported, with its default sizes and settings. Its own trainer trains it in batches of 512. It samples batches of 512
strings of 100 symbols, its fixed length; random weights take the same time. Its samples are not parsed; those of the
codec are.
"""

import argparse
import csv
import importlib
import os
import resource
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from rdkit import Chem
from torch.utils.flop_counter import FlopCounterMode

from molvae.autoencoder.trace import Batch
from molvae.bundled import bundled
from molvae.chem.molecules import standardize
from molvae.codec import Codec, decoding, load_codec
from molvae.datasets import open_molecules, standardize_file
from molvae.devices import CODEC_DEVICE, PRECISION_VARIABLE, PrecisionSetting, choose_precision
from molvae.features.store import FeatureWriter
from molvae.training.config import TrainConfig
from molvae.training.trainer import train
from molvae.workers import n_cores

Clock = Callable[[], float]


def seconds(work: Callable[[], object], clock: Clock, repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        decoding._read_decoded.cache_clear()
        begin = clock()
        work()
        taken.append(clock() - begin)
    return min(taken)


def featurize_list(codec: Codec, smiles: list[str]) -> None:
    standardized = [result.smiles for result in map(standardize, smiles) if result.smiles]
    codec.featurizer.encode(standardized)


def featurize_file(codec: Codec, path: Path) -> None:
    for chunk in standardize_file(open_molecules(path)):
        codec.featurizer.encode(chunk["smiles"].dropna().tolist())


def decode_as_search(codec: Codec, z: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for begin in range(0, len(z), 100):
        part = z[begin : begin + 100]
        is_noisy = rng.random(len(part)) < 0.4
        noise, temperature = (
            np.where(is_noisy, rng.uniform(*bounds, len(part)), 0) for bounds in ((0.1, 0.4), (0.3, 0.9))
        )
        codec.decode(part, noise=noise, temperature=temperature, seed=begin)


def write_features(codec: Codec, smiles: list[str], folder: Path) -> None:
    names = tuple(codec.property_names)
    labels = np.random.default_rng(0).standard_normal((len(smiles), len(names)))  # the values do not affect the time
    folder.mkdir()
    with FeatureWriter(folder, codec.featurizer.spec, names) as writer:
        features = codec.featurizer.encode(smiles)
        writer.write(features.x[features.ok], labels[features.ok] if names else None)


def train_for(codec: Codec, features: Path, n: int, n_processes: int) -> Callable[[], None]:
    """A training run on n molecules, including its start and one validation."""
    training = {"n_molecules": n, "evaluate_every": 10 * n, "n_held_out": 64, "n_processes": n_processes}
    config = TrainConfig.from_dict({"model": codec.settings.model_dump(), "training": training}, "benchmark")

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(config, features, Path(folder, "work"))

    return work


def training_rate(codec: Codec, features: Path, n: int, n_processes: int, clock: Clock, repeats: int) -> float:
    """Molecules per second of the steps alone: the difference between a longer and a shorter training run."""
    short, long = (
        seconds(train_for(codec, features, size, n_processes), clock, repeats) for size in (n // 4, n // 4 + n)
    )
    return n / (long - short)


def measure(codec: Codec, n: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Step -> molecules per CPU second of one thread, and per second on all cores."""
    smiles = pd.read_csv(bundled("moses_test.csv.gz"), nrows=n)["SMILES"].tolist()
    draws, centers = codec.draw(n, seed=0), codec.draw(n, seed=0, spread=0.0)
    jobs: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(smiles),
        "decode": lambda: codec.decode(draws),
        "decode as in a search": lambda: decode_as_search(codec, centers),
        "sample": lambda: codec.sample(n, seed=0),
    }
    rates: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, features = Path(folder, "molecules.csv"), Path(folder, "features")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["smiles"], *([one] for one in smiles)])
        write_features(codec, smiles, features)
        featurize_list(codec, smiles[:100])  # warm-up
        codec.sample(100)
        torch.set_num_threads(1)
        one = {
            "featurize": n / seconds(lambda: featurize_list(codec, smiles), time.process_time, repeats),
            **{name: n / seconds(work, time.process_time, repeats) for name, work in jobs.items()},
            "train step": training_rate(codec, features, n, 1, time.process_time, repeats),
        }
        torch.set_num_threads(n_cores())
        all_cores = {
            "featurize": n / seconds(lambda: featurize_file(codec, path), time.monotonic, repeats),
            **{name: n / seconds(work, time.monotonic, repeats) for name, work in jobs.items()},
            "train step": training_rate(codec, features, n, n_cores(), time.monotonic, repeats),
        }
    for name in one:
        rates[name] = (one[name], all_cores[name])
    return rates


def flops_per_second() -> float:
    """Floating-point operations per second of one thread, in products of the size of a GRU step."""
    precision = getattr(torch, choose_precision(CODEC_DEVICE))
    a, b = torch.randn(512, 512).to(precision), torch.randn(512, 1536).to(precision)
    n, taken = 50, []
    for _ in range(10):
        begin = time.process_time()
        for _ in range(n):
            torch.mm(a, b)
        taken.append(time.process_time() - begin)
    return 2 * 512 * 512 * 1536 * n / min(taken)


def operations(codec: Codec, smiles: list[str]) -> dict[str, float]:
    """Floating-point operations of the matrix products per molecule: training step, encoding and greedy decoding."""
    x = codec.featurizer.encode(smiles).x
    x = x[np.argsort((x != 0).sum(1), kind="stable")]
    counts = dict.fromkeys(("train step", "encode", "decode"), 0.0)
    for begin in range(0, len(x), 512):
        part = torch.from_numpy(x[begin : begin + 512].astype(np.int64))
        part = part[:, : int((part != 0).sum(1).max())]
        y = torch.zeros(len(part), len(codec.property_names))
        with FlopCounterMode(display=False) as encoding:
            z = codec.model.encode(part)
        with FlopCounterMode(display=False) as decoding:
            codec.model.decode(z)
        codec.model.requires_grad_(True)
        with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _addmm_flop}) as training:
            terms = codec.model.terms(codec.model(Batch(part, None, y)))
            torch.stack([term.mean() for term in terms.values()]).sum().backward()
        codec.model.zero_grad()
        codec.model.requires_grad_(False)
        for name, counter in zip(counts, (training, encoding, decoding), strict=True):
            counts[name] += counter.get_total_flops() / len(x)
    return counts


def _addmm_flop(into: Any, a: tuple[int, int], b: tuple[int, int], **_: Any) -> int:
    """Operations of addmm_, which torch does not count."""
    return 2 * a[0] * a[1] * b[1]


def processes_seconds(command: list[str], folder: str) -> float:
    """CPU seconds of a command and all its child processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def lower_bounds(
    codec: Codec, name_or_folder: str, n: int, repeats: int, rates: dict[str, tuple[float, float]]
) -> list[str]:
    """Rows of the second table."""
    smiles = pd.read_csv(bundled("moses_train.csv.gz"), nrows=10 * n)["SMILES"].tolist()
    torch.set_num_threads(1)
    parsing = n / seconds(
        lambda: [Chem.MolToSmiles(Chem.MolFromSmiles(one)) for one in smiles[:n]], time.process_time, repeats
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "molecules.smi").write_text("\n".join(smiles) + "\n")
        command = [
            sys.executable,
            "-m",
            "molvae.pipeline.cli",
            "featurize",
            "molecules.smi",
            "--vocabulary",
            name_or_folder,
        ]
        featurizing = len(smiles) / processes_seconds([*command, "-o", "features"], folder)
    rate, per_molecule = flops_per_second(), operations(codec, smiles[: min(n, 4_096)])
    rows = [
        f"| RDKit: parse and canonicalize | {parsing:,.0f} | |",
        f"| encode | {rates['encode'][0]:,.0f} | takes {parsing / rates['encode'][0]:.2f} times as long as RDKit |",
        f"| featurize a file of {len(smiles):,} | {featurizing:,.0f} | takes {parsing / featurizing:.2f} times |",
    ]
    for name, count in per_molecule.items():
        bound = rate / count
        rows.append(
            f"| {name}: matrix products alone, {count / 1e6:,.0f} MFLOP at {rate / 1e9:,.0f} GFLOP/s | {bound:,.0f} "
            f"| {rates[name][0] / bound:.0%} of it reached |"
        )
    return rows


def peer(folder: Path, n: int, repeats: int) -> dict[str, float]:
    """Molecules per CPU second of one thread of the VAE of MOSES, training step and sampling, and its parameters."""
    if not (folder / "moses" / "vae").is_dir():
        raise SystemExit(f"{folder}: expected a folder with the package moses; see --help")
    package: Any = types.ModuleType("moses")
    package.__path__ = [str(folder / "moses")]  # its __init__ needs RDKit of 2019
    sys.modules["moses"] = package
    vae = importlib.import_module("moses.vae")
    model_module: Any = importlib.import_module("moses.vae.model")
    model_module.torch = types.SimpleNamespace(**(vars(torch) | {"uint8": torch.bool}))  # current masks are bool
    smiles = pd.read_csv(bundled("moses_train.csv.gz"), nrows=n)["SMILES"].tolist()
    config = vae.vae_parser().parse_args([])
    trainer = vae.VAETrainer(config)
    model = vae.VAE(trainer.get_vocabulary(smiles), config)
    parts = [smiles[begin : begin + 512] for begin in range(0, n, 512)]
    optimizer = torch.optim.Adam(trainer.get_optim_params(model), lr=config.lr_start)

    def train_on_all() -> None:
        batches = map(trainer.get_collate_fn(model), (list(part) for part in parts))
        trainer._train_epoch(model, 0, Silent(batches), 0.05, optimizer)

    torch.set_num_threads(1)
    training = n / seconds(train_on_all, time.process_time, repeats)
    model.eval()
    sampling = 512 / seconds(lambda: model.sample(512), time.process_time, repeats)
    return {"train step": training, "sample": sampling, "parameters": sum(p.numel() for p in model.parameters())}


class Silent(list[Any]):
    """Batches in place of a progress bar."""

    def set_postfix_str(self, text: str) -> None:
        """Do nothing."""


DESCRIPTIONS = {
    "featurize": "read, standardize, tokenize",
    "encode": "SMILES to latent vectors, standardization included",
    "decode": "draws from the prior to canonical SMILES, greedy",
    "decode as in a search": "batches of 100, two fifths with noise and temperature",
    "sample": "molecules from the prior, up to three attempts",
    "train step": "forward, backward, optimizer",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--n", type=int, default=20_000, help="molecules of each measurement")
    parser.add_argument("--repeats", type=int, default=2, help="timed repeats")
    parser.add_argument("--precision", choices=get_args(PrecisionSetting), default="auto", help="of matrix products")
    parser.add_argument("--peer", type=Path, metavar="DIR", help="folder with the package moses, see above")
    arguments = parser.parse_args()
    os.environ[PRECISION_VARIABLE] = arguments.precision
    codec = load_codec(arguments.codec)
    name_or_folder = str(Path(arguments.codec).resolve()) if Path(arguments.codec).is_dir() else arguments.codec
    rates = measure(codec, arguments.n, arguments.repeats)
    title = f"molecules per second, codec {codec.name}, {choose_precision(CODEC_DEVICE)}"
    print(f"| {title} | one thread, per CPU second | all {n_cores()} cores |")
    print("|---|---|---|")
    for name, (one, all_cores) in rates.items():
        print(f"| {name}: {DESCRIPTIONS[name]} | {one:,.0f} | {all_cores:,.0f} |")
    print("\n| molecules per CPU second | of one thread | compared |")
    print("|---|---|---|")
    for row in lower_bounds(codec, name_or_folder, arguments.n, arguments.repeats, rates):
        print(row)
    if arguments.peer:
        other = peer(arguments.peer, 1_536, arguments.repeats)
        n_own = sum(parameter.numel() for parameter in codec.model.parameters())
        print("\n| molecules per CPU second of one thread | parameters | train step | sample |\n|---|---|---|---|")
        print(
            f"| VAE of MOSES | {other['parameters'] / 1e6:.1f} M | {other['train step']:.1f} | {other['sample']:.1f} |"
        )
        own = {name: rates[name][0] for name in ("train step", "sample")}
        print(f"| codec {codec.name} | {n_own / 1e6:.1f} M | {own['train step']:,.0f} | {own['sample']:,.0f} |")
        times = " | ".join(f"{own[name] / other[name]:.0f}" for name in own)
        print(f"| times as many | | {times} |")


if __name__ == "__main__":
    main()
