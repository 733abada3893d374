"""The one training loop: features and a recipe in, a trained autoencoder out; it resumes exactly."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from molvae.autoencoder import Autoencoder, build
from molvae.autoencoder.regularizers import kl_to_standard_normal
from molvae.autoencoder.trace import Batch
from molvae.errors import InputError, MolvaeError
from molvae.feature_spec import PAD
from molvae.features.store import FeatureStore
from molvae.files import replacing, write_text
from molvae.seeds import integer_seed
from molvae.training import parallel
from molvae.training.batches import BatchPlan, held_out_rows
from molvae.training.checkpoint import load_checkpoint, save_checkpoint
from molvae.training.config import TrainConfig, TrainingSettings
from molvae.training.schedules import learning_rate_factor, warmed_weight

CONFIG_NAME = "config.toml"
LOG_NAME = "log.jsonl"
BEST_NAME = "best.safetensors"
START_NAME = "start.safetensors"
_N_EXACT = 2_000  # held-out molecules decoded freely at each validation


@dataclass(frozen=True)
class Trained:
    """A trained model and what is worth telling of its training."""

    model: Autoencoder
    n_molecules: int
    seconds: float
    validation: dict[str, float]
    stop_reason: str


def train(
    config: TrainConfig,
    features: Path,
    work: Path,
    resume: bool = False,
    start: Autoencoder | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Trained:
    """Train a recipe on a features folder; state, log and best weights go to the folder `work`.

    resume: go on from the newest checkpoint in `work`, with the settings written there.
    start: earlier weights to begin from; the learning rate starts anew.
    report: is given each entry of the log.

    Raises:
        InputError: `work` holds a run already and resume is not asked for, or the other way round; or there are no
            molecules.
    """
    store = FeatureStore.open(features)
    if not len(store):
        raise InputError(f"{features}: holds no molecules to train on")
    config = _open_work(config, work, resume, start)
    on_gpu = torch.cuda.is_available()
    n_processes = 1 if on_gpu else config.training.n_processes or len(os.sched_getaffinity(0))
    entry: dict[str, Any] = {}
    with parallel.ranks(n_processes, features, work) as rank:
        for entry in fit(config, store, work, rank):
            if report is not None:
                report(entry)
    model = build(config.model, store.spec, len(store.label_names))
    model.load_state_dict(load_file(work / BEST_NAME))
    return Trained(model, entry["molecules"], entry["seconds"], entry["best"], entry["stop_reason"])


def fit(config: TrainConfig, store: FeatureStore, work: Path, rank: parallel.Rank) -> Iterator[dict[str, Any]]:
    """The loop, as one rank runs it: yields a log entry at each validation; rank 0 writes what lasts."""
    settings = config.training
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, optimizer = _start(config, store, work, device)
    train_rows, held_out = held_out_rows(len(store), settings.n_held_out, settings.seed)
    plan = BatchPlan(train_rows, store.lengths, settings.batch_size, settings.seed)
    n_steps = -(-settings.n_molecules // settings.batch_size)
    every = max(1, settings.evaluate_every // settings.batch_size)
    step, facts = load_checkpoint(work, model, optimizer) or (0, {"seconds": 0.0, "best": float("inf"), "waited": 0.0})
    started = time.monotonic() - facts["seconds"]
    sums: dict[str, Any] = {}
    parallel.keep_freed_memory()
    if rank.rank == 0:
        _rewind_log(work, step)
    while step < n_steps and facts["waited"] < settings.patience:
        done = step / n_steps
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(done, settings.warmup, settings.decay_from)
        rows = plan.batch(step)[rank.rank :: rank.n]
        draws = torch.Generator(device).manual_seed(integer_seed(settings.seed, f"step {step} rank {rank.rank}"))
        with _precision(settings, device):
            terms = model.terms(model(_batch(store, rows, device), draws))
            loss = _weighted(terms, settings, done)
        optimizer.zero_grad()
        loss.backward()
        rank.average_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
        optimizer.step()
        step += 1
        sums = {name: sums.get(name, 0) + term.detach().mean() for name, term in terms.items()}
        if step % every == 0 or step == n_steps:
            entry = {"step": step, "molecules": step * settings.batch_size, "learning_rate": group["lr"]}
            entry["train"] = {name: float(total) / ((step - 1) % every + 1) for name, total in sums.items()}
            sums = {}
            if not all(np.isfinite(value) for value in entry["train"].values()):
                raise MolvaeError(f"training lost its way at step {step} (a loss is not finite); lower learning_rate")
            entry["validation"] = validate(model, store, held_out, settings, device)
            is_best = entry["validation"]["loss"] < facts["best"]
            facts["waited"] = 0.0 if is_best else facts["waited"] + 1
            facts["best"] = min(facts["best"], entry["validation"]["loss"])
            facts["seconds"] = entry["seconds"] = time.monotonic() - started
            entry["seconds_left"] = entry["seconds"] / step * (n_steps - step)
            if rank.rank == 0:
                _keep(work, entry, is_best, step, facts, model, optimizer)
            yield entry
    if rank.rank == 0:
        yield _last_entry(work, "finished" if step >= n_steps else f"no better in {settings.patience} validations")


def validate(
    model: Autoencoder, store: FeatureStore, rows: np.ndarray, settings: TrainingSettings, device: torch.device
) -> dict[str, float]:
    """Means over held-out molecules: every term, their weighted sum, exact reconstruction, KL and active units.

    exact: share of molecules whose tokens come back exactly, decoded greedily and freely from their codes.
    active_units: dimensions whose code varies by more than 0.01 (Burda et al. 2016, arXiv 1509.00519).
    """
    totals: dict[str, float] = {}
    codes, n_exact, n_decoded = [], 0, 0
    for chunk in _by_length(store, rows, settings.batch_size):
        batch = _batch(store, chunk, device)
        draws = torch.Generator(device).manual_seed(integer_seed(settings.seed, "validation"))
        with torch.no_grad():
            trace = model(batch, draws)
            terms = model.terms(trace)
            terms["loss"] = _weighted(terms, settings, 1.0).expand(len(chunk))
            if trace.latent.logvar is not None:
                terms["kl_nats"] = kl_to_standard_normal(trace.latent).sum(1)
        codes.append(model.encode(batch.x))
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + float(term.sum())
        if n_decoded < _N_EXACT:
            n_exact += int(_is_rebuilt(model, batch.x, codes[-1]).sum())
            n_decoded += len(chunk)
    means = {name: total / len(rows) for name, total in totals.items()}
    active = int((torch.cat(codes).var(0, correction=0) > 0.01).sum())
    return {**means, "exact": n_exact / n_decoded, "active_units": active}


def _is_rebuilt(model: Autoencoder, x: Tensor, code: Tensor) -> Tensor:
    written = model.decode(code)
    width = max(x.shape[1], written.shape[1])
    filled = [torch.nn.functional.pad(t, (0, width - t.shape[1]), value=PAD) for t in (x, written)]
    return (filled[0] == filled[1]).all(1)


def _by_length(store: FeatureStore, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The rows in chunks of like length; the chunks in an order that does not follow length."""
    ordered = rows[np.argsort(store.lengths[rows], kind="stable")]
    chunks = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    yield from chunks[::2] + chunks[1::2]


