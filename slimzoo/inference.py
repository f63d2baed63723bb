"""Networks with their trained weights."""

import pathlib
from collections.abc import Callable

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging
from google.protobuf.message import DecodeError

from nets.registry import NETWORKS
from slimzoo import checkpoints
from slimzoo.errors import UserError
from slimzoo.model_info import ModelInfo


def logits(info: ModelInfo, images: tf.Tensor) -> tf.Tensor:
    """Builds the network; returns logits `[batch, classes]` of preprocessed images."""
    return info.network_fn()(images)[0]


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
        variables,
        checkpoint,
        classifier_scopes=NETWORKS[info.model_name].classifier_scopes,
        advice="check --dataset_name and --dataset_dir, or give --labels_offset=1 if "
        "the checkpoint has no background class.",
    )
    return checkpoints.restorer(fitting, checkpoint)


def tell_weights(info: ModelInfo, checkpoint: str) -> None:
    """Logs which values of the variables `restorer` takes."""
    averages = "moving averages of the " if info.moving_average_decay else ""
    logging.info("Using the %sweights of %s", averages, checkpoint)


def load_frozen(path: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Imports a frozen classifier into the default graph.

    Returns:
      Its input, the only placeholder, and its output, `[batch, classes]`: what nothing
      else in the graph reads.

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
    if len(inputs) != 1 or len(outputs) != 1:
        raise UserError(
            f"{path} should have one input and one output; it has inputs "
            f"{[op.name for op in inputs]} and outputs {[op.name for op in outputs]}"
        )
    return inputs[0].outputs[0], outputs[0].outputs[0]


def gives_probabilities(output: tf.Tensor) -> bool:
    """Whether `output` is a softmax, perhaps reshaped."""
    operation = output.op
    while operation.type in ("Reshape", "Squeeze", "Identity"):
        operation = operation.inputs[0].op
    return operation.type == "Softmax"
