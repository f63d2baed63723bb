"""Reading TFRecord files, even where they are damaged.

A record is the length of its content, a checksum of the length, the content and a
checksum of the content. So a damaged content does not hide the next record, and a
damaged length does.
"""

import os
import pathlib
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from datasets.storage import foreign
from slimbase.errors import UserError

MAX_BYTES = 1 << 30  # Of a record; tf.train.Example cannot have twice as many.

# Where conversion keeps what is not whole yet, out of reach of any file pattern.
WORK_DIRECTORY = ".incomplete"
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size
_CASTAGNOLI = 0x82F63B78  # The polynomial of CRC-32C, reflected.


class Record(NamedTuple):
    """A record of a file, or what there is instead.

    Attributes:
      position: number of records before it.
      offset: its begin in the file, in bytes.
      content: the record's bytes; None where it is corrupt.
      problem: why it is corrupt; else empty.
      is_last: whether nothing behind it can be read.
    """

    position: int
    offset: int
    content: bytes | None
    problem: str = ""
    is_last: bool = False


class Stretch(NamedTuple):
    """Successive records of a file.

    Attributes:
      path: the file.
      position: number of records before the first one.
      offset: the first record's begin, in bytes.
      count: number of records; -1 for all that follow.
    """

    path: str
    position: int = 0
    offset: int = 0
    count: int = -1


def read_records(path: str | os.PathLike) -> Iterator[Record]:
    """Reads all records of a local file that can be read.

    Yields:
      Each record, sound or corrupt. Where a length is damaged or the file is cut short,
      a corrupt record is the last.

    Raises:
      UserError: if the file cannot be read.
    """
    reader = _random_reader(path)
    for position, (offset, length, problem) in enumerate(_frames(path)):
        if problem:
            yield Record(position, offset, None, problem, is_last=True)
        elif length > MAX_BYTES:
            yield Record(position, offset, None, f"it has {length:,} bytes")
        else:
            yield _checked(reader, position, offset)


def refuse_other_files(paths: Iterable[str]) -> None:
    """Refuses compressed record files, and files of other kinds, by their first bytes.

    What is damaged, and so looks like nothing in particular, passes.

    Args:
      paths: of this machine or of others.

    Raises:
      UserError: for the first such file, or one that cannot be read; says what it is
        and what to do.
    """
    for path in paths:
        try:
            with tf.io.gfile.GFile(path, "rb") as file:
                start = file.read(foreign.START_BYTES)
        except tf.errors.OpError as error:
            raise UserError(f"cannot read {path}: {error.message}") from error
        if _is_header(start[:_HEADER_BYTES]):
            continue
        if compression := foreign.compression(start):
            raise UserError(
                f"{path} is compressed ({compression}), and records are read as they "
                f"are. Unpack it: {foreign.unpacking(path, compression)}"
            )
        if kind := foreign.file_kind(start):
            raise UserError(
                f"{path} is {kind}, not a TFRecord file. Check --dataset_dir and "
                "--dataset_name; if they are right, move the file away."
            )


def read_at(path: str | os.PathLike, offset: int) -> bytes:
    """The content of the sound record that begins at `offset` of a local file."""
    content, _ = _random_reader(path).read(offset)
    return content


def count_records(path: str | os.PathLike, strict: bool = True) -> int:
    """Counts the records of a local TFRecord file by their lengths alone.

    Args:
      path: the file.
      strict: whether it is an error if a length is damaged, or the file does not end
        with a record's end. Otherwise the records before that are counted.

    Raises:
      UserError: for such a file.
    """
    count = 0
    for _, _, problem in _frames(path):
        if problem and not strict:
            return count
        if problem:
            raise UserError(
                f"{path} is cut short, damaged or not a TFRecord file: record {count} "
                f"is not whole ({problem}). Delete it and convert the data again."
            )
        count += 1
    return count


def _frames(path: str | os.PathLike) -> Iterator[tuple[int, int, str]]:
    """(offset, length of the content, why the file ends here if it should not)."""
    try:
        size = pathlib.Path(path).stat().st_size
        with pathlib.Path(path).open("rb") as file:
            offset = 0
            while offset < size:
                length, problem = _frame(file.read(_HEADER_BYTES), size - offset)
                yield offset, length, problem
                if problem:
                    return
                offset += _HEADER_BYTES + length + _CHECKSUM.size
                file.seek(offset)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _frame(header: bytes, rest: int) -> tuple[int, str]:
    if len(header) < _HEADER_BYTES:
        return 0, "the file ends in it"
    (length,) = _LENGTH.unpack_from(header)
    if not _is_header(header):
        return 0, "its length is damaged, so that what follows cannot be found"
    # Beyond 64 bits nothing overflows in Python, and nothing is allocated here.
    if _HEADER_BYTES + length + _CHECKSUM.size > rest:
        return length, f"it should have {length:,} bytes, and the file ends before"
    return length, ""


def _is_header(header: bytes) -> bool:
    """Whether these are a length and its checksum."""
    if len(header) < _HEADER_BYTES:
        return False
    (checksum,) = _CHECKSUM.unpack_from(header, _LENGTH.size)
    return checksum == _masked_crc(header[: _LENGTH.size])


def _masked_crc(content: bytes) -> int:
    """CRC-32C as TFRecords have it; slow, for lengths alone."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc


_CRC_TABLE = tuple(map(_crc_of_byte, range(256)))


def _random_reader(path: str | os.PathLike) -> Any:
    """TensorFlow's reader of a record at an offset, which checks its content.

    It is not public. It must not be given a record that is longer than the file: it
    takes memory for all of it and ends the process.
    """
    try:
        from tensorflow.python.lib.io.tf_record import tf_record_random_reader
    except ImportError as error:
        raise ImportError(
            f"TensorFlow {tf.__version__} has no tf_record_random_reader, which "
            "datasets/storage/records.py needs; TensorFlow 2.21 has"
        ) from error
    try:
        return tf_record_random_reader(os.fspath(path))
    except tf.errors.OpError as error:
        raise UserError(f"cannot read {path}: {error.message}") from error


def _checked(reader: Any, position: int, offset: int) -> Record:
    try:
        content, _ = reader.read(offset)
    except (tf.errors.OpError, IndexError):
        return Record(position, offset, None, "its content is damaged (checksum)")
    return Record(position, offset, content)
