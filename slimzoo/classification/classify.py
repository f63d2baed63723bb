"""Classification: from picture files to class names."""

import concurrent.futures
import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging
from tqdm import tqdm

from datasets import imagenet
from nets.registry import NETWORKS
from preprocessing import ops
from slimbase import files
from slimbase.errors import UserError
from slimbase.graph import explained_memory_errors, session_config
from slimbase.pictures import decode, find
from slimzoo.config.classify import ClassifyConfig
from slimzoo.formats.predictor import softmax
from slimzoo.inference import precision, predictor, views, weights
from slimzoo.inference.predictor import Predictor
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo

# Of TensorFlow's label_image, where only some of its flags are given.
_LABEL_IMAGE = {"input_mean": 0.0, "input_std": 255.0}
# What the first of ImageNet's 1001 classes is called in people's files.
_BACKGROUND = ("background", "dummy")


@dataclasses.dataclass(frozen=True)
class Class:
    """One of a picture's likeliest classes.

    Attributes:
      number: from zero, as the network counts.
      name: of the class.
      value: its probability, or logit where logits are asked for.
    """

    number: int
    name: str
    value: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a network says of a picture.

    Attributes:
      path: of the picture.
      classes: the likeliest first.
      error: why the picture could not be read; there are no classes then.
    """

    path: str
    classes: tuple[Class, ...] = ()
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class _Classifier:
    """A network, ready to run.

    Attributes:
      network: from preprocessed pictures to logits.
      names: of the classes.
      prepare: from a path to preprocessed views `[views, height, width, channels]`.
    """

    network: Predictor
    names: tuple[str, ...]
    prepare: Callable[[str], np.ndarray]


def classify(config: ClassifyConfig, operands: Sequence[str]) -> Iterator[Answer]:
    """Classifies picture files.

    Args:
      config: which network, from a checkpoint or a file, and what is asked of it.
      operands: files, directories, globs, and `-` for names on standard input.

    Yields:
      An answer per picture, in order.

    Raises:
      UserError: when a picture is not there, or the network can't be used.
    """
    _check(config)
    paths = find.find([*operands, *([config.image] if config.image else [])])
    embeddings = _Embeddings(config.embeddings_file)
    with contextlib.ExitStack() as stack:
        stack.enter_context(explained_memory_errors(config.batch_size))
        classifier = _open(config, stack)
        pool = stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(config.num_preprocessing_threads)
        )
        size = config.batch_size
        batches = [paths[i : i + size] for i in range(0, len(paths), size)]

        def prepare(batch):
            return [pool.submit(_prepared, classifier.prepare, path) for path in batch]

        progress = stack.enter_context(
            tqdm(total=len(paths), unit="picture", disable=_no_bar(config), leave=False)
        )
        coming = prepare(batches[0])
        for batch, following in zip(batches, [*batches[1:], []], strict=True):
            prepared = [future.result() for future in coming]
            coming = prepare(following)  # While the network computes.
            yield from _answers(config, classifier, batch, prepared, embeddings)
            progress.update(len(batch))
    embeddings.write()


def _no_bar(config: ClassifyConfig) -> bool | None:
    """Not where answers are printed; None: if standard error is no terminal."""
    return True if sys.stdout.isatty() and not config.output_file else None


def _check(config: ClassifyConfig) -> None:
    if bool(config.graph) == bool(config.checkpoint_path):
        raise UserError("give either --checkpoint_path or --graph")
    if bool(config.end_point) != bool(config.embeddings_file):
        raise UserError("--end_point and --embeddings_file go together: give both")
    weights.check(config)


def _prepared(prepare, path) -> np.ndarray | str:
    """The picture, or why there is none."""
    try:
        return prepare(path)
    except decode.PictureError as error:
        return str(error)


def _answers(config, classifier, paths, prepared, embeddings) -> Iterator[Answer]:
    good = [i for i, picture in enumerate(prepared) if not isinstance(picture, str)]
    rows = {}
    if good:
        images = np.stack([prepared[i] for i in good])
        by_view = [
            classifier.network.outputs(images[:, v]) for v in range(len(images[0]))
        ]
        logits, *wanted = (
            np.stack(values, axis=1) for values in zip(*by_view, strict=True)
        )
        values = views.average(logits)
        if not config.logits:
            values = softmax(values)
        rows = dict(zip(good, values, strict=True))
        for end_points in wanted:
            if end_points.dtype != np.float32 or len(end_points) != len(good):
                raise UserError(
                    f"--end_point={config.end_point} has no float values per picture, "
                    f"but {end_points.dtype} {[*end_points.shape[:1]]}: choose another"
                )
            embeddings.add([paths[i] for i in good], end_points.mean(axis=1))
    for i, path in enumerate(paths):
        if i not in rows:
            yield Answer(path, error=prepared[i])
            continue
        best = np.argsort(-rows[i], kind="stable")[: config.top_k]
        names = classifier.names
        classes = (Class(int(j), names[j], float(rows[i][j])) for j in best)
        yield Answer(path, tuple(classes))


class _Embeddings:
    """Values of an end point, picture by picture, for a file at the end."""

    def __init__(self, path):
        self._path = path
        self._names: list[str] = []
        self._values: list[np.ndarray] = []

    def add(self, names, values):
        self._names += names
        self._values += list(values)

    def write(self):
        if not self._path:
            return
        with files.replacing(self._path) as temporary, temporary.open("wb") as file:
            np.savez(file, files=self._names, embeddings=np.array(self._values))
        logging.info("Wrote %s: %d embeddings", self._path, len(self._names))


def _open(config: ClassifyConfig, stack: contextlib.ExitStack) -> _Classifier:
    path = config.graph or checkpoints.find(config.checkpoint_path or "")
    record = model_info.beside(path)
    if config.input_mean is None and config.input_std is None:
        model_info.check_known(config, record, path)
    info = model_info.settle(config, record, _size(config))
    if config.graph:
        network = predictor.from_file(
            path,
            end_point=config.end_point,
            input_layer=config.input_layer,
            output_layer=config.output_layer,
            compute=config.precision,
            runtime=config.runtime,
            gpu_memory_growth=config.gpu_memory_growth,
        )
        stack.enter_context(network)
        info = model_info.of_input(info, network.input_shape, path, _size(config))
    else:
        if info.num_classes is None:
            scope = NETWORKS[info.model_name].classifier_scopes[0]
            classes = checkpoints.count_classes(path, scope)
            info = dataclasses.replace(info, num_classes=classes)
        precision.check_inference(config.precision, info.quantize, config.runtime)
        network = predictor.from_checkpoint(
            info,
            path,
            end_point=config.end_point,
            compute=config.precision,
            runtime=config.runtime,
            gpu_memory_growth=config.gpu_memory_growth,
        )
        stack.enter_context(network)
        weights.tell_weights(info, path)
    classes = network.num_classes or info.num_classes
    if classes is None:
        raise UserError(f"{path} does not tell its number of classes")
    names = _class_names(config.labels, info, classes)
    return _Classifier(network, names, _preparation(config, info, stack))


def _size(config: ClassifyConfig):
    if not (config.input_height or config.input_width):
        return config.image_size
    if config.image_size or not (config.input_height and config.input_width):
        raise UserError(
            "give --input_height and --input_width, or --image_size in their place"
        )
    return config.input_height, config.input_width


def _preparation(config, info: ModelInfo, stack) -> Callable[[str], np.ndarray]:
    """Reads a picture and prepares it; may be called from several threads."""
    plain = {name: getattr(config, name) for name in _LABEL_IMAGE}
    with tf.Graph().as_default() as graph:
        picture = tf.placeholder(tf.uint8, [None, None, None])
        by_recipe = all(value is None for value in plain.values())
        if by_recipe:
            prepared = views.preprocessing(info, views.of(config))(picture)
            told = f"preprocessing {info.preprocessing_name}"
        else:
            if views.of(config) != views.Views():
                raise UserError(
                    "--central_fraction, --crops and --flip are of preprocessing "
                    "recipes: leave out --input_mean and --input_std, or them"
                )
            given = {k: v for k, v in plain.items() if v is not None}
            mean, std = (_LABEL_IMAGE | given).values()
            if not std:
                raise UserError("--input_std=0: give what differences are divided by")
            values = ops.resize(tf.cast(picture, tf.float32), *info.image_size)
            prepared = ((values - mean) / std)[tf.newaxis]
            told = f"(pixels - {mean:g}) / {std:g}"
    session = tf.Session(graph=graph, config=session_config(on_cpu=True))
    stack.callback(session.close)
    run = session.make_callable(prepared, [picture])
    logging.info(
        "Classifying with %s: %s, %s",
        *(config.graph or info.model_name, info.size_text, told),
    )
    # Made gray from colours by preprocessing, where that is what was trained with.
    makes_gray = info.use_grayscale and by_recipe
    channels = 1 if info.channels == 1 and not makes_gray else 3
    made = 1 if makes_gray else channels
    if made != info.channels:
        raise UserError(
            f"preprocessing makes {made} channels, but the network takes "
            f"{info.channels}: check --model_name and --use_grayscale"
        )
    return lambda path: run(decode.read(path, channels))


def _class_names(
    labels_file: str | None, info: ModelInfo, classes: int
) -> tuple[str, ...]:
    """The names of the network's classes, numbers where nobody knows them."""
    if labels_file:
        names = _read_names(labels_file)
        if len(names) == classes + 1 and names[0] in _BACKGROUND:
            names = names[1:]  # The network has no such class.
        names = names[info.labels_offset :] if len(names) > classes else names
    elif info.labels:
        names = info.labels
    elif classes in (1000, 1001) and info.dataset_name in ("", "imagenet"):
        names = imagenet.readable_names(classes)
    else:
        names = tuple(f"class {i}" for i in range(classes))
    if len(names) != classes:
        advice = (
            "--labels_offset=1 if its first is one that the network lacks"
            if len(names) > classes
            else "put a first line `background` if the network has that class"
        )
        raise UserError(
            f"{labels_file or model_info.FILE_NAME} has {len(names)} names, but the "
            f"network has {classes} classes: give --labels that has as many, or "
            + advice
        )
    return names


def _read_names(labels_file: str) -> tuple[str, ...]:
    """Reads lines of `number:name`, or of one name each."""
    try:
        lines = pathlib.Path(labels_file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--labels: cannot read {labels_file}: {error}") from error
    lines = [line for line in lines if line.strip()]
    numbered = [line.partition(":") for line in lines]
    if all(number.isdecimal() and colon for number, colon, _ in numbered):
        names = {int(number): name.strip() for number, _, name in numbered}
        count = max(names, default=-1) + 1
        return tuple(names.get(i, f"class {i}") for i in range(count))
    return tuple(lines)
