"""What a trained network is written as: frozen GraphDef, SavedModel, LiteRT, ONNX."""

import dataclasses
import pathlib
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from preprocessing import preprocessing_factory
from slimbase import extras
from slimbase.errors import UserError, reason
from slimzoo.formats import freezing, lite
from slimzoo.model.info import ModelInfo

INPUT_NAME = "input"
PROBABILITIES = "probabilities"
BYTES_SIGNATURE = "serving_bytes"
BYTES_INPUT = "image_bytes"
LABELS_FILE = "labels.txt"
QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")
INTEGER_TYPES = ("uint8", "int8")

_LACKING = re.compile(r"'tf\.(\w+)' op is neither")  # What the converter says.
_TOP = 5  # Classes that a SavedModel names.
_OPSET = 18  # Of ONNX: the newest that tf2onnx 1.17 writes.


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network with its weights.

    Attributes:
      info: of the network.
      graph_def: frozen, with any batch size and all that is named below.
      logits: name of the operation that gives them, `[batch, classes]`.
      output: that of the end point Predictions, or of the logits without one.
      probabilities: that of the softmax.
      is_video: whether it takes clips.
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
        """What `outputs` need, for batches of `batch_size` (None: of any)."""
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
    """How it is written.

    Attributes:
      fold: whether batch norm becomes part of the weights.
      batch_size: of the input; None for any.
      quantization: one of `QUANTIZATIONS`.
      integer_type: of input and output with int8, one of `INTEGER_TYPES`.
      calibration: preprocessed float32 pictures that tell the ranges for int8.
    """

    fold: bool
    batch_size: int | None = None
    quantization: str = "float32"
    integer_type: str = "uint8"
    calibration: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Format:
    """One of the forms.

    Attributes:
      write: `f(trained, path, settings)`.
      folds: whether it folds batch norm unless told otherwise.
      suffix: that the file must have, as readers go by it.
      batch_size: unless told otherwise.
    """

    write: Callable[[Trained, pathlib.Path, Settings], None]
    folds: bool = True
    suffix: str = ""
    batch_size: int | None = None


def write_frozen(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """A binary GraphDef with the names of the graph without weights."""
    graph_def = trained.part([trained.output], settings.fold, settings.batch_size)
    path.write_bytes(graph_def.SerializeToString())


def write_saved_model(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """A SavedModel directory with a signature for pictures and one for their files."""
    graph_def = trained.part(
        [trained.logits, trained.probabilities], settings.fold, settings.batch_size
    )
    [placeholder] = [node for node in graph_def.node if node.name == INPUT_NAME]
    shape = tf.TensorShape(placeholder.attr["shape"].shape)
    names = trained.info.labels_or_numbers()
    with (
        tempfile.TemporaryDirectory() as directory,
        tf.Graph().as_default() as graph,
        tf.Session() as session,
    ):
        inputs = {}
        if trained.is_video:
            images = tf.placeholder(tf.float32, shape, INPUT_NAME)
        else:
            contents = tf.placeholder(tf.string, shape[:1], BYTES_INPUT)
            # What feeds this name instead needs no file: one network serves both.
            images = tf.identity(_decoded(trained.info, contents), INPUT_NAME)
            images.set_shape(shape)
            inputs[BYTES_SIGNATURE] = {BYTES_INPUT: contents}
        inputs["serving_default"] = {INPUT_NAME: images}
        graph_def.node.remove(placeholder)
        logits, probabilities = tf.import_graph_def(
            graph_def,
            {f"{INPUT_NAME}:0": images},
            [f"{trained.logits}:0", f"{trained.probabilities}:0"],
            name="",
        )
        scores, best = tf.nn.top_k(probabilities, min(_TOP, len(names)))
        outputs = {
            "logits": logits,
            PROBABILITIES: probabilities,
            "classes": tf.gather(tf.constant(names, name="class_names"), best),
            "scores": scores,
        }
        labels = pathlib.Path(directory) / LABELS_FILE
        labels.write_text("".join(f"{i}:{n}\n" for i, n in enumerate(names)), "utf-8")
        asset = tf.constant(str(labels), name="labels_file")
        tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, asset)
        builder = tf.saved_model.builder.SavedModelBuilder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.tag_constants.SERVING],
            {
                name: tf.saved_model.predict_signature_def(tensors, outputs)
                for name, tensors in inputs.items()
            },
            assets_collection=graph.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
        )
        builder.save()


