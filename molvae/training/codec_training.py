"""From a features folder to a codec: train the model, fit its prior and its applicability domain."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from molvae.autoencoder import Autoencoder
from molvae.codec import Codec, fit_domain, fit_prior, load_codec, property_errors
from molvae.errors import InputError
from molvae.features.featurizer import Featurizer
from molvae.features.store import FeatureStore
from molvae.features.tokens import TokenFeaturizer
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, load_featurizer
from molvae.folders import check_new_folder
from molvae.latent.prior import settings_of
from molvae.training.batches import held_out_rows
from molvae.training.config import TrainConfig, TrainingSettings, read_config
from molvae.training.feature_checks import check_bits, check_representations
from molvae.training.feature_source import read_source
from molvae.training.keepers import LOG_NAME, FolderKeeper, LogEntry
from molvae.training.progress import Notify, Progress, Report, ignore
from molvae.training.trainer import CONFIG_NAME, Trained, new_model, stopped_config, train
from molvae.training.transfer import RowNames, copy_weights

_MIN_HELD_OUT = 1_000  # fewer held-out molecules do not calibrate an applicability domain


def train_codec(
    config: TrainConfig | str | Path,
    features: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    start: Codec | str | Path | None = None,
    progress: Report | None = None,
    notify: Notify | None = None,
) -> Codec:
    """Train a codec on a features folder.

    Uses a GPU if there is one, else every core; needs neither RDKit nor Prefect. Until the codec is written, the folder
    OUT.training holds the files that are needed to resume.

    Parameters
    ----------
    config : TrainConfig, str or Path
        The settings: an object, a TOML file, or the name of a bundled one, such as "small.toml".
    features : str or Path
        A features folder; see `molvae.featurize`.
    out : str or Path
        The new folder for the codec.
    resume : bool, default=False
        Resume the interrupted training run in OUT.training, with its original settings.
    start : Codec, str, Path or None
        A codec whose weights are the initial weights; None starts from random weights.
    progress : callable or None
        Called with the progress after each validation; its metrics are those of the validation.
    notify : callable or None
        Called with each note as it occurs.

    Returns
    -------
    Codec
        The trained codec, as written to `out`.

    Raises
    ------
    InputError
        Settings, features or folders cannot be used, or both `resume` and `start` are given.

    Examples
    --------
    >>> import molvae
    >>> codec = molvae.train_codec("small.toml", "features", "codec")  # doctest: +SKIP
    >>> codec.decode(codec.encode(["CCO"]).z)[0].smiles  # doctest: +SKIP
    'CCO'
    """
    out = Path(out)
    work = out.absolute().with_name(f"{out.name}.training")
    check_new_folder(out)
    if resume and start is not None:
        raise InputError(
            "start (--start) sets the initial weights, resume (--resume) continues a training run; give only one"
        )
    if not resume and work.exists():
        hint = "resume it (--resume), or remove that folder" if (work / CONFIG_NAME).exists() else "remove that folder"
        raise InputError(f"{work}: holds an interrupted training run; {hint}")
    codec = train_in_folder(config, features, work, out, resume=resume, start=start, progress=progress, notify=notify)
    shutil.copyfile(work / LOG_NAME, out / LOG_NAME)
    shutil.rmtree(work)
    return codec


def train_in_folder(
    config: TrainConfig | str | Path,
    features: str | Path,
    work: Path,
    out: Path,
    *,
    resume: bool = False,
    start: Codec | str | Path | None = None,
    progress: Report | None = None,
    notify: Notify | None = None,
) -> Codec:
    """Train a codec; checkpoints, log and best weights are kept in a folder.

    Parameters
    ----------
    config : TrainConfig, str or Path
        The settings; ignored when the training is resumed.
    features : str or Path
        A features folder.
    work : Path
        The folder of the training run.
    out : Path
        The new folder for the codec.
    resume : bool, default=False
        Resume the training run in `work`, with its original settings.
    start : Codec, str, Path or None
        A codec whose weights are the initial weights; None starts from random weights.
    progress : callable or None
        Called with the progress after each validation.
    notify : callable or None
        Called with each note as it occurs.

    Returns
    -------
    Codec
        The trained codec, as written to `out`. `card["stopped"]` is the reason why training ended.

    Raises
    ------
    InputError
        Settings, features or folders cannot be used.
    """
    progress, notify = progress or ignore, notify or ignore
    config, features = stopped_config(work) if resume else read_config(config), Path(features)
    read = _open_features(features)
    if "features" in config.model_fields_set:
        check_representations(config.features, read.featurizer, read.view, features)
    check_bits(config, read.store, features)
    first = start if start is None or isinstance(start, Codec) else load_codec(start)
    initial = _initial_model(first, config, read, notify) if first else None
    origin = f"{first.name}, sha256 {first.sha256}" if first else ""
    n_molecules = config.training.n_molecules
    progress(Progress("train", 0, n_molecules))

    def report(entry: LogEntry) -> None:
        progress(Progress("train", entry["molecules"], n_molecules, entry["validation"], entry["seconds_left"]))

    trained = train(config, features, work, resume=resume, start=initial, report=report, origin=origin)
    notify(f"fitting the prior ({config.prior.kind})")
    prior = fit_prior(trained.model, read.store, config.prior, seed=config.training.seed)
    card = _card(trained, read.store, features)
    if origin := FolderKeeper(work).origin:
        card["initial_weights"] = origin
    codec = Codec(config.name, read.featurizer, trained.model, config.model, prior, config.sampling, card, read.view)
    if codec.decodes_to_smiles and len(read.store) > 1:
        held_out = calibration_rows(config.training, len(read.store))
        codec = _with_domain(codec, read.store, config.training.seed, held_out)
    codec.save(out)
    return load_codec(out)


def refit_codec(
    codec: Codec | str | Path | None,
    features: str | Path,
    out: str | Path,
    *,
    config: TrainConfig | str | Path | None = None,
    notify: Notify | None = None,
) -> Codec:
    """Fit the prior and the applicability domain of a codec to other molecules; its weights stay the same.

    Parameters
    ----------
    codec : Codec, str, Path or None
        The codec, its name or its folder; None takes the default codec.
    features : str or Path
        A features folder with the codec's vocabulary, made with `molvae.featurize(..., like=codec)`.
    out : str or Path
        The new folder for the codec.
    config : TrainConfig, str, Path or None
        Settings whose [prior], [sampling] and seed are used; None keeps the codec's sampling and its kind of prior.
    notify : callable or None
        Called with each note as it occurs.

    Returns
    -------
    Codec
        The codec with its new prior and domain, as written to `out`.

    Raises
    ------
    InputError
        The features have another vocabulary, or `out` is not empty.

    Examples
    --------
    >>> import molvae
    >>> counts = molvae.featurize("series.csv", "series", like="druglike")  # doctest: +SKIP
    >>> focused = molvae.refit_codec("druglike", "series", "focused")  # doctest: +SKIP
    """
    notify = notify or ignore
    out, features = Path(out), Path(features)
    check_new_folder(out)
    first = codec if isinstance(codec, Codec) else load_codec(codec)
    read = _open_features(features)
    if (read.featurizer, read.view) != (first.featurizer, first.view):
        name = codec if isinstance(codec, str | Path) else first.name
        hint = f"make the features with `molvae featurize --vocabulary {name}`"
        raise InputError(f"{features}: the vocabulary differs from that of {first.name}; {hint}")
    if config is None:
        prior, sampling, seed = settings_of(first.prior), first.sampling, 0
    else:
        settings = read_config(config)
        prior, sampling, seed = settings.prior, settings.sampling, settings.training.seed
    notify(f"fitting the prior ({prior.kind})")
    fitted = fit_prior(first.model, read.store, prior, seed=seed)
    card = first.card | {"prior_fitted_to": f"{_source_name(features)}; {len(read.store):,} molecules"}
    if list(read.store.label_names) == first.property_names:
        card |= {"property_errors": property_errors(first.model, read.store, seed=seed)}
    refitted = replace(first, prior=fitted, sampling=sampling, card=card)
    if refitted.decodes_to_smiles:
        notify("calibrating the applicability domain")
        refitted = _with_domain(refitted, read.store, seed, None)
    refitted.save(out)
    return load_codec(out)


def calibration_rows(settings: TrainingSettings, n: int) -> np.ndarray | None:
    """Rows of held-out molecules, on which the applicability domain is calibrated.

    Initial weights may come from a codec that was trained on these molecules, unless it was trained with the same
    features and seed.

    Parameters
    ----------
    settings : TrainingSettings
        The settings of the training run.
    n : int
        Rows of the features.

    Returns
    -------
    ndarray of shape (m,) or None
        Row numbers; None if fewer than 1,000 molecules are held out.
    """
    _, held_out = held_out_rows(n, settings.n_held_out, settings.seed)
    return held_out if min(settings.n_held_out, n // 10) >= _MIN_HELD_OUT else None


class _OpenFeatures(NamedTuple):
    store: FeatureStore
    featurizer: Featurizer
    view: Featurizer | None


def _open_features(folder: Path) -> _OpenFeatures:
    store = FeatureStore.open(folder)
    view = load_featurizer(folder / VIEW_NAME) if store.view_spec else None
    return _OpenFeatures(store, load_featurizer(folder / FEATURIZER_NAME), view)


def _with_domain(codec: Codec, store: FeatureStore, seed: int, chosen: np.ndarray | None) -> Codec:
    """The codec with an applicability domain, calibrated on chosen rows; None: on all."""
    calibration = fit_domain(codec, store, seed=seed, chosen=chosen)
    molecules = "molecules of the features" if chosen is None else "held-out molecules of the training set"
    card = codec.card | {"domain": f"measured on {calibration.n:,} {molecules}"}
    return replace(codec, calibration=calibration, card=card)


def _initial_model(first: Codec, config: TrainConfig, read: _OpenFeatures, notify: Notify) -> Autoencoder:
    """A new model with the weights of an earlier codec that fit; the others are random, and a note counts them.

    Raises
    ------
    InputError
        Less than half of the weights fit.
    """
    model = new_model(config, read.store)
    names = RowNames(_tokens(read.view or read.featurizer), _tokens(read.featurizer), read.store.label_names)
    first_names = RowNames(_tokens(first.view or first.featurizer), _tokens(first.featurizer), first.property_names)
    copied = copy_weights(model, names, first.model, first_names)
    share = copied.weights / copied.n_weights
    if share < 0.5:
        raise InputError(
            f"start {first.name} (--start): its model has other sizes; only {share:.0%} of the weights fit; copy its "
            "[model] section into your settings"
        )
    if not copied.is_all:
        notify(
            f"initial weights from {first.name}: {share:.1%} of the weights, {copied.tokens:,} of {copied.n_tokens:,} "
            "tokens; the others are random"
        )
    return model


def _tokens(featurizer: Featurizer) -> tuple[str, ...]:
    return featurizer.token_texts if isinstance(featurizer, TokenFeaturizer) else ()


def _card(trained: Trained, store: FeatureStore, features: Path) -> dict[str, object]:
    """The model card of a trained codec."""
    return {
        "training_data": _source_name(features),
        "training_molecules": len(store),
        "molecules_shown": trained.n_molecules,
        "training_minutes": round(trained.seconds / 60, 1),
        "stopped": trained.stop_reason,
        "held_out": {name: round(value, 4) for name, value in trained.validation.items()},
        "property_names": list(store.label_names),
        "property_errors": property_errors(trained.model, store),
        "licence": "that of the training data",
    }


def _source_name(features: Path) -> str:
    return str(read_source(features) or "not recorded")
