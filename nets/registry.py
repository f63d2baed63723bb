"""What is known about each network, registered beside its definition."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from slimzoo.registry import Registry

NetworkFunction = TypeVar("NetworkFunction", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Network:
    """A network and the facts that go with it.

    Attributes:
      name: what `--model_name` takes.
      function: `f(images, num_classes, is_training, ...) -> (logits, end_points)`.
      arg_scope: `f(weight_decay) -> arg scope` under which `function` is called.
      image_size: default height and width, in pixels.
      preprocessing: name of the recipe for its pictures.
      classifier_scopes: variable scopes of the layers that depend on the number
        of classes: what fine-tuning excludes from a checkpoint and trains anew.
      paper: where the architecture was published.
      channels: of the pictures it was made for.
    """

    name: str
    function: Callable[..., Any]
    arg_scope: Callable[..., Any]
    image_size: int
    preprocessing: str
    classifier_scopes: tuple[str, ...]
    paper: str
    channels: int = 3


NETWORKS: Registry[Network] = Registry("Name of network unknown %s")


def register(name: str, **facts: Any) -> Callable[[NetworkFunction], NetworkFunction]:
    """Decorator that makes a network function known as `name`.

    Args:
      name: what `--model_name` takes.
      **facts: the other attributes of `Network`.
    """

    def decorate(function: NetworkFunction) -> NetworkFunction:
        network = NETWORKS.register(name, Network(name, function, **facts))
        function.default_image_size = network.image_size
        return function

    return decorate
