"""Stage 2: features and settings in, a codec out; skipped where the campaign names a finished codec.

Also behind `molvae train`, which needs neither RDKit nor Prefect: nothing here may bring them at import.
"""

import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from molvae.autoencoder import Autoencoder
from molvae.codec import Codec, DomainCalibration, fit_domain, fit_prior, load_codec, property_errors
from molvae.errors import InputError
from molvae.features.featurizer import Featurizer
from molvae.features.store import FeatureStore
from molvae.features.tokens import TokenFeaturizer
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, FeatureSettings, load_featurizer
from molvae.latent.prior import settings_of
from molvae.training.batches import held_out_rows
from molvae.training.checkpoint import CHECKPOINT_NAME
from molvae.training.config import TrainConfig, TrainingSettings
from molvae.training.keepers import LOG_NAME, FolderKeeper
from molvae.training.trainer import CONFIG_NAME, Trained, new_model, stopped_config
from molvae.training.trainer import train as train_model
from molvae.training.transfer import Names, take_over

from . import terminal
from .log import log
from .manifest import Counts, Manifest, Outcome, Plan, file_entry
from .run_dir import RunDir

VERSION = 3
_LEAST_KEPT_OUT = 1_000  # fewest molecules by which a domain is measured

_DESCRIPTIONS = ("features.json", FEATURIZER_NAME, VIEW_NAME)


def train(run: RunDir) -> Manifest:
    """A codec in 2-train/codec; goes on from the checkpoint of an attempt that was killed."""
    from .campaign import Campaign  # brings RDKit, through the objective

    campaign = Campaign.load(run.campaign)
    if campaign.train is None:
        raise InputError(f"{run.campaign}: there is no [train] section, so there is nothing to train")
    settings = campaign.train
    config = TrainConfig(**{name: getattr(settings, name) for name in TrainConfig.model_fields})
    read = [path for path in sorted(run.featurize.iterdir()) if path.suffix == ".npy" or path.name in _DESCRIPTIONS]
    inputs = {path.stem: file_entry(path, run.path) for path in read}
    plan = Plan("train", VERSION, run.train, config.model_dump(mode="json"), campaign.seed, inputs)

    def body(folder: Path) -> Outcome:
        work = folder / plan.checkpoint
        is_begun = (work / CHECKPOINT_NAME).exists()
        if not is_begun:  # killed before the first checkpoint, perhaps amid a file
            shutil.rmtree(work, ignore_errors=True)
        _, trained = _train(config, run.featurize, work, run.codec, is_begun, None)
        shutil.copyfile(work / LOG_NAME, folder / LOG_NAME)
        n = len(FeatureStore.open(run.featurize))
        outputs: dict[str, int | None] = {path.relative_to(folder).as_posix(): None for path in run.codec.iterdir()}
        return Outcome(outputs | {LOG_NAME: None}, Counts(into=n, kept=n), trained.stop_reason)

    return plan.carry_out(body)


def train_codec(config: Path, features: Path, out: Path, resume: bool, start: str | None) -> Codec:
    """The codec, written to the folder `out`; until then what a resume needs stands in OUT.training.

    Raises:
        InputError: settings, features or folders cannot be used, or resume and start are both asked for.
    """
    work = out.absolute().with_name(f"{out.name}.training")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: something is there already; give another -o, or remove it")
    if resume and start is not None:
        raise InputError("--start begins from other weights, --resume goes on with its own; give one of the two")
    if not resume and work.exists():
        way = "go on with --resume, or remove that folder" if (work / CONFIG_NAME).exists() else "remove that folder"
        raise InputError(f"{work}: holds a training that was stopped; {way}")
    settings = TrainConfig.from_toml(find_config(config))
    codec, _ = _train(settings, features, work, out, resume, start)
    shutil.copyfile(work / LOG_NAME, out / LOG_NAME)
    shutil.rmtree(work)
    return codec


