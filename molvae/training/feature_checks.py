"""Checks that a features folder matches the settings of a training run."""

from pathlib import Path

from molvae.errors import InputError
from molvae.features.featurizer import Featurizer
from molvae.features.store import FeatureStore
from molvae.features.views import FeatureSettings
from molvae.training.config import TrainConfig

_HINT = "make the features with `molvae featurize --config` and these settings"


def check_representations(
    settings: FeatureSettings, featurizer: Featurizer, view: Featurizer | None, features: Path
) -> None:
    """Refuse features whose representations differ from those of the settings.

    Parameters
    ----------
    settings : FeatureSettings
        The representations that the decoder outputs and the encoder reads.
    featurizer : Featurizer
        The featurizer of the decoder output.
    view : Featurizer or None
        The featurizer of the encoder input; None if it is the same.
    features : Path
        The features folder, for the error message.

    Raises
    ------
    InputError
        The folder holds other representations.
    """
    expected = settings.decoder_output, settings.encoder_input or settings.decoder_output
    found = featurizer.representation, (view or featurizer).representation
    if expected != found:
        raise InputError(
            f"[features]: decoder_output {expected[0]!r} and encoder_input {expected[1]!r}, but {features} holds "
            f"{found[0]!r} and {found[1]!r}; {_HINT}"
        )


def check_bits(config: TrainConfig, store: FeatureStore, features: Path) -> None:
    """Refuse features without the fingerprints that the settings need.

    Parameters
    ----------
    config : TrainConfig
        The settings of the training run.
    store : FeatureStore
        The features.
    features : Path
        The features folder, for the error message.

    Raises
    ------
    InputError
        The folder holds no fingerprints, or fingerprints of another size.
    """
    expected = config.features.label_bits
    if expected not in (0, store.n_bits):
        found = f"fingerprints of {store.n_bits:,} bits" if store.n_bits else "no fingerprints"
        raise InputError(
            f"[features] label_bits: expected fingerprints of {expected:,} bits, but {features} holds {found}; {_HINT}"
        )
    is_used = config.training.weights.get("similarity") or "similarity" in (config.model.changes.regularizers or ())
    if is_used and not store.n_bits:
        raise InputError(
            f"similarity: needs fingerprints, but {features} holds none; set [features] label_bits and {_HINT}"
        )
