"""LiteRT (TensorFlow Lite): files for phones and microcontrollers."""

import os
import pathlib
import re
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from preprocessing import preprocessing_factory
from slimbase.errors import UserError, reason
from slimbase.text import listed
from slimzoo.formats.predictor import Port, Predictor, Values
from slimzoo.formats.runtimes import Opening
from slimzoo.formats.trained import INPUT_NAME, Settings, Trained

# How the converter names an operation that LiteRT lacks.
_LACKING = re.compile(r"'tf\.(\w+)' op is neither")

_Detail = Mapping[str, Any]  # The interpreter's description of a tensor.


def write(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """Writes a LiteRT (TensorFlow Lite) file that gives probabilities."""
    import tensorflow as tf2

    if trained.info.quantize:
        path.write_bytes(_trained_with_ranges(trained, settings))
        return
    graph_def = trained.part(
        [trained.probabilities], settings.fold, settings.batch_size
    )
    with tf.init_scope():  # The converter wants a function, not a session.
        wrapped = tf.wrap_function(
            lambda: tf.import_graph_def(graph_def, name=""), signature=[]
        )
        function = wrapped.prune(
            wrapped.graph.get_tensor_by_name(f"{INPUT_NAME}:0"),
            wrapped.graph.get_tensor_by_name(f"{trained.probabilities}:0"),
        )
        converter = tf2.lite.TFLiteConverter.from_concrete_functions(
            [function], function
        )
        _quantize(converter, settings, tf2)
        try:
            with warnings.catch_warnings():  # About statistics of older quantization.
                warnings.simplefilter("ignore")
                content = converter.convert()
        except Exception as error:  # It raises what each of its parts does.
            lacking = sorted(set(_LACKING.findall(str(error))))
            why = f"it has no {', '.join(lacking)}" if lacking else reason(str(error))
            raise UserError(
                f"LiteRT cannot do {trained.info.model_name}: {why}"
            ) from error
    path.write_bytes(content)


def _quantize(converter: Any, settings: Settings, tf2: types.ModuleType) -> None:
    if settings.quantization == "float32":
        return
    converter.optimizations = [tf2.lite.Optimize.DEFAULT]
    if settings.quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif settings.quantization == "int8":
        images = settings.calibration
        if images is None:
            raise ValueError("int8 needs pictures for calibration")
        size = settings.batch_size or 1
        converter.representative_dataset = lambda: (
            [images[start : start + size]]
            for start in range(0, len(images) - size + 1, size)
        )
        converter.target_spec.supported_ops = [tf2.lite.OpsSet.TFLITE_BUILTINS_INT8]
        integer = tf.as_dtype(settings.integer_type)
        converter.inference_input_type = converter.inference_output_type = integer


def _trained_with_ranges(trained: Trained, settings: Settings) -> bytes:
    """Converts a network that learned its ranges in quantization-aware training."""
    info = trained.info
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    if not isinstance(recipe.mean, float) or not recipe.scale:
        raise UserError(
            f"quantized pictures need one range for all channels, and {recipe.name} "
            f"makes {recipe.value_range}: train with --preprocessing_name=inception"
        )
    low, high = ((value - recipe.mean) / recipe.scale for value in (0, 255))
    size = settings.batch_size or 1
    return with_learned_ranges(
        trained.part([trained.probabilities], settings.fold, size),
        INPUT_NAME,
        (size, *info.image_size, info.channels),
        trained.probabilities,
        input_range=(low, high),
        signed=settings.integer_type == "int8",
    )


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
      graph_def: the graph of `quantize.for_inference`, frozen.
      input_name: name of its input node.
      input_shape: shape of its images, with the batch size.
      output_name: name of its output node.
      input_range: the values that images have; the least becomes 0 and the greatest
        255, or -128 and 127.
      signed: whether it is int8 rather than uint8; weights must have learned symmetric
        ranges then.

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


def open_file(path: str, opening: Opening) -> "LiteModel":
    """Opens a `.tflite` file.

    Raises:
      UserError: when it is none, or not from images to classes.
    """
    return LiteModel(path)


class LiteModel(Predictor):
    """A LiteRT (TensorFlow Lite) model; integers are converted on both sides."""

    def __init__(self, path: str):
        self._path = path
        try:
            self._interpreter = interpreter(path)
        except (ValueError, RuntimeError, OSError) as error:
            raise UserError(f"{path} is not a .tflite model: {error}") from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if [len(each["shape"]) for each in inputs + outputs] != [4, 2]:
            raise UserError(
                f"{path} should have one input [batch, height, width, channels] and "
                f"one output [batch, classes]; it has inputs {_described(inputs)} and "
                f"outputs {_described(outputs)}"
            )
        [self._input], [self._output] = inputs, outputs
        kind, (scale, _) = np.dtype(inputs[0]["dtype"]), inputs[0]["quantization"]
        if not scale and kind != np.float32:
            raise UserError(
                f"{path} takes pictures of {kind} and does not say what they stand "
                "for: export it with floats or with a quantized input"
            )
        self.input_shape = _port(self._input).shape or ()
        self.num_classes = int(self._output["shape"][-1])
        self.outputs_probabilities = _is_softmax(self._output)
        self._allocated: tuple[int, ...] | None = None

    def ports(self) -> tuple[list[Port], list[Port]]:
        """The model's input and output."""
        return [_port(self._input)], [_port(self._output)]

    def _run(self, images: np.ndarray) -> Values:
        interpreter = self._interpreter
        try:
            if images.shape != self._allocated:
                if None in self.input_shape:
                    interpreter.resize_tensor_input(self._input["index"], images.shape)
                interpreter.allocate_tensors()
                self._allocated = images.shape
            interpreter.set_tensor(
                self._input["index"], _quantized(images, self._input)
            )
            interpreter.invoke()
        except RuntimeError as error:  # An operation that the interpreter lacks.
            [message, *_] = str(error).splitlines() or ["no reason given"]
            raise UserError(f"cannot run {self._path}: {message}") from error
        output = interpreter.get_tensor(self._output["index"])
        return (_dequantized(output, self._output),)

    def close(self) -> None:
        """Frees the interpreter."""
        del self._interpreter


def _described(details: Sequence[_Detail]) -> str:
    return listed(f"{detail['name']} {detail['shape'].tolist()}" for detail in details)


def _port(detail: _Detail) -> Port:
    scale, zero_point = detail["quantization"]
    return Port(
        detail["name"],
        tuple(None if n < 0 else n for n in detail["shape_signature"].tolist()),
        np.dtype(detail["dtype"]).name,
        scale=float(scale) or None,
        zero_point=int(zero_point) if scale else None,
    )


def _quantized(values: np.ndarray, detail: _Detail) -> np.ndarray:
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    integers = np.round(values / scale) + zero
    return np.clip(integers, limits.min, limits.max).astype(detail["dtype"])


def _dequantized(values: np.ndarray, detail: _Detail) -> np.ndarray:
    scale, zero = detail["quantization"]
    values = values.astype(np.float32)
    return (values - zero) * scale if scale else values


def _is_softmax(detail: _Detail) -> bool | None:
    """By the fixed scale of quantized ones; None for floats, whose values show it."""
    scale, zero = detail["quantization"]
    if not scale:
        return None
    return (scale, zero) in ((1 / 256, 0), (1 / 256, -128), (1 / 32768, 0))
