"""Classification: from picture files to class names."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets import imagenet
from nets.registry import NETWORKS
from preprocessing import preprocessing_factory
from slimzoo import checkpoints, inference, model_info
from slimzoo.config import ClassifyConfig
from slimzoo.errors import UserError, reason
from slimzoo.export import INPUT_NAME
from slimzoo.graph import classic_graph, session_config
from slimzoo.model_info import ModelInfo

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a network says of a picture.

    Attributes:
      path: of the picture.
      classes: pairs of name and probability, the likeliest first.
      error: why the picture could not be read; there are no classes then.
    """

    path: str
    classes: tuple[tuple[str, float], ...] = ()
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class _Classifier:
    """A network in the default graph.

    Attributes:
      images: placeholder of preprocessed pictures, `[batch, height, width, channels]`.
      probabilities: `[batch, classes]`.
      names: of the classes.
      content: placeholder of the bytes of a picture file.
      preprocessed: the picture in `content` as `images` takes it.
      restore: gives the variables their values in a session.
    """

    images: tf.Tensor
    probabilities: tf.Tensor
    names: tuple[str, ...]
    content: tf.Tensor
    preprocessed: tf.Tensor
    restore: Callable[[tf.Session], None]


def classify(config: ClassifyConfig, pictures: Sequence[str]) -> Iterator[Answer]:
    """Classifies picture files.

    Args:
      config: which network, from a checkpoint or a frozen graph.
      pictures: files, directories (all pictures below them) and globs.

    Yields:
      An answer per picture, in order.

    Raises:
      UserError: when a picture is not there, or the network can't be used.
    """
    if bool(config.graph) == bool(config.checkpoint_path):
        raise UserError("give either --checkpoint_path or --graph")
    paths = find_pictures(pictures)
    with classic_graph() as graph:
        classifier = _from_graph(config) if config.graph else _from_checkpoint(config)
    # Neither graph nor session is the default one while the caller has an answer.
    with contextlib.closing(
        tf.Session(graph=graph, config=session_config(config.gpu_memory_growth))
    ) as session:
        with graph.as_default():
            classifier.restore(session)
        batch_size = classifier.images.shape[0] or config.batch_size
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            yield from _answers(session, classifier, batch, config.top_k)


def _answers(
    session: tf.Session, classifier: _Classifier, paths: Sequence[str], top_k: int
) -> Iterator[Answer]:
    images, errors = {}, {}
    for path in paths:
        try:
            feed = {classifier.content: pathlib.Path(path).read_bytes()}
            images[path] = session.run(classifier.preprocessed, feed)
        except OSError as error:
            errors[path] = f"cannot read it: {error.strerror}"
        except tf.errors.InvalidArgumentError as error:
            errors[path] = f"cannot decode it: {reason(error.message)}"
    rows = {}
    if images:
        batch = np.stack(list(images.values()))
        missing = (classifier.images.shape[0] or 0) - len(batch)
        if missing > 0:  # A graph of a fixed batch size.
            batch = np.pad(batch, [(0, missing), (0, 0), (0, 0), (0, 0)])
        probabilities = session.run(
            classifier.probabilities, {classifier.images: batch}
        )
        rows = dict(zip(images, probabilities, strict=False))
    for path in paths:
        if path in errors:
            yield Answer(path, error=errors[path])
        else:
            best = np.argsort(-rows[path], kind="stable")[:top_k]
            classes = ((classifier.names[i], float(rows[path][i])) for i in best)
            yield Answer(path, tuple(classes))


def find_pictures(pictures: Iterable[str]) -> list[str]:
    """The picture files that files, directories and globs stand for.

    Raises:
      UserError: when there are none for one of them.
    """
    found = []
    for picture in pictures:
        path = pathlib.Path(picture)
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if _is_picture(p))
            matches = [str(p) for p in inside]
        else:
            matches = [picture] if path.is_file() else sorted(tf.gfile.Glob(picture))
        if not matches:
            raise UserError(f"there is no picture {picture}")
        found += matches
    if not found:
        raise UserError("give the pictures: files, directories or globs")
    return found


