"""LiteRT (TensorFlow Lite), wherever this TensorFlow has its interpreter."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError


def interpreter(path: str | None = None, content: bytes | None = None) -> Any:
    """The interpreter of a model in a file or in memory; tensors not yet allocated.

    Raises:
      ValueError: when it is no such model.
    """
    import tensorflow as tf2

    model = {"model_path": path, "model_content": content}
    threads = os.cpu_count() or 1
    with warnings.catch_warnings():  # That it will move to the package below.
        warnings.simplefilter("ignore")
        if hasattr(tf2, "lite"):
            return tf2.lite.Interpreter(**model, num_threads=threads)
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(**model, num_threads=threads)


def with_learned_ranges(
    graph_def: tf.GraphDef,
    input_name: str,
    input_shape: Sequence[int],
    output_name: str,
    *,
    input_range: tuple[float, float] = (-1.0, 1.0),
    signed: bool = False,
) -> bytes:
    """Converts a network with learned ranges to TensorFlow Lite, integers throughout.

    Args:
      graph_def: of `quantize.for_inference`, frozen.
      input_name, output_name: of its nodes.
      input_shape: of its pictures, the batch included.
      input_range: the values that pictures have; the least becomes 0 and the greatest
        255, or -128 and 127.
      signed: int8 rather than uint8; weights must have learned symmetric ranges.

    Returns:
      The content of a `.tflite` file, whose input and output are integers too.

    Raises:
      UserError: when something in the network has no range, or the interpreter cannot
        compute it.
    """
    low, high = input_range
    scale = 255 / (high - low)
    zero = -low * scale - (128 if signed else 0)
    converter = tf.lite.TFLiteConverter(
        graph_def,
        None,
        None,
        input_arrays_with_shape=[(input_name, list(input_shape))],
        output_arrays=[output_name],
    )
    converter.inference_type = tf.int8 if signed else tf.uint8
    converter.quantized_input_stats = {input_name: (zero, scale)}
    model = converter.convert()
    loaded = interpreter(content=model)
    floats = [
        tensor["name"]
        for tensor in loaded.get_tensor_details()
        if tensor["dtype"] == np.float32
    ]
    if floats:
        raise UserError(
            f"{len(floats)} tensors would not be integers, first {floats[0]}: "
            "quantization-aware training has no ranges for this network's operations"
        )
    try:
        loaded.allocate_tensors()
    except RuntimeError as error:
        advice = "train with symmetric ranges, or convert to uint8" if signed else ""
        raise UserError(
            f"TensorFlow Lite cannot compute the network: {error}. {advice}"
        ) from error
    return model
