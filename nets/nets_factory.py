"""Looks networks up by name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import tf_slim as slim

import nets
from nets.registry import NETWORKS
from slimbase import graph
from slimbase.errors import UserError
from slimbase.registry import import_modules

import_modules(nets)

networks_map = {name: network.function for name, network in NETWORKS.items()}
arg_scopes_map = {name: network.arg_scope for name, network in NETWORKS.items()}


def get_network_fn(
    name: str,
    num_classes: int | None,
    weight_decay: float = 0.0,
    is_training: bool = False,
    adapt_arg_scope: Callable[[Any], Any] = lambda scope: scope,
) -> Callable[..., Any]:
    """Returns the network `name` as a function of its pictures alone.

    `adapt_arg_scope` takes the network's arg scope and returns the one to use; the rest
    is explained in `nets`.

    Returns:
      `network_fn(images, **kwargs) -> (net, end_points)`, which also raises ValueError
      for images that are too small. `images` is `[batch, height, width, channels]`, or
      `[batch, frames, height, width, channels]` for video networks.
      `network_fn.default_image_size` is the network's.
    """
    network = NETWORKS[name]

    @functools.wraps(network.function)
    def network_fn(images, **kwargs):
        # Made here, so that it extends the scopes around the call.
        scope = adapt_arg_scope(network.arg_scope(weight_decay=weight_decay))
        try:
            with slim.arg_scope(scope), graph.quick_variables():
                found = network.function(
                    images, num_classes=num_classes, is_training=is_training, **kwargs
                )
        except ValueError as error:
            if "Negative dimension size" not in str(error):
                raise
            raise UserError(
                f"images of shape {images.shape} are too small for {name}, whose "
                f"default size is {network.image_size}"
            ) from error
        if not (isinstance(found, tuple) and isinstance(found[-1], Mapping)):
            raise UserError(
                f"the network {name} should return a pair of its output and a dict of "
                f"end points, not {type(found).__name__}"
            )
        return found

    network_fn.default_image_size = network.image_size
    return network_fn
