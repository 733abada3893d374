"""The settings of a training run: one TOML file, one frozen object."""

from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from molvae.autoencoder.recipes import REGULARIZERS, ModelSettings
from molvae.devices import PrecisionSetting
from molvae.features.views import FeatureSettings
from molvae.latent.prior import PriorSettings, SamplingSettings
from molvae.settings import Settings


class TrainingSettings(Settings):
    """How a model is trained. Fractions (warmup, decay_from, weight_warmup) are of the whole run.

    Parameters
    ----------
    seed : int, default=0
        Seed of the initial weights, the batches, the held-out molecules and all noise.
    n_molecules : int, default=5_000_000
        Molecules shown over all epochs.
    batch_size : int, default=512
        Molecules per step, over all processes.
    learning_rate : float, default=1.4e-3
        Peak of the learning rate schedule (AdamW).
    warmup : float, default=0.01
        Fraction over which the learning rate rises linearly from zero.
    decay_from : float, default=0.4
        Fraction from which the learning rate falls linearly to zero.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    gradient_norm : float, default=1.0
        Norm at which gradients are clipped.
    weights : dict of str to float
        Weight of each term of `Autoencoder.terms`; default: 0.4 for noised_reconstruction, 0.1 for kl. Terms that are
        not listed have weight 1.
    weight_warmup : dict of str to float
        Fraction over which the weight of a term rises linearly from zero; default: 0.1 for kl.
    length_shares : tuple of (int, float)
        Pairs of a length in tokens and the share of epochs that show molecules of this length, by increasing length;
        linear between the lengths, constant beyond them. Empty: every epoch shows all molecules.
    precision : {"auto", "bfloat16", "float32"}, default="auto"
        Precision of the forward pass; "auto" takes bfloat16 if it is faster, or what MOLVAE_PRECISION says.
    n_processes : int, default=0
        Data-parallel processes on CPU; 0 starts one per core.
    n_held_out : int, default=5_000
        Molecules held out for validation, at most a tenth of all.
    evaluate_every : int, default=250_000
        Molecules between validations; each validation writes a checkpoint.
    patience : int, default=8
        Validations without improvement before training stops early.
    """

    seed: int = 0
    n_molecules: int = Field(5_000_000, ge=1, description="molecules shown over all epochs")
    batch_size: int = Field(512, ge=1)
    learning_rate: float = Field(1.4e-3, gt=0)
    warmup: float = Field(0.01, ge=0, le=1)
    decay_from: float = Field(0.4, ge=0, le=1, description="where the learning rate begins to fall to zero")
    weight_decay: float = Field(0.01, ge=0)
    gradient_norm: float = Field(1.0, gt=0)
    weights: dict[str, float] = Field(default_factory=lambda: {"noised_reconstruction": 0.4, "kl": 0.1})
    weight_warmup: dict[str, float] = Field(default_factory=lambda: {"kl": 0.1})
    length_shares: tuple[tuple[int, float], ...] = ()
    precision: PrecisionSetting = "auto"
    n_processes: int = Field(0, ge=0, description="data-parallel processes on CPU; 0 starts one per core")
    n_held_out: int = Field(5_000, ge=0, description="molecules held out for validation")
    evaluate_every: int = Field(250_000, ge=1, description="molecules between validations and checkpoints")
    patience: int = Field(8, ge=1, description="validations without improvement before training stops early")

    @model_validator(mode="after")
    def _terms_are_known(self) -> Self:
        known = ("reconstruction", "noised_reconstruction", "properties", *REGULARIZERS)
        for name in (*self.weights, *self.weight_warmup):
            if name not in known:
                raise ValueError(f"weights: unknown term {name!r}; expected one of {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _shares_are_shares(self) -> Self:
        lengths = [length for length, _ in self.length_shares]
        if lengths != sorted(set(lengths)) or not all(0 < share <= 1 for _, share in self.length_shares):
            raise ValueError(
                "length_shares: expected pairs of an increasing length in tokens and a share above 0 and at most 1, "
                f"such as [[8, 0.3], [14, 1.0]]; got {[list(pair) for pair in self.length_shares]}"
            )
        return self

    def shares(self, lengths: np.ndarray) -> np.ndarray | None:
        """The share of epochs that show each row.

        Parameters
        ----------
        lengths : ndarray of shape (n,)
            Tokens of each row.

        Returns
        -------
        ndarray of shape (n,) or None
            Shares in (0, 1]; None if every epoch shows all rows.
        """
        if not self.length_shares:
            return None
        known_lengths, shares = zip(*self.length_shares, strict=True)
        return np.interp(lengths, known_lengths, shares)


class TrainConfig(Settings):
    """A training configuration file.

    Parameters
    ----------
    name : str, default="codec"
        Name of the codec.
    features : FeatureSettings
        How molecules become features.
    model : ModelSettings
        The autoencoder.
    training : TrainingSettings
        How it is trained.
    prior : PriorSettings
        The prior that is fitted to the latent vectors after the training.
    sampling : SamplingSettings
        How the codec draws molecules.
    """

    name: str = "codec"
    features: FeatureSettings = FeatureSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    prior: PriorSettings = PriorSettings()
    sampling: SamplingSettings = SamplingSettings()


def read_config(config: TrainConfig | str | Path) -> TrainConfig:
    """The settings of a training run.

    Parameters
    ----------
    config : TrainConfig, str or Path
        Settings, a TOML file, or the name of a bundled one, such as "small.toml".

    Returns
    -------
    TrainConfig
        The settings, checked.

    Raises
    ------
    InputError
        The file is missing or not valid; the message names each wrong key.

    Examples
    --------
    >>> read_config("small.toml").model.n_latent
    64
    """
    return config if isinstance(config, TrainConfig) else TrainConfig.from_toml(_find(Path(config)))


def _find(config: Path) -> Path:
    """The path of a settings file; a bare name that is not in the working folder is that of a bundled file."""
    bundled = Path(str(files("molvae.training") / "configs")) / config.name
    return bundled if not config.exists() and config.name == str(config) and bundled.is_file() else config
