"""Export: a network's graph for freeze_graph, or with its weights for use elsewhere."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory, imagenet
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from nets.registry import NETWORKS
from slimbase import files, quiet
from slimbase.errors import UserError, unknown
from slimbase.graph import classic_graph, session_config
from slimzoo.config.export import ExportConfig
from slimzoo.exporting import examples, model_card, record, verify
from slimzoo.exporting.staging import record_path, size_of, staged
from slimzoo.formats import freezing, keras_model, onnx, trained, writers
from slimzoo.formats.trained import INPUT_NAME, Settings, Trained
from slimzoo.formats.writers import FORMATS
from slimzoo.inference import chosen, weights
from slimzoo.inference.chosen import Chosen
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo

_ADVICE = {
    "float32": "",
    "float16": " Try --quantization=float32.",
    "dynamic": " Try --quantization=float16, or train with --quantize_delay.",
    "int8": " Try more pictures (--calibration_size), --quantization=dynamic or "
    "float16, or train with --quantize_delay.",
}


def export(config: ExportConfig) -> str:
    """Writes the inference GraphDef of a network, input `input`, to `output_file`.

    Returns:
      The name of the output node, as `--output_node_names` of freeze_graph takes it.

    Raises:
      UserError: for what the user can fix; there is no file then.
    """
    _check(config)
    manifest = manifests.read_manifest(config.dataset_dir)
    info = model_info.settle(config, {}, config.image_size, manifest)
    _check_clips(config, info)
    descriptor = dataset_factory.describe(
        info.dataset_name, config.dataset_dir, manifest
    )
    split = next(iter(descriptor.splits_to_sizes))
    info = model_info.with_classes(info, descriptor.find_split(split, manifest))
    with classic_graph() as graph:
        shape = [config.batch_size, *_input_shape(config, info)]
        images = tf.placeholder(tf.float32, shape, INPUT_NAME)
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
    logging.info(f"Wrote {path}: {info.model_name}, {info.num_classes} classes")
    logging.info(f"input:  {images.op.name}, float32 {images.shape}")
    logging.info(f"output: {output.op.name}, float32 {output.shape}")
    return output.op.name


def _check(config: ExportConfig) -> None:
    if not config.output_file:
        raise UserError("--output_file is missing: give what to write")
    if config.is_video_model and not config.num_frames:
        raise UserError("--is_video_model needs --num_frames, the frames of a clip")
    if config.checkpoint_path is None and config.format is not None:
        raise UserError(
            f"--format={config.format} needs the weights: give --checkpoint_path"
        )
    model_card.check(config)


def _check_clips(config: ExportConfig, info: ModelInfo) -> None:
    frames = NETWORKS[info.model_name].frames
    if config.is_video_model and not frames:
        video = sorted(name for name, network in NETWORKS.items() if network.frames)
        raise UserError(
            f"--is_video_model: {info.model_name} takes pictures; those that take "
            f"clips are {', '.join(video)}"
        )
    if frames and not config.is_video_model:
        raise UserError(
            f"{info.model_name} takes clips: give --is_video_model and --num_frames, "
            f"as {frames}"
        )


def _input_shape(config: ExportConfig, info: ModelInfo) -> list[int]:
    """The shape of one image or clip."""
    frames = [config.num_frames] if config.num_frames and config.is_video_model else []
    return [*frames, *info.image_size, info.channels]


def export_trained(config: ExportConfig) -> dict[str, Any]:
    """Writes a network with the weights of a checkpoint, and checks what was written.

    The result is also written to `<output_file>.json`.

    Returns:
      What a program needs to use it: all of a ModelInfo, and `file`, `format`, `bytes`,
      `inputs`, `outputs`, `verification` and more; see docs/export.md.

    Raises:
      UserError: for what the user can fix, and when what was written answers otherwise
        than the checkpoint. What was at `output_file` before is still there then.
    """
    format_name = _check_trained(config)
    network = settle(config)
    info = network.info
    _check_clips(config, info)
    if format_name == "keras":
        keras_model.check(info)
    if info.quantize and format_name == "tflite":  # By the ranges that it learned.
        config = dataclasses.replace(config, quantization="int8")
    with staged(pathlib.Path(config.output_file)) as path:
        calibration, shown = examples.choose(config, info)
        frozen, expected = freeze(config, network, shown.images)
        settings = _settings(config, format_name, calibration)
        with quiet.without_information():  # Converters and loaders say much.
            FORMATS[format_name].write(frozen, path, settings)
            written = verify.run_written(format_name, path, shown)
        comparisons = [
            verify.compare(what, expected, values)
            for what, values in written.probabilities.items()
        ]
        bounds = verify.tolerance(config.quantization, config.min_agreement, shown)
        verify.check(comparisons, bounds, _ADVICE[config.quantization])
        content = dataclasses.asdict(info) | {
            "moving_average_decay": None,  # It has no other weights.
            "file": path.name,
            "format": format_name,
            "bytes": size_of(path),
            "checkpoint": network.path,
            "global_step": checkpoints.step_of(network.path),
            "moving_averages": bool(info.moving_average_decay),
            "batch_norm_folded": settings.fold,
            "quantization": config.quantization,
            **record.ports(written, info),
            "verification": record.verification(comparisons, bounds, shown),
        }
        files.write_json(record_path(path), content)
    if config.model_card:
        model_card.write(config, content)
    return content


def _settings(
    config: ExportConfig, format_name: str, calibration: np.ndarray | None
) -> Settings:
    form, fold = FORMATS[format_name], config.fold_batch_norm
    return Settings(
        fold=form.folds if fold is None else fold,
        batch_size=config.batch_size or form.batch_size,
        quantization=config.quantization,
        integer_type=config.integer_type,
        calibration=calibration,
    )


def _check_trained(config: ExportConfig) -> str:
    """Checks the options; returns the name of the format."""
    _check(config)
    name = config.format or writers.named_by(config.output_file)
    if name not in FORMATS:
        raise unknown(f"--format={name} is unknown", name, FORMATS)
    suffix = FORMATS[name].suffix
    if not config.output_file.endswith(suffix):
        raise UserError(
            f"--output_file={config.output_file} should end in {suffix} for "
            f"--format={name}: programs go by it"
        )
    quantization = config.quantization
    if quantization not in trained.QUANTIZATIONS:
        message = f"--quantization={quantization} is unknown"
        raise unknown(message, quantization, trained.QUANTIZATIONS)
    if config.integer_type not in trained.INTEGER_TYPES:
        raise UserError(f"--integer_type={config.integer_type} should be uint8 or int8")
    if quantization != "float32" and name != "tflite":
        raise UserError(
            f"--quantization={quantization} is for --format=tflite, not {name}"
        )
    if not 0 <= config.min_agreement <= 1:
        raise UserError(f"--min_agreement={config.min_agreement} should be in 0 to 1")
    if config.is_training or config.write_text_graphdef:
        raise UserError(
            "--is_training and --write_text_graphdef are for graphs without weights: "
            "leave out --checkpoint_path"
        )
    if name == "onnx":
        onnx.check_packages()
    if name == "keras" and (config.batch_size or config.fold_batch_norm):
        raise UserError(
            "--format=keras writes applications of Keras, which take batches of any "
            "size and have batch norm: leave out --batch_size and --fold_batch_norm"
        )
    return name


def settle(config: ExportConfig) -> Chosen:
    """The network in a checkpoint, with its classes and their names.

    Raises:
      UserError: when the checkpoint is of another network.
    """
    manifest = manifests.read_manifest(config.dataset_dir)
    network = chosen.with_own_classes(chosen.choose_checkpoint(config, manifest))
    info = network.info
    if network.offset_is_known:
        if info.labels:
            return network
        if not info.dataset_name:  # Weights from elsewhere, for classes of one's own.
            _report_numbers(info.num_classes)
            return network
    descriptor = dataset_factory.describe(
        info.dataset_name, config.dataset_dir, manifest
    )
    dataset = descriptor.find_split(descriptor.evaluation_split, manifest)
    info = chosen.with_offset(network, dataset, info.num_classes)
    if not info.labels:
        labels = _class_names(info, dataset)
        info = dataclasses.replace(info, labels=labels)
    return dataclasses.replace(network, info=info)


def _class_names(info: ModelInfo, dataset: StoredSplit) -> tuple[str, ...] | None:
    """The names of the classes, by the data set or as ImageNet's; None if unknown."""
    classes = info.num_classes or 0
    names = dataset.labels_to_names or {}
    if classes == dataset.num_classes - info.labels_offset and names:
        wanted = range(info.labels_offset, info.labels_offset + classes)
        return tuple(names.get(i, str(i)) for i in wanted)
    if classes in (1000, 1001):
        return imagenet.readable_names(classes)
    _report_numbers(classes)
    return None


