"""From record files to batches of pictures, with tf.data."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from datasets.reading import bad_records, streams
from datasets.reading import check as record_check
from datasets.reading.streams import Share
from datasets.storage.split import NO_LABEL, StoredSplit
from slimbase.errors import UserError, reason
from slimbase.graph import session_config

SHUFFLE_BUFFER = 2048  # Encoded pictures: some 200 MB of ImageNet's.
_OUT_OF_RANGE = "label out of range"
_LABELS_AT_ONCE = 4096
_DECODING = re.compile(r"{{node [^}]*(Decode\w+|ExtractJpegShape|ParseExample\w*)}}")
_PARSING = b"Could not parse example"
_READING = "IteratorGetNext"  # The operation that failures of reading pass through.
_CONVERT_AGAIN = "Convert the data set again."

Preprocess = Callable[..., tf.Tensor]

# Functions of tensors here have no Python control flow to rewrite, which takes time and
# leaves files in the temporary directory of a process that is killed.
_as_it_is = tf.autograph.experimental.do_not_convert


def _decoded(
    dataset: StoredSplit,
    serialized: tf.Tensor,
    labels_offset: int,
    encoded: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    # Records may hold pictures that are no files (raw pixels), where sizes are known.
    decoder = (dataset.encoded_decoder if encoded else None) or dataset.decoder
    decoder = dataset.without_default_label(decoder)
    image, label = decoder.decode(serialized, ["image", "label"])
    label = tf.cast(label, tf.int64) - labels_offset
    classes = dataset.num_classes - labels_offset
    in_range = tf.Assert(
        (label >= 0) & (label < classes),
        [_OUT_OF_RANGE, label + labels_offset],
    )
    with tf.control_dependencies([in_range]):
        return image, tf.identity(label)


def _options(deterministic: bool) -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = deterministic
    # There is nothing to tune, and the thread that would can keep sessions from closing
    # for half a minute.
    options.autotune.enabled = False
    return options


def train_batches(
    dataset: StoredSplit,
    preprocess: Preprocess,
    batch_size: int,
    *,
    labels_offset: int = 0,
    num_readers: int = 4,
    num_threads: int = 4,
    seed: int | None = None,
    shard: tuple[int, int] = (0, 1),
    mix: Callable[..., Any] | None = None,
    takes_encoded: bool = False,
) -> tf.data.Dataset:
    """Shuffled, distorted, endless batches.

    Args:
      dataset: the split to read.
      preprocess: `f(image, seed=...)`, image a decoded `[height, width, channels]`
        uint8 picture and seed `[2]` int64.
      batch_size: pictures per batch.
      labels_offset: subtracted from every label.
      num_readers: files read in parallel.
      num_threads: pictures preprocessed in parallel.
      seed: makes order and distortions repeatable.
      shard: (index, count) of this worker: of `count` workers, each reads records of
        its own, whole files as far as their number can be divided by `count`.
      mix: `f(images, labels, seed)`, applied to each batch.
      takes_encoded: whether `preprocess` takes encoded pictures too, string scalars, as
        those of `preprocessing_factory` do. It is given them if the data set has an
        `encoded_decoder`.

    Returns:
      A data set of float32 `[batch_size, height, width, channels]` pictures and int64
      `[batch_size]` labels, or what `mix` makes of them. Read it under
      `explained_errors`.

    Raises:
      UserError: when there are no records.
    """
    if not dataset.num_samples:
        paths = dict.fromkeys(stretch.path for stretch in dataset.stretches)
        raise bad_records.no_records(paths)
    shares = streams.shares(dataset.stretches, *shard)

    @_as_it_is
    def example(
        serialized: tf.Tensor, picture_seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = _decoded(dataset, serialized, labels_offset, takes_encoded)
        return preprocess(image, seed=picture_seed), label

    at_once = min(num_readers, len(shares))
    records = (
        streams.slices(shares)
        .shuffle(len(shares), seed)
        .interleave(
            _as_it_is(lambda *share: streams.read_share(Share(*share), shard[1])),
            cycle_length=at_once,
            num_parallel_calls=at_once,
        )
        .shuffle(min(dataset.num_samples, SHUFFLE_BUFFER), seed)
        .repeat()
    )
    # One seed per picture keeps distortions repeatable whichever thread draws them.
    seeds = tf.data.experimental.RandomDataset(seed).batch(2, drop_remainder=True)
    batches = (
        tf.data.Dataset.zip((records, seeds))
        .map(example, num_threads)
        .batch(batch_size, drop_remainder=True)
    )
    if mix is not None:
        lots = tf.data.experimental.RandomDataset(
            None if seed is None else seed + 1
        ).batch(2, drop_remainder=True)
        batches = tf.data.Dataset.zip((batches, lots)).map(
            _as_it_is(lambda batch, lot: mix(*batch, lot))
        )
    return batches.prefetch(2).with_options(_options(deterministic=seed is not None))


class EvalBatch(NamedTuple):
    """Pictures to evaluate, and where they are from.

    Attributes:
      images: what preprocessing made of them, `[batch, ...]`.
      labels: int64 `[batch]`.
      filenames: the pictures' sources, strings `[batch]`; empty where records do not
        name them.
      record_files: the files that the records are in, strings `[batch]`.
      positions: the records' numbers in these files, int64 `[batch]`, from zero.
    """

    images: Any
    labels: Any
    filenames: Any
    record_files: Any
    positions: Any


def labels(
    dataset: StoredSplit, most: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Reads labels alone: all, or the first `most` of each file.

    Yields:
      Record files, strings `[batch]`; positions in them and labels, int64 `[batch]`.
      The label of a record without one is `NO_LABEL`, or what a decoder of other keys
      makes of it.

    Raises:
      UserError: for damaged files, and records whose label can't be read.
    """
    decoder = dataset.without_default_label(dataset.decoder)

    @_as_it_is
    def label(
        path: tf.Tensor, position: tf.Tensor, serialized: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        [label] = decoder.decode(serialized, ["label"])
        return path, position, tf.cast(tf.reshape(label, []), tf.int64)

    config = session_config(on_cpu=True)
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        located = streams.located(dataset.stretches, most)
        batches = located.map(label, 2).batch(_LABELS_AT_ONCE)
        [batch] = next_batches(batches, 1)
        session.run(tf.tables_initializer())
        with explained_errors(dataset):
            while True:
                try:
                    yield session.run(batch)
                except tf.errors.OutOfRangeError:
                    return


def eval_batches(
    dataset: StoredSplit,
    preprocess: Preprocess,
    batch_size: int,
    *,
    labels_offset: int = 0,
    num_threads: int = 4,
) -> tf.data.Dataset:
    """Every picture once, in the order of the files; the last batch may be smaller.

    Arguments are those of `train_batches`, but `preprocess` takes the image alone.

    Returns:
      A data set of `EvalBatch`.
    """
    filename = {"image/filename": tf.io.FixedLenFeature([], tf.string, "")}

    @_as_it_is
    def example(
        path: tf.Tensor, position: tf.Tensor, serialized: tf.Tensor
    ) -> EvalBatch:
        image, label = _decoded(dataset, serialized, labels_offset)
        name = tf.io.parse_single_example(serialized, filename)["image/filename"]
        return EvalBatch(preprocess(image), label, name, path, position)

    return (
        streams.located(dataset.stretches)
        .map(example, num_threads)
        .batch(batch_size)
        .prefetch(2)
        .with_options(_options(deterministic=True))
    )


def read_pictures(
    dataset: StoredSplit, places: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], Any]:
    """The decoded uint8 pictures at some (record file, position)s, by these."""
    wanted: dict[str, list[int]] = {}
    for path, position in places:
        wanted.setdefault(path, []).append(position)
    pictures = {}
    for path, positions in wanted.items():
        config = session_config(on_cpu=True)
        with tf.Graph().as_default(), tf.Session(config=config) as session:
            of_these = _as_it_is(
                lambda _, position, __, these=positions: tf.reduce_any(
                    tf.equal(position, tf.constant(these, tf.int64))
                )
            )
            kept = [s for s in dataset.stretches if s.path == path]
            records = streams.located(kept).filter(of_these)
            _, position, record = tf.data.make_one_shot_iterator(records).get_next()
            [image] = dataset.decoder.decode(record, ["image"])
            for _ in set(positions):
                at, picture = session.run([position, image])
                pictures[path, int(at)] = picture
    return pictures


