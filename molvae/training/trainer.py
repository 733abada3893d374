"""The one training loop: features and a recipe in, a trained autoencoder out; it resumes exactly."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from molvae.autoencoder import Autoencoder, build
from molvae.autoencoder.regularizers import kl_to_standard_normal
from molvae.devices import fastest_device
from molvae.errors import InputError, MolvaeError
from molvae.feature_spec import PAD
from molvae.features.store import FeatureStore, Rows
from molvae.files import write_text
from molvae.seeds import integer_seed
from molvae.training import parallel
from molvae.training.batches import Batches, BatchPlan, held_out_rows
from molvae.training.config import TrainConfig, TrainingSettings
from molvae.training.keepers import FolderKeeper, Keeper, LogEntry, MemoryKeeper
from molvae.training.update import Update, optimizer_of, weights_of

CONFIG_NAME = "config.toml"
_LEAST_ROWS = 2  # a prior has no width with fewer
_N_EXACT = 2_000  # held-out molecules decoded freely at each validation


@dataclass(frozen=True)
class Trained:
    """A trained model and what is worth telling of its training."""

    model: Autoencoder
    n_molecules: int
    seconds: float
    validation: dict[str, float]
    stop_reason: str


Report = Callable[[LogEntry], None]
"""Is given each entry of the log."""


def train(
    config: TrainConfig,
    features: Path,
    work: Path,
    resume: bool = False,
    start: Autoencoder | None = None,
    report: Report | None = None,
    origin: str = "",
) -> Trained:
    """Train a recipe on a features folder; state, log and best weights go to the folder `work`.

    resume: go on from the newest checkpoint in `work`, with the settings written there.
    start: earlier weights to begin from; the learning rate starts anew. origin: whose they are, in words, kept in
        `work` with them.

    Raises:
        InputError: `work` holds a run already and resume is not asked for, or the other way round; or there are
            fewer than two molecules.
    """
    rows = FeatureStore.open(features)
    if len(rows) < _LEAST_ROWS:
        raise InputError(f"{features}: expected at least {_LEAST_ROWS} molecules to train on, got {len(rows)}")
    keeper = FolderKeeper(work)
    if resume:
        config = stopped_config(work)
    else:
        _open_work(work)
        keeper.set_start(start, origin)
        write_text(work / CONFIG_NAME, config.to_toml())  # last: with it there is a run to go on with
    on_gpu = torch.cuda.is_available()
    n_processes = 1 if on_gpu else config.training.n_processes or len(os.sched_getaffinity(0))
    n_processes = min(n_processes, config.training.batch_size, len(rows) - len(rows) // 10)  # each has a share
    with parallel.ranks(n_processes, features, work) as rank:
        return _drain(config, rows, keeper, rank, report)


def train_in_memory(config: TrainConfig, rows: Rows, report: Report | None = None) -> Trained:
    """Train a recipe on rows in memory, in this process, leaving nothing behind."""
    return _drain(config, rows, MemoryKeeper(), parallel.Rank(), report)


def _drain(config: TrainConfig, rows: Rows, keeper: Keeper, rank: parallel.Rank, report: Report | None) -> Trained:
    loop = fit(config, rows, keeper, rank)
    while True:
        try:
            entry = next(loop)
        except StopIteration as end:
            stop_reason = end.value
            break
        if report is not None:
            report(entry)
    model = build(config.model, rows.spec, len(rows.label_names), rows.view_spec, rows.n_bits)
    model.load_state_dict(keeper.best_weights())
    log = keeper.log()
    best = min(log, key=lambda entry: entry["validation"]["loss"])
    return Trained(model, log[-1]["molecules"], log[-1]["seconds"], best["validation"], stop_reason)


def fit(config: TrainConfig, rows: Rows, keeper: Keeper, rank: parallel.Rank) -> Generator[LogEntry, None, str]:
    """The loop, as one rank runs it: yields a log entry at each validation, and returns why it stopped."""
    settings = config.training
    device = fastest_device()
    model = new_model(config, rows, device)
    optimizer = optimizer_of(model, settings)
    train_rows, held_out = held_out_rows(len(rows), settings.n_held_out, settings.seed)
    shares = settings.shares(rows.lengths[train_rows])
    plan = BatchPlan(train_rows, rows.lengths, settings.batch_size, settings.seed, shares)
    batches = Batches(rows, device)
    n_steps = -(-settings.n_molecules // settings.batch_size)
    every = max(1, settings.evaluate_every // settings.batch_size)
    step, facts = keeper.begin(model, optimizer) or (0, {"seconds": 0.0, "best": float("inf"), "waited": 0.0})
    started = time.monotonic() - facts["seconds"]
    update = Update(model, optimizer, settings, batches, rank)
    parallel.keep_freed_memory()
    while step < n_steps and facts["waited"] < settings.patience:
        done = step / n_steps
        draws = integer_seed(settings.seed, f"step {step} rank {rank.rank}")
        update(plan.batch(step)[rank.rank :: rank.n], draws, done)
        step += 1
        if step % every == 0 or step == n_steps:
            means = update.means((step - 1) % every + 1)
            if not all(np.isfinite(value) for value in means.values()):
                raise MolvaeError(f"training diverged at step {step:,} (a loss is not finite); lower learning_rate")
            validation = validate(model, rows, held_out, settings, batches)
            is_best = validation["loss"] < facts["best"]
            facts["waited"] = 0.0 if is_best else facts["waited"] + 1
            facts["best"] = min(facts["best"], validation["loss"])
            facts["seconds"] = time.monotonic() - started
            entry: LogEntry = {
                "step": step,
                "molecules": step * settings.batch_size,
                "learning_rate": float(optimizer.param_groups[0]["lr"]),
                "train": means,
                "validation": validation,
                "seconds": facts["seconds"],
                "seconds_left": facts["seconds"] / step * (n_steps - step),
            }
            keeper.keep(entry, facts, model, optimizer, is_best)
            yield entry
    return "finished" if step >= n_steps else f"no better in {settings.patience} validations"


def validate(
    model: Autoencoder, rows: Rows, chosen: np.ndarray, settings: TrainingSettings, batches: Batches
) -> dict[str, float]:
    """Means over held-out molecules: every term, their weighted sum, exact reconstruction, KL, ELBO and active units.

    elbo: the evidence lower bound in nats, minus reconstruction and KL at weight 1, whatever the training's weights.
    exact: share of molecules whose tokens or bits come back exactly, decoded greedily and freely from their codes.
    active_units: dimensions whose code varies by more than 0.01 (Burda et al. 2016, arXiv 1509.00519).
    """
    totals: dict[str, float] = {}
    codes, n_exact = [], 0
    decoded = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _N_EXACT)).astype(np.int64)]
    is_decoded = model.spec.kind in ("tokens", "bits")
    for chunk in _by_length(rows, chosen, settings.batch_size):
        batch = batches.batch(chunk)
        draws = torch.Generator(batch.x.device).manual_seed(integer_seed(settings.seed, "validation"))
        with torch.no_grad():
            trace = model(batch, draws)
            terms = model.terms(trace)
            weights = zip(model.term_names, weights_of(settings, model.term_names), strict=True)
            terms["loss"] = torch.stack([weight * terms[name] for name, weight in weights]).sum(0)
            if trace.latent.logvar is not None:
                terms["kl_nats"] = kl_to_standard_normal(trace.latent).sum(1)
                terms["elbo"] = -(terms["reconstruction"] + terms["kl_nats"])
        codes.append(model.encode(batch.x if batch.view is None else batch.view))
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + float(term.sum())
        among = np.flatnonzero(np.isin(chunk, decoded))
        if is_decoded and len(among):
            n_exact += int(_is_rebuilt(model, batch.x[among], codes[-1][among]).sum())
    means = {name: total / len(chosen) for name, total in totals.items()}
    active = int((torch.cat(codes).var(0, correction=0) > 0.01).sum())
    exact = {"exact": n_exact / len(decoded)} if is_decoded else {}
    return {**means, **exact, "active_units": active}


def _is_rebuilt(model: Autoencoder, x: Tensor, code: Tensor) -> Tensor:
    written = model.decode(code)
    width = max(x.shape[1], written.shape[1])
    filled = [torch.nn.functional.pad(t, (0, width - t.shape[1]), value=PAD) for t in (x, written)]
    return (filled[0] == filled[1]).all(1)


def _by_length(rows: Rows, chosen: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The rows in chunks of like length."""
    ordered = chosen[np.argsort(rows.lengths[chosen], kind="stable")]
    yield from (ordered[i : i + size] for i in range(0, len(ordered), size))


def new_model(config: TrainConfig, rows: Rows, device: torch.device | None = None) -> Autoencoder:
    """A model with random weights, as the seed has them, for rows of features."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(config.training.seed, "weights"))
        model = build(config.model, rows.spec, len(rows.label_names), rows.view_spec, rows.n_bits).to(device)
    if model.property_head is not None:
        model.property_head.standardize_by(torch.from_numpy(rows.labels(rows.labelled)).to(device))
    return model


def stopped_config(work: Path) -> TrainConfig:
    """The settings of the run in the folder `work`, by which it goes on.

    Raises:
        InputError: there is none.
    """
    path = work / CONFIG_NAME
    if not path.exists():
        raise InputError(f"{work}: no training run to resume here; leave --resume out to begin one")
    return TrainConfig.from_toml(path)


def _open_work(work: Path) -> None:
    """A folder for a new run."""
    if (work / CONFIG_NAME).exists():
        raise InputError(f"{work}: holds a training run already; go on with --resume, or name another folder")
    work.mkdir(parents=True, exist_ok=True)