def _report_numbers(classes: int | None) -> None:
    logging.info(f"Nobody knows the names of the {classes} classes: numbers are used")


def freeze(
    config: ExportConfig, network: Chosen, images: np.ndarray
) -> tuple[Trained, np.ndarray]:
    """The network with its weights, and its probabilities for `images`.

    Args:
      config: options of export.
      network: the checkpoint and what is known about it.
      images: preprocessed, float32 `[count, height, width, channels]`.

    Raises:
      UserError: when the checkpoint does not fit.
    """
    info = network.info
    with classic_graph():
        shape = [None, *_input_shape(config, info)]
        placeholder = tf.placeholder(tf.float32, shape, INPUT_NAME)
        logits, end_points = info.network_fn()(placeholder)
        output = end_points.get("Predictions", logits)
        probabilities = tf.nn.softmax(logits, name=trained.PROBABILITIES)
        restore = weights.restorer(info, network.path)
        with tf.Session(config=session_config()) as session:
            restore(session)
            run = session.make_callable(probabilities, [placeholder])
            expected = verify.in_batches(run, images)
            graph_def = freezing.freeze(session, [logits, output, probabilities])
    weights.log_weights(info, network.path)
    result = Trained(
        info,
        graph_def,
        logits=logits.op.name,
        output=output.op.name,
        probabilities=probabilities.op.name,
        is_video=config.is_video_model,
    )
    return result, expected
