"""The content of a GraphDef: inputs, likely outputs, operations and parameters."""

import collections
import math
import pathlib

import tensorflow.compat.v1 as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from slimbase.errors import UserError
from slimzoo.formats.freezing import node_name

_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
# Nothing reads the results of these, and yet they are no outputs.
_NO_OUTPUT = (
    *("Assert", "Assign", "AssignVariableOp", "Const", "NoOp", "Placeholder"),
    *("RestoreV2", "SaveV2", *_VARIABLES),
)
_MOST_OPERATIONS = 40


def describe(path: str) -> str:
    """Describes a GraphDef file, binary or text, with weights or without.

    Returns:
      Lines: inputs (placeholders), likely outputs (operations whose results nothing
      reads), the number of constants and variables and of the values in them, and the
      number of operations of each type.

    Raises:
      UserError: when the file is no GraphDef.
    """
    graph_def = _read(path)
    nodes = list(graph_def.node)
    for function in graph_def.library.function:
        nodes.extend(function.node_def)
    is_read = {node_name(name) for node in nodes for name in node.input}
    inputs = [node for node in graph_def.node if node.op.startswith("Placeholder")]
    outputs = [
        node
        for node in graph_def.node
        if node.name not in is_read and node.op not in _NO_OUTPUT
    ]
    constants = [math.prod(_constant_shape(n)) for n in nodes if n.op == "Const"]
    variables = [math.prod(_shape(n) or []) for n in nodes if n.op in _VARIABLES]
    types = collections.Counter(node.op for node in nodes).most_common()
    lines = [f"inputs: {len(inputs)}"]
    lines += [f"  {n.name}, {_type(n, 'dtype')} {_shape_text(n)}" for n in inputs]
    lines.append(f"likely outputs: {len(outputs)}")
    lines += [f"  {node.name}, {node.op}" for node in outputs[:_MOST_OPERATIONS]]
    lines.append(f"constants: {len(constants):,} of {sum(constants):,} values")
    lines.append(f"variables: {len(variables):,} of {sum(variables):,} values")
    lines.append(f"operations: {len(nodes):,}")
    lines += [f"  {count:6,} {name}" for name, count in types[:_MOST_OPERATIONS]]
    if len(types) > _MOST_OPERATIONS:
        rest = types[_MOST_OPERATIONS:]
        lines.append(f"  {sum(n for _, n in rest):6,} of {len(rest)} other types")
    functions = len(graph_def.library.function)
    if functions:
        lines.append(f"functions: {functions}")
    lines.append(f"producer version: {graph_def.versions.producer}")
    return "\n".join(lines)


def _read(path: str) -> tf.GraphDef:
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the graph {path}: {error.strerror}") from error
    try:
        graph_def = tf.GraphDef.FromString(content)
    except DecodeError:
        graph_def = tf.GraphDef()
        try:
            text_format.Parse(content.decode("utf-8"), graph_def)
        except (text_format.ParseError, UnicodeDecodeError):
            raise UserError(
                f"{path} is not a GraphDef, binary or text. For SavedModels there is "
                "saved_model_cli show --all --dir"
            ) from None
    if not graph_def.node:
        raise UserError(f"{path} is empty: there is no graph")
    return graph_def


def _constant_shape(node: tf.NodeDef) -> list[int]:
    return [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]


def _shape(node: tf.NodeDef) -> list[int] | None:
    shape = node.attr["shape"].shape
    if "shape" not in node.attr or shape.unknown_rank:
        return None
    return [dim.size for dim in shape.dim]


def _shape_text(node: tf.NodeDef) -> str:
    shape = _shape(node)
    if shape is None:
        return "of any shape"
    return f"[{', '.join('any' if n < 0 else str(n) for n in shape)}]"


def _type(node: tf.NodeDef, attribute: str) -> str:
    return tf.as_dtype(node.attr[attribute].type).name