def _decoded(info, contents):
    """Preprocessed `[batch, height, width, channels]` of picture files."""
    preprocess = info.preprocessing()

    def prepare(content):
        picture = tf.io.decode_image(
            content, decoded_channels(info), expand_animations=False
        )
        return preprocess(picture)

    return tf.map_fn(prepare, contents, dtype=tf.float32)


def decoded_channels(info: ModelInfo) -> int:
    """The channels that preprocessing wants of a picture."""
    return 1 if info.channels == 1 and not info.use_grayscale else 3


def write_lite(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """A LiteRT (TensorFlow Lite) file that gives probabilities."""
    import tensorflow as tf2

    if trained.info.quantize:
        path.write_bytes(_with_learned_ranges(trained, settings))
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
            with warnings.catch_warnings():  # Of statistics for older quantization.
                warnings.simplefilter("ignore")
                content = converter.convert()
        except Exception as error:  # It raises what each of its parts does.
            lacking = sorted(set(_LACKING.findall(str(error))))
            why = f"it has no {', '.join(lacking)}" if lacking else reason(str(error))
            raise UserError(
                f"LiteRT cannot do {trained.info.model_name}: {why}"
            ) from error
    path.write_bytes(content)


def _with_learned_ranges(trained: Trained, settings: Settings) -> bytes:
    info = trained.info
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    if not isinstance(recipe.mean, float) or not recipe.scale:
        raise UserError(
            f"quantized pictures need one range for all channels, and {recipe.name} "
            f"makes {recipe.value_range}: train with --preprocessing_name=inception"
        )
    low, high = ((value - recipe.mean) / recipe.scale for value in (0, 255))
    size = settings.batch_size or 1
    return lite.with_learned_ranges(
        trained.part([trained.probabilities], settings.fold, size),
        INPUT_NAME,
        (size, *info.image_size, info.channels),
        trained.probabilities,
        input_range=(low, high),
        signed=settings.integer_type == "int8",
    )


def _quantize(converter: Any, settings: Settings, tf2: Any) -> None:
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


def write_onnx(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """An ONNX file, pictures as `[batch, height, width, channels]`, probabilities."""
    graph_def = trained.part(
        [trained.probabilities], settings.fold, settings.batch_size
    )
    names = {INPUT_NAME: INPUT_NAME, trained.probabilities: PROBABILITIES}
    path.write_bytes(to_onnx(graph_def, names))


def to_onnx(
    graph_def: tf.GraphDef, names: Mapping[str, str], wanted_by: str = "--format=onnx"
) -> bytes:
    """A frozen graph as an ONNX file.

    Args:
      graph_def: with nothing but what the outputs need.
      names: those in the file, by operation: first of the input, then of the outputs.
      wanted_by: the option that asks for it, where the package is not installed.
    """
    tf2onnx = extras.load("tf2onnx", "onnx", wanted_by)
    tensors = {f"{operation}:0": name for operation, name in names.items()}
    given, *wanted = tensors
    with tf.Graph().as_default():
        model, _ = tf2onnx.convert.from_graph_def(
            graph_def,
            input_names=[given],
            output_names=wanted,
            opset=_OPSET,
            tensors_to_rename=tensors,
        )
    return model.SerializeToString()


def onnx_package(name: str) -> Any:
    """Imports one of the packages of the extra `onnx`.

    Raises:
      UserError: when it is not installed; says how to.
    """
    return extras.load(name, "onnx", "--format=onnx")


FORMATS = {
    # Names within the graph are why people choose it, so nothing is folded unasked.
    "frozen": Format(write_frozen, folds=False),
    "saved_model": Format(write_saved_model),
    # Phones show one picture at a time, and their accelerators want fixed shapes.
    "tflite": Format(write_lite, suffix=".tflite", batch_size=1),
    "onnx": Format(write_onnx, suffix=".onnx"),
}
