"""The turns of Keras: an application, `fit` or `predict`, and `tf.data`.

Pictures are cropped, mirrored and scaled as ours are; their colours are not distorted.
Keras compiles by XLA where it can; on CPUs that is several times slower, so it is off.
"""

import contextlib
import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf

from datasets.storage.split import StoredSplit
from slimzoo.benchmark import ours
from slimzoo.benchmark.clock import Clock, EnoughError, Request
from slimzoo.model.info import ModelInfo

_FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/class/label": tf.io.FixedLenFeature([], tf.int64),
}


class _Tick(keras.callbacks.Callback):
    def __init__(self, clock: Clock, images: int):
        super().__init__()
        self._clock, self._images = clock, images

    def _tick(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._clock.tick(self._images):
            raise EnoughError

    on_train_batch_end = on_predict_batch_end = _tick


def _model(request: Request, info: ModelInfo) -> Any:
    if request["seed"] is not None:
        keras.utils.set_random_seed(request["seed"])
    if request["precision"] == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    name, arguments = request["elsewhere"]
    return getattr(keras.applications, name)(
        weights=None,
        classes=info.num_classes,
        input_shape=(*info.image_size, 3),
        **arguments,
    )


def _crop_at_random(content: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        shape,
        tf.zeros([1, 0, 4]),
        min_object_covered=0.1,
        area_range=(0.05, 1.0),
        use_image_if_no_bounding_boxes=True,
    )
    (y, x, _), (height, width, _) = tf.unstack(begin), tf.unstack(size)
    window = tf.stack([y, x, height, width])
    return tf.io.decode_and_crop_jpeg(content, window, channels=3)


def _crop_middle(content: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_jpeg(content, channels=3)
    return tf.image.central_crop(image, 0.875)


def _batches(
    info: ModelInfo, dataset: StoredSplit, batch_size: int, is_training: bool
) -> tf.data.Dataset:
    crop = _crop_at_random if is_training else _crop_middle

    def example(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_single_example(serialized, _FEATURES)
        content = features["image/encoded"]
        image = crop(content, tf.io.extract_jpeg_shape(content))
        image = tf.image.resize(image, info.image_size)
        image.set_shape([*info.image_size, 3])
        if is_training:
            image = tf.image.random_flip_left_right(image)
        return image / 127.5 - 1.0, features["image/class/label"]

    files = tf.data.Dataset.list_files(dataset.data_sources, shuffle=is_training)
    records = files.interleave(
        tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE
    ).repeat()
    if is_training:
        records = records.shuffle(min(2048, dataset.num_samples))
    images = records.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def measure_train(request: Request, clock: Clock) -> None:
    """Training by `Model.fit`."""
    info, dataset = ours.model_and_data(request, is_training=True)
    model = _model(request, info)
    model.compile(
        optimizer=keras.optimizers.RMSprop(0.01, rho=0.9, momentum=0.9, epsilon=1.0),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    batches = _batches(info, dataset, request["batch_size"], is_training=True)
    with contextlib.suppress(EnoughError):
        model.fit(
            batches,
            steps_per_epoch=2**31,
            verbose=0,
            callbacks=[_Tick(clock, request["batch_size"])],
        )


def measure_inference(request: Request, clock: Clock) -> None:
    """Predictions by `Model.predict`."""
    info, dataset = ours.model_and_data(request, is_training=False)
    model = _model(request, info)
    model.compile(jit_compile=False)
    batches = _batches(info, dataset, request["batch_size"], is_training=False)
    tick = _Tick(clock, request["batch_size"])
    with contextlib.suppress(EnoughError):
        model.predict(batches, verbose=0, callbacks=[tick])
