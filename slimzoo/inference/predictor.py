"""Trained classifiers, whatever file they are in, as functions of images."""

import pathlib

import tensorflow.compat.v1 as tf

from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimbase.graph import classic_graph, session_config
from slimzoo.formats import bfloat16, freezing, frozen, runtimes, writers
from slimzoo.formats.predictor import Predictor
from slimzoo.formats.runtimes import Opening
from slimzoo.formats.trained import INPUT_NAME
from slimzoo.inference import weights
from slimzoo.model.info import ModelInfo


def from_checkpoint(
    info: ModelInfo,
    checkpoint: str,
    *,
    end_point: str | None = None,
    compute: str = "float32",
    runtime: str = runtimes.TENSORFLOW,
    master: str = "",
    gpu_memory_growth: bool = False,
) -> Predictor:
    """A network with the weights of a checkpoint, frozen, batch norm folded.

    Args:
      info: what is known about the network.
      checkpoint: the checkpoint, as `checkpoints.find` returns it.
      end_point: name of an end point whose values are wanted too.
      compute: precision, as `--precision` takes it.
      runtime: runtime, as `--runtime` takes it.
      master: address of the TensorFlow server.
      gpu_memory_growth: whether GPU memory is taken as it is needed.

    Raises:
      UserError: when the checkpoint does not fit, there is no such end point, or the
        runtime is not installed.
    """
    if NETWORKS[info.model_name].frames:
        raise UserError(
            f"{info.model_name} takes clips, and this is for networks of pictures: "
            "check --model_name"
        )
    with classic_graph():
        shape = [None, *info.image_size, info.channels]
        images = tf.placeholder(tf.float32, shape, INPUT_NAME)
        logits, end_points = info.network_fn()(images)
        outputs = [logits]
        if end_point:
            outputs.append(weights.choose_end_point(end_points, end_point))
        restore = weights.restorer(info, checkpoint)
        with tf.Session(config=session_config(gpu_memory_growth)) as session:
            restore(session)
            graph_def = freezing.freeze(session, outputs)
    names = [output.op.name for output in outputs]
    graph_def = freezing.fold_batch_norms(graph_def, names)
    if compute == "bfloat16" and runtime == runtimes.TENSORFLOW:
        graph_def, names = bfloat16.to_bfloat16(graph_def, names)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        images = graph.get_tensor_by_name(images.name)
        outputs = [graph.get_tensor_by_name(f"{name}:0") for name in names]
    opening = Opening(
        runtime=runtime,
        precision=compute,
        master=master,
        gpu_memory_growth=gpu_memory_growth,
    )
    return frozen.open_graph(images, outputs, opening)


def from_file(
    path: str,
    *,
    end_point: str | None = None,
    input_layer: str | None = None,
    output_layer: str | None = None,
    compute: str = "float32",
    runtime: str = runtimes.TENSORFLOW,
    gpu_memory_growth: bool = False,
) -> Predictor:
    """A network that was exported: any of `writers.FORMATS`.

    Args:
      path: the path of the file or directory, which decides the format.
      end_point: name of an operation of a frozen graph whose values are wanted too.
      input_layer: name of a frozen graph's input, if it is not the only placeholder.
      output_layer: name of a frozen graph's output, if it is not the only one.
      compute: precision, if another runtime than TensorFlow computes.
      runtime: runtime, as `--runtime` takes it.
      gpu_memory_growth: whether GPU memory is taken as it is needed.

    Raises:
      UserError: when there is no such network in it.
    """
    if not pathlib.Path(path).exists():
        raise UserError(f"--graph: there is no {path}")
    name = writers.of_file(path)
    form = writers.FORMATS[name]
    if name != "frozen":
        if end_point or input_layer or output_layer:
            raise UserError(
                "--end_point, --input_layer and --output_layer are for checkpoints and "
                f"frozen graphs; {path} has the inputs and outputs it was exported with"
            )
        if runtime not in form.runtimes:
            needed = " or ".join(form.runtimes)
            raise UserError(f"--graph={path} needs --runtime={needed}")
    opening = Opening(
        end_point=end_point,
        input_layer=input_layer,
        output_layer=output_layer,
        runtime=runtime,
        precision=compute,
        gpu_memory_growth=gpu_memory_growth,
    )
    return form.open(path, opening)
