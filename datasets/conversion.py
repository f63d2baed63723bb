"""What all converters share: finding their source, writing all records or nothing.

A converter reads its source, which a user has on disk or which is downloaded, into
a `Content` and hands it to `convert`.
"""

import contextlib
import dataclasses
import io
import itertools
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging
from PIL import Image
from tqdm import tqdm

from datasets import dataset_utils, registry
from slimzoo import files
from slimzoo.errors import UserError

# Everything unfinished lives here, out of reach of any data set's file pattern.
_WORK_DIRECTORY = ".incomplete"
_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class Split:
    """The pictures of one split, in the order in which they are written.

    Attributes:
      labels: the class number of each: a list or a NumPy array.
      encode: gives the record of the picture at an index into `labels`.
    """

    labels: Sequence[int] | np.ndarray
    encode: Callable[[int], tf.train.Example]


@dataclasses.dataclass(frozen=True)
class Content:
    """What a converter found: names by class number, pictures by split."""

    class_names: Sequence[str]
    splits: Mapping[str, Split]


def convert(
    dataset: registry.Descriptor,
    dataset_dir: str | os.PathLike[str],
    read: Callable[[pathlib.Path], Content],
    num_shards: int = 1,
) -> None:
    """Writes a data set's records, labels.txt and manifest, unless they are there.

    A failure leaves none of them: files get their names when all are written.

    Args:
      dataset: what to write; its pattern names the files.
      dataset_dir: where; made if missing.
      read: finds the pictures. It takes a directory for what it downloads and
        unpacks, which is deleted afterwards.
      num_shards: number of files per split.

    Raises:
      UserError: if `dataset_dir` holds another data set, or from `read`.
    """
    directory = pathlib.Path(dataset_dir)
    shards = {
        split: dataset.shard_names(split, num_shards)
        for split in dataset.splits_to_sizes
    }
    present = registry.read_manifest(directory).get("dataset", dataset.name)
    if present != dataset.name:
        raise UserError(
            f"{directory} holds the data set {present}. Choose another --dataset_dir "
            f"for {dataset.name}."
        )
    expected = [*itertools.chain(*shards.values()), dataset_utils.LABELS_FILENAME]
    if all((directory / name).exists() for name in expected):
        logging.info(
            "%s holds the data set %s already; nothing to do.", directory, dataset.name
        )
        return

    with _work_directory(directory) as work:
        content = read(work)
        records = work / "records"
        records.mkdir()
        for split, names in shards.items():
            _write_split(split, content.splits[split], [records / n for n in names])
        dataset_utils.write_label_file(dict(enumerate(content.class_names)), records)
        files.write_json(
            records / registry.MANIFEST_FILENAME, _manifest(dataset.name, content)
        )
        for name in [*expected, registry.MANIFEST_FILENAME]:
            (records / name).replace(directory / name)
    logging.info(
        "%s holds the data set %s: %s.",
        directory,
        dataset.name,
        ", ".join(f"{len(s.labels)} {split}" for split, s in content.splits.items()),
    )


def find_file(
    url: str, source_dir: str | os.PathLike[str] | None, work: pathlib.Path
) -> pathlib.Path:
    """Finds a source file, as it was published or with its `.gz` undone.

    Args:
      url: where to download it without a `source_dir`.
      source_dir: where the user has it, if anywhere.
      work: where to download it to.

    Raises:
      UserError: naming the file if it is not in `source_dir`.
    """
    if not source_dir:
        return pathlib.Path(dataset_utils.download_url(url, work))
    root = pathlib.Path(source_dir)
    published = root / url.rpartition("/")[2]
    candidates = [published, published.with_suffix("")]
    for path in candidates:
        if path.is_file():
            return path
    raise _not_found(root, candidates)


def find_folder(
    name: str,
    url: str,
    source_dir: str | os.PathLike[str] | None,
    work: pathlib.Path,
    contents: str,
) -> pathlib.Path:
    """Finds an archive's folder, unpacking the archive if need be.

    Args:
      name: of the folder.
      url: where to download the archive without a `source_dir`.
      source_dir: what the user has, if anything: the folder itself, or a directory
        with the folder or the archive in it.
      work: where to download and to unpack to.
      contents: glob of a file that the folder has, by which it is known.

    Raises:
      UserError: naming what was looked for if it is not in `source_dir`.
    """
    root = pathlib.Path(source_dir or work)
    archive = root / url.rpartition("/")[2]
    if not source_dir:
        dataset_utils.download_url(url, work)
    elif any((root / name).glob(contents)):
        return root / name
    elif not archive.is_file():
        if any(root.glob(contents)):
            return root
        raise _not_found(root, [root / name, archive, root / contents])
    dataset_utils.extract_tarball(archive, work)
    if not any((work / name).glob(contents)):
        raise UserError(
            f"{archive} has no {name}/{contents} in it; is it the published archive?"
        )
    return work / name


def encoded_example(
    pixels: np.ndarray, label: int, image_format: str = "png"
) -> tf.train.Example:
    """The record of a picture, `uint8 [height, width]` or `[height, width, 3]`."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, image_format, quality=_JPEG_QUALITY)
    height, width = pixels.shape[:2]
    return dataset_utils.image_to_tfexample(
        encoded.getvalue(), image_format.encode(), height, width, label
    )


@contextlib.contextmanager
def _work_directory(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory in `directory` for the time of the block, which is made if missing.

    If the block fails, `directory` is as it was.
    """
    work = directory / _WORK_DIRECTORY
    made = not directory.exists()
    try:
        shutil.rmtree(work, ignore_errors=True)  # From a run that was killed.
        try:
            work.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"cannot write to {directory}: {error.strerror}") from error
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # It is full if all went well.
                directory.rmdir()


def _not_found(root: pathlib.Path, expected: Sequence[pathlib.Path]) -> UserError:
    return UserError(
        f"there is no {' or '.join(map(str, expected))}: {files.listing(str(root))}. "
        f"Set --source_dir to where the files are, or leave it out to download them."
    )


def _write_split(name: str, split: Split, shards: Sequence[pathlib.Path]) -> None:
    bounds = [i * len(split.labels) // len(shards) for i in range(len(shards) + 1)]
    with tqdm(
        desc=f"Converting {name}", total=len(split.labels), unit="img", disable=None
    ) as progress:
        for path, (start, end) in zip(shards, itertools.pairwise(bounds), strict=True):
            with tf.io.TFRecordWriter(str(path)) as writer:
                for index in range(start, end):
                    writer.write(split.encode(index).SerializeToString())
                    progress.update()


def _manifest(name: str, content: Content) -> dict:
    def count(split: Split) -> dict:
        per_class = np.bincount(split.labels, minlength=len(content.class_names))
        return {"count": len(split.labels), "per_class": per_class.tolist()}

    return {
        "dataset": name,
        "classes": list(content.class_names),
        "splits": {name: count(split) for name, split in content.splits.items()},
    }
