"""Trained classifiers, whatever file they are in, as functions of pictures."""

import abc
import contextlib
import pathlib
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from nets.registry import NETWORKS
from slimbase.errors import UserError, reason
from slimbase.graph import classic_graph, session_config
from slimbase.text import listed
from slimzoo.formats import bfloat16, freezing, lite, runtimes
from slimzoo.inference import weights
from slimzoo.model.info import ModelInfo

INPUT_NAME = "input"
# Whether an output of such a name gives probabilities.
_BY_NAME = {"logits": False, "probabilities": True}
_TINY = 1e-10  # Stands for a probability of zero, whose logarithm there is not.

Values = tuple[np.ndarray, ...]


class Predictor(contextlib.AbstractContextManager, abc.ABC):
    """A classifier that is ready to run; close it, or use it as a context.

    Attributes:
      input_shape: (batch, height, width, channels) of the pictures; None where any do.
      num_classes: width of the logits; None as long as nobody knows.
      outputs_probabilities: whether the network ends in a softmax; None where only
        the values tell.
    """

    input_shape: tuple[int | None, ...]
    num_classes: int | None
    outputs_probabilities: bool | None

    @abc.abstractmethod
    def _run(self, images: np.ndarray) -> Values:
        """The output, and the end point if one was asked for, of one batch."""

    def close(self) -> None:
        """Frees what it holds."""

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def outputs(self, images: np.ndarray) -> Values:
        """What the network answers.

        Args:
          images: float32 `[batch, height, width, channels]`, preprocessed.

        Returns:
          Float32 logits `[batch, classes]`, the logarithms where it gives
          probabilities; and the end point if one was asked for.
        """
        output, *others = self._run_in_parts(images)
        if self.outputs_probabilities is None and len(output):
            self.outputs_probabilities = _are_probabilities(output)
        if self.outputs_probabilities:
            output = np.log(np.maximum(output, _TINY))
        return output, *others

    def logits(self, images: np.ndarray) -> np.ndarray:
        """The first of `outputs`."""
        return self.outputs(images)[0]

    def _run_in_parts(self, images):
        size = self.input_shape[0]
        if size is None:
            return self._run(images)
        parts = []
        for start in range(0, len(images), size):  # Made for batches of `size`.
            part = images[start : start + size]
            padding = [(0, size - len(part))] + [(0, 0)] * (images.ndim - 1)
            values = self._run(np.pad(part, padding))
            parts.append([value[: len(part)] for value in values])
        return tuple(np.concatenate(values) for values in zip(*parts, strict=True))


def _are_probabilities(rows):
    # Of many classes, those that were rounded to 8 bits may miss 1 by far.
    tolerance = max(1e-2, rows.shape[-1] / 512)
    in_range = np.all((rows >= 0) & (rows <= 1 + 1e-2))
    return bool(in_range and np.allclose(rows.sum(axis=-1), 1, atol=tolerance))


def from_checkpoint(
    info: ModelInfo,
    checkpoint: str,
    *,
    end_point: str | None = None,
    compute: str = "float32",
    runtime: str = runtimes.TENSORFLOW,
    master: str = "",
    gpu_memory_growth: bool = False,
) -> Predictor:
    """A network with the weights of a checkpoint, frozen, batch norm folded.

    Args:
      info: of the network.
      checkpoint: as `checkpoints.find` returns it.
      end_point: name of one whose values are wanted too.
      compute: precision, as `--precision` takes it.
      runtime: as `--runtime` takes it.
      master: address of the TensorFlow server.
      gpu_memory_growth: take GPU memory as it is needed.

    Raises:
      UserError: when the checkpoint does not fit, there is no such end point, or the
        runtime is not there.
    """
    if NETWORKS[info.model_name].frames:
        raise UserError(
            f"{info.model_name} takes clips, and this is for networks of pictures: "
            "check --model_name"
        )
    with classic_graph():
        shape = [None, *info.image_size, info.channels]
        images = tf.placeholder(tf.float32, shape, INPUT_NAME)
        logits, end_points = info.network_fn()(images)
        outputs = [logits]
        if end_point:
            outputs.append(weights.choose_end_point(end_points, end_point))
        restore = weights.restorer(info, checkpoint)
        with tf.Session(config=session_config(gpu_memory_growth)) as session:
            restore(session)
            graph_def = freezing.freeze(session, outputs)
    names = [output.op.name for output in outputs]
    graph_def = freezing.fold_batch_norms(graph_def, names)
    if compute == "bfloat16" and runtime == runtimes.TENSORFLOW:
        graph_def, names = bfloat16.to_bfloat16(graph_def, names)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        images = graph.get_tensor_by_name(images.name)
        outputs = [graph.get_tensor_by_name(f"{name}:0") for name in names]
    if runtime != runtimes.TENSORFLOW:
        return _ForeignGraph(runtime, images, outputs, compute)
    options = session_config(gpu_memory_growth)
    session = tf.Session(master, graph=graph, config=options)
    return _GraphPredictor(session, images, outputs)


