"""Frozen graphs, whose constants keep the names of the variables they were."""

import pathlib
import re

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from nets.registry import Network
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimzoo.zoo.ports.weights import MisfitError, Weights

# Ends the names of operations that read a resource variable, as freezing leaves them.
_READS_RESOURCE = re.compile(r"(^|/)ReadVariableOp(_\d+)?$")


def is_graph(path: pathlib.Path) -> bool:
    """Whether a file is a binary GraphDef with nodes."""
    return path.is_file() and _parsed(path) is not None


def _parsed(path: pathlib.Path) -> tf.GraphDef | None:
    graph = tf.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except DecodeError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    sound = graph.node and all(node.name and node.op for node in graph.node)
    return graph if sound else None


def read(path: pathlib.Path, network: Network, width: float) -> Weights:
    """Reads the constants of a frozen graph that were variables.

    Raises:
      MisfitError: when it has none.
    """
    del network, width  # Their names are the same in all.
    graph = _parsed(path) or tf.GraphDef()
    found = constants(graph)
    if not found:
        raise MisfitError(
            f"the graph {path} has no constants that were variables (<name> and "
            "<name>/read): it is not frozen, or their names are lost. Give a "
            "checkpoint or a SavedModel of it"
        )
    return Weights(kind="the frozen graph", tensors=found, image_size=image_size(graph))


def constants(graph: tf.GraphDef) -> dict[str, np.ndarray]:
    """The float constants of a graph that were variables, by their names."""
    read_by = {
        node.input[0].removesuffix(":0"): node.name
        for node in graph.node
        if node.op == "Identity" and node.input
    }
    found = {}
    for node in graph.node:
        reader = read_by.get(node.name, "")
        was_variable = reader == f"{node.name}/read" or _READS_RESOURCE.search(reader)
        if node.op == "Const" and was_variable:
            value = tf.make_ndarray(node.attr["value"].tensor)
            if np.issubdtype(value.dtype, np.floating):
                found[node.name] = value
    return found


def image_size(graph: tf.GraphDef) -> Size | None:
    """Height and width of the pictures that a graph takes, where it says so."""
    found = set()
    functions = graph.library.function
    for node in [*graph.node, *(n for f in functions for n in f.node_def)]:
        if node.op == "Placeholder" and node.attr["dtype"].type == tf.float32:
            shape = tf.TensorShape(node.attr["shape"].shape)
            if shape.rank == 4 and None not in shape.as_list()[1:3]:
                found.add(tuple(shape.as_list()[1:3]))
    return found.pop() if len(found) == 1 else None
