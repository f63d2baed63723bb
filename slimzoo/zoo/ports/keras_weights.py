"""The weights of a Keras model, by the names of our variables."""

from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from nets.registry import Network
from slimbase.command_line.options import Size
from slimbase.text import listed
from slimzoo.zoo.ports import keras_names, targets
from slimzoo.zoo.ports.keras_models import Family
from slimzoo.zoo.ports.weights import MisfitError, Weights

# From a layer's weight to our variable, by kind of layer.
_VARIABLES: Mapping[str, Mapping[str, str]] = {
    "Conv2D": {"kernel": "weights", "bias": "biases"},
    "Dense": {"kernel": "weights", "bias": "biases"},
    "DepthwiseConv2D": {
        "kernel": "depthwise_weights",
        "depthwise_kernel": "depthwise_weights",
        "bias": "biases",
    },
    "SeparableConv2D": {
        "depthwise_kernel": "depthwise_weights",
        "pointwise_kernel": "pointwise_weights",
        "bias": "biases",
    },
    "BatchNormalization": {
        name: name for name in ("gamma", "beta", "moving_mean", "moving_variance")
    },
}
_HEADS = ("Dense", "Conv2D")
# What a head computes otherwise than our classifiers.
_OTHER_POOLS = ("GlobalMaxPooling2D", "GlobalMaxPool2D")


def of_model(model: keras.Model, network: Network, family: Family) -> Weights:
    """The weights of an application, or of a model on top of one.

    Args:
      model: the application, with its top, without it, or with a head of its own: a
        single dense layer, behind the application or behind a layer that is it.
      network: facts about our network.
      family: the application.

    Raises:
      MisfitError: when a layer with weights has no place in our network.
    """
    layers = list(_layers(model))
    scopes = _scopes(layers, network, family)
    classifier = family.rules.scope(family.rules.classifier)
    others = [layer for layer in layers if layer.weights and not scopes[layer.name]]
    if classifier not in scopes.values() and len(others) == 1:
        head = others[0]
        if type(head).__name__ in _HEADS:
            scopes[head.name], others = classifier, []
    if others:
        raise MisfitError(
            f"{len(others)} layers with weights have no place in {network.name}: "
            f"{listed(layer.name for layer in others)}. It takes Keras' "
            f"{family.application}, without or with one dense layer behind its pooled "
            "features. Check --model_name, or save the application alone"
        )
    pools = [layer for layer in layers if type(layer).__name__ in _OTHER_POOLS]
    if pools and classifier in scopes.values():
        raise MisfitError(
            f"the layer {pools[0].name} takes the greatest features, where "
            f"{network.name} takes their average: its classifier would not fit. Save "
            "the application alone"
        )
    tensors, epsilons = {}, {}
    for layer in layers:
        if scope := scopes[layer.name]:
            for name, weight in _variables(layer, scope):
                tensors[name] = _value(weight)
            if hasattr(layer, "epsilon"):
                epsilons[scope] = float(layer.epsilon)
    if family.takes_bgr in tensors:
        tensors[family.takes_bgr] = tensors[family.takes_bgr][:, :, ::-1]
    return Weights(
        kind=f"Keras' {family.application}",
        tensors=tensors,
        image_size=_image_size(model),
        preprocessing=family.preprocessing,
        epsilons=epsilons,
        may_lack=family.top,
        differences=family.differences,
    )


def names(
    model: keras.Model, network: Network, family: Family
) -> Iterator[tuple[str, keras.layers.Layer, keras.Variable]]:
    """The name of our variable for each weight of an application, layer and weight.

    Args:
      model: the application, with its top.
      network: facts about our network.
      family: the application.
    """
    layers = list(_layers(model))
    scopes = _scopes(layers, network, family)
    for layer in layers:
        if scope := scopes[layer.name]:
            for name, weight in _variables(layer, scope):
                yield name, layer, weight


def _scopes(
    layers: Sequence[keras.layers.Layer], network: Network, family: Family
) -> dict[str, str | None]:
    """Our scopes by names of layers; None for one that has none."""
    convolutions = _numbered(network) if family.rules.numbered else []
    canonical = keras_names.canonical([layer.name for layer in layers])
    return {
        layer.name: family.rules.scope(canonical[layer.name], convolutions)
        for layer in layers
    }


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model, and those of the models that are layers of it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _variables(
    layer: keras.layers.Layer, scope: str
) -> Iterator[tuple[str, keras.Variable]]:
    kind = type(layer).__name__
    for weight in layer.weights:
        name = _VARIABLES.get(kind, {}).get(weight.name)
        if name is None:
            raise MisfitError(
                f"the layer {layer.name} has a weight {weight.name} which no {kind} "
                "of an application has. Save the application alone"
            )
        yield f"{scope}/{name}", weight


def _value(weight: keras.Variable) -> np.ndarray:
    value = weight.value
    # Keras' own conversion of TensorFlow's variables is one that NumPy warns of.
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _numbered(network: Network) -> Sequence[str]:
    """The scopes of our convolutions with batch norm, in the order of the layers."""
    scopes = targets.convolutions(network)
    return [scope for scope in scopes if not scope.endswith("/Conv2d_7b_1x1")]


def _image_size(model: keras.Model) -> Size | None:
    shapes = [list(value.shape) for value in model.inputs or []]
    if len(shapes) != 1 or len(shapes[0]) != 4 or None in shapes[0][1:3]:
        return None
    _, height, width, _ = shapes[0]
    return int(height), int(width)