def from_file(
    path: str,
    *,
    end_point: str | None = None,
    input_layer: str | None = None,
    output_layer: str | None = None,
    compute: str = "float32",
    runtime: str = runtimes.TENSORFLOW,
    gpu_memory_growth: bool = False,
) -> Predictor:
    """A network that was exported.

    That is a frozen GraphDef, a SavedModel directory, `.tflite` or `.onnx`.

    Args:
      path: of the file or directory; what it is decides.
      end_point: name of an operation of a frozen graph whose values are wanted too.
      input_layer: name of its input, where it is not the only placeholder.
      output_layer: name of its output, where it is not the only one.
      compute: precision, where another runtime than TensorFlow computes.
      runtime: as `--runtime` takes it.
      gpu_memory_growth: take GPU memory as it is needed.

    Raises:
      UserError: when there is no such network in it.
    """
    if not pathlib.Path(path).exists():
        raise UserError(f"--graph: there is no {path}")
    if not _is_frozen(path):
        if end_point or input_layer or output_layer:
            raise UserError(
                "--end_point, --input_layer and --output_layer are for checkpoints and "
                f"frozen graphs; {path} has the inputs and outputs it was exported with"
            )
        return _exported(path, compute, runtime, gpu_memory_growth)
    with tf.Graph().as_default():
        images, output = weights.load_frozen(path, input_layer, output_layer)
        outputs = [output]
        if end_point:
            outputs.append(weights.operation(end_point).outputs[0])
    if not images.dtype.is_floating:
        raise UserError(
            f"{path} should take preprocessed pictures, floats; its input is of "
            f"{images.dtype.name}: give --input_layer"
        )
    if output.shape.rank not in (None, 2):
        raise UserError(
            f"{path} should give [batch, classes]; its output {output.op.name} has "
            f"{output.shape.rank} dimensions: give --output_layer"
        )
    if runtime != runtimes.TENSORFLOW:
        return _ForeignGraph(runtime, images, outputs, compute)
    options = session_config(gpu_memory_growth)
    session = tf.Session(graph=images.graph, config=options)
    return _GraphPredictor(session, images, outputs)


def _is_frozen(path: str) -> bool:
    return not (pathlib.Path(path).is_dir() or path.endswith((".tflite", ".onnx")))


def _exported(path, compute, runtime, gpu_memory_growth) -> Predictor:
    """What is neither a checkpoint nor a frozen graph."""
    is_onnx = path.endswith(".onnx")
    if is_onnx == (runtime == runtimes.TENSORFLOW):
        needed = "onnxruntime or openvino" if is_onnx else runtimes.TENSORFLOW
        raise UserError(f"--graph={path} needs --runtime={needed}")
    if is_onnx:
        return _OnnxFile(path, compute, runtime)
    if path.endswith(".tflite"):
        return LiteModel(path)
    return _SavedModel(path, session_config(gpu_memory_growth))


class _OfGraph(Predictor):
    """What a frozen graph tells of itself."""

    def __init__(self, images, output):
        self.input_shape = _shape(images)
        self.num_classes = tf.dimension_value(output.shape.with_rank(2)[1])
        self.outputs_probabilities = weights.gives_probabilities(output)


class _GraphPredictor(_OfGraph):
    """A frozen graph in a session."""

    def __init__(self, session, images, outputs):
        super().__init__(images, outputs[0])
        self._session, self._images, self._outputs = session, images, outputs

    def _run(self, images):
        return tuple(self._session.run(self._outputs, {self._images: images}))

    def close(self):
        self._session.close()


class _ForeignGraph(_OfGraph):
    """A frozen graph in another runtime."""

    def __init__(self, runtime, images, outputs, compute):
        super().__init__(images, outputs[0])
        self._call = runtimes.from_graph(runtime, images, outputs, compute)

    def _run(self, images):
        return self._call(images)

    def close(self):
        del self._call


class _OnnxFile(Predictor):
    """A network of an ONNX file in a runtime that reads such."""

    def __init__(self, path, compute, runtime):
        loaded = runtimes.from_file(runtime, path, compute)
        output = runtimes.choose_output(path, loaded)
        self.input_shape = loaded.inputs[0].shape
        self.num_classes = output.shape[1]
        self.outputs_probabilities = _BY_NAME.get(output.name)
        self._call, self._name = loaded.run, output.name

    def _run(self, images):
        return self._call(images, [self._name])

    def close(self):
        del self._call


def _shape(images: tf.Tensor) -> tuple[int | None, ...]:
    shape = images.shape
    return (None,) * 4 if shape.rank is None else tuple(shape.as_list())


