"""Frozen graphs: binary GraphDefs whose weights are constants."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from slimbase.errors import UserError, unknown
from slimbase.graph import session_config
from slimbase.text import listed
from slimzoo.formats import runtimes
from slimzoo.formats.predictor import Port, Predictor, Shape, Values
from slimzoo.formats.runtimes import Opening
from slimzoo.formats.trained import Settings, Trained


def write(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """Writes a binary GraphDef with the names of the graph without weights."""
    graph_def = trained.part([trained.output], settings.fold, settings.batch_size)
    path.write_bytes(graph_def.SerializeToString())


def open_file(path: str, opening: Opening) -> Predictor:
    """Opens a frozen classifier.

    Raises:
      UserError: when the file is no such graph, or the runtime cannot compute it.
    """
    with tf.Graph().as_default():
        images, output = load(path, opening.input_layer, opening.output_layer)
        outputs = [output]
        if opening.end_point:
            outputs.append(operation(opening.end_point).outputs[0])
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
    return open_graph(images, outputs, opening)


def open_graph(
    images: tf.Tensor, outputs: Sequence[tf.Tensor], opening: Opening
) -> Predictor:
    """A frozen graph in the runtime that `opening` names.

    Args:
      images: the graph's input.
      outputs: its output `[batch, classes]`, and the end point if one is wanted.
      opening: how it is opened.
    """
    if opening.runtime != runtimes.TENSORFLOW:
        return _ForeignGraph(images, outputs, opening)
    options = session_config(opening.gpu_memory_growth)
    session = tf.Session(opening.master, graph=images.graph, config=options)
    return SessionGraph(session, images, outputs)


class _Graph(Predictor):
    """What a frozen graph shows of the network."""

    def __init__(self, images: tf.Tensor, outputs: Sequence[tf.Tensor]):
        shape = images.shape
        self.input_shape = tuple([None] * 4 if shape.rank is None else shape.as_list())
        self.num_classes = tf.dimension_value(outputs[0].shape.with_rank(2)[1])
        self.outputs_probabilities = gives_probabilities(outputs[0])
        self._images, self._outputs = images, outputs

    def ports(self) -> tuple[list[Port], list[Port]]:
        """The graph's input and output."""
        return [_port(self._images)], [_port(self._outputs[0])]


class SessionGraph(_Graph):
    """A frozen graph in a session."""

    def __init__(
        self, session: tf.Session, images: tf.Tensor, outputs: Sequence[tf.Tensor]
    ):
        super().__init__(images, outputs)
        self._session = session

    def _run(self, images: np.ndarray) -> Values:
        return tuple(self._session.run(self._outputs, {self._images: images}))

    def close(self) -> None:
        """Closes the session."""
        self._session.close()


class _ForeignGraph(_Graph):
    """A frozen graph in another runtime than TensorFlow."""

    def __init__(
        self, images: tf.Tensor, outputs: Sequence[tf.Tensor], opening: Opening
    ):
        super().__init__(images, outputs)
        self._call = runtimes.from_graph(
            opening.runtime, images, outputs, opening.precision
        )

    def _run(self, images: np.ndarray) -> Values:
        return self._call(images)

    def close(self) -> None:
        """Frees the runtime's network."""
        del self._call


def _port(tensor: tf.Tensor) -> Port:
    return Port(tensor.op.name, shape_of(tensor.shape), tensor.dtype.name)


def shape_of(shape: tf.TensorShape) -> Shape | None:
    """A shape in Python's types; None if the rank is unknown."""
    return None if shape.rank is None else tuple(shape.as_list())


def load(
    path: str, input_layer: str | None = None, output_layer: str | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Imports a frozen classifier into the default graph.

    Args:
      path: the path of a binary GraphDef.
      input_layer: name of the input operation; by default the only placeholder.
      output_layer: name of the output operation; by default the only one that nothing
        else in the graph reads.

    Returns:
      Input `[batch, height, width, channels]` and output `[batch, classes]`.

    Raises:
      UserError: when the file is no such graph.
    """
    graph_def = tf.GraphDef()
    try:
        graph_def.ParseFromString(pathlib.Path(path).read_bytes())
        tf.import_graph_def(graph_def, name="")
    except OSError as error:
        raise UserError(f"cannot read the graph {path}: {error.strerror}") from error
    except (DecodeError, ValueError) as error:
        raise UserError(f"{path} is not a binary GraphDef: {error}") from error
    except tf.errors.NotFoundError as error:  # An operation that is not built in.
        raise UserError(f"cannot use the graph {path}: {error.message}") from error
    operations = tf.get_default_graph().get_operations()
    if any(op.type in ("VariableV2", "VarHandleOp") for op in operations):
        raise UserError(
            f"{path} is not frozen: it has variables but not their values. Freeze it "
            "with a checkpoint: python -m tensorflow.python.tools.freeze_graph"
        )
    inputs = [op for op in operations if op.type == "Placeholder"]
    outputs = [op for op in operations if op.outputs and not op.outputs[0].consumers()]
    if input_layer:
        inputs = [operation(input_layer)]
    if output_layer:
        outputs = [operation(output_layer)]
    if len(inputs) != 1 or len(outputs) != 1:
        raise UserError(
            f"{path} should have one input and one output; it has inputs "
            f"[{listed([op.name for op in inputs])}] and outputs "
            f"[{listed([op.name for op in outputs])}]"
        )
    return inputs[0].outputs[0], outputs[0].outputs[0]


def operation(name: str) -> tf.Operation:
    """The operation `name` of the default graph; also found as `name:0`, `import/name`.

    Raises:
      UserError: when there is none, or it has no values; names some that there are.
    """
    name = name.removesuffix(":0")
    operations = {op.name: op for op in tf.get_default_graph().get_operations()}
    for candidate in (name, name.removeprefix("import/")):
        if candidate in operations:
            if not operations[candidate].outputs:
                raise UserError(f"the operation {candidate} has no values")
            return operations[candidate]
    raise unknown(f"the graph has no operation {name}", name, operations)


def gives_probabilities(output: tf.Tensor) -> bool:
    """Whether `output` is a softmax, perhaps reshaped."""
    operation = output.op
    while operation.type in ("Reshape", "Squeeze", "Identity"):
        operation = operation.inputs[0].op
    return operation.type == "Softmax"