def _is_picture(path: pathlib.Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _from_checkpoint(config: ClassifyConfig) -> _Classifier:
    checkpoint = checkpoints.find(config.checkpoint_path or "")
    info = _settled(config, checkpoint, config.image_size)
    if info.num_classes is None:
        scope = NETWORKS[info.model_name].classifier_scopes[0]
        classes = checkpoints.count_classes(checkpoint, scope)
        info = dataclasses.replace(info, num_classes=classes)
    shape = [None, info.image_size, info.image_size, info.channels]
    images = tf.placeholder(tf.float32, shape, INPUT_NAME)
    probabilities = tf.nn.softmax(inference.logits(info, images))
    restore = inference.restorer(info, checkpoint)
    inference.tell_weights(info, checkpoint)
    return _classifier(config, info, images, probabilities, restore)


def _from_graph(config: ClassifyConfig) -> _Classifier:
    path = config.graph or ""
    images, output = inference.load_frozen(path)
    info = _settled(config, path, images.shape[1] or config.image_size)
    info = dataclasses.replace(info, channels=images.shape[-1])
    if not inference.gives_probabilities(output):
        output = tf.nn.softmax(output)
    return _classifier(config, info, images, output, lambda session: None)


def _settled(config: ClassifyConfig, beside: str, image_size: int | None) -> ModelInfo:
    record = model_info.read(str(pathlib.Path(beside).parent))
    info = model_info.settle(config, record, image_size)
    return dataclasses.replace(info, channels=1) if info.use_grayscale else info


def _classifier(
    config: ClassifyConfig,
    info: ModelInfo,
    images: tf.Tensor,
    probabilities: tf.Tensor,
    restore: Callable[[tf.Session], None],
) -> _Classifier:
    preprocess = preprocessing_factory.get_preprocessing(
        info.preprocessing_name, use_grayscale=info.use_grayscale
    )
    content = tf.placeholder(tf.string, [])
    picture = tf.io.decode_image(
        content,
        channels=1 if info.channels == 1 and not info.use_grayscale else 3,
        expand_animations=False,
    )
    height, width = images.shape.as_list()[1:3]
    height, width = height or info.image_size, width or info.image_size
    preprocessed = preprocess(picture, height, width)
    if preprocessed.shape[-1] != images.shape[-1]:
        raise UserError(
            f"preprocessing {info.preprocessing_name} makes {preprocessed.shape[-1]} "
            f"channels, but the network takes {images.shape[-1]}: check --model_name, "
            "--preprocessing_name and --use_grayscale"
        )
    logging.info(
        "Classifying with %s: %dx%d, preprocessing %s",
        *(info.model_name, height, width, info.preprocessing_name),
    )
    return _Classifier(
        images=images,
        probabilities=probabilities,
        names=_class_names(config.labels, info, probabilities.shape[-1]),
        content=content,
        preprocessed=preprocessed,
        restore=restore,
    )


def _class_names(
    labels_file: str | None, info: ModelInfo, classes: int
) -> tuple[str, ...]:
    """The names of the network's classes, numbers where nobody knows them."""
    if labels_file:
        names = _read_names(labels_file)
        names = names[info.labels_offset :] if len(names) > classes else names
    elif info.labels:
        names = info.labels
    elif classes in (1000, 1001):
        imagenet_names = imagenet.create_readable_names_for_imagenet_labels()
        names = tuple(imagenet_names[i] for i in range(1001 - classes, 1001))
    else:
        names = tuple(f"class {i}" for i in range(classes))
    if len(names) != classes:
        raise UserError(
            f"{labels_file or model_info.FILE_NAME} has {len(names)} names, but the "
            f"network has {classes} classes"
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
    if all(number.isdigit() and colon for number, colon, _ in numbered):
        names = {int(number): name for number, _, name in numbered}
        count = max(names, default=-1) + 1
        return tuple(names.get(i, f"class {i}") for i in range(count))
    return tuple(lines)
