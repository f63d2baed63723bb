"""What networks of all formats have in common when they run."""

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from slimbase.errors import UserError

# Whether an output of such a name gives probabilities.
BY_NAME = {"logits": False, "probabilities": True}

_TINY = 1e-10  # Replaces a probability of zero, which has no logarithm.

Shape = tuple[int | None, ...]
Values = tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of a network in a file.

    Attributes:
      name: the name by which its runtime knows it.
      shape: its shape, with None where any size will do; None if the rank is unknown.
      dtype: the name of its type.
      signature: the signature of a SavedModel that it belongs to.
      scale: the scale of quantized values, (integer - zero_point) * scale.
      zero_point: the integer that stands for zero.
    """

    name: str
    shape: Shape | None
    dtype: str
    signature: str | None = None
    scale: float | None = None
    zero_point: int | None = None


class Predictor(contextlib.AbstractContextManager, abc.ABC):
    """A classifier that is ready to run; close it, or use it as a context.

    Attributes:
      input_shape: (batch, height, width, channels) of the images; None where any size
        will do.
      num_classes: width of the logits; None if it is unknown.
      outputs_probabilities: whether the network ends in a softmax; None until values
        have shown it.
    """

    input_shape: Shape
    num_classes: int | None
    outputs_probabilities: bool | None

    @abc.abstractmethod
    def ports(self) -> tuple[list[Port], list[Port]]:
        """The inputs and the outputs, as the file or the graph has them."""

    @abc.abstractmethod
    def _run(self, images: np.ndarray) -> Values:
        """The output of one batch, and the end point if one was asked for."""

    def close(self) -> None:
        """Frees the network's resources."""

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def outputs(self, images: np.ndarray) -> Values:
        """Runs the network.

        Args:
          images: float32 `[batch, height, width, channels]`, preprocessed.

        Returns:
          Float32 logits `[batch, classes]`, the logarithms if the network gives
          probabilities; and the end point if one was asked for.
        """
        output, *others = self._raw_outputs(images)
        if self.outputs_probabilities:
            output = np.log(np.maximum(output, _TINY))
        return output, *others

    def logits(self, images: np.ndarray) -> np.ndarray:
        """The first of `outputs`."""
        return self.outputs(images)[0]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Probabilities `[batch, classes]`: the output itself if it gives these."""
        output = self._raw_outputs(images)[0]
        return output if self.outputs_probabilities else softmax(output)

    def _raw_outputs(self, images: np.ndarray) -> Values:
        values = in_batches(self._run, images, self.input_shape[0])
        if self.outputs_probabilities is None and len(values[0]):
            self.outputs_probabilities = _are_probabilities(values[0])
        return values


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities `[..., classes]` of logits."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def in_batches(
    run: Callable[[np.ndarray], Values], values: np.ndarray, size: int | None
) -> Values:
    """The results of `run`, called with batches of `size`.

    Args:
      run: a function from a batch to its results, each `[batch, ...]`.
      values: the values of all batches.
      size: the fixed batch size, to which the last batch is filled up; None for one
        batch of any size.
    """
    if size is None:
        return run(values)
    parts = []
    for start in range(0, len(values), size):
        part = values[start : start + size]
        results = run(np.resize(part, (size, *part.shape[1:])))
        parts.append([result[: len(part)] for result in results])
    return tuple(np.concatenate(results) for results in zip(*parts, strict=True))


def choose_output(title: str, outputs: Sequence[Port], described: str) -> Port:
    """The logits or probabilities, or the only output of two dimensions.

    Args:
      title: the name of the model in an error.
      outputs: all outputs of the model.
      described: the outputs in words.

    Raises:
      UserError: when there is none.
    """
    rows = {
        port.name: port
        for port in outputs
        if port.dtype == "float32" and port.shape is not None and len(port.shape) == 2
    }
    for name in (*BY_NAME, *(rows if len(rows) == 1 else ())):
        if name in rows:
            return rows[name]
    raise UserError(
        f"{title} should have an output 'logits' or 'probabilities' [batch, classes]; "
        f"it has {described}"
    )


def _are_probabilities(rows: np.ndarray) -> bool:
    # With many classes, values that were rounded to 8 bits may miss 1 by far.
    tolerance = max(1e-2, rows.shape[-1] / 512)
    in_range = np.all((rows >= 0) & (rows <= 1 + 1e-2))
    return bool(in_range and np.allclose(rows.sum(axis=-1), 1, atol=tolerance))
