"""Models of Keras: the application that computes what a network here does."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow.compat.v1 as tf

from nets.registry import NETWORKS, Network
from slimbase.errors import UserError, reason
from slimzoo.formats.predictor import Port, Predictor, Values
from slimzoo.formats.trained import PROBABILITIES, Settings, Trained
from slimzoo.model.info import ModelInfo

if TYPE_CHECKING:  # Keras takes seconds to import.
    import keras

    from slimzoo.zoo.ports.keras_models import Family

SUFFIX = ".keras"
WEIGHTS_SUFFIX = ".weights.h5"


def check(info: ModelInfo) -> None:
    """Raises UserError for a network that Keras has no exact namesake of."""
    from slimzoo.zoo.ports import keras_models

    families = keras_models.FAMILIES
    exact = [name for name, family in families.items() if family.is_exact]
    if info.model_name not in exact:
        raise UserError(
            f"--format=keras: Keras has no application that computes what "
            f"{info.model_name} does. It has one for {', '.join(sorted(exact))}; "
            "export others with --format=saved_model"
        )
    if info.quantize:
        raise UserError(
            "--format=keras: Keras' applications do not simulate 8 bits, as networks "
            "do that were trained with --quantize_delay. Give --format=tflite"
        )


def write(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """Writes a model from images to probabilities, and its weights beside it.

    The weights are `<stem>.weights.h5`, for an application that is built in code.
    """
    from slimzoo.zoo.ports import frozen, keras_models

    info = trained.info
    check(info)
    family = keras_models.FAMILIES[info.model_name]
    arguments = info.network_arguments or {}
    network = NETWORKS[info.model_name]
    with tf.init_scope():  # Keras runs eagerly, also where a graph is being built.
        model = keras_models.build(
            family,
            arguments.get("depth_multiplier", network.width),
            info.num_classes,
            info.image_size,
        )
        graph_def = trained.part([trained.probabilities], fold=False)
        _assign(model, frozen.constants(graph_def), network, family)
        model.save(path)
        model.save_weights(path.with_name(path.stem + WEIGHTS_SUFFIX))


def _assign(
    model: "keras.Model",
    values: Mapping[str, np.ndarray],
    network: Network,
    family: "Family",
) -> None:
    """Gives each weight of a model its value, of values by our variables' names."""
    from slimzoo.zoo.ports import keras_weights, targets

    epsilon = targets.batch_norm_epsilon(network)
    for name, layer, weight in keras_weights.names(model, network, family):
        value = values.get(name)
        if value is None or value.size != np.prod(weight.shape):
            found = "no such variable" if value is None else f"shape {value.shape}"
            raise UserError(
                f"--format=keras: {name} should have the shape {tuple(weight.shape)} "
                f"of Keras' {layer.name}, but there is {found}: the network is not as "
                "it was published. Export it with --format=saved_model"
            )
        if weight.name == "moving_variance":
            value = value + epsilon - layer.epsilon
        weight.assign(value.reshape(weight.shape))


def open_file(path: str, opening: Any) -> "KerasModel":
    """Opens a `.keras` file.

    Raises:
      UserError: when Keras cannot read it, or it holds code.
    """
    return KerasModel(path)


class KerasModel(Predictor):
    """A model of a `.keras` file."""

    def __init__(self, path: str):
        from slimzoo.zoo.ports import keras_files

        with _explained(path), tf.init_scope():
            self._model = keras_files.load(pathlib.Path(path))
            inputs, outputs = self._model.inputs, self._model.outputs
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4:
            raise UserError(
                f"{path} should have one input [batch, height, width, channels] and "
                f"one output; it has {len(inputs)} and {len(outputs)}"
            )
        self.input_shape = tuple(inputs[0].shape)
        self.num_classes = outputs[0].shape[-1]
        self.outputs_probabilities = None

    def ports(self) -> tuple[list[Port], list[Port]]:
        """The model's input and output."""
        [given], [wanted] = self._model.inputs, self._model.outputs
        return (
            [Port(given.name, tuple(given.shape), given.dtype)],
            [Port(PROBABILITIES, tuple(wanted.shape), wanted.dtype)],
        )

    def _run(self, images: np.ndarray) -> Values:
        with tf.init_scope():
            return (np.array(self._model(images, training=False)),)

    def close(self) -> None:
        """Frees the model."""
        del self._model


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Keras raises all sorts.
        why = reason(str(error)) or type(error).__name__
        raise UserError(f"Keras cannot read {path}: {why}") from error
