"""Export: a network's graph without its weights, for freeze_graph."""

import pathlib

import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory
from slimzoo import files, model_info
from slimzoo.config import ExportConfig
from slimzoo.errors import UserError
from slimzoo.graph import classic_graph

INPUT_NAME = "input"


def export(config: ExportConfig) -> str:
    """Writes the inference GraphDef of a network, input `input`, to `output_file`.

    Returns:
      The name of the output node, as `--output_node_names` of freeze_graph takes it.

    Raises:
      UserError: for what the user can mend; there is no file then.
    """
    _check(config)
    info = model_info.settle(config, {}, config.image_size)
    dataset = dataset_factory.get_dataset(
        info.dataset_name,
        next(iter(dataset_factory.DATASETS[info.dataset_name].splits_to_sizes)),
        config.dataset_dir or "",
    )
    info = model_info.with_classes(info, dataset)
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, _input_shape(config, info), INPUT_NAME)
        network_fn = info.network_fn(is_training=config.is_training)
        logits, end_points = network_fn(images)
        output = end_points.get("Predictions", logits)
        path = pathlib.Path(config.output_file)
        with files.replacing(path) as temporary:
            tf.io.write_graph(
                graph.as_graph_def(),
                str(temporary.parent),
                temporary.name,
                as_text=config.write_text_graphdef,
            )
    logging.info("Wrote %s: %s, %d classes", path, info.model_name, info.num_classes)
    logging.info("input:  %s, float32 %s", images.op.name, images.shape)
    logging.info("output: %s, float32 %s", output.op.name, output.shape)
    return output.op.name


def _check(config: ExportConfig) -> None:
    if not config.output_file:
        raise UserError("--output_file is missing: give the GraphDef to write")
    if config.is_video_model and not config.num_frames:
        raise UserError("--is_video_model needs --num_frames, the frames of a clip")
    if config.quantize:
        raise UserError("--quantize: quantization-aware networks are not available")


def _input_shape(config: ExportConfig, info: model_info.ModelInfo) -> list[int | None]:
    channels = 1 if info.use_grayscale else info.channels
    frames = [config.num_frames] if config.is_video_model else []
    return [config.batch_size, *frames, info.image_size, info.image_size, channels]
