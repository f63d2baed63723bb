"""What writers of formats get: a network with its weights, and settings."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from slimzoo.formats import freezing
from slimzoo.model.info import ModelInfo

INPUT_NAME = "input"
PROBABILITIES = "probabilities"
QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")
INTEGER_TYPES = ("uint8", "int8")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network with its weights.

    Attributes:
      info: what is known about the network.
      graph_def: the frozen graph, for any batch size, with the operations below.
      logits: name of the operation that gives the logits, `[batch, classes]`.
      output: name of the operation of the end point Predictions, or of the logits if
        there is no such end point.
      probabilities: name of the operation of the softmax.
      is_video: whether the network takes clips.
    """

    info: ModelInfo
    graph_def: tf.GraphDef
    logits: str
    output: str
    probabilities: str
    is_video: bool = False

    def part(
        self, outputs: Sequence[str], fold: bool, batch_size: int | None = None
    ) -> tf.GraphDef:
        """The part that `outputs` need, for batches of `batch_size` (None: any)."""
        if fold:
            result = freezing.fold_batch_norms(self.graph_def, outputs)
        else:
            result = tf.graph_util.extract_sub_graph(self.graph_def, list(outputs))
        if batch_size is not None:
            [node] = [node for node in result.node if node.name == INPUT_NAME]
            node.attr["shape"].shape.dim[0].size = batch_size
        return result


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a network is written.

    Attributes:
      fold: whether batch norm becomes part of the weights.
      batch_size: batch size of the input; None for any.
      quantization: one of `QUANTIZATIONS`.
      integer_type: type of input and output with int8, one of `INTEGER_TYPES`.
      calibration: preprocessed float32 images that show the ranges for int8.
    """

    fold: bool
    batch_size: int | None = None
    quantization: str = "float32"
    integer_type: str = "uint8"
    calibration: np.ndarray | None = None


def decoded_channels(info: ModelInfo) -> int:
    """The number of channels that preprocessing expects of a decoded picture."""
    return 1 if info.channels == 1 and not info.use_grayscale else 3
