"""Whether records hold what a data set's should: a picture and a label."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import simplejpeg
import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from datasets.storage import records
from datasets.storage.records import Record
from datasets.storage.split import StoredSplit
from slimbase import parallel
from slimbase.errors import reason
from slimbase.graph import session_config
from slimbase.pictures import decode
from slimbase.text import listed

_RECORDS_AT_ONCE = 32  # Of a thread.
_BYTES_AT_ONCE = 4 << 20
_NO_LABEL = "it has no label in image/class/label"
_JPEG = b"\xff\xd8"
_PNG_SIZE = struct.Struct(">16xII")  # After signature, length and name of IHDR.

T = TypeVar("T")


class RecordFacts(NamedTuple):
    """The content of a record, as far as it is known.

    Attributes:
      fault: why a run stops at the record or misreads it; empty if it is sound.
      label_fault: why its label, one integer, can't be used; empty if it can.
      label: number of its class; no offset is subtracted.
      filename: the picture's source.
      encoded: the picture.
      size: height and width of the picture, if known.
    """

    fault: str = ""
    label_fault: str = ""
    label: int | None = None
    filename: str = ""
    encoded: bytes = b""
    size: tuple[int, int] | None = None


class Checker:
    """Finds out whether TensorFlow can read picture and label of a record.

    May be called from several threads.
    """

    def __init__(
        self, dataset: StoredSplit, labels_offset: int = 0, strict: bool = False
    ):
        """Checks records of one split.

        Args:
          dataset: the split.
          labels_offset: the least label that there may be.
          strict: whether to find fault with what no run stops at, too: JPEGs that
            TensorFlow makes noise of, and records without a label.
        """
        self._strict = strict
        self._labels = range(labels_offset, dataset.num_classes)
        with tf.Graph().as_default() as graph, tf.device("/cpu:0"):
            content = tf.placeholder(tf.string, [])
            image, label = dataset.decoder.decode(content, ["image", "label"])
            height, width, *_ = image.shape.as_list()
            self._size = (height, width) if height and width else None
            session = tf.Session(graph=graph, config=session_config(on_cpu=True))
            # A shape that is known beforehand would not take decoding.
            self._decode = session.make_callable(
                [tf.shape(image), tf.reshape(label, []), image.op], [content]
            )

    def __call__(self, record: Record) -> RecordFacts:
        """Checks a record, corrupt or not."""
        if record.content is None:
            return RecordFacts(f"it is corrupt: {record.problem}")
        features = _features(record.content)
        if features is None:
            return RecordFacts("it is no tf.train.Example")
        labels = list(features["image/class/label"].int64_list.value)
        encoded = _first(features["image/encoded"])
        facts = RecordFacts(
            label=labels[0] if len(labels) == 1 else None,
            filename=_text(features["image/filename"]),
            encoded=encoded,
            size=_size_of(encoded),
        )
        has_label = bool(features["image/class/label"].WhichOneof("kind"))
        if self._strict and not has_label:
            return facts._replace(fault=_NO_LABEL)
        if facts.label is None and has_label:
            fault = f"image/class/label should be one integer: {_short(labels)}"
            return facts._replace(fault=fault)
        if self._size and facts.size and facts.size != self._size:
            fault = f"its picture has {_x(facts.size)} pixels instead of "
            facts = facts._replace(fault=fault + _x(self._size))
        elif facts.label is None or not _is_flawless_jpeg(facts.encoded):
            facts = self._decoded(record.content, facts)
        if not has_label and (facts.label or 0) < 0:  # What stands for none.
            return facts._replace(fault=facts.fault or _NO_LABEL, label=None)
        if facts.label is not None and facts.label not in self._labels:
            return facts._replace(label_fault=out_of_range(facts.label, self._labels))
        return facts

    def _decoded(self, content: bytes, facts: RecordFacts) -> RecordFacts:
        """Completes `facts` by TensorFlow, which knows the label of records without."""
        try:
            shape, label, _ = self._decode(content)
        except tf.errors.OpError as error:
            if not facts.encoded:
                return facts._replace(fault="it has no picture in image/encoded")
            why = reason(error.message)
            return facts._replace(fault=f"its picture can't be decoded: {why}")
        fault = _damage(facts.encoded) if self._strict else ""
        height, width, *_ = map(int, shape)
        return facts._replace(
            fault=fault,
            label=int(label) if facts.label is None else facts.label,
            size=(height, width),
        )


def out_of_range(label: int, labels: range) -> str:
    """Says that a label is none of `labels`."""
    return f"its label {label} is none of {labels.start} to {labels.stop - 1}"


def filename_of(content: bytes) -> str:
    """The source of a record's picture; empty if the record does not name it."""
    features = _features(content)
    return "" if features is None else _text(features["image/filename"])


def _size_of(encoded: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG or PNG by its header; None if that lacks them."""
    if encoded.startswith(b"\x89PNG") and len(encoded) >= _PNG_SIZE.size:
        width, height = _PNG_SIZE.unpack_from(encoded)
        return height, width
    if not encoded.startswith(_JPEG):
        return None
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(encoded)
    except (ValueError, RuntimeError):
        return None
    return int(height), int(width)


def map_records(
    paths: Iterable[str],
    function: Callable[[Record], T],
    threads: int | None = None,
) -> Iterator[tuple[str, Record, T]]:
    """Applies `function` to each record of some files, in order.

    Args:
      paths: local record files.
      function: called from several threads.
      threads: as many as there are cores if None.

    Yields:
      The path, the record without its content, and the result.

    Raises:
      UserError: if a file cannot be read.
    """
    threads = threads or os.cpu_count() or 1

    def apply(of_path: tuple[str, list[Record]]) -> list[tuple[str, Record, T]]:
        path, chunk = of_path
        return [(path, r._replace(content=None), function(r)) for r in chunk]

    with ThreadPoolExecutor(threads) as pool:
        for some in parallel.in_order(pool, apply, _chunks(paths), 2 * threads):
            yield from some


def _chunks(paths: Iterable[str]) -> Iterator[tuple[str, list[Record]]]:
    for path in paths:
        chunk, size = [], 0
        for record in records.read_records(path):
            chunk.append(record)
            size += len(record.content or b"")
            if len(chunk) == _RECORDS_AT_ONCE or size > _BYTES_AT_ONCE:
                yield path, chunk
                chunk, size = [], 0
        if chunk:
            yield path, chunk


def _features(content: bytes) -> Any:
    try:
        return tf.train.Example.FromString(content).features.feature
    except DecodeError:
        return None


def _text(feature: tf.train.Feature) -> str:
    return _first(feature).decode("utf-8", "backslashreplace")


def _first(feature: tf.train.Feature) -> bytes:
    return next(iter(feature.bytes_list.value), b"")


def _is_flawless_jpeg(encoded: bytes) -> bool:
    """Whether there is no need for TensorFlow's slower check."""
    return encoded.startswith(_JPEG) and not decode.jpeg_complaint(encoded)


def _damage(encoded: bytes) -> str:
    """The damage of a JPEG that TensorFlow's decoder ignores; empty if none."""
    if not encoded.startswith(_JPEG):
        return ""
    try:
        decode.refuse_damaged_jpeg(encoded)
    except decode.PictureError as error:
        return f"its picture {error}"
    return ""


def _x(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))


def _short(values: list[int]) -> str:
    return listed(values, 4) or "none"
