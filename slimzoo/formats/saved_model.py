"""SavedModels: directories that TensorFlow's own programs serve."""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import meta_graph_pb2

from slimbase.errors import UserError, reason
from slimbase.graph import session_config
from slimbase.text import listed
from slimzoo.formats import frozen
from slimzoo.formats.predictor import BY_NAME, Port, choose_output, in_batches
from slimzoo.formats.runtimes import Opening
from slimzoo.formats.trained import (
    INPUT_NAME,
    PROBABILITIES,
    Settings,
    Trained,
    decoded_channels,
)
from slimzoo.model.info import ModelInfo

DEFAULT_SIGNATURE = "serving_default"
BYTES_SIGNATURE = "serving_bytes"
BYTES_INPUT = "image_bytes"
LABELS_FILE = "labels.txt"

_TOP = 5  # Classes whose names a SavedModel gives.

_Signature = meta_graph_pb2.SignatureDef


def write(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """Writes a directory with a signature for images and one for encoded pictures."""
    graph_def = trained.part(
        [trained.logits, trained.probabilities], settings.fold, settings.batch_size
    )
    names = trained.info.labels_or_numbers()
    with (
        tempfile.TemporaryDirectory() as directory,
        tf.Graph().as_default() as graph,
        tf.Session() as session,
    ):
        inputs, logits, probabilities = _import(trained, graph_def)
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


def _import(
    trained: Trained, graph_def: tf.GraphDef
) -> tuple[dict[str, dict[str, tf.Tensor]], tf.Tensor, tf.Tensor]:
    """Imports the network; returns inputs by signature, logits and probabilities."""
    [placeholder] = [node for node in graph_def.node if node.name == INPUT_NAME]
    shape = tf.TensorShape(placeholder.attr["shape"].shape)
    inputs = {}
    if trained.is_video:
        images = tf.placeholder(tf.float32, shape, INPUT_NAME)
    else:
        contents = tf.placeholder(tf.string, shape[:1], BYTES_INPUT)
        # Who feeds this tensor instead needs no file: one network serves both.
        images = tf.identity(_decoded(trained.info, contents), INPUT_NAME)
        images.set_shape(shape)
        inputs[BYTES_SIGNATURE] = {BYTES_INPUT: contents}
    inputs[DEFAULT_SIGNATURE] = {INPUT_NAME: images}
    graph_def.node.remove(placeholder)
    logits, probabilities = tf.import_graph_def(
        graph_def,
        {f"{INPUT_NAME}:0": images},
        [f"{trained.logits}:0", f"{trained.probabilities}:0"],
        name="",
    )
    return inputs, logits, probabilities


def _decoded(info: ModelInfo, contents: tf.Tensor) -> tf.Tensor:
    """Preprocessed images `[batch, height, width, channels]` of encoded pictures."""
    preprocess = info.preprocessing()

    def prepare(content: tf.Tensor) -> tf.Tensor:
        picture = tf.io.decode_image(
            content, decoded_channels(info), expand_animations=False
        )
        return preprocess(picture)

    return tf.map_fn(prepare, contents, dtype=tf.float32)


def open_file(path: str, opening: Opening) -> "SavedModel":
    """Opens a SavedModel.

    Raises:
      UserError: when it is none, or has no fitting signature.
    """
    return SavedModel(path, opening)


class SavedModel(frozen.SessionGraph):
    """The signature of a SavedModel that takes images as numbers.

    It runs in a session, which also works while another graph is the default.
    """

    def __init__(self, path: str, opening: Opening):
        options = session_config(opening.gpu_memory_growth)
        session = tf.Session(graph=tf.Graph(), config=options)
        try:
            tags = [tf.saved_model.SERVING]
            signatures = tf.saved_model.load(session, tags, path).signature_def
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            session.close()
            raise UserError(
                f"{path} is not a SavedModel: {reason(str(error))}"
            ) from error
        self._signatures = dict(signatures)
        signature = _choose_signature(path, signatures, opening.input_rank)
        [images] = signature.inputs.values()
        output = choose_output(
            f"the SavedModel {path}",
            _ports(signature.outputs),
            listed(sorted(signature.outputs)),
        )
        tensor = session.graph.get_tensor_by_name
        outputs = [tensor(signature.outputs[output.name].name)]
        super().__init__(session, tensor(images.name), outputs)
        self.input_shape = tuple(tf.TensorShape(images.tensor_shape).as_list())
        self.num_classes = output.shape[1] if output.shape else None
        self.outputs_probabilities = BY_NAME.get(output.name)

    def ports(self) -> tuple[list[Port], list[Port]]:
        """The inputs and outputs of all signatures."""
        inputs, outputs = [], []
        for name, signature in sorted(self._signatures.items(), reverse=True):
            inputs += _ports(signature.inputs, name)
            outputs += _ports(signature.outputs, name)
        return inputs, outputs

    def probabilities_of_files(self, contents: Sequence[bytes]) -> np.ndarray:
        """Probabilities `[batch, classes]` of encoded pictures.

        The model must have the signature for them, which `write` gives it.
        """
        signature = self._signatures[BYTES_SIGNATURE]
        [given] = signature.inputs.values()
        wanted = signature.outputs[PROBABILITIES].name
        size = tf.dimension_value(tf.TensorShape(given.tensor_shape)[0])
        [values] = in_batches(
            lambda batch: (self._session.run(wanted, {given.name: batch}),),
            np.array(contents, object),
            size,
        )
        return values


def _choose_signature(
    path: str, signatures: Mapping[str, _Signature], rank: int
) -> _Signature:
    fitting = {
        name: signature
        for name, signature in signatures.items()
        if [_kind(each) for each in signature.inputs.values()] == [(tf.float32, rank)]
    }
    if not fitting:
        names = [name for name in signatures if not name.startswith("__")]
        raise UserError(
            f"the SavedModel {path} has no signature of one float input "
            "[batch, height, width, channels]. Signatures: "
            f"{listed(sorted(names)) or 'none'}"
        )
    return fitting.get(DEFAULT_SIGNATURE) or fitting[min(fitting)]


def _kind(tensor: meta_graph_pb2.TensorInfo) -> tuple[tf.DType, int | None]:
    """Type and rank of an input or output of a signature."""
    return tf.as_dtype(tensor.dtype), tf.TensorShape(tensor.tensor_shape).rank


def _ports(
    tensors: Mapping[str, meta_graph_pb2.TensorInfo], signature: str | None = None
) -> list[Port]:
    return [
        Port(
            name,
            frozen.shape_of(tf.TensorShape(tensor.tensor_shape)),
            tf.as_dtype(tensor.dtype).name,
            signature,
        )
        for name, tensor in sorted(tensors.items())
    ]