def _train(
    config: TrainConfig, features: Path, work: Path, out: Path, resume: bool, start: str | None
) -> tuple[Codec, Trained]:
    """Train in the folder `work`, fit the prior, and write the codec to the new folder `out`.

    A run that is gone on with keeps its own settings, whatever `config` says by now.
    """
    config = stopped_config(work) if resume else config
    store = FeatureStore.open(features)
    featurizer = load_featurizer(features / FEATURIZER_NAME)
    view = load_featurizer(features / VIEW_NAME) if store.view_spec else None
    if "features" in config.model_fields_set:
        check_forms(config.features, featurizer, view, features)
    _check_bits(config, store, features)
    first = load_codec(start) if start is not None else None
    begun = _begin(first, config, featurizer, view, store) if first else None
    total = config.training.n_molecules
    with terminal.bar("train", total, "molecules") as bar:
        done = 0

        def report(entry: dict[str, Any]) -> None:
            nonlocal done
            bar.advance(entry["molecules"] - done)
            done = entry["molecules"]
            measured = entry["validation"]
            line = f"{done:,} of {total:,}: loss {measured['loss']:.3f}"
            line += f", {measured['exact']:.1%} rebuilt exactly" if "exact" in measured else ""
            log.info("%s", line)
            terminal.say(f"  {line}, {terminal.elapsed(entry.get('seconds_left', 0.0))} left")

        origin = f"{first.name}, sha256 {first.sha256}" if first else ""
        trained = train_model(config, features, work, resume, begun, report, origin)
    terminal.say(f"  fitting the prior ({config.prior.kind})")
    prior = fit_prior(trained.model, store, config.prior, seed=config.training.seed)
    card = _card(trained, store, features)
    if origin := FolderKeeper(work).origin:
        card["begun_from"] = origin
    codec = Codec(config.name, featurizer, trained.model, config.model, prior, config.sampling, card, view)
    if codec.decodes_to_smiles and len(store) > 1:
        kept_out = _kept_out(config.training, len(store))
        codec = _with_domain(codec, fit_domain(codec, store, seed=config.training.seed, chosen=kept_out), kept_out)
    codec.save(out)
    return load_codec(out), trained


