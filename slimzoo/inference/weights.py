"""The weights of a checkpoint in a network's graph."""

from collections.abc import Callable, Mapping

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from nets.registry import NETWORKS
from slimbase.errors import UserError, unknown
from slimzoo.config.shared import Inference
from slimzoo.formats import runtimes
from slimzoo.inference import precision
from slimzoo.model import checkpoints, quantize
from slimzoo.model.info import ModelInfo


def restorer(info: ModelInfo, checkpoint: str) -> Callable[[tf.Session], None]:
    """A function that gives the graph's model variables their values in a session.

    These are the moving averages if `info` says that there are some. The auxiliary
    classifier, which only training uses, gets none if the checkpoint has none.

    Raises:
      UserError: when the checkpoint does not fit the network.
    """
    variables = {v.op.name: v for v in slim.get_model_variables()}
    if info.moving_average_decay:
        average = tf.train.ExponentialMovingAverage(info.moving_average_decay)
        variables = {average.average_name(v): v for v in variables.values()}
    variables = _without_auxiliary(variables, info.model_name, checkpoint)
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


def _without_auxiliary(
    variables: Mapping[str, tf.Variable], model_name: str, checkpoint: str
) -> dict[str, tf.Variable]:
    """`variables` without the auxiliary classifier, if the checkpoint has none."""
    scopes = tuple(f"{s}/" for s in NETWORKS[model_name].classifier_scopes[1:])
    auxiliary = {name for name in variables if name.startswith(scopes)}
    if not auxiliary or any(
        n.startswith(scopes) for n in checkpoints.shapes(checkpoint)
    ):
        return dict(variables)
    logging.info(
        f"{checkpoint} has no auxiliary classifier, which only training uses: the "
        "network is computed without it."
    )
    return {name: v for name, v in variables.items() if name not in auxiliary}


def log_weights(info: ModelInfo, checkpoint: str) -> None:
    """Logs which values of the variables `restorer` takes."""
    averages = "moving averages of the " if info.moving_average_decay else ""
    logging.info(f"Using the {averages}weights of {checkpoint}")


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
      UserError: when there is none of that name; names those that there are.
    """
    tensor = end_points.get(name)
    if isinstance(tensor, tf.Tensor):
        return tensor
    raise unknown(f"--end_point={name} is not one of the network's", name, end_points)
