"""Export: a network's graph for freeze_graph, or with its weights for use elsewhere."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory, imagenet
from datasets.storage import manifests
from nets.registry import NETWORKS
from preprocessing import preprocessing_factory
from slimbase import files
from slimbase.errors import UserError, unknown
from slimbase.graph import classic_graph, session_config
from slimzoo.config.export import ExportConfig
from slimzoo.exporting import verify
from slimzoo.exporting.verify import Comparison, Pictures, Written
from slimzoo.formats import freezing, writers
from slimzoo.formats.writers import FORMATS, INPUT_NAME, Settings, Trained
from slimzoo.inference import weights
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo


def export(config: ExportConfig) -> str:
    """Writes the inference GraphDef of a network, input `input`, to `output_file`.

    Returns:
      The name of the output node, as `--output_node_names` of freeze_graph takes it.

    Raises:
      UserError: for what the user can mend; there is no file then.
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
    logging.info("Wrote %s: %s, %d classes", path, info.model_name, info.num_classes)
    logging.info("input:  %s, float32 %s", images.op.name, images.shape)
    logging.info("output: %s, float32 %s", output.op.name, output.shape)
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
    """Of one example."""
    frames = [config.num_frames] if config.num_frames and config.is_video_model else []
    return [*frames, *info.image_size, info.channels]


def export_trained(config: ExportConfig) -> dict[str, Any]:
    """Writes a network with the weights of a checkpoint, and checks what was written.

    Beside `output_file`, `<output_file>.json` gets what is returned.

    Returns:
      What a program needs to use it: all of a ModelInfo, and `file`, `format`, `bytes`,
      `inputs`, `outputs`, `verification` and more; see docs/export.md.

    Raises:
      UserError: for what the user can mend, and where what was written answers
        otherwise than the checkpoint. What was at `output_file` is still there then.
    """
    format_name = _check_trained(config)
    checkpoint = checkpoints.find(config.checkpoint_path or "")
    info = settle(config, checkpoint)
    _check_clips(config, info)
    if info.quantize and format_name == "tflite":  # By the ranges that it learned.
        config = dataclasses.replace(config, quantization="int8")
    with _staged(pathlib.Path(config.output_file)) as staged:
        calibration, pictures = _pictures(config, info)
        trained, expected = freeze(config, info, checkpoint, pictures.images)
        form = FORMATS[format_name]
        fold = config.fold_batch_norm
        fold = form.folds if fold is None else fold
        settings = Settings(
            fold=fold,
            batch_size=config.batch_size or form.batch_size,
            quantization=config.quantization,
            integer_type=config.integer_type,
            calibration=calibration,
        )
        with _without_news():
            form.write(trained, staged, settings)
            written = verify.run_written(format_name, staged, pictures)
        comparisons = [
            verify.compare(what, expected, values)
            for what, values in written.probabilities.items()
        ]
        tolerance = verify.tolerance(
            config.quantization, config.min_agreement, pictures
        )
        verify.check(comparisons, tolerance, _ADVICE[config.quantization])
        facts = dataclasses.asdict(info) | {
            "moving_average_decay": None,  # It has no other weights.
            "file": staged.name,
            "format": format_name,
            "bytes": _size(staged),
            "checkpoint": checkpoint,
            "global_step": checkpoints.step_of(checkpoint),
            "moving_averages": bool(info.moving_average_decay),
            "batch_norm_folded": fold,
            "quantization": config.quantization,
            **_tensors(written, info),
            "verification": _verification(comparisons, tolerance, pictures),
        }
        files.write_json(facts_path(staged), facts)
    return facts


