"""Classification: from picture files to class names."""

import concurrent.futures
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging
from tqdm import tqdm

from preprocessing import ops
from slimbase import files
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimbase.graph import explained_memory_errors, session_config
from slimbase.pictures import decode, find
from slimzoo.classification import class_names
from slimzoo.config.classify import ClassifyConfig
from slimzoo.formats.predictor import Predictor, softmax
from slimzoo.inference import chosen, views, weights
from slimzoo.model.info import ModelInfo

# Defaults of TensorFlow's label_image, if only some of its flags are given.
_LABEL_IMAGE = {"input_mean": 0.0, "input_std": 255.0}

_Prepared = concurrent.futures.Future[np.ndarray | str]


@dataclasses.dataclass(frozen=True)
class Class:
    """One of a picture's likeliest classes.

    Attributes:
      number: the class's number, from zero, as the network counts.
      name: the class's name.
      value: its probability, or its logit if logits are asked for.
    """

    number: int
    name: str
    value: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a network to a picture.

    Attributes:
      path: the path of the picture.
      classes: the likeliest classes, the likeliest first.
      error: the reason why the picture could not be read; there are no classes then.
    """

    path: str
    classes: tuple[Class, ...] = ()
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class _Classifier:
    """A network, ready to run.

    Attributes:
      network: the network, from images to logits.
      names: the names of the classes.
      prepare: `f(path)` gives images `[views, height, width, channels]` of a picture.
    """

    network: Predictor
    names: tuple[str, ...]
    prepare: Callable[[str], np.ndarray]


def classify(config: ClassifyConfig, operands: Sequence[str]) -> Iterator[Answer]:
    """Classifies picture files.

    Args:
      config: options: which network, and what is asked of it.
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

        def prepare(batch: Sequence[str]) -> list[_Prepared]:
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
    """Whether there is no progress bar; None: if standard error is no terminal."""
    return True if sys.stdout.isatty() and not config.output_file else None


def _check(config: ClassifyConfig) -> None:
    if bool(config.graph) == bool(config.checkpoint_path):
        raise UserError("give either --checkpoint_path or --graph")
    if bool(config.end_point) != bool(config.embeddings_file):
        raise UserError("--end_point and --embeddings_file go together: give both")
    weights.check(config)


def _prepared(prepare: Callable[[str], np.ndarray], path: str) -> np.ndarray | str:
    """The images of a picture, or the reason why there are none."""
    try:
        return prepare(path)
    except decode.PictureError as error:
        return str(error)


def _answers(
    config: ClassifyConfig,
    classifier: _Classifier,
    paths: Sequence[str],
    prepared: Sequence[np.ndarray | str],
    embeddings: "_Embeddings",
) -> Iterator[Answer]:
    """The answers to a batch of pictures.

    Args:
      config: options.
      classifier: the network.
      paths: the paths of the pictures.
      prepared: the images of each picture, or the reason why there are none.
      embeddings: the object that gets values of the end point.
    """
    readable = {
        i: images for i, images in enumerate(prepared) if not isinstance(images, str)
    }
    rows = {}
    if readable:
        values, end_points = _run(config, classifier.network, readable.values())
        rows = dict(zip(readable, values, strict=True))
        if end_points is not None:
            embeddings.add([paths[i] for i in readable], end_points)
    for i, path in enumerate(paths):
        if i not in rows:
            yield Answer(path, error=str(prepared[i]))
            continue
        best = np.argsort(-rows[i], kind="stable")[: config.top_k]
        names = classifier.names
        classes = (Class(int(j), names[j], float(rows[i][j])) for j in best)
        yield Answer(path, tuple(classes))


