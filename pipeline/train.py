"""Stage 2: train a codec on the features of stage 1; skipped if the campaign uses an existing codec.

`molvae train` and `molvae refit` also use this module. They need neither RDKit nor Prefect, so the module does not
import them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from molvae.codec import Codec
from molvae.devices import choose_precision, fastest_device
from molvae.errors import InputError
from molvae.features.store import SPEC_NAME, FeatureStore
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME
from molvae.training import codec_training
from molvae.training.checkpoint import CHECKPOINT_NAME
from molvae.training.config import TrainConfig
from molvae.training.keepers import LOG_NAME
from molvae.training.progress import Progress, Report

from . import terminal
from .log import log
from .manifest import Counts, Manifest, Outcome, Plan, file_entry
from .progress import bars
from .run_dir import RunDir

VERSION = 3
_DESCRIPTIONS = (SPEC_NAME, FEATURIZER_NAME, VIEW_NAME)


def train(run: RunDir) -> Manifest:
    """Train a codec in 2-train/codec; an interrupted training resumes from its checkpoint.

    Parameters
    ----------
    run : RunDir
        A run whose featurize stage is complete.

    Returns
    -------
    Manifest
        The manifest of the stage.

    Raises
    ------
    InputError
        The campaign has no [train] section, or the features cannot be used.
    """
    from .campaign import Campaign  # imports RDKit

    campaign = Campaign.load(run.campaign)
    if campaign.train is None:
        raise InputError(f"{run.campaign}: has no [train] section, so there is nothing to train")
    settings = campaign.train
    config = TrainConfig(**{name: getattr(settings, name) for name in TrainConfig.model_fields})
    read = [path for path in sorted(run.featurize.iterdir()) if path.suffix == ".npy" or path.name in _DESCRIPTIONS]
    inputs = {path.stem: file_entry(path, run.path) for path in read}
    plan = Plan("train", VERSION, run.train, config.model_dump(mode="json"), campaign.seed, inputs)

    def body(folder: Path) -> Outcome:
        work = folder / plan.checkpoint
        resume = (work / CHECKPOINT_NAME).exists()
        if not resume:  # a training killed before its first checkpoint can leave incomplete files
            shutil.rmtree(work, ignore_errors=True)
        device = fastest_device()
        log.info("train: trains in %s on %s", choose_precision(device, config.training.precision), device)
        with _showing_progress() as report:
            codec = codec_training.train_in_folder(
                config, run.featurize, work, run.codec, resume=resume, progress=report, notify=_show_note
            )
        shutil.copyfile(work / LOG_NAME, folder / LOG_NAME)
        n = len(FeatureStore.open(run.featurize))
        outputs: dict[str, int | None] = {path.relative_to(folder).as_posix(): None for path in run.codec.iterdir()}
        return Outcome(outputs | {LOG_NAME: None}, Counts(into=n, kept=n), str(codec.card["stopped"]))

    return plan.carry_out(body, run.of_siblings(run.train))


def train_codec(config: Path, features: Path, out: Path, resume: bool, start: str | None) -> Codec:
    """Train a codec with its progress on the terminal; see `molvae.train_codec`.

    Parameters
    ----------
    config : Path
        The settings, a TOML file.
    features : Path
        The features folder.
    out : Path
        The new folder for the codec.
    resume : bool
        Whether to resume the interrupted training in OUT.training.
    start : str or None
        The codec whose weights are the initial weights.

    Returns
    -------
    Codec
        The codec.
    """
    with _showing_progress() as report:
        return codec_training.train_codec(
            config, features, out, resume=resume, start=start, progress=report, notify=_show_note
        )


def refit(codec_name: str | None, features: Path, out: Path, config: Path | None) -> Codec:
    """Fit prior and applicability domain of a codec to other molecules; see `molvae.refit_codec`.

    Parameters
    ----------
    codec_name : str or None
        Name or folder of the codec; None: the default codec.
    features : Path
        The features folder.
    out : Path
        The new folder for the codec.
    config : Path or None
        Settings whose [prior] and [sampling] are used.

    Returns
    -------
    Codec
        The codec.
    """
    return codec_training.refit_codec(codec_name, features, out, config=config, notify=_show_note)


@contextmanager
def _showing_progress() -> Iterator[Report]:
    """Show a bar on the terminal, and print a line for each validation, also to the log."""
    with bars() as show:

        def report(progress: Progress) -> None:
            show(progress)
            if "loss" not in progress.metrics:
                return
            line = f"{progress.done:,} of {progress.total:,}: loss {progress.metrics['loss']:.3f}"
            if "exact" in progress.metrics:
                line += f", {progress.metrics['exact']:.1%} reconstructed exactly"
            log.info("%s", line)
            terminal.show(f"  {line}, {terminal.elapsed(progress.seconds_left or 0.0)} left")

        yield report


def _show_note(note: str) -> None:
    terminal.show(f"  {note}")