class _SavedModel(_GraphPredictor):
    """The signature of a SavedModel that takes pictures as numbers.

    It is in a session, as only that works inside of another graph, too.
    """

    def __init__(self, path, options):
        session = tf.Session(graph=tf.Graph(), config=options)
        try:
            tags = [tf.saved_model.SERVING]
            signatures = tf.saved_model.load(session, tags, path).signature_def
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            session.close()
            raise UserError(
                f"{path} is not a SavedModel: {reason(str(error))}"
            ) from error
        signature = _choose_signature(path, signatures)
        [images] = signature.inputs.values()
        name = _choose_output(path, signature.outputs)
        tensor = session.graph.get_tensor_by_name
        output = tensor(signature.outputs[name].name)
        super().__init__(session, tensor(images.name), [output])
        shape = tf.TensorShape(signature.outputs[name].tensor_shape)
        self.input_shape = tuple(tf.TensorShape(images.tensor_shape).as_list())
        self.num_classes = tf.dimension_value(shape[1])
        self.outputs_probabilities = _BY_NAME.get(name)


def _choose_signature(path, signatures):
    fitting = {
        name: signature
        for name, signature in signatures.items()
        if [_kind(each) for each in signature.inputs.values()] == [(tf.float32, 4)]
    }
    if not fitting:
        names = [name for name in signatures if not name.startswith("__")]
        raise UserError(
            f"the SavedModel {path} has no signature of one float input "
            "[batch, height, width, channels]. Signatures: "
            f"{listed(sorted(names)) or 'none'}"
        )
    return fitting.get("serving_default") or fitting[min(fitting)]


def _choose_output(path, outputs):
    rows = [name for name, each in outputs.items() if _kind(each) == (tf.float32, 2)]
    for name in ("logits", "probabilities", *(rows if len(rows) == 1 else ())):
        if name in rows:
            return name
    raise UserError(
        f"the SavedModel {path} should have an output 'logits' or 'probabilities' "
        f"[batch, classes]; it has {listed(sorted(outputs))}"
    )


def _kind(info):
    """Type and rank of an input or output of a signature."""
    return tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).rank


class LiteModel(Predictor):
    """A LiteRT (TensorFlow Lite) model; integers are converted on both sides.

    Attributes:
      input_detail: what the interpreter tells of the input.
      output_detail: of the output.
    """

    def __init__(self, path):
        self._path = path
        try:
            self._interpreter = lite.interpreter(path)
        except (ValueError, RuntimeError, OSError) as error:
            raise UserError(f"{path} is not a .tflite model: {error}") from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if [len(each["shape"]) for each in inputs + outputs] != [4, 2]:
            raise UserError(
                f"{path} should have one input [batch, height, width, channels] and "
                f"one output [batch, classes]; it has inputs {_names(inputs)} and "
                f"outputs {_names(outputs)}"
            )
        [self.input_detail], [self.output_detail] = inputs, outputs
        kind, (scale, _) = np.dtype(inputs[0]["dtype"]), inputs[0]["quantization"]
        if not scale and kind != np.float32:
            raise UserError(
                f"{path} takes pictures of {kind} and does not say what they stand "
                "for: export it with floats or with a quantized input"
            )
        signature = self.input_detail["shape_signature"].tolist()
        self.input_shape = tuple(None if size < 0 else size for size in signature)
        self.num_classes = int(self.output_detail["shape"][-1])
        self.outputs_probabilities = _is_softmax(self.output_detail)
        self._shape = None

    def _run(self, images):
        interpreter = self._interpreter
        try:
            if images.shape != self._shape:
                if None in self.input_shape:
                    index = self.input_detail["index"]
                    interpreter.resize_tensor_input(index, images.shape)
                interpreter.allocate_tensors()
                self._shape = images.shape
            values = _quantized(images, self.input_detail)
            interpreter.set_tensor(self.input_detail["index"], values)
            interpreter.invoke()
        except RuntimeError as error:  # An operation that the interpreter lacks.
            [message, *_] = str(error).splitlines() or ["no reason given"]
            raise UserError(f"cannot run {self._path}: {message}") from error
        output = interpreter.get_tensor(self.output_detail["index"])
        return (_dequantized(output, self.output_detail),)

    def close(self):
        """Frees the interpreter."""
        del self._interpreter


def _names(details):
    shown = [f"{detail['name']} {detail['shape'].tolist()}" for detail in details]
    return listed(shown)


def _quantized(values, detail):
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    integers = np.round(values / scale) + zero
    return np.clip(integers, limits.min, limits.max).astype(detail["dtype"])


def _dequantized(values, detail):
    scale, zero = detail["quantization"]
    values = values.astype(np.float32)
    return (values - zero) * scale if scale else values


def _is_softmax(detail):
    """By the fixed scale of quantized ones; None for floats, whose values tell."""
    scale, zero = detail["quantization"]
    if not scale:
        return None
    return (scale, zero) in ((1 / 256, 0), (1 / 256, -128), (1 / 32768, 0))
