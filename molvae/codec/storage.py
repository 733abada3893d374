"""A codec on disk: a folder of files with their SHA-256, and a model card."""

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from molvae.autoencoder import Autoencoder, ModelSettings, build
from molvae.codec.description import CODEC_NAME, VERSION, checked_bytes, content_sha256, read_description
from molvae.codec.domain import DomainCalibration
from molvae.errors import CodecError, InputError, cannot_write, is_out_of_memory
from molvae.features.featurizer import Featurizer
from molvae.features.tokens import TokenFeaturizer
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, load_featurizer
from molvae.files import PART_PREFIX, sha256_of
from molvae.latent.prior import PRIORS, Prior, SamplingSettings, settings_of

WEIGHTS_NAME, PRIOR_NAME, CARD_NAME = "weights.safetensors", "prior.safetensors", "README.md"
DOMAIN_NAME = "domain.safetensors"
"""Exists only if the applicability domain was calibrated."""


class StoredCodec(NamedTuple):
    """The parts of a codec, as `Codec` holds them.

    Parameters
    ----------
    name, featurizer, model, settings, prior, sampling, card, view, calibration, sha256
        As for `Codec`.
    """

    name: str
    featurizer: Featurizer
    model: Autoencoder
    settings: ModelSettings
    prior: Prior
    sampling: SamplingSettings
    card: dict[str, object]
    view: Featurizer | None
    calibration: DomainCalibration | None
    sha256: str


def write_codec(codec: StoredCodec, folder: Path) -> None:
    """Write a codec to a new folder, atomically.

    Parameters
    ----------
    codec : StoredCodec
        The parts of the codec.
    folder : Path
        The new folder; its parents are created.

    Raises
    ------
    InputError
        The folder exists and is not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not empty; give a new folder for the codec")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PART_PREFIX, dir=folder.parent) as draft:
            _write(codec, Path(draft, folder.name))
            Path(draft, folder.name).replace(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _write(codec: StoredCodec, folder: Path) -> None:
    folder.mkdir()
    codec.featurizer.save(folder / FEATURIZER_NAME)
    if codec.view is not None:
        codec.view.save(folder / VIEW_NAME)
    weights = {name: value.half().contiguous() for name, value in codec.model.state_dict().items()}
    (folder / WEIGHTS_NAME).write_bytes(save_tensors(weights))
    prior = {name: torch.from_numpy(array) for name, array in codec.prior.arrays().items()}
    (folder / PRIOR_NAME).write_bytes(save_tensors(prior))
    if codec.calibration is not None:
        domain = {name: torch.from_numpy(array) for name, array in codec.calibration.arrays().items()}
        (folder / DOMAIN_NAME).write_bytes(save_tensors(domain))
    (folder / CARD_NAME).write_text(write_card(codec), encoding="utf-8")
    head = codec.model.property_head
    content: dict[str, Any] = {
        "version": VERSION,
        "name": codec.name,
        "model": codec.settings.model_dump(),
        "n_properties": head.linear.out_features if head else 0,
        "prior": settings_of(codec.prior).kind,
        "sampling": codec.sampling.model_dump(),
        "card": codec.card,
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
    content["sha256"] = content_sha256(content)
    (folder / CODEC_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_codec(folder: Path) -> StoredCodec:
    """Read a codec, and check every file against its SHA-256.

    Parameters
    ----------
    folder : Path
        The folder of the codec.

    Returns
    -------
    StoredCodec
        The parts of the codec.

    Raises
    ------
    CodecError
        A file is missing, changed or truncated, or the version of the codec is not supported.
    """
    content = read_description(folder)
    contents = {name: checked_bytes(folder / name, digest) for name, digest in content["files"].items()}
    try:
        settings = ModelSettings.from_dict(content["model"], f"{folder / CODEC_NAME} [model]")
        featurizer = load_featurizer(folder / FEATURIZER_NAME)
        view = load_featurizer(folder / VIEW_NAME) if VIEW_NAME in contents else None
        model = build(settings, featurizer.spec, content["n_properties"], view.spec if view else None)
        weights = load_tensors(contents[WEIGHTS_NAME])
        model.load_state_dict({name: value.float() for name, value in weights.items()})
        model.requires_grad_(False)
        prior = {name: value.numpy() for name, value in load_tensors(contents[PRIOR_NAME]).items()}
        domain = load_tensors(contents[DOMAIN_NAME]) if DOMAIN_NAME in contents else None
        return StoredCodec(
            name=content["name"],
            featurizer=featurizer,
            model=model,
            settings=settings,
            prior=PRIORS[content["prior"]].from_arrays(prior),
            sampling=SamplingSettings.from_dict(content["sampling"], f"{folder / CODEC_NAME} [sampling]"),
            card=content["card"],
            view=view,
            calibration=DomainCalibration.from_arrays({k: v.numpy() for k, v in domain.items()}) if domain else None,
            sha256=content["sha256"],
        )
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        raise CodecError(f"{folder}: its files do not match each other ({error}); download the codec again") from None


def write_card(codec: StoredCodec) -> str:
    """Write the model card: sizes, training data and figures.

    Parameters
    ----------
    codec : StoredCodec
        The parts of the codec.

    Returns
    -------
    str
        Markdown.
    """
    n_parameters = sum(value.numel() for value in codec.model.parameters())
    reconstructed = codec.featurizer
    reads = f"reads {codec.view.describe()}, reconstructs" if codec.view else "reads and reconstructs"
    lines = [
        f"# Codec {codec.name}",
        "",
        f"{codec.settings.n_latent} latent dimensions, {n_parameters:,} parameters, recipe `{codec.settings.recipe}`; "
        f"{reads} {reconstructed.describe()}.",
        "",
        *(f"- {key.replace('_', ' ')}: {_format(value)}" for key, value in codec.card.items()),
        "",
    ]
    if isinstance(reconstructed, TokenFeaturizer):
        lines += ["Symbols in its vocabulary: " + " ".join(f"`{symbol}`" for symbol in reconstructed.symbols), ""]
    return "\n".join(lines)


def _format(value: object) -> str:
    """A value of the card as Markdown text."""
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {_format(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_format, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
