"""The options of training, for programs."""

from slimzoo.config.train import TrainConfig

__all__ = ["TrainConfig"]