def next_batches(batches: tf.data.Dataset, count: int) -> list[Any]:
    """`count` successive elements per step, from one iterator.

    The iterator starts with the session's table initializers.
    """
    iterator = tf.data.make_initializable_iterator(batches)
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return [iterator.get_next() for _ in range(count)]


@contextlib.contextmanager
def explained_errors(
    dataset: StoredSplit | None = None, labels_offset: int = 0
) -> Iterator[None]:
    """Turns what bad records do to a session into errors for the user.

    Args:
      dataset: the split that is read. With it, the record is looked for in its files,
        for a minute at most, and named.
      labels_offset: subtracted from every label.

    Raises:
      UserError: for labels out of range, damaged files and damaged pictures.
    """
    try:
        yield
    except (
        tf.errors.InvalidArgumentError,
        tf.errors.DataLossError,
        # Of the session, whose message has the bytes of what is no record in it.
        UnicodeDecodeError,
    ) as error:
        message = _message(error)
        if dataset is not None and (message or _READING in str(error)):
            bad_records.raise_first(dataset, labels_offset)
        if not message:
            raise
        raise UserError(message) from error


def _message(error: tf.errors.OpError | UnicodeDecodeError) -> str | None:
    """Describes an error about records; None for one about something else."""
    if isinstance(error, UnicodeDecodeError):
        if _PARSING not in error.object:
            return None
        return f"a record is no tf.train.Example. {_CONVERT_AGAIN}"
    if isinstance(error, tf.errors.DataLossError):
        return f"a record file is corrupt: {reason(error.message)}. {_CONVERT_AGAIN}"
    if label := re.search(rf"{_OUT_OF_RANGE}\]? \[?(-?\d+)", error.message):
        if int(label[1]) == NO_LABEL:
            return f"a record has no label. {record_check.WRITE_LABEL}"
        return (
            f"a record has label {label[1]}, which the data set's classes and "
            "--labels_offset leave no place for: labels run from --labels_offset to "
            "the number of classes less one. Check --dataset_name, labels.txt and "
            "--labels_offset."
        )
    if _DECODING.search(error.message):
        return (
            f"a record holds no picture that can be decoded: {reason(error.message)}. "
            f"{_CONVERT_AGAIN}"
        )
    return None
