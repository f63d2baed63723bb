"""Training, for programs."""

from slimzoo.training.train import train

__all__ = ["train"]
