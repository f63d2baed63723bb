"""Networks as constants: weights put into the graph, batch norm folded into weights."""

import collections
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

_BATCH_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")

_Nodes = Mapping[str, tf.NodeDef]


def freeze(session: tf.Session, outputs: Sequence[tf.Tensor]) -> tf.GraphDef:
    """The part of the session's graph that `outputs` need, with constant weights."""
    names = [output.op.name for output in outputs]
    graph_def = session.graph.as_graph_def()
    return tf.graph_util.convert_variables_to_constants(session, graph_def, names)


def fold_batch_norms(graph_def: tf.GraphDef, outputs: Sequence[str]) -> tf.GraphDef:
    """Multiplies the scales of batch norms into the convolutions before them.

    A bias of the same name replaces such a batch norm. Results change by rounding
    only, but the convolution's own output is another one then. A batch norm stays as it
    is if it follows something else, or a convolution that is read elsewhere too.

    Args:
      graph_def: a frozen graph.
      outputs: names of the operations whose results are wanted.

    Returns:
      A new graph, with the nodes that `outputs` need.
    """
    nodes = {node.name: node for node in graph_def.node}
    reads = [name for node in graph_def.node for name in node.input]
    readers = collections.Counter(map(node_name, reads))
    statistics = {node_name(name) for name in reads if re.search(r":[1-9]\d*$", name)}
    replaced: dict[str, list[tf.NodeDef]] = {}
    for node in graph_def.node:
        if node.op in _BATCH_NORMS and not node.attr["is_training"].b:
            convolution = nodes[node_name(node.input[0])]
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


def node_name(tensor_name: str) -> str:
    """The name of the node that gives a tensor, or that is waited for."""
    return tensor_name.lstrip("^").partition(":")[0]


def _folded(
    batch_norm: tf.NodeDef, convolution: tf.NodeDef, nodes: _Nodes
) -> Iterator[tuple[str, list[tf.NodeDef]]]:
    """The nodes that replace the two; none if a value is not constant."""
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
    # Its other inputs are nodes that it waits for.
    add.input.extend([convolution.name, bias.name, *batch_norm.input[5:]])
    for attribute in ("T", "data_format"):
        add.attr[attribute].CopyFrom(batch_norm.attr[attribute])
    yield batch_norm.name, [bias, add]


def _constant(name: str, nodes: _Nodes) -> np.ndarray | None:
    node = nodes[node_name(name)]
    while node.op == "Identity":  # The read of a variable.
        node = nodes[node_name(node.input[0])]
    return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None


def _const(name: str, value: np.ndarray) -> tf.NodeDef:
    tensor = tf.make_tensor_proto(value.astype(np.float32))
    node = tf.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node
