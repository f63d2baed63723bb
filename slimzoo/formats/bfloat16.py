"""Frozen graphs that compute in bfloat16.

Grappler's own rewrite decides by kinds of operations. This one decides by their places,
too: operations that see pixels and those that give the logits stay in float32. Weights
are constants here, so that Grappler converts them to bfloat16 once, and makes
activations part of convolutions.
"""

import collections
from collections.abc import Sequence

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import op_def_registry

from slimzoo.formats.freezing import node_name

_HEAVY = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
# These take the type of their inputs.
# fmt: off
_FOLLOWING = frozenset(
    (
        "Add", "AddN", "AddV2", "AvgPool", "BiasAdd", "ConcatV2",
        "FusedBatchNormV3", "Identity", "MaxPool", "Mean", "Mul", "Pad", "Relu",
        "Relu6", "Reshape", "Slice", "Squeeze", "StridedSlice", "Sub",
    )
)
# fmt: on
_MOST_COLOURS = 4  # Channels of images, before the first convolution.
_FLOAT, _HALF = (d.as_datatype_enum for d in (tf.float32, tf.bfloat16))
_SUFFIX = {True: "to_bfloat16", False: "to_float32"}


def to_bfloat16(
    graph_def: tf.GraphDef, outputs: Sequence[str]
) -> tuple[tf.GraphDef, list[str]]:
    """Makes convolutions, and what lies between them, compute in bfloat16.

    Args:
      graph_def: a frozen graph, its operations in the order of computation.
      outputs: names of the operations whose results are wanted.

    Returns:
      A new graph, and the names of the operations that give the results as float32.
    """
    return _Narrowing(graph_def, outputs).result()


class _Narrowing:
    """One rewrite of a graph; see `to_bfloat16`."""

    def __init__(self, graph_def: tf.GraphDef, outputs: Sequence[str]):
        self._given, self._outputs = graph_def, outputs
        self._nodes = {node.name: node for node in graph_def.node}
        self._last = _last_heavy(graph_def)
        self._new = tf.GraphDef(versions=graph_def.versions, library=graph_def.library)
        self._half: set[str] = set()
        self._casts: set[str] = set()

    def result(self) -> tuple[tf.GraphDef, list[str]]:
        for node in self._given.node:
            is_half = self._becomes_half(node)
            copy = tf.NodeDef()
            copy.CopyFrom(node)
            for i in _of_main_type(node):
                copy.input[i] = self._as(node.input[i], is_half)
            if is_half:
                copy.attr["T"].type = _HALF
                self._half.add(node.name)
            self._new.node.append(copy)
        names = [self._as(name, False) for name in self._outputs]
        return self._new, names

    def _becomes_half(self, node: tf.NodeDef) -> bool:
        if "T" not in node.attr or node.attr["T"].type != _FLOAT:
            return False
        if node.op in _HEAVY:
            return node.name not in self._last and not self._sees_pixels(node)
        reads = [node.input[i] for i in _of_main_type(node)]
        return node.op in _FOLLOWING and any(name in self._half for name in reads)

    def _sees_pixels(self, node: tf.NodeDef) -> bool:
        weights = self._nodes.get(node.input[1])
        while weights is not None and weights.op == "Identity":
            weights = self._nodes.get(weights.input[0])
        if weights is None or weights.op != "Const" or node.op == "MatMul":
            return False
        shape = tf.TensorShape(weights.attr["value"].tensor.tensor_shape)
        return shape[2] <= _MOST_COLOURS

    def _as(self, name: str, is_half: bool) -> str:
        """The name of the tensor `name` as bfloat16, or as float32."""
        if (name in self._half) == is_half:
            return name
        cast = f"{name.replace(':', '/')}/{_SUFFIX[is_half]}"
        if cast not in self._casts:
            node = self._new.node.add(name=cast, op="Cast", input=[name])
            types = (_FLOAT, _HALF) if is_half else (_HALF, _FLOAT)
            node.attr["SrcT"].type, node.attr["DstT"].type = types
            self._casts.add(cast)
        return cast


def _of_main_type(node: tf.NodeDef) -> list[int]:
    """The indices of the inputs of type `T`."""
    definition = op_def_registry.get(node.op)
    places, at = [], 0
    for argument in definition.input_arg if definition else ():
        count = node.attr[argument.number_attr].i if argument.number_attr else 1
        if argument.type_attr == "T":
            places += range(at, at + count)
        at += count
    return places


def _last_heavy(graph_def: tf.GraphDef) -> set[str]:
    """The heavy operations that no other such operation depends on."""
    readers = collections.defaultdict(list)
    for node in graph_def.node:
        for name in node.input:
            readers[node_name(name)].append(node)
    leads_on: dict[str, bool] = {}
    for node in reversed(graph_def.node):
        leads_on[node.name] = any(
            reader.op in _HEAVY or leads_on[reader.name]
            for reader in readers[node.name]
        )
    return {n.name for n in graph_def.node if n.op in _HEAVY and not leads_on[n.name]}
