"""The recipes as they were in 2017, in float32 from the first operation on."""

import functools
from collections.abc import Callable

import tensorflow.compat.v1 as tf

from nets.registry import NETWORKS
from slimzoo.model.info import ModelInfo

_MEANS = (123.68, 116.78, 103.94)

Side = int | tf.Tensor  # In pixels.


def get(info: ModelInfo, is_training: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """The recipe of `info`; today's recipe unless it is inception's or vgg's."""
    network = NETWORKS.get(info.preprocessing_name)
    name = network.preprocessing if network else info.preprocessing_name
    recipe = _RECIPES.get((name, is_training))
    if recipe is None:
        return info.preprocessing(is_training)
    height, width = info.image_size
    return functools.partial(recipe, height=height, width=width)


def _summarize(name: str, image: tf.Tensor) -> None:
    tf.summary.image(name, tf.expand_dims(image, 0))


def _resize(image: tf.Tensor, height: Side, width: Side) -> tf.Tensor:
    resized = tf.image.resize_bilinear(
        tf.expand_dims(image, 0), [height, width], align_corners=False
    )
    return tf.squeeze(resized, [0])


def _select(
    image: tf.Tensor, function: Callable[[tf.Tensor, int], tf.Tensor], cases: int
) -> tf.Tensor:
    """`function(image, case)` for a random case, by switches and a merge."""
    chosen = tf.random_uniform([], maxval=cases, dtype=tf.int32)
    switch = tf.raw_ops.Switch
    outputs = [
        function(switch(data=image, pred=tf.equal(chosen, case))[1], case)
        for case in range(cases)
    ]
    return tf.raw_ops.Merge(inputs=outputs)[0]


def _inception_train(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    image = tf.image.convert_image_dtype(image, tf.float32)
    box = tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4])
    shown = tf.image.draw_bounding_boxes(tf.expand_dims(image, 0), box)
    tf.summary.image("image_with_bounding_boxes", shown)
    begin, size, crop_box = tf.image.sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=box,
        min_object_covered=0.1,
        aspect_ratio_range=(0.75, 1.33),
        area_range=(0.05, 1.0),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    shown = tf.image.draw_bounding_boxes(tf.expand_dims(image, 0), crop_box)
    tf.summary.image("images_with_distorted_bounding_box", shown)
    crop = tf.slice(image, begin, size)
    crop.set_shape([None, None, 3])
    # The fast mode, which is the default, has one way to resize and one order of
    # colours.
    image = _select(
        crop, lambda x, case: tf.image.resize_images(x, [height, width]), cases=1
    )
    image.set_shape([height, width, 3])
    _summarize("cropped_resized_image", image)
    image = tf.image.random_flip_left_right(image)
    image = _select(image, _distort_colors, cases=1)
    image.set_shape([height, width, 3])
    _summarize("final_distorted_image", image)
    return tf.multiply(tf.subtract(image, 0.5), 2.0)


def _distort_colors(image: tf.Tensor, case: int) -> tf.Tensor:
    image = tf.image.random_brightness(image, max_delta=32.0 / 255.0)
    image = tf.image.random_saturation(image, lower=0.5, upper=1.5)
    return tf.clip_by_value(image, 0.0, 1.0)


def _inception_eval(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = tf.image.central_crop(image, central_fraction=0.875)
    image.set_shape([None, None, 3])
    image = _resize(image, height, width)
    return tf.multiply(tf.subtract(image, 0.5), 2.0)


def _to_smallest_side(image: tf.Tensor, side: Side) -> tf.Tensor:
    """Resizes an image so that its smaller side has `side` pixels."""
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.cast(side, tf.float32) / tf.reduce_min(size)
    height, width = tf.unstack(tf.cast(tf.rint(size * scale), tf.int32))
    image = _resize(image, height, width)
    image.set_shape([None, None, 3])
    return image


def _crop(
    image: tf.Tensor,
    height: int,
    width: int,
    choose_offset: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Crops after two assertions, as every crop of 2017 did."""
    shape = tf.shape(image)
    of_colors = tf.Assert(tf.equal(tf.rank(image), 3), ["not a picture"])
    fits = tf.logical_and(
        tf.greater_equal(shape[0], height), tf.greater_equal(shape[1], width)
    )
    with tf.control_dependencies([of_colors, tf.Assert(fits, ["too small", shape])]):
        offsets = [choose_offset(shape[0] - height), choose_offset(shape[1] - width), 0]
        image = tf.slice(image, tf.stack(offsets), [height, width, 3])
    image.set_shape([height, width, 3])
    return tf.cast(image, tf.float32)


def _less_mean(image: tf.Tensor) -> tf.Tensor:
    channels = tf.split(image, 3, axis=2)
    shifted = [c - mean for c, mean in zip(channels, _MEANS, strict=True)]
    return tf.concat(shifted, axis=2)


def _vgg_train(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    side = tf.random_uniform([], minval=256, maxval=513, dtype=tf.int32)
    image = _to_smallest_side(image, side)

    def anywhere(room: tf.Tensor) -> tf.Tensor:
        return tf.random_uniform([], maxval=room + 1, dtype=tf.int32)

    image = _crop(image, height, width, anywhere)
    return _less_mean(tf.image.random_flip_left_right(image))


def _vgg_eval(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    image = _to_smallest_side(image, 256)
    return _less_mean(_crop(image, height, width, lambda room: room // 2))


_RECIPES = {
    ("inception", True): _inception_train,
    ("inception", False): _inception_eval,
    ("vgg", True): _vgg_train,
    ("vgg", False): _vgg_eval,
}
