"""What a source of weights gives, by the names that our variables have."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nets.registry import Network
from slimbase.command_line.options import Size
from slimbase.errors import UserError


class MisfitError(UserError):
    """A source whose weights are not those of the network, or of another width."""


class WidthError(MisfitError):
    """A source whose weights may be those of the network at another width."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of a trained network, by the names of our variables.

    Attributes:
      kind: what the source is, for messages, as in `the frozen graph`.
      tensors: values by name; kernels are `[height, width, in, out]`, of depthwise
        convolutions `[height, width, channels, multiplier]`, of dense layers
        `[in, out]`, whether ours is dense or a convolution.
      image_size: (height, width) in pixels of the source's input, where it is known.
      preprocessing: recipe of the pictures, where the source says.
      epsilons: what batch norm adds to the variance in the source, by the scope of our
        batch norm; where it is missing, it is the same here.
      may_lack: scopes that the source may lack besides the classifier, each as a whole.
      differences: sentences on what the source computes otherwise, and what it has
        that is not taken over.
    """

    kind: str
    tensors: Mapping[str, np.ndarray]
    image_size: Size | None = None
    preprocessing: str | None = None
    epsilons: Mapping[str, float] = dataclasses.field(default_factory=dict)
    may_lack: Sequence[str] = ()
    differences: Sequence[str] = ()


class Kind(NamedTuple):
    """A kind of source.

    Attributes:
      name: what it is, with an article, for messages.
      holds: whether a file or directory is of this kind, by its content.
      read: `f(path, network, width)` reads the weights of a network whose
        `depth_multiplier` is `width`. It raises `WidthError` if they are of another
        width.
    """

    name: str
    holds: Callable[[pathlib.Path], bool]
    read: Callable[[pathlib.Path, Network, float], Weights]
