"""The variables of a network here, which weights from elsewhere go into."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets.registry import Network
from slimbase.graph import classic_graph
from slimzoo.model.info import ModelInfo

_EPSILON = 0.001  # Of slim's batch norm, where a network says nothing.


def variables(info: ModelInfo) -> dict[str, tuple[int, ...]]:
    """Shapes by name of the variables that training keeps, in the order of the layers.

    Args:
      info: what is known about the network; without `num_classes`, the classifier is
        left out.
    """
    arguments = json.dumps(info.network_arguments or {})
    return dict(
        _variables(
            info.model_name,
            info.num_classes,
            (*info.image_size, info.channels),
            info.quantize,
            arguments,
        )
    )


def own_variables(
    network: Network, num_classes: int | None = None
) -> dict[str, tuple[int, ...]]:
    """The `variables` of a network at its own size and width."""
    return variables(
        ModelInfo(
            model_name=network.name,
            labels_offset=0,
            image_size=(network.image_size, network.image_size),
            channels=network.channels,
            preprocessing_name=network.preprocessing,
            use_grayscale=False,
            num_classes=num_classes,
        )
    )


@functools.lru_cache(maxsize=4)  # Some take seconds, and are asked for twice.
def _variables(
    model_name: str,
    num_classes: int | None,
    shape: tuple[int, int, int],
    quantize: bool,
    arguments: str,
) -> Mapping[str, tuple[int, ...]]:
    info = ModelInfo(
        model_name=model_name,
        labels_offset=0,
        image_size=shape[:2],
        channels=shape[2],
        preprocessing_name=model_name,
        use_grayscale=False,
        num_classes=num_classes,
        quantize=quantize,
        network_arguments=json.loads(arguments),
    )
    with classic_graph():
        images = tf.placeholder(tf.float32, [1, *shape])
        # In training some have an auxiliary classifier that they else lack.
        info.network_fn(is_training=not quantize)(images)
        return {v.op.name: tuple(v.shape.as_list()) for v in slim.get_model_variables()}


def auxiliary_scopes(network: Network) -> tuple[str, ...]:
    """The scopes of the classifier that only training uses; () without one."""
    return network.classifier_scopes[1:]


def batch_norm_epsilon(network: Network) -> float:
    """What the network's batch norm adds to the variance."""
    scope: dict[str, Any] = network.arg_scope()
    for function, inner in (
        (slim.batch_norm, None),
        (slim.conv2d, "normalizer_params"),
    ):
        arguments = scope.get(slim.arg_scope_func_key(function), {})
        arguments = (arguments.get(inner) or {}) if inner else arguments
        if "epsilon" in arguments:
            return arguments["epsilon"]
    return _EPSILON


def convolutions(network: Network) -> list[str]:
    """Scopes of the convolutions with batch norm, in the order of the layers."""
    found = own_variables(network)
    end = "/BatchNorm/beta"
    return [name.removesuffix(end) for name in found if name.endswith(end)]
