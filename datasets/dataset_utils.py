"""Records, label files, downloads and archives, for descriptors and converters."""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow.compat.v1 as tf

import slimbase.compat  # noqa: F401  tf_slim needs it on today's TensorFlow.
from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import download
from slimbase.fetch.archives import extract_tarball, extract_zipfile

LABELS_FILENAME = "labels.txt"
_SHOWN_BYTES = 60  # Of a line that is wrong.


def int64_feature(values: int | Iterable[int]) -> tf.train.Feature:
    """A feature of one integer or of a list or tuple of them."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_as_list(values)))


def bytes_list_feature(values: Iterable[bytes]) -> tf.train.Feature:
    """A feature of several byte strings."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def float_list_feature(values: Iterable[float]) -> tf.train.Feature:
    """A feature of several floats."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def bytes_feature(values: bytes) -> tf.train.Feature:
    """A feature of one byte string."""
    return bytes_list_feature([values])


def float_feature(values: float | Iterable[float]) -> tf.train.Feature:
    """A feature of one float or of a list or tuple of them."""
    return float_list_feature(_as_list(values))


def image_to_tfexample(
    image_data: bytes,
    image_format: bytes,
    height: int,
    width: int,
    class_id: int | Iterable[int],
) -> tf.train.Example:
    """The record of one labelled picture.

    Args:
      image_data: the encoded picture.
      image_format: how it is encoded, such as `b"png"`.
      height: in pixels.
      width: in pixels.
      class_id: number of its class, or a list of one.
    """
    example = tf.train.Example()
    # Filled in place: messages handed to messages would copy the picture each time.
    features = example.features.feature
    features["image/encoded"].bytes_list.value.append(image_data)
    features["image/format"].bytes_list.value.append(image_format)
    features["image/class/label"].int64_list.value.extend(_as_list(class_id))
    features["image/height"].int64_list.value.extend(_as_list(height))
    features["image/width"].int64_list.value.extend(_as_list(width))
    return example


def open_sharded_output_tfrecords(
    exit_stack: contextlib.ExitStack, base_path: str, num_shards: int
) -> list[tf.io.TFRecordWriter]:
    """Opens `<base_path>-00000-of-<num_shards>` and so on for writing.

    Args:
      exit_stack: closes the files when it is left.
      base_path: what the names of all shards start with.
      num_shards: how many files to open.
    """
    return [
        exit_stack.enter_context(
            tf.io.TFRecordWriter(f"{base_path}-{shard:05d}-of-{num_shards:05d}")
        )
        for shard in range(num_shards)
    ]


def write_label_file(
    labels_to_class_names: Mapping[int, str],
    dataset_dir: str | os.PathLike[str],
    filename: str = LABELS_FILENAME,
) -> None:
    """Writes one line `<number>:<name>` per class, whole or not at all."""
    with files.replacing(pathlib.Path(dataset_dir, filename)) as path:
        path.write_text(label_lines(labels_to_class_names), "utf-8")


def label_lines(labels_to_class_names: Mapping[int, str]) -> str:
    """The content of a label file."""
    return "".join(f"{label}:{name}\n" for label, name in labels_to_class_names.items())


def has_labels(
    dataset_dir: str | os.PathLike[str], filename: str = LABELS_FILENAME
) -> bool:
    """Whether `dataset_dir` has a label file."""
    return tf.io.gfile.exists(tf.io.gfile.join(dataset_dir, filename))


def read_label_file(
    dataset_dir: str | os.PathLike[str], filename: str = LABELS_FILENAME
) -> dict[int, str]:
    """Reads class names by class number, as `write_label_file` writes them.

    Raises:
      UserError: if it isn't UTF-8, or for a line that is not `<number>:<name>`.
    """
    path = tf.io.gfile.join(dataset_dir, filename)
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    names = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.removesuffix(b"\r"):
            continue
        label, colon, name = line.removesuffix(b"\r").partition(b":")
        try:
            if not colon:
                raise ValueError("no colon")
            names[int(label)] = name.decode()
        except ValueError as error:
            start = line[:_SHOWN_BYTES].removesuffix(b"\r")
            shown = start.decode("utf-8", "backslashreplace")
            raise UserError(
                f"{path} is not a label file: line {number} is {shown!r}. Each line "
                "has to be <class number>:<class name>, in UTF-8."
            ) from error
    return names


def download_url(url: str, dataset_dir: str | os.PathLike[str]) -> str:
    """Downloads a file unless it is there already.

    Args:
      url: what to get; its last part becomes the file's name.
      dataset_dir: where to put it; made if missing.

    Returns:
      The path of the file.

    Raises:
      UserError: if the file can't be had; another call goes on where this one ended.
    """
    path = pathlib.Path(dataset_dir, url.rpartition("/")[2])
    download.download(
        url,
        path,
        advice="Or get the file elsewhere and name the directory it is in by "
        "--source_dir.",
    )
    return str(path)


def download_and_uncompress_tarball(
    tarball_url: str, dataset_dir: str | os.PathLike[str]
) -> None:
    """Downloads a tar archive and unpacks it, both into `dataset_dir`.

    Raises:
      UserError: if the archive can't be had, is damaged, or has members that
        would be written outside `dataset_dir`; nothing is unpacked then.
    """
    extract_tarball(download_url(tarball_url, dataset_dir), dataset_dir)


def download_and_uncompress_zipfile(
    zip_url: str, dataset_dir: str | os.PathLike[str]
) -> None:
    """Downloads a zip archive and unpacks it, both into `dataset_dir`.

    Raises:
      UserError: as `download_and_uncompress_tarball`.
    """
    extract_zipfile(download_url(zip_url, dataset_dir), dataset_dir)


def _as_list(values: Any) -> list | tuple:
    return values if isinstance(values, (tuple, list)) else [values]