@contextlib.contextmanager
def _without_news() -> Iterator[None]:
    """Converters and loaders tell much that is not news to anybody."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


_ADVICE = {
    "float32": "",
    "float16": " Try --quantization=float32.",
    "dynamic": " Try --quantization=float16, or train with --quantize_delay.",
    "int8": " Try more pictures (--calibration_size), --quantization=dynamic or "
    "float16, or train with --quantize_delay.",
}


def facts_path(path: pathlib.Path) -> pathlib.Path:
    """Where the facts of what was exported to `path` stand."""
    return path.with_name(f"{path.name}.json")


def _check_trained(config: ExportConfig) -> str:
    _check(config)
    name = config.format or _format_of(config.output_file)
    if name not in FORMATS:
        raise unknown(f"--format={name} is unknown", name, FORMATS)
    suffix = FORMATS[name].suffix
    if not config.output_file.endswith(suffix):
        raise UserError(
            f"--output_file={config.output_file} should end in {suffix} for "
            f"--format={name}: programs go by it"
        )
    if config.quantization not in writers.QUANTIZATIONS:
        raise unknown(
            f"--quantization={config.quantization} is unknown",
            *(config.quantization, writers.QUANTIZATIONS),
        )
    if config.integer_type not in writers.INTEGER_TYPES:
        raise UserError(f"--integer_type={config.integer_type} should be uint8 or int8")
    if config.quantization != "float32" and name != "tflite":
        raise UserError(
            f"--quantization={config.quantization} is for --format=tflite, not {name}"
        )
    if not 0 <= config.min_agreement <= 1:
        raise UserError(f"--min_agreement={config.min_agreement} should be in 0 to 1")
    if config.is_training or config.write_text_graphdef:
        raise UserError(
            "--is_training and --write_text_graphdef are for graphs without weights: "
            "leave out --checkpoint_path"
        )
    if name == "onnx":
        for package in ("tf2onnx", "onnxruntime"):
            writers.onnx_package(package)
    return name


def _format_of(path: str) -> str:
    """What the end of a file's name asks for: .tflite, .onnx, else a frozen graph."""
    ends = {format_.suffix: name for name, format_ in FORMATS.items() if format_.suffix}
    return ends.get(pathlib.Path(path).suffix, "frozen")


def settle(config: ExportConfig, checkpoint: str) -> ModelInfo:
    """The facts of the network in a checkpoint, its classes and their names included.

    Raises:
      UserError: when the checkpoint is of another network.
    """
    record = model_info.read(str(pathlib.Path(checkpoint).parent))
    manifest = manifests.read_manifest(config.dataset_dir)
    info = model_info.settle(config, record, config.image_size, manifest)
    if record.get("model_name") not in (None, info.model_name):
        info = dataclasses.replace(info, num_classes=None, labels=None)
    scope = NETWORKS[info.model_name].classifier_scopes[0]
    classes = info.num_classes or checkpoints.count_classes(checkpoint, scope)
    info = dataclasses.replace(info, num_classes=classes)
    knows_offset = config.labels_offset is not None or "labels_offset" in record
    if info.labels and knows_offset:
        return info
    descriptor = dataset_factory.describe(
        info.dataset_name, config.dataset_dir, manifest
    )
    dataset = descriptor.find_split(descriptor.evaluation_split, manifest)
    if not knows_offset:
        info = model_info.with_offset(info, dataset, classes)
    if info.labels:
        return info
    names = dataset.labels_to_names or {}
    wanted = range(info.labels_offset, info.labels_offset + classes)
    if classes == dataset.num_classes - info.labels_offset and names:
        labels = tuple(names.get(i, str(i)) for i in wanted)
        return dataclasses.replace(info, labels=labels)
    if classes in (1000, 1001):
        return dataclasses.replace(info, labels=imagenet.readable_names(classes))
    logging.info("Nobody knows the names of the %d classes: numbers are used", classes)
    return info


def _pictures(
    config: ExportConfig, info: ModelInfo
) -> tuple[np.ndarray | None, Pictures]:
    """Those to calibrate on, if it is wanted, and others to compare answers to."""
    frames = config.num_frames if config.is_video_model else None
    calibrates = config.quantization == "int8" and not info.quantize
    if calibrates and not config.dataset_dir:
        raise UserError(
            "--quantization=int8 is calibrated on pictures: give --dataset_dir"
        )
    if frames or not config.dataset_dir:
        return None, verify.noise(info, frames)
    dataset = verify.choose_split(
        info.dataset_name, config.dataset_dir, config.dataset_split_name
    )
    # A directory that has nothing but labels.txt is one without pictures.
    is_needed = calibrates or config.dataset_split_name
    if not is_needed and not dataset.record_files:
        return None, verify.noise(info)
    dataset.check_files()
    wanted = config.calibration_size if calibrates else 0
    most = wanted + config.verification_size
    pictures = verify.read_pictures(info, dataset, most)
    if len(pictures) < wanted:
        raise UserError(
            f"{info.dataset_name}'s split {dataset.name} has {len(pictures)} pictures "
            f"in {config.dataset_dir}, and --calibration_size is {wanted}: give at "
            f"most {len(pictures)}"
        )
    # Others than those of calibration, as far as there are any.
    shown = min(config.verification_size, len(pictures))
    return pictures.images[:wanted], pictures[-shown:]


