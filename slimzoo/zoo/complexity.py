"""Counts the multiply-adds of a graph.

They are those of convolutions and matrix products, with padding counted as
pixels, which is how papers count them.
"""

import math

import tensorflow.compat.v1 as tf

# Multiply-adds per value of the output, by shape of the weights.
_PER_OUTPUT = {
    "Conv2D": lambda weights: math.prod(weights[:3]),
    "Conv3D": lambda weights: math.prod(weights[:4]),
    "DepthwiseConv2dNative": lambda weights: math.prod(weights[:2]),
}


def multiply_adds(graph: tf.Graph, output: tf.Tensor) -> int:
    """The multiply-adds for `output`, for the batch that the graph was built for."""
    needed = tf.graph_util.extract_sub_graph(
        graph.as_graph_def(), [output.op.name]
    ).node
    return sum(_of(graph.get_operation_by_name(node.name)) for node in needed)


def _of(operation: tf.Operation) -> int:
    inputs = [tensor.shape.as_list() for tensor in operation.inputs]
    outputs = [tensor.shape.num_elements() for tensor in operation.outputs]
    if operation.type in _PER_OUTPUT:
        return outputs[0] * _PER_OUTPUT[operation.type](inputs[1])
    if operation.type == "Conv2DBackpropInput":  # A transposed convolution.
        return math.prod(inputs[2]) * math.prod(inputs[1][:3])
    if operation.type == "MatMul":
        return outputs[0] * inputs[0][0 if operation.get_attr("transpose_a") else 1]
    return 0
