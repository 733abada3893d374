"""Speed of a training step captured as a CUDA graph or launched kernel by kernel, at several batch sizes.

    python benchmarks/replay.py moses.toml --features features      # half a minute, on a machine with a GPU

Launched: Python starts each of about a thousand kernels. Captured: all kernels are replayed at once as a CUDA graph
(see molvae/training/update.py). Both run the same steps with the same seeds; the last column is the relative difference
of their mean reconstruction losses. The first steps, which capture a graph for each batch width, are not timed.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from molvae.features import FeatureStore
from molvae.training import TrainConfig
from molvae.training.batches import Batches, BatchPlan
from molvae.training.config import read_config
from molvae.training.parallel import Rank
from molvae.training.trainer import new_model
from molvae.training.update import Update, optimizer_of

SIZES = (1024, 2048, 4096)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="training settings (.toml)")
    parser.add_argument("--features", type=Path, required=True, help="features folder, from `molvae featurize`")
    parser.add_argument("--steps", type=int, default=150, help="timed steps, after the same number of untimed steps")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no GPU found; this benchmark needs one")
    rows, device = FeatureStore.open(given.features), torch.device("cuda")
    batches = Batches(rows, device)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {len(rows):,} molecules")
    print("| batch | launched kernel by kernel | captured and replayed | times as fast | loss difference |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        config = TrainConfig.from_dict(_sized(read_config(given.config), size), "replay")
        (slow, a), (fast, b) = (run(config, rows, batches, captures, given.steps) for captures in (False, True))
        print(f"| {size:,} | {slow:,.0f} | {fast:,.0f} | {fast / slow:.2f} | {abs(a - b) / a:.1%} |", flush=True)


def _sized(config: TrainConfig, size: int) -> dict[str, object]:
    content = config.model_dump()
    content["training"]["batch_size"] = size
    return content


def run(config: TrainConfig, rows: FeatureStore, batches: Batches, captures: bool, n_steps: int) -> tuple[float, float]:
    """Molecules per second, and the mean reconstruction loss."""
    model = new_model(config, rows, torch.device("cuda"))
    update = Update(model, optimizer_of(model, config.training), config.training, batches, Rank(), captures=captures)
    plan = BatchPlan(np.arange(len(rows)), rows.lengths, config.training.batch_size, 0)
    for step in range(n_steps):
        update(plan.batch(step), step, 0.5)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for step in range(n_steps, 2 * n_steps):
        update(plan.batch(step), step, 0.5)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begin
    return n_steps * config.training.batch_size / seconds, update.means(2 * n_steps)["reconstruction"]


if __name__ == "__main__":
    main()
