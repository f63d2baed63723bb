"""What other runtimes than TensorFlow make of a file."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from slimzoo.formats.predictor import Port, Values


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A network in a runtime.

    Attributes:
      inputs: the network's inputs.
      outputs: the network's outputs.
      run: `f(images, names)`, from the only input to the values of these outputs.
    """

    inputs: list[Port]
    outputs: list[Port]
    run: Callable[[np.ndarray, Sequence[str]], Values]
