"""What is known about each network, registered beside its definition."""

import dataclasses
import functools
import inspect
import json
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nets import published
from slimbase.errors import UserError
from slimbase.registry import Registry

_COMPLEXITY = pathlib.Path(__file__).with_name("complexity.json")

# Arguments of networks that have widths, and of those that can spare the last layer.
_OF_WIDTH = (_WIDTH, _SPARED) = ("depth_multiplier", "finegrain_classification_mode")
NetworkFunction = TypeVar("NetworkFunction", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Network:
    """A network and the facts that go with it."""

    name: str  # What `--model_name` takes.
    function: Callable[..., Any]  # `f(images, num_classes, ...) -> (net, end_points)`.
    arg_scope: Callable[..., Any]  # `f(weight_decay)`, under which to call it.
    image_size: int  # Default height and width, in pixels.
    preprocessing: str  # Name of the recipe for its pictures.
    # Variable scopes of the layers that depend on the number of classes: what
    # fine-tuning excludes from a checkpoint and trains anew.
    classifier_scopes: tuple[str, ...]
    paper: str  # Where the architecture was published.
    channels: int = 3  # Of the pictures it was made for.
    classes: int = 1001  # Of its data set; 1001: ImageNet with a background class.
    frames: int | None = None  # Of a clip, for video networks.

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example: `(height, width, channels)`, after `frames` for a clip."""
        picture = (self.image_size, self.image_size, self.channels)
        return (self.frames, *picture) if self.frames else picture

    @property
    def width(self) -> float:
        """The `depth_multiplier` that the name stands for."""
        return getattr(self.function, "keywords", {}).get("depth_multiplier", 1.0)

    def has_widths(self) -> bool:
        """Whether the function takes a `depth_multiplier`."""
        return _WIDTH in inspect.signature(self.function).parameters

    def with_width(
        self, arguments: Mapping[str, Any] | None, width: float
    ) -> dict[str, Any] | None:
        """Arguments of the function with those for a width; None if that leaves none.

        MobileNets v2 and v3 thinner than 1 get a last layer as wide as that of 1, as
        the published ones have it.

        Args:
          arguments: others, and perhaps those for another width.
          width: the `depth_multiplier`.

        Raises:
          UserError: when the network has no widths, or `width` is not above 0.
        """
        if not self.has_widths():
            known = [name for name, other in NETWORKS.items() if other.has_widths()]
            raise UserError(
                f"--depth_multiplier={width:g}: {self.name} has no widths. These have: "
                f"{', '.join(sorted(known))}"
            )
        if not 0 < width < math.inf:
            raise UserError(f"--depth_multiplier={width:g} should be above 0")
        found = {k: v for k, v in (arguments or {}).items() if k not in _OF_WIDTH}
        if width != self.width:
            found[_WIDTH] = width
            if width < 1 and _SPARED in inspect.signature(self.function).parameters:
                found[_SPARED] = True
        return found or None

    @property
    def checkpoints(self) -> tuple[published.PublishedCheckpoint, ...]:
        """Those that were published."""
        return tuple(c for c in published.checkpoints() if c.network == self.name)

    @property
    def parameters(self) -> int | None:
        """Number of trainable ones, as built for inference with `classes`.

        None where tools/measure_networks.py did not count them.
        """
        return _complexity().get(self.name, {}).get("parameters")

    @property
    def multiply_adds(self) -> int | None:
        """What the logits of one example take; None as for `parameters`."""
        return _complexity().get(self.name, {}).get("multiply_adds")


@functools.cache
def _complexity() -> dict[str, dict[str, int]]:
    return json.loads(_COMPLEXITY.read_text("utf-8"))


NETWORKS: Registry[Network] = Registry("Name of network unknown %s")


def register(name: str, **facts: Any) -> Callable[[NetworkFunction], NetworkFunction]:
    """Decorator that makes a network function known as `name`.

    Args:
      name: what `--model_name` takes.
      **facts: the other attributes of `Network`.
    """

    if isinstance(facts.get("classifier_scopes"), str):
        raise UserError(
            f"classifier_scopes of the network {name} should be a tuple of scopes: put "
            "a comma behind a single one"
        )

    def decorate(function: NetworkFunction) -> NetworkFunction:
        network = NETWORKS.register(name, Network(name, function, **facts))
        function.default_image_size = network.image_size
        return function

    return decorate
