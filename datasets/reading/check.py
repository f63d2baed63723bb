"""Whether records hold what a data set's should: a picture and a label."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import simplejpeg
import tensorflow.compat.v1 as tf

from datasets.reading import features
from datasets.storage import records
from datasets.storage.records import Record
from datasets.storage.split import StoredSplit
from slimbase import parallel
from slimbase.errors import reason
from slimbase.graph import session_config
from slimbase.pictures import decode, exif, jpegs, kinds, pngs

_RECORDS_AT_ONCE = 32  # Of a thread.
_BYTES_AT_ONCE = 4 << 20
_RAW = (b"raw", b"RAW")  # As tf_slim's decoder has it.
_UNKNOWN_FORMAT = "Unknown image file format"
WRITE_LABEL = (
    "Write the number of the class as one int64 into image/class/label, or convert "
    "the pictures by download_and_convert_data.py. --skip_bad_records of training and "
    "evaluation leaves such records out."
)
_WRITE_PICTURE = (
    "Write the picture as a JPEG or PNG file into image/encoded, or convert the "
    "pictures by download_and_convert_data.py. --skip_bad_records of training and "
    "evaluation leaves such records out."
)
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
      orientation: that of EXIF, 1 to 8; 1 for upright pictures, as runs take all.
      advice: what to do about `fault`; empty if the usual applies.
    """

    fault: str = ""
    label_fault: str = ""
    label: int | None = None
    filename: str = ""
    encoded: bytes = b""
    size: tuple[int, int] | None = None
    orientation: int = exif.UPRIGHT
    advice: str = ""


class Checker:
    """Finds out whether TensorFlow can read picture and label of a record.

    May be called from several threads.
    """

    def __init__(
        self,
        dataset: StoredSplit,
        labels_offset: int = 0,
        strict: bool = False,
        decode_all: bool = False,
    ):
        """Checks records of one split.

        Args:
          dataset: the split.
          labels_offset: the least label that there may be.
          strict: whether to find fault with what no run stops at, too: JPEGs that
            TensorFlow makes noise of.
          decode_all: whether TensorFlow decodes each picture, also one that a faster
            decoder has found to be flawless.
        """
        self._strict = strict
        self._decode_all = decode_all
        self._labels = range(labels_offset, dataset.num_classes)
        self._has_picture_key = dataset.key_of("image") == features.PICTURE_KEY
        self._has_label_key = dataset.key_of("label") == features.LABEL_KEY
        self._specifications = {
            # Evaluation reads it, too.
            features.FILENAME_KEY: tf.FixedLenFeature([], tf.string),
            **getattr(dataset.decoder, "_keys_to_features", {}),
        }
        with tf.Graph().as_default() as graph, tf.device("/cpu:0"):
            content = tf.placeholder(tf.string, [])
            image, label = dataset.decoder.decode(content, ["image", "label"])
            height, width, self._channels = image.shape.as_list()
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
        feature = features.parse(record.content)
        if feature is None:
            return RecordFacts(features.no_example(record.content))
        encoded = features.first(feature[features.PICTURE_KEY])
        facts = RecordFacts(
            filename=features.text(feature[features.FILENAME_KEY]),
            encoded=encoded,
            size=_size_of(encoded),
            orientation=_orientation_of(encoded),
        )
        fault = features.picture_fault(record.content, feature)
        if self._has_picture_key and fault:
            return facts._replace(fault=fault, advice=_WRITE_PICTURE)
        if self._has_label_key:
            if fault := features.label_fault(record.content, feature):
                return facts._replace(fault=fault, advice=WRITE_LABEL)
            [label] = feature[features.LABEL_KEY].int64_list.value
            facts = facts._replace(label=label)
        if fault := features.misfit(feature, self._specifications):
            return facts._replace(fault=fault)
        format_ = features.first(feature[features.FORMAT_KEY])
        is_raw = self._has_picture_key and format_ in _RAW
        if is_raw and (fault := self._raw_fault(len(encoded))):
            return facts._replace(fault=fault, advice=_WRITE_PICTURE)
        if self._size and facts.size and facts.size != self._size and not is_raw:
            fault = f"its picture has {_x(facts.size)} pixels instead of "
            facts = facts._replace(fault=fault + _x(self._size))
        elif (
            self._decode_all
            or facts.label is None
            or is_raw
            or not _is_flawless_jpeg(facts.encoded)
        ):
            facts = self._decoded(record.content, facts)
        if facts.label is not None and facts.label not in self._labels:
            return facts._replace(label_fault=out_of_range(facts.label, self._labels))
        return facts

    def _decoded(self, content: bytes, facts: RecordFacts) -> RecordFacts:
        """Completes `facts` by TensorFlow, which knows the labels under other keys."""
        try:
            shape, label, _ = self._decode(content)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            why = reason(getattr(error, "message", ""))
            kind = kinds.of(facts.encoded[: kinds.START_BYTES])
            if kind and why.startswith(_UNKNOWN_FORMAT):
                fault = f"its picture is of the format {kind.name}, which TensorFlow "
                fault += f"{tf.__version__} does not decode"
                return facts._replace(fault=fault, advice=_WRITE_PICTURE)
            return facts._replace(fault=f"its picture can't be decoded: {why}")
        fault = _damage(facts.encoded) if self._strict else ""
        *_, height, width, _ = map(int, shape)  # Of an animation, frames come first.
        return facts._replace(
            fault=fault,
            label=int(label) if facts.label is None else facts.label,
            size=(height, width),
        )

    def _raw_fault(self, size: int) -> str:
        """Why so many bytes are not the pixels of a picture; empty if they are."""
        are = f"{features.FORMAT_KEY} is raw, and image/encoded has {size:,} bytes"
        if not self._size:
            return f"{are} of unknown height and width: pictures here are of any size"
        height, width = self._size
        expected = height * width * self._channels
        if size == expected:
            return ""
        return f"{are}; {height}x{width}x{self._channels} pixels have {expected:,}"


def _orientation_of(encoded: bytes) -> int:
    """The EXIF orientation of a JPEG or PNG, 1 to 8; 1 if it has none."""
    if encoded.startswith(_JPEG):
        return exif.orientation(jpegs.read(encoded).exif)
    png = pngs.read(encoded)
    return exif.orientation(png.exif) if png else exif.UPRIGHT


def out_of_range(label: int, labels: range) -> str:
    """Says that a label is none of `labels`."""
    return f"its label {label} is none of {labels.start} to {labels.stop - 1}"


def filename_of(content: bytes) -> str:
    """The source of a record's picture; empty if the record does not name it."""
    feature = features.parse(content)
    return "" if feature is None else features.text(feature[features.FILENAME_KEY])


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
