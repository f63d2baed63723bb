"""Models of Keras made for a test, and what a checkpoint of one computes."""

import pathlib
from collections.abc import Callable

import keras
import numpy as np
import pytest

from slimzoo.config.evaluate import EvalConfig
from slimzoo.inference import predictor
from slimzoo.model import info as model_info


@pytest.fixture
def save(tmp_path: pathlib.Path) -> Callable[[keras.Model, str], pathlib.Path]:
    """`f(model, name)` saves a model, or its weights, as the name's ending says."""

    def save(model: keras.Model, name: str) -> pathlib.Path:
        path = tmp_path / name
        if name.endswith(".weights.h5"):
            model.save_weights(path)
        else:
            model.save(path)
        return path

    return save


@pytest.fixture
def randomize() -> Callable[[keras.Model], keras.Model]:
    """`f(model)` makes a model with values at random, whose output is the logits.

    Else batch norm and biases would be those of the start, 0 and 1.
    """

    def randomize(model: keras.Model) -> keras.Model:
        random = np.random.RandomState(0)
        for weight in model.weights:
            if weight.name in ("gamma", "moving_variance"):
                weight.assign(random.uniform(0.5, 1.5, weight.shape))
            elif weight.name in ("beta", "moving_mean", "bias"):
                weight.assign(random.normal(0, 0.1, weight.shape))
        model.layers[-1].activation = keras.activations.linear
        return model

    return randomize


@pytest.fixture
def logits_of() -> Callable[[str, np.ndarray], np.ndarray]:
    """`f(checkpoint, images)` computes as evaluation does."""

    def compute(checkpoint: str, images: np.ndarray) -> np.ndarray:
        info = model_info.settle(EvalConfig(), model_info.beside(checkpoint))
        with predictor.from_checkpoint(info, checkpoint) as network:
            return network.logits(images)

    return compute