def freeze(
    config: ExportConfig, info: ModelInfo, checkpoint: str, images: np.ndarray
) -> tuple[Trained, np.ndarray]:
    """The network with its weights, and its probabilities for `images`.

    Args:
      config: of export.
      info: of the network.
      checkpoint: as `checkpoints.find` returns it.
      images: preprocessed, float32 `[count, height, width, channels]`.

    Raises:
      UserError: when the checkpoint does not fit.
    """
    with classic_graph():
        shape = [None, *_input_shape(config, info)]
        placeholder = tf.placeholder(tf.float32, shape, INPUT_NAME)
        logits, end_points = info.network_fn()(placeholder)
        output = end_points.get("Predictions", logits)
        probabilities = tf.nn.softmax(logits, name=writers.PROBABILITIES)
        restore = weights.restorer(info, checkpoint)
        with tf.Session(config=session_config()) as session:
            restore(session)
            run = session.make_callable(probabilities, [placeholder])
            expected = verify.in_batches(run, images, None)
            graph_def = freezing.freeze(session, [logits, output, probabilities])
    weights.tell_weights(info, checkpoint)
    trained = Trained(
        info,
        graph_def,
        logits=logits.op.name,
        output=output.op.name,
        probabilities=probabilities.op.name,
        is_video=config.is_video_model,
    )
    return trained, expected


@contextlib.contextmanager
def _staged(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path whose file or directory becomes `path` when the block succeeds.

    The facts beside it come with it.

    Raises:
      UserError: when `path` cannot be written, or is a directory of something else.
    """
    is_model = (path / "saved_model.pb").exists()
    if path.is_dir() and any(path.iterdir()) and not is_model:
        raise UserError(
            f"--output_file={path} is a directory with files of yours: give another"
        )
    stage = path.with_name(f".{path.name}.{os.getpid()}.partial")
    staged, old = stage / path.name, stage / "old"
    absent = [parent for parent in path.parents if not parent.exists()]
    try:
        stage.mkdir(parents=True)
        yield staged
        if path.is_dir():
            path.replace(old)
        staged.replace(path)
        facts_path(staged).replace(facts_path(path))
    except OSError as error:
        if old.exists() and not path.exists():
            old.replace(path)
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in absent:  # Those that stayed empty.
            with contextlib.suppress(OSError):
                parent.rmdir()


def _size(path: pathlib.Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())


def _tensors(written: Written, info: ModelInfo) -> dict[str, list[dict[str, Any]]]:
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    inputs = []
    for tensor in written.inputs:
        facts = _without_none(tensor)
        if tensor.dtype == "string":
            facts["content"] = "JPEG, PNG, GIF or BMP files"
        else:
            facts["preprocessing"] = recipe.framing
            facts["value_range"] = recipe.value_range
        inputs.append(facts)
    return {"inputs": inputs, "outputs": [_without_none(t) for t in written.outputs]}


def _without_none(tensor):
    facts = dataclasses.asdict(tensor)
    return {k: v for k, v in facts.items() if v is not None}


def _verification(
    comparisons: Sequence[Comparison],
    tolerance: verify.Tolerance,
    pictures: Pictures,
) -> dict[str, Any]:
    bounds = {k: v for k, v in dataclasses.asdict(tolerance).items() if np.isfinite(v)}
    return {
        "pictures": pictures.source,
        "tolerance": bounds,
        "results": [dataclasses.asdict(comparison) for comparison in comparisons],
    }


def report(facts: dict[str, Any]) -> str:
    """The facts that `export_trained` returns, for people."""
    height, width = facts["image_size"]
    lines = [
        ("wrote", f"{facts['file']}, {facts['format']}, {facts['bytes']:,} bytes"),
        ("network", f"{facts['model_name']}, {facts['num_classes']} classes"),
        ("pictures", f"{height}x{width}, preprocessing {facts['preprocessing_name']}"),
    ]
    for kind in ("inputs", "outputs"):
        for tensor in facts[kind]:
            shape = ", ".join("any" if n is None else str(n) for n in tensor["shape"])
            signature = tensor.get("signature")
            lines.append(
                (
                    kind[:-1],
                    (f"{signature}: " if signature else "")
                    + f"{tensor['name']}, {tensor['dtype']} [{shape}]"
                    + _more(tensor),
                )
            )
    if facts["labels"]:
        names = facts["labels"]
        lines.append(("class names", f"{names[0]} ... {names[-1]}"))
    for result in facts["verification"]["results"]:
        lines.append(
            (
                "verified",
                f"by {result['what']} on {result['count']} pictures "
                f"({facts['verification']['pictures']}): {Comparison(**result)}",
            )
        )
    return "\n".join(f"{title:12}{text}" for title, text in lines)


def _more(tensor: dict[str, Any]) -> str:
    text = ""
    if "value_range" in tensor:
        text += f", {tensor['value_range']}"
    if "scale" in tensor:
        text += f" as (integer - {tensor['zero_point']}) * {tensor['scale']:.6g}"
    return text