def _batch(store: FeatureStore, rows: np.ndarray, device: torch.device) -> Batch:
    y = torch.from_numpy(store.labels[rows]).to(device) if store.label_names else None
    return Batch(torch.from_numpy(store.rows(rows)).to(device), None, y)


def _weighted(terms: dict[str, Tensor], settings: TrainingSettings, done: float) -> Tensor:
    loss = torch.zeros(())
    for name, term in terms.items():
        weight = warmed_weight(done, settings.weights.get(name, 1.0), settings.weight_warmup.get(name, 0.0))
        loss = loss.to(term.device) + weight * term.mean()
    return loss


def _precision(settings: TrainingSettings, device: torch.device) -> AbstractContextManager:
    """Bfloat16 where it pays: on a GPU, and on a CPU that multiplies in it."""
    capable = device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    if settings.precision == "bfloat16" or (settings.precision == "auto" and capable):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _start(
    config: TrainConfig, store: FeatureStore, work: Path, device: torch.device
) -> tuple[Autoencoder, torch.optim.Optimizer]:
    torch.manual_seed(integer_seed(config.training.seed, "weights"))
    model = build(config.model, store.spec, len(store.label_names)).to(device)
    if model.property_head is not None:
        model.property_head.standardize_by(torch.from_numpy(np.array(store.labels)).to(device))
    if (work / START_NAME).exists():
        model.load_state_dict(load_file(work / START_NAME))
    settings = config.training
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99), fused=True
    )
    return model, optimizer


def _open_work(config: TrainConfig, work: Path, resume: bool, start: Autoencoder | None) -> TrainConfig:
    """The settings of the run: those given, written down; or those written down, where it resumes."""
    path = work / CONFIG_NAME
    if resume:
        if not path.exists():
            raise InputError(f"{work}: no training run to resume here; leave --resume out to begin one")
        return TrainConfig.from_toml(path)
    if path.exists():
        raise InputError(f"{work}: holds a training run already; go on with --resume, or name another folder")
    work.mkdir(parents=True, exist_ok=True)
    if start is not None:
        _write_weights(work / START_NAME, start)
    write_text(path, config.to_toml())
    return config


def _keep(
    work: Path,
    entry: dict[str, Any],
    is_best: bool,
    step: int,
    facts: dict[str, float],
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
) -> None:
    if is_best:
        _write_weights(work / BEST_NAME, model)
    with (work / LOG_NAME).open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")
    save_checkpoint(work, step, facts, model, optimizer)


def _write_weights(path: Path, model: Autoencoder) -> None:
    with replacing(path) as part:
        part.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}))


def _rewind_log(work: Path, step: int) -> None:
    """Drop the entries of steps that the checkpoint has not seen: they will be made, and written, again."""
    path = work / LOG_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    write_text(path, "".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= step))


def _last_entry(work: Path, stop_reason: str) -> dict[str, Any]:
    """What closes a run: the newest log entry, and the validation of the best weights."""
    lines = [json.loads(line) for line in (work / LOG_NAME).read_text(encoding="utf-8").splitlines()]
    best = min(lines, key=lambda line: line["validation"]["loss"])["validation"]
    return {**lines[-1], "best": best, "stop_reason": stop_reason}
