"""The section [train] of a campaign; a module of its own, because its settings import torch."""

from pydantic import Field

from molvae.features.views import FeatureSettings
from molvae.training.config import TrainConfig


class TrainFeatures(FeatureSettings):
    """The features of a codec that is trained in the run; they include property labels by default.

    Parameters
    ----------
    labels : int, default=250000
        Largest number of molecules with property labels.
    """

    labels: int = Field(250_000, ge=0)


class TrainSection(TrainConfig):
    """A codec that is trained on the library of the run, instead of an existing codec.

    Parameters
    ----------
    features : TrainFeatures
        The representations, and the number of labels.
    """

    features: TrainFeatures = TrainFeatures()
