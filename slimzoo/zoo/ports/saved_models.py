"""TensorFlow's own files whose variables keep slim's names.

Modules of TensorFlow Hub in both formats, other SavedModels, and checkpoints.
"""

import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from nets.registry import Network
from slimbase.errors import UserError
from slimzoo.model import checkpoints
from slimzoo.zoo.ports import frozen
from slimzoo.zoo.ports.weights import Weights

_GRAPH = "saved_model.pb"
_MODULE = "tfhub_module.pb"
_VARIABLES = "variables/variables"
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"


def is_saved_model(path: pathlib.Path) -> bool:
    """Whether `path` is the directory of a SavedModel or Hub module."""
    return (path / _GRAPH).is_file()


def is_checkpoint(path: pathlib.Path) -> bool:
    """Whether `path` is a directory with a checkpoint, or the index of one."""
    if path.is_dir():
        return bool([*path.glob("*.index")])
    return path.suffix == ".index"


def read_checkpoint(path: pathlib.Path, network: Network, width: float) -> Weights:
    """Reads a checkpoint.

    Raises:
      UserError: when it cannot be read.
    """
    del network, width  # Their names are the same in all.
    tensors = _tensors(checkpoints.find(str(path)))
    return Weights(kind="the checkpoint", tensors=tensors)


def read_saved_model(path: pathlib.Path, network: Network, width: float) -> Weights:
    """Reads a SavedModel or Hub module; without variables, the constants of its graph.

    Raises:
      UserError: when it cannot be read.
    """
    del width
    kind = "the Hub module" if (path / _MODULE).is_file() else "the SavedModel"
    graph = _graph(path)
    if (path / f"{_VARIABLES}.index").is_file():
        tensors = _tensors(str(path / _VARIABLES))
    else:
        tensors = frozen.constants(graph)
    return Weights(kind=kind, tensors=tensors, image_size=frozen.image_size(graph))


def _graph(path: pathlib.Path) -> tf.GraphDef:
    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString((path / _GRAPH).read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path / _GRAPH}: {error.strerror}") from error
    except DecodeError as error:
        raise UserError(f"{path / _GRAPH} is damaged: get it again") from error
    if not proto.meta_graphs:
        raise UserError(f"{path / _GRAPH} holds no graph: get it again")
    # A Hub module has one for training, too; the variables are the same.
    meta = min(proto.meta_graphs, key=lambda meta: len(meta.meta_info_def.tags))
    return meta.graph_def


def _tensors(prefix: str) -> dict[str, np.ndarray]:
    """The values of a checkpoint by their variables' names."""
    shapes = checkpoints.shapes(prefix)
    reader = tf.train.NewCheckpointReader(prefix)
    with checkpoints.explained_errors(prefix):
        if _OBJECTS in shapes:
            keys = _keys_of_objects(reader.get_tensor(_OBJECTS), prefix)
        else:
            keys = {name: name for name in shapes}
        return {name: reader.get_tensor(key) for name, key in keys.items()}


def _keys_of_objects(content: bytes, prefix: str) -> dict[str, str]:
    """The keys in an object-based checkpoint, by the variables' full names."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        graph.ParseFromString(content)
    except DecodeError as error:
        raise UserError(f"{prefix} is damaged: get it again") from error
    found = {}
    for node in graph.nodes:
        for attribute in node.attributes:
            if attribute.name == "VARIABLE_VALUE":
                found[attribute.full_name or attribute.checkpoint_key] = (
                    attribute.checkpoint_key
                )
    return found