def _run(
    config: ClassifyConfig, network: Predictor, pictures: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities or logits, and values of the end point, averaged over views.

    Args:
      config: options.
      network: the network.
      pictures: for each picture its images `[views, height, width, channels]`.
    """
    images = np.stack(list(pictures))
    by_view = [network.outputs(images[:, v]) for v in range(images.shape[1])]
    logits, *wanted = (
        np.stack(values, axis=1) for values in zip(*by_view, strict=True)
    )
    values = views.average(logits)
    if not config.logits:
        values = softmax(values)
    if not wanted:
        return values, None
    [end_points] = wanted
    if end_points.dtype != np.float32 or len(end_points) != len(images):
        raise UserError(
            f"--end_point={config.end_point} has no float values per picture, but "
            f"{end_points.dtype} {[*end_points.shape[:1]]}: choose another"
        )
    return values, end_points.mean(axis=1)


class _Embeddings:
    """Collects the values of an end point, and writes them at the end."""

    def __init__(self, path: str | None):
        self._path = path
        self._names: list[str] = []
        self._values: list[np.ndarray] = []

    def add(self, names: Sequence[str], values: np.ndarray) -> None:
        self._names += names
        self._values += list(values)

    def write(self) -> None:
        if not self._path:
            return
        with files.replacing(self._path) as temporary, temporary.open("wb") as file:
            np.savez(file, files=self._names, embeddings=np.array(self._values))
        logging.info(f"Wrote {self._path}: {len(self._names)} embeddings")


def _open(config: ClassifyConfig, stack: contextlib.ExitStack) -> _Classifier:
    """Opens the network and prepares preprocessing; `stack` closes both."""
    size = _size(config)
    by_recipe = config.input_mean is None and config.input_std is None
    choice = chosen.choose(
        config, config.checkpoint_path or "", size, needs_recipe=by_recipe
    )
    choice = chosen.with_own_classes(choice)
    network = chosen.open_network(choice, config, end_point=config.end_point)
    stack.enter_context(network)
    info = chosen.with_input_of(choice, network, size).info
    classes = network.num_classes or info.num_classes
    if classes is None:
        raise UserError(f"{choice.path} does not tell its number of classes")
    names = class_names.choose(config.labels, info, classes)
    return _Classifier(network, names, _preparation(config, info, stack))


def _size(config: ClassifyConfig) -> Size | None:
    if not (config.input_height or config.input_width):
        return config.image_size
    if config.image_size or not (config.input_height and config.input_width):
        raise UserError(
            "give --input_height and --input_width, or --image_size in their place"
        )
    return config.input_height, config.input_width


def _preparation(
    config: ClassifyConfig, info: ModelInfo, stack: contextlib.ExitStack
) -> Callable[[str], np.ndarray]:
    """Reads a picture and prepares it; may be called from several threads."""
    by_recipe = config.input_mean is None and config.input_std is None
    with tf.Graph().as_default() as graph:
        picture = tf.placeholder(tf.uint8, [None, None, None])
        if by_recipe:
            images = views.preprocessing(info, views.of(config))(picture)
            described = f"preprocessing {info.preprocessing_name}"
        else:
            images, described = _label_image(config, info, picture)
    session = tf.Session(graph=graph, config=session_config(on_cpu=True))
    stack.callback(session.close)
    run = session.make_callable(images, [picture])
    network = config.graph or info.model_name
    logging.info(f"Classifying with {network}: {info.size_text}, {described}")
    # Preprocessing makes images gray from colours, as in training.
    makes_gray = info.use_grayscale and by_recipe
    channels = 1 if info.channels == 1 and not makes_gray else 3
    made = 1 if makes_gray else channels
    if made != info.channels:
        raise UserError(
            f"preprocessing makes {made} channels, but the network takes "
            f"{info.channels}: check --model_name and --use_grayscale"
        )
    return lambda path: run(decode.read(path, channels))


def _label_image(
    config: ClassifyConfig, info: ModelInfo, picture: tf.Tensor
) -> tuple[tf.Tensor, str]:
    """Preprocesses as TensorFlow's label_image does; also returns how, in words."""
    if views.of(config) != views.Views():
        raise UserError(
            "--central_fraction, --crops and --flip are of preprocessing recipes: "
            "leave out --input_mean and --input_std, or them"
        )
    mean, std = (
        default if getattr(config, name) is None else getattr(config, name)
        for name, default in _LABEL_IMAGE.items()
    )
    if not std:
        raise UserError("--input_std=0: give what differences are divided by")
    values = ops.resize(tf.cast(picture, tf.float32), *info.image_size)
    images = ((values - mean) / std)[tf.newaxis]
    return images, f"(pixels - {mean:g}) / {std:g}"
