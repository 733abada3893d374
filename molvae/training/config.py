"""What a training run is asked to do: one TOML file, one frozen object."""

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from molvae.autoencoder.recipes import REGULARIZERS, ModelSettings
from molvae.features.views import FeatureSettings
from molvae.latent.prior import PriorSettings, SamplingSettings
from molvae.settings import Settings


class TrainingSettings(Settings):
    """How a model is trained. Weights are per term of `Autoencoder.terms`; a term that is not named weighs 1.

    Fractions (warmup, decay_from, weight_warmup) are of the whole run.
    length_shares: pairs of a length in tokens and the share of the epochs that show molecules so long, by rising
        length; in between on a line, beyond the ends as at them. None given: all molecules in every epoch.
    """

    seed: int = 0
    n_molecules: int = Field(5_000_000, ge=1, description="molecules shown in all")
    batch_size: int = Field(512, ge=1)
    learning_rate: float = Field(1.4e-3, gt=0)
    warmup: float = Field(0.01, ge=0, le=1)
    decay_from: float = Field(0.4, ge=0, le=1, description="where the learning rate begins to fall to zero")
    weight_decay: float = Field(0.01, ge=0)
    gradient_norm: float = Field(1.0, gt=0)
    weights: dict[str, float] = Field(default_factory=lambda: {"noised_reconstruction": 0.4, "kl": 0.1})
    weight_warmup: dict[str, float] = Field(default_factory=lambda: {"kl": 0.1})
    length_shares: tuple[tuple[int, float], ...] = ()
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    n_processes: int = Field(0, ge=0, description="data-parallel processes on CPU; 0 takes one a core")
    n_held_out: int = Field(5_000, ge=0, description="molecules kept out of training, for validation")
    evaluate_every: int = Field(250_000, ge=1, description="molecules between two validations and checkpoints")
    patience: int = Field(8, ge=1, description="validations without a better one before training stops early")

    @model_validator(mode="after")
    def _terms_are_known(self) -> Self:
        known = ("reconstruction", "noised_reconstruction", "properties", *REGULARIZERS)
        for name in (*self.weights, *self.weight_warmup):
            if name not in known:
                raise ValueError(f"weights: no term {name!r}; expected one of {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _shares_are_shares(self) -> Self:
        lengths = [length for length, _ in self.length_shares]
        if lengths != sorted(set(lengths)) or not all(0 < share <= 1 for _, share in self.length_shares):
            raise ValueError(
                "length_shares: expected pairs of a length in tokens, rising, and a share above 0 and at most 1, such "
                f"as [[8, 0.3], [14, 1.0]]; got {[list(pair) for pair in self.length_shares]}"
            )
        return self

    def shares(self, lengths: np.ndarray) -> np.ndarray | None:
        """The share of the epochs in which rows of these lengths are shown; None where that is all of them."""
        if not self.length_shares:
            return None
        points, shares = zip(*self.length_shares, strict=True)
        return np.interp(lengths, points, shares)


class TrainConfig(Settings):
    """The whole of a training configuration file."""

    name: str = "codec"
    features: FeatureSettings = FeatureSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    prior: PriorSettings = PriorSettings()
    sampling: SamplingSettings = SamplingSettings()
