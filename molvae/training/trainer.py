"""The training loop for every recipe: features and settings in, a trained autoencoder out; it resumes exactly."""

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
from molvae.training.checkpoint import LoopState
from molvae.training.config import TrainConfig, TrainingSettings
from molvae.training.keepers import FolderKeeper, Keeper, LogEntry, MemoryKeeper
from molvae.training.update import Update, optimizer_of, weights_of

CONFIG_NAME = "config.toml"
_MIN_ROWS = 2  # fewer have no covariance for a prior
_N_EXACT = 2_000  # held-out molecules decoded without teacher forcing at each validation


@dataclass(frozen=True)
class Trained:
    """A trained model and the outcome of its training.

    Parameters
    ----------
    model : Autoencoder
        The model with the weights of the best validation.
    n_molecules : int
        Molecules shown over all epochs.
    seconds : float
        Training time, over all resumes.
    validation : dict of str to float
        Metrics of the best validation; see `LogEntry`.
    stop_reason : str
        "finished", or why the training stopped early.
    """

    model: Autoencoder
    n_molecules: int
    seconds: float
    validation: dict[str, float]
    stop_reason: str


Report = Callable[[LogEntry], None]
"""Called with each entry of the log."""


def train(
    config: TrainConfig,
    features: Path,
    work: Path,
    *,
    resume: bool = False,
    start: Autoencoder | None = None,
    report: Report | None = None,
    origin: str = "",
) -> Trained:
    """Train an autoencoder on a features folder, with checkpoints; it uses a GPU, or else every core.

    Parameters
    ----------
    config : TrainConfig
        The settings; ignored when the training is resumed.
    features : Path
        The features folder.
    work : Path
        The folder for settings, checkpoint, best weights and log.
    resume : bool, default=False
        Resume from the checkpoint in `work`, with the settings stored there.
    start : Autoencoder or None
        A model with the initial weights; None: they are random.
    report : callable or None
        Called with each entry of the log.
    origin : str, default=""
        Where the initial weights come from; kept in `work`.

    Returns
    -------
    Trained
        The model and the outcome of its training.

    Raises
    ------
    InputError
        `work` holds a training run and `resume` is False, or holds none and `resume` is True; or there are fewer than
        two molecules.
    MolvaeError
        The training diverged, or another data-parallel process ended.
    """
    rows = FeatureStore.open(features)
    if len(rows) < _MIN_ROWS:
        raise InputError(f"{features}: expected at least {_MIN_ROWS} molecules to train on, got {len(rows)}")
    keeper = FolderKeeper(work)
    if resume:
        config = stopped_config(work)
    else:
        _open_work(work)
        keeper.set_start(start, origin)
        write_text(work / CONFIG_NAME, config.to_toml())  # last: it marks a training run that can be resumed
    on_gpu = torch.cuda.is_available()
    n_processes = 1 if on_gpu else config.training.n_processes or len(os.sched_getaffinity(0))
    n_processes = min(n_processes, config.training.batch_size, len(rows) - len(rows) // 10)  # at least one row each
    with parallel.ranks(n_processes, features, work) as rank:
        return _run(config, rows, keeper, rank, report)


def train_in_memory(config: TrainConfig, rows: Rows, report: Report | None = None) -> Trained:
    """Train an autoencoder in this process, without a folder.

    Parameters
    ----------
    config : TrainConfig
        The settings; `n_processes` is ignored.
    rows : Rows
        The features.
    report : callable or None
        Called with each entry of the log.

    Returns
    -------
    Trained
        The model and the outcome of its training.

    Raises
    ------
    MolvaeError
        The training diverged.
    """
    return _run(config, rows, MemoryKeeper(), parallel.Rank(), report)


def _run(config: TrainConfig, rows: Rows, keeper: Keeper, rank: parallel.Rank, report: Report | None) -> Trained:
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
    """Run the training loop as one of the data-parallel processes.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    rows : Rows
        The features.
    keeper : Keeper
        Keeps the state of the training run.
    rank : Rank
        This process.

    Returns
    -------
    str
        "finished", or why the training stopped early.

    Yields
    ------
    LogEntry
        Each validation.

    Raises
    ------
    MolvaeError
        The training diverged.
    """
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
    step, state = keeper.restore(model, optimizer) or (0, LoopState(seconds=0.0, best=float("inf"), waited=0.0))
    started = time.monotonic() - state["seconds"]
    update = Update(model, optimizer, settings, batches, rank)
    parallel.keep_freed_memory()
    while step < n_steps and state["waited"] < settings.patience:
        done = step / n_steps
        draws = integer_seed(settings.seed, f"step {step} rank {rank.rank}")
        update(plan.batch(step)[rank.rank :: rank.n], draws, done)
        step += 1
        if step % every == 0 or step == n_steps:
            means = update.means((step - 1) % every + 1)
            if not all(np.isfinite(value) for value in means.values()):
                raise MolvaeError(f"training diverged at step {step:,} (a loss is not finite); lower learning_rate")
            validation = validate(model, rows, held_out, settings, batches)
            is_best = validation["loss"] < state["best"]
            state["waited"] = 0.0 if is_best else state["waited"] + 1
            state["best"] = min(state["best"], validation["loss"])
            state["seconds"] = time.monotonic() - started
            entry: LogEntry = {
                "step": step,
                "molecules": step * settings.batch_size,
                "learning_rate": float(optimizer.param_groups[0]["lr"]),
                "train": means,
                "validation": validation,
                "seconds": state["seconds"],
                "seconds_left": state["seconds"] / step * (n_steps - step),
            }
            keeper.keep(entry, state, model, optimizer, is_best)
            yield entry
    return "finished" if step >= n_steps else f"no improvement in {settings.patience} validations"


def validate(
    model: Autoencoder, rows: Rows, chosen: np.ndarray, settings: TrainingSettings, batches: Batches
) -> dict[str, float]:
    """Validate a model on held-out molecules.

    Parameters
    ----------
    model : Autoencoder
        The model.
    rows : Rows
        The features.
    chosen : ndarray of shape (n,)
        Row numbers of the held-out molecules.
    settings : TrainingSettings
        Weights, batch size and seed.
    batches : Batches
        The rows, on the training device.

    Returns
    -------
    dict of str to float
        The mean of each unweighted term in nats, and their weighted sum "loss". "kl_nats" and "elbo" (the evidence
        lower bound, both terms at weight 1) if the bottleneck is Gaussian. "exact": share of molecules whose tokens or
        bits are reconstructed exactly by greedy decoding of up to 2,000 latent vectors. "active_units": latent
        dimensions with a variance above 0.01 [1]_.

    References
    ----------
    .. [1] Burda et al. 2016, arXiv 1509.00519.
    """
    totals: dict[str, float] = {}
    z, n_exact = [], 0
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
        z.append(model.encode(batch.x if batch.view is None else batch.view))
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + float(term.sum())
        among = np.flatnonzero(np.isin(chunk, decoded))
        if is_decoded and len(among):
            n_exact += int(_is_exact(model, batch.x[among], z[-1][among]).sum())
    means = {name: total / len(chosen) for name, total in totals.items()}
    active = int((torch.cat(z).var(0, correction=0) > 0.01).sum())
    exact = {"exact": n_exact / len(decoded)} if is_decoded else {}
    return {**means, **exact, "active_units": active}


def _is_exact(model: Autoencoder, x: Tensor, z: Tensor) -> Tensor:
    """Whether each row is reconstructed exactly, (B,) bool."""
    decoded = model.decode(z)
    width = max(x.shape[1], decoded.shape[1])
    padded = [torch.nn.functional.pad(t, (0, width - t.shape[1]), value=PAD) for t in (x, decoded)]
    return (padded[0] == padded[1]).all(1)


def _by_length(rows: Rows, chosen: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The rows in chunks of similar length."""
    ordered = chosen[np.argsort(rows.lengths[chosen], kind="stable")]
    yield from (ordered[i : i + size] for i in range(0, len(ordered), size))


def new_model(config: TrainConfig, rows: Rows, device: torch.device | None = None) -> Autoencoder:
    """A model with random weights, drawn with the seed of the settings.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    rows : Rows
        The features; the property head is standardized with their labels.
    device : torch.device or None
        The training device; None: the CPU.

    Returns
    -------
    Autoencoder
        The model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(config.training.seed, "weights"))
        model = build(config.model, rows.spec, len(rows.label_names), rows.view_spec, rows.n_bits).to(device)
    if model.property_head is not None:
        model.property_head.standardize_by(torch.from_numpy(rows.labels(rows.labelled)).to(device))
    return model


def stopped_config(work: Path) -> TrainConfig:
    """The settings of an interrupted training run.

    Parameters
    ----------
    work : Path
        The folder of the training run.

    Returns
    -------
    TrainConfig
        Its original settings.

    Raises
    ------
    InputError
        The folder holds no training run.
    """
    path = work / CONFIG_NAME
    if not path.exists():
        raise InputError(f"{work}: holds no training run to resume; start one without --resume")
    return TrainConfig.from_toml(path)


def _open_work(work: Path) -> None:
    """Make the folder of a new training run."""
    if (work / CONFIG_NAME).exists():
        raise InputError(f"{work}: already holds a training run; resume it with --resume, or choose another folder")
    work.mkdir(parents=True, exist_ok=True)