def _kept_out(settings: TrainingSettings, n: int) -> np.ndarray | None:
    """Numbers of the rows that this training did not see, of n; None where they are too few to tell what is strange.

    What the weights saw that it began from is not known; settings with the same seed and features keep out the same.
    """
    _, held_out = held_out_rows(n, settings.n_held_out, settings.seed)
    return held_out if min(settings.n_held_out, n // 10) >= _LEAST_KEPT_OUT else None


def _with_domain(codec: Codec, calibration: DomainCalibration, kept_out: np.ndarray | None) -> Codec:
    which = "of the features" if kept_out is None else "of the training set that were kept from the training"
    said = {"domain": f"measured by {calibration.n:,} molecules {which}"}
    return replace(codec, calibration=calibration, card=codec.card | said)


def check_forms(settings: FeatureSettings, featurizer: Featurizer, view: Featurizer | None, features: Path) -> None:
    """Refuse features of another form than the settings say.

    Raises:
        InputError: saying what was asked for, and what is there.
    """
    asked = settings.decoder_output, settings.encoder_input or settings.decoder_output
    found = featurizer.representation, (view or featurizer).representation
    if asked != found:
        raise InputError(
            f"[features]: decoder_output {asked[0]!r} and encoder_input {asked[1]!r}, but {features} holds "
            f"{found[0]!r} and {found[1]!r}; make the features with `molvae featurize --config` and these settings"
        )


def _check_bits(config: TrainConfig, store: FeatureStore, features: Path) -> None:
    """Refuse features without the fingerprints that the settings ask for.

    Raises:
        InputError: saying what was asked for, and what is there.
    """
    asked = config.features.label_bits
    if asked not in (0, store.n_bits):
        raise InputError(
            f"[features] label_bits: asks for fingerprints of {asked:,} bits, but {features} holds "
            f"{f'those of {store.n_bits:,}' if store.n_bits else 'none'}; make the features with `molvae featurize "
            "--config` and these settings"
        )
    is_wanted = config.training.weights.get("similarity") or "similarity" in (config.model.changes.regularizers or ())
    if is_wanted and not store.n_bits:
        raise InputError(
            f"similarity: learns from fingerprints, of which {features} holds none; give [features] label_bits and "
            "make the features with `molvae featurize --config` and these settings"
        )


def refit(codec_name: str | None, features: Path, out: Path, config: Path | None) -> Codec:
    """A codec's weights with a prior and a domain of other molecules, written to the new folder `out`.

    config: settings whose [prior] and [sampling] are taken; None keeps the codec's sampling and kind of prior.

    Raises:
        InputError: the features are not in the codec's vocabulary, or something is at `out` already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: something is there already; give another -o, or remove it")
    codec, store = load_codec(codec_name), FeatureStore.open(features)
    view = load_featurizer(features / VIEW_NAME) if store.view_spec else None
    if (load_featurizer(features / FEATURIZER_NAME), view) != (codec.featurizer, codec.view):
        hint = f"make the features with `molvae featurize --vocabulary {codec_name or codec.name}`"
        raise InputError(f"{features}: written in another vocabulary than that of {codec.name}; {hint}")
    if config is None:
        prior, sampling, seed = settings_of(codec.prior), codec.sampling, 0
    else:
        settings = TrainConfig.from_toml(find_config(config))
        prior, sampling, seed = settings.prior, settings.sampling, settings.training.seed
    terminal.say(f"  fitting the prior ({prior.kind})")
    fitted = fit_prior(codec.model, store, prior, seed=seed)
    card = codec.card | {"prior_fitted_to": f"{_source_name(features)}; {len(store):,} molecules"}
    if list(store.label_names) == codec.property_names:
        card |= {"property_errors": property_errors(codec.model, store, seed=seed)}
    codec = replace(codec, prior=fitted, sampling=sampling, card=card)
    if codec.decodes_to_smiles:
        terminal.say("  measuring what is in its domain")
        codec = _with_domain(codec, fit_domain(codec, store, seed=seed), None)
    codec.save(out)
    return load_codec(out)


def _begin(
    first: Codec, config: TrainConfig, featurizer: Featurizer, view: Featurizer | None, store: FeatureStore
) -> Autoencoder:
    """A new model with what fits of an earlier codec's weights; what does not is said, and begins at random.

    Raises:
        InputError: less than half of the weights fit.
    """
    model = new_model(config, store)
    names = Names(_tokens(view or featurizer), _tokens(featurizer), store.label_names)
    theirs = Names(_tokens(first.view or first.featurizer), _tokens(first.featurizer), first.property_names)
    taken = take_over(model, names, first.model, theirs)
    if taken.weights < taken.n_weights / 2:
        raise InputError(
            f"--start {first.name}: its model has other sizes; {taken.weights / taken.n_weights:.0%} of the weights "
            "would begin from it; copy its [model] section into your settings"
        )
    if not taken.is_all:
        terminal.say(
            f"  begins from {first.name}: {taken.weights / taken.n_weights:.1%} of the weights, {taken.tokens:,} of "
            f"{taken.n_tokens:,} tokens; what is new begins at random"
        )
    return model


def _tokens(featurizer: Featurizer) -> tuple[str, ...]:
    return featurizer.token_texts if isinstance(featurizer, TokenFeaturizer) else ()


def _card(trained: Trained, store: FeatureStore, features: Path) -> dict[str, Any]:
    """What the codec will tell of itself."""
    card: dict[str, Any] = {
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
    return card


def _source_name(features: Path) -> str:
    """The file that the features were made of, as their manifest names it."""
    manifest = Manifest.read(features)
    entry = manifest.inputs.get("molecules") if manifest else None
    return f"{Path(entry.path).name}, sha256 {entry.sha256}" if entry else "not recorded"


def find_config(config: Path) -> Path:
    """The settings file; a bare name that is not in the working folder may mean a bundled one, such as moses.toml."""
    bundled = Path(str(files("molvae.training") / "configs")) / config.name
    return bundled if not config.exists() and config.name == str(config) and bundled.is_file() else config
