"""Evaluation, for programs."""

from slimzoo.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
