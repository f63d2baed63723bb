"""Networks as constants: weights put into the graph, batch norm folded into weights."""

import collections
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

_BATCH_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def freeze(session: tf.Session, outputs: Sequence[tf.Tensor]) -> tf.GraphDef:
    """The part of the session's graph that `outputs` need, variables made constants."""
    names = [output.op.name for output in outputs]
    graph_def = session.graph.as_graph_def()
    return tf.graph_util.convert_variables_to_constants(session, graph_def, names)


def fold_batch_norms(graph_def: tf.GraphDef, outputs: Sequence[str]) -> tf.GraphDef:
    """Multiplies the scales of batch norms into the convolutions before them.

    What remains of such a batch norm is a bias of the same name. Results change by
    rounding only; the convolution's own output is another one then. Others stay as
    they are: those that follow something else, or a convolution that is read elsewhere.

    Args:
      graph_def: a frozen graph.
      outputs: names of the operations whose results are wanted.

    Returns:
      A new graph, with what `outputs` need.
    """
    nodes = {node.name: node for node in graph_def.node}
    reads = [name for node in graph_def.node for name in node.input]
    readers = collections.Counter(map(_name, reads))
    statistics = {_name(name) for name in reads if re.search(r":[1-9]\d*$", name)}
    replaced: dict[str, list[tf.NodeDef]] = {}
    for node in graph_def.node:
        if node.op in _BATCH_NORMS and not node.attr["is_training"].b:
            convolution = nodes[_name(node.input[0])]
            if (
                convolution.op in _CONVOLUTIONS
                and readers[convolution.name] == 1
                and convolution.name not in outputs
                and node.name not in statistics
            ):
                replaced.update(_folded(node, convolution, nodes))
    result = tf.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        result.node.extend(replaced.get(node.name, [node]))
    return tf.graph_util.extract_sub_graph(result, list(outputs))


def _folded(batch_norm, convolution, nodes) -> Iterator[tuple[str, list[tf.NodeDef]]]:
    """What stands for the two nodes; nothing when a value is not constant."""
    values = [_constant(name, nodes) for name in batch_norm.input[1:5]]
    weights = _constant(convolution.input[1], nodes)
    if weights is None or any(value is None for value in values):
        return
    gamma, beta, mean, variance = values
    scale = gamma / np.sqrt(variance + batch_norm.attr["epsilon"].f)
    shaped = scale
    if convolution.op == "DepthwiseConv2dNative":  # [height, width, in, multiplier].
        shaped = scale.reshape(weights.shape[2:])
    folded = _const(f"{convolution.name}/folded_weights", weights * shaped)
    new = tf.NodeDef()
    new.CopyFrom(convolution)
    new.input[1] = folded.name
    yield convolution.name, [folded, new]
    bias = _const(f"{batch_norm.name}/folded_bias", beta - mean * scale)
    add = tf.NodeDef(name=batch_norm.name, op="BiasAdd", device=batch_norm.device)
    # What else it has as inputs are those that it waits for.
    add.input.extend([convolution.name, bias.name, *batch_norm.input[5:]])
    for attribute in ("T", "data_format"):
        add.attr[attribute].CopyFrom(batch_norm.attr[attribute])
    yield batch_norm.name, [bias, add]


def _name(tensor_name):
    return tensor_name.lstrip("^").partition(":")[0]


def _constant(name, nodes) -> np.ndarray | None:
    node = nodes[_name(name)]
    while node.op == "Identity":  # What reads a variable.
        node = nodes[_name(node.input[0])]
    return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None


def _const(name, value):
    tensor = tf.make_tensor_proto(value.astype(np.float32))
    node = tf.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node
