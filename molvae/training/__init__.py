"""One training loop for every recipe."""

from molvae.training.config import TrainConfig
from molvae.training.trainer import train

__all__ = ["TrainConfig", "train"]
