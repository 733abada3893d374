"""One training loop for every recipe."""

from molvae.training.config import TrainConfig
from molvae.training.trainer import train, train_in_memory

__all__ = ["TrainConfig", "train", "train_in_memory"]
