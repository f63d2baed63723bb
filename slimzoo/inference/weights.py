"""Networks with their trained weights."""

import pathlib
from collections.abc import Callable, Mapping

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging
from google.protobuf.message import DecodeError

from nets.registry import NETWORKS
from slimbase.errors import UserError, unknown
from slimbase.text import listed
from slimzoo.config.shared import Inference
from slimzoo.formats import runtimes
from slimzoo.inference import precision
from slimzoo.model import checkpoints, quantize
from slimzoo.model.info import ModelInfo


def restorer(info: ModelInfo, checkpoint: str) -> Callable[[tf.Session], None]:
    """A function that gives the graph's model variables their values in a session.

    They are the moving averages where `info` says that there are some.

    Raises:
      UserError: when the checkpoint does not fit the network.
    """
    variables = {v.op.name: v for v in slim.get_model_variables()}
    if info.moving_average_decay:
        average = tf.train.ExponentialMovingAverage(info.moving_average_decay)
        variables = {average.average_name(v): v for v in variables.values()}
    fitting = checkpoints.fitting(
        quantize.names_in(variables, checkpoints.shapes(checkpoint)),
        checkpoint,
        classifier_scopes=NETWORKS[info.model_name].classifier_scopes,
        advice="check --dataset_name and --dataset_dir, or "
        + (
            "leave --labels_offset out if the checkpoint has a background class."
            if info.labels_offset
            else "give --labels_offset=1 if the checkpoint has no background class."
        ),
    )
    return checkpoints.restorer(fitting, checkpoint)


def tell_weights(info: ModelInfo, checkpoint: str) -> None:
    """Logs which values of the variables `restorer` takes."""
    averages = "moving averages of the " if info.moving_average_decay else ""
    logging.info("Using the %sweights of %s", averages, checkpoint)


def check(config: Inference) -> None:
    """Raises UserError for options that do not go with a graph, or need one."""
    runtimes.check(config.runtime, config.precision)
    if config.graph and config.precision != "float32":
        if config.runtime == runtimes.TENSORFLOW:
            raise UserError(
                "--precision is for checkpoints: TensorFlow computes a graph as it was "
                "exported"
            )
        precision.check_inference(config.precision, False, config.runtime)
    if not config.graph and (config.input_layer or config.output_layer):
        raise UserError("--input_layer and --output_layer are for --graph")


def choose_end_point(end_points: Mapping[str, tf.Tensor], name: str) -> tf.Tensor:
    """The end point `name`.

    Raises:
      UserError: names those that there are.
    """
    tensor = end_points.get(name)
    if isinstance(tensor, tf.Tensor):
        return tensor
    raise unknown(f"--end_point={name} is not one of the network's", name, end_points)


def load_frozen(
    path: str, input_layer: str | None = None, output_layer: str | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Imports a frozen classifier into the default graph.

    Args:
      path: of a binary GraphDef.
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
    """The operation `name` of the default graph; `name:0` and `import/name` do too.

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
