"""Images that an exported network is calibrated on and compared on."""

import dataclasses
import io

import numpy as np
import tensorflow.compat.v1 as tf

from datasets import dataset_factory
from datasets.reading import pipeline
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError
from slimbase.graph import session_config
from slimzoo.config.export import ExportConfig
from slimzoo.formats.trained import decoded_channels
from slimzoo.model.info import ModelInfo

_NOISE = 8  # Images of noise, if there are no others.
_ENCODED = {"image/encoded": tf.io.FixedLenFeature([], tf.string, "")}


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images to compare answers on.

    Attributes:
      images: float32 `[count, height, width, channels]`, preprocessed; clips have a
        dimension of frames.
      contents: the same as encoded pictures; empty for clips, or if unknown.
      source: where they come from, in words.
      are_real: whether they are of a data set.
    """

    images: np.ndarray
    contents: tuple[bytes, ...]
    source: str
    are_real: bool

    def __getitem__(self, which: slice) -> "Examples":
        return dataclasses.replace(
            self, images=self.images[which], contents=self.contents[which]
        )

    def __len__(self) -> int:
        return len(self.images)


def choose(config: ExportConfig, info: ModelInfo) -> tuple[np.ndarray | None, Examples]:
    """Images to calibrate on, if that is wanted, and examples to compare answers on.

    Raises:
      UserError: when there are too few, or none to calibrate on.
    """
    frames = config.num_frames if config.is_video_model else None
    calibrates = config.quantization == "int8" and not info.quantize
    if calibrates and not config.dataset_dir:
        raise UserError(
            "--quantization=int8 is calibrated on pictures: give --dataset_dir"
        )
    if frames or not config.dataset_dir:
        return None, noise(info, frames)
    dataset = _choose_split(
        info.dataset_name, config.dataset_dir, config.dataset_split_name
    )
    # A directory may have nothing but labels.txt.
    is_needed = calibrates or config.dataset_split_name
    if not is_needed and not dataset.record_files:
        return None, noise(info)
    dataset.check_files()
    wanted = config.calibration_size if calibrates else 0
    examples = read(info, dataset, wanted + config.verification_size)
    if len(examples) < wanted:
        raise UserError(
            f"{info.dataset_name}'s split {dataset.name} has {len(examples)} pictures "
            f"in {config.dataset_dir}, and --calibration_size is {wanted}: give at "
            f"most {len(examples)}"
        )
    # Others than those of calibration, as far as there are any.
    shown = min(config.verification_size, len(examples))
    return examples.images[:wanted], examples[-shown:]


def _choose_split(dataset_name: str, dataset_dir: str, name: str | None) -> StoredSplit:
    """The split `name`, or train if it has record files, or that of evaluation."""
    manifest = manifests.read_manifest(dataset_dir)
    descriptor = dataset_factory.describe(dataset_name, dataset_dir, manifest)
    if not name and "train" in descriptor.splits_to_sizes:
        train = descriptor.find_split("train", manifest)
        if train.record_files:
            return train
    return descriptor.find_split(name or descriptor.evaluation_split, manifest)


def read(info: ModelInfo, dataset: StoredSplit, most: int) -> Examples:
    """The first pictures of a split, at most `most`.

    Raises:
      UserError: when they cannot be read.
    """
    preprocess = info.preprocessing()
    images, contents = [], []
    with (
        tf.Graph().as_default(),
        pipeline.explained_errors(dataset, info.labels_offset),
    ):
        batches = pipeline.eval_batches(
            dataset, preprocess, 1, labels_offset=info.labels_offset
        ).take(most)
        records = tf.data.TFRecordDataset(list(dataset.record_files))
        [(batch, record)] = pipeline.next_batches(
            tf.data.Dataset.zip((batches, records)), 1
        )
        encoded = tf.io.parse_single_example(record, _ENCODED)["image/encoded"]
        start_reading = tf.tables_initializer()
        with tf.Session(config=session_config(on_cpu=True)) as session:
            session.run(start_reading)
            while True:
                try:
                    image, content = session.run([batch.images, encoded])
                except tf.errors.OutOfRangeError:
                    break
                images.append(image)
                contents.append(content)
    if not images:
        raise UserError(f"the records in {dataset.data_sources} hold no images")
    if not all(contents):  # The records hold numbers in their place.
        contents = []
    source = f"{info.dataset_name}, split {dataset.name}"
    return Examples(np.concatenate(images), tuple(contents), source, True)


def noise(info: ModelInfo, frames: int | None = None) -> Examples:
    """Some coarse noise, preprocessed; the same at every call.

    Args:
      info: what is known about the network.
      frames: frames of a clip, for networks that take clips.
    """
    random = np.random.default_rng(0)
    height, width = info.image_size
    if frames:
        shape = (_NOISE // 4, frames, height, width, info.channels)
        images = random.uniform(-1, 1, shape).astype(np.float32)
        return Examples(images, (), "noise", False)
    coarse = random.integers(0, 256, (_NOISE, 12, 16, 3), np.uint8)
    contents = [_png(pixels.repeat(20, 0).repeat(20, 1)) for pixels in coarse]
    with tf.Graph().as_default(), tf.Session() as session:
        content = tf.placeholder(tf.string, [])
        image = info.preprocessing()(tf.io.decode_png(content, decoded_channels(info)))
        images = [session.run(image, {content: png}) for png in contents]
    return Examples(np.stack(images), tuple(contents), "noise", False)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()
