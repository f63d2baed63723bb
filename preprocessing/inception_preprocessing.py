"""The Inception recipe: a crop of random area, aspect and colour, in [-1, 1].

Crops as in Szegedy et al., Going deeper with convolutions, 2014:
https://arxiv.org/abs/1409.4842; colours as in Howard, Some improvements on deep
convolutional neural network based image classification, 2013:
https://arxiv.org/abs/1312.5402

Training takes encoded pictures too, of which it decodes no more than the crop. For the
same seed the result is that of the decoded picture, unless the crop is at least 2, 4 or
8 times as high and wide as the result: then it is decoded at that fraction of its size,
where a decoded picture would be resized without smoothing.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from preprocessing import encoded, ops, recoloring
from preprocessing.choices import NONE, Distortions
from preprocessing.distortions import BRIGHTNESS, SATURATION, apply
from preprocessing.registry import register

_RESIZE_METHODS = (
    tf.image.ResizeMethod.BILINEAR,
    tf.image.ResizeMethod.NEAREST_NEIGHBOR,
    tf.image.ResizeMethod.BICUBIC,
    tf.image.ResizeMethod.AREA,
)

_LEAST_AREA = 0.05  # Of a crop, as a share of the picture's.

_brightness = functools.partial(
    tf2.image.stateless_random_brightness, max_delta=BRIGHTNESS
)
_saturation = functools.partial(
    tf2.image.stateless_random_saturation, lower=SATURATION[0], upper=SATURATION[1]
)
_hue = functools.partial(tf2.image.stateless_random_hue, max_delta=0.2)
_contrast = functools.partial(tf2.image.stateless_random_contrast, lower=0.5, upper=1.5)

_FAST_ORDERINGS = (
    (_brightness, _saturation),
    (_saturation, _brightness),
)
_ORDERINGS = (
    (_brightness, _saturation, _hue, _contrast),
    (_saturation, _brightness, _contrast, _hue),
    (_contrast, _hue, _brightness, _saturation),
    (_hue, _saturation, _contrast, _brightness),
)


def apply_with_random_selector(
    x: tf.Tensor,
    func: Callable[[tf.Tensor, int], tf.Tensor],
    num_cases: int,
    seed: Any = None,
) -> tf.Tensor:
    """Returns `func(x, case)` for a random `case` of 0 to `num_cases - 1`.

    Args:
      x: a tensor.
      func: called with `x` and each case as a Python number; only the chosen one runs.
      num_cases: how many cases there are.
      seed: int32 or int64 `[2]`, fixes the choice.
    """
    if num_cases == 1:
        return func(x, 0)
    (seed,) = ops.split_seed(seed, 1)
    case = tf.random.stateless_uniform([], seed, maxval=num_cases, dtype=tf.int32)
    return tf.switch_case(
        case, [functools.partial(func, x, i) for i in range(num_cases)]
    )


def distort_color(
    image: tf.Tensor,
    color_ordering: int = 0,
    fast_mode: bool = True,
    scope: str | None = None,
    seed: Any = None,
) -> tf.Tensor:
    """Changes the colours of one picture at random.

    Args:
      image: float `[height, width, 3]` in [0, 1].
      color_ordering: which of four orders of the distortions, 0 to 3; their results
        differ, as the distortions do not commute.
      fast_mode: whether to leave out hue and contrast, which leaves two orders: 0 and
        all others.
      scope: name scope.
      seed: int32 or int64 `[2]`, fixes the distortions.

    Returns:
      A picture as `image`, clipped to [0, 1].

    Raises:
      ValueError: for a `color_ordering` out of range.
    """
    if color_ordering not in range(len(_ORDERINGS)):
        raise ValueError(f"color_ordering must be 0, 1, 2 or 3, got {color_ordering}")
    orderings = _FAST_ORDERINGS if fast_mode else _ORDERINGS
    ordering = orderings[min(color_ordering, len(orderings) - 1)]
    with tf.name_scope(scope, "distort_color", [image]):
        for distort, step_seed in zip(
            ordering, ops.split_seed(seed, len(ordering)), strict=True
        ):
            image = distort(image, seed=step_seed)
        # Not after each step: the next may bring values back into the range.
        return tf.clip_by_value(image, 0.0, 1.0)


def distorted_bounding_box_crop(
    image: tf.Tensor,
    bbox: tf.Tensor | None,
    min_object_covered: float = 0.1,
    aspect_ratio_range: Sequence[float] = (0.75, 1.33),
    area_range: Sequence[float] = (0.05, 1.0),
    max_attempts: int = 100,
    scope: str | None = None,
    seed: Any = None,
    least: tuple[int, int] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops one picture to a random box around what it shows.

    Args:
      image: `[height, width, channels]` of any type, or an encoded picture, a string
        scalar, of which no more than the crop is decoded.
      bbox: float32 `[1, boxes, 4]`, each box `(ymin, xmin, ymax, xmax)` in fractions
        of the picture's sides; without any, the whole picture is the box.
      min_object_covered: least fraction of one of the boxes that the crop covers.
      aspect_ratio_range: bounds of the crop's width over its height.
      area_range: bounds of the crop's area as a fraction of the picture's.
      max_attempts: number of attempts, after which the whole picture is returned.
      scope: name scope.
      seed: int32 or int64 `[2]`, fixes the box.
      least: height and width. The crop of an encoded JPEG is made smaller by 2, 4 or 8
        if it still has as many pixels then.

    Returns:
      The crop, and its box as float32 `[1, 1, 4]`.
    """
    with tf.name_scope(scope, "distorted_bounding_box_crop", [image, bbox]):
        (seed,) = ops.split_seed(seed, 1)

        def random_box(shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            return tf2.image.stateless_sample_distorted_bounding_box(
                shape,
                bounding_boxes=bbox,
                seed=seed,
                min_object_covered=min_object_covered,
                aspect_ratio_range=aspect_ratio_range,
                area_range=area_range,
                max_attempts=max_attempts,
                use_image_if_no_bounding_boxes=True,
            )

        def random_window(
            size: tf.Tensor,
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            shape = tf.concat([size, [encoded.CHANNELS]], 0)
            begin, size, distorted_bbox = random_box(shape)
            return begin[:2], size[:2], distorted_bbox

        if encoded.is_encoded(image):
            return encoded.crop(image, random_window, least)
        begin, size, distorted_bbox = random_box(tf.shape(image))
        crop = tf.slice(image, begin, size)
        crop.set_shape([None, None, image.shape[-1]])
        return crop, distorted_bbox


def preprocess_for_train(
    image: tf.Tensor,
    height: int,
    width: int,
    bbox: tf.Tensor | None,
    fast_mode: bool = True,
    scope: str | None = None,
    add_image_summaries: bool = True,
    random_crop: bool = True,
    use_grayscale: bool = False,
    seed: Any = None,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Distorts one picture at random.

    Args:
      image: `[height, width, channels]`; integers over their type's whole range, or
        float32 in [0, 1]; or an encoded picture, a string scalar, which is decoded
        as far as need be and to three channels.
      height: height of the result in pixels.
      width: width of the result in pixels.
      bbox: boxes around what the picture shows, see `distorted_bounding_box_crop`;
        None for the whole picture.
      fast_mode: whether to resize bilinearly rather than by one of four methods, and
        to distort brightness and saturation alone, in one order.
      scope: name scope.
      add_image_summaries: whether to show the picture before, between and after.
      random_crop: whether to crop; otherwise the whole picture is resized.
      use_grayscale: whether to make it one channel rather than three, at the end.
      seed: int32 or int64 `[2]`, fixes the distortions.
      distortions: what is to be done otherwise.

    Returns:
      float32 `[height, width, channels]` in [-1, 1].
    """
    more_seed = None
    if distortions:
        more_seed, seed = ops.split_seed(seed, 2)
    crop_seed, seed = ops.split_seed(seed, 2)
    mirrors = distortions.mirrors("horizontal", by_recipe=True)
    recolors = distortions.colors(by_recipe=True)
    least_area = distortions.min_crop_area or _LEAST_AREA

    def summarize(name: str, image: tf.Tensor, boxes: tf.Tensor | None = None) -> None:
        if add_image_summaries and not encoded.is_encoded(image):
            ops.add_image_summary(name, image, boxes)

    def resize(image: tf.Tensor, case: int) -> tf.Tensor:
        return tf.image.resize_images(image, [height, width], _RESIZE_METHODS[case])

    with tf.name_scope(scope, "distort_image", [image]):
        if bbox is None:
            bbox = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
        summarize("image_with_bounding_boxes", image, bbox)
        if random_crop:
            # Before the conversion, which then has less to convert.
            crop, crop_bbox = distorted_bounding_box_crop(
                image,
                bbox,
                area_range=(least_area, 1.0),
                seed=crop_seed,
                least=(height, width),
            )
            summarize("images_with_distorted_bounding_box", image, crop_bbox)
            image = crop
        elif encoded.is_encoded(image):
            image = encoded.decode(image)
        # Bytes are resized as they are: a fourth of what floats are to read.
        unit = 255.0 if fast_mode and image.dtype == tf.uint8 else 1.0
        if unit == 1.0:
            image = tf.image.convert_image_dtype(image, tf.float32)
        image = ops.to_rgb(image)
        if fast_mode:
            image = ops.resize(image, height, width)
            summarize("cropped_resized_image", image / unit)
            if distortions:
                image = apply(image, distortions, unit, more_seed)
            image = _mirror_and_distort(image, unit, seed, mirrors, recolors)
        else:
            method_seed, flip_seed, ordering_seed, color_seed = ops.split_seed(seed, 4)
            image = apply_with_random_selector(
                image, resize, len(_RESIZE_METHODS), method_seed
            )
            summarize("cropped_resized_image", image)
            if distortions:
                image = apply(image, distortions, 1.0, more_seed)
            if mirrors:
                image = tf2.image.stateless_random_flip_left_right(image, flip_seed)
            if recolors:
                image = apply_with_random_selector(
                    image,
                    lambda image, case: distort_color(
                        image, case, False, seed=color_seed
                    ),
                    len(_ORDERINGS),
                    ordering_seed,
                )
            image = _to_symmetric_range(image)
        if use_grayscale:
            image = ops.to_grayscale(image)
        summarize("final_distorted_image", image)
        return image


def _mirror_and_distort(
    image: tf.Tensor, unit: float, seed: Any, mirrors: bool, recolors: bool
) -> tf.Tensor:
    """The fast mode's distortions of an image of final size, from 0 to `unit`."""
    # One draw for all, as each takes time.
    place, brightness, saturation = tf.unstack(tf.random.stateless_uniform([3], seed))
    if mirrors:
        image = tf.cond(place < 0.5, lambda: tf.reverse(image, [1]), lambda: image)
    if not recolors:
        return image * (2.0 / unit) - 1.0
    low, high = SATURATION
    return recoloring.brighten_and_saturate(
        image,
        (2 * brightness - 1) * BRIGHTNESS,
        low + (high - low) * saturation,
        unit,
        value_range=(-1.0, 1.0),
    )


def preprocess_for_eval(
    image: tf.Tensor,
    height: int | None,
    width: int | None,
    central_fraction: float | None = 0.875,
    scope: str | None = None,
    central_crop: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Crops the middle of one picture and resizes it.

    Args:
      image: as for `preprocess_for_train`.
      height: height of the result in pixels; None leaves the size of the crop.
      width: width of the result in pixels, or None.
      central_fraction: fraction of each side that is kept; None keeps all.
      scope: name scope.
      central_crop: whether to crop.
      use_grayscale: whether to make it one channel rather than three.

    Returns:
      float32 `[height, width, channels]` in [-1, 1].
    """
    with tf.name_scope(scope, "eval_image", [image]):
        if central_crop and central_fraction:
            image = tf.image.central_crop(image, central_fraction)
        image = tf.image.convert_image_dtype(image, tf.float32)
        image = ops.set_color(image, use_grayscale)
        if height and width:
            image = ops.resize(image, height, width)
        return _to_symmetric_range(image)


@register(
    "inception",
    framing="central crop of 87.5 % of each side, resized bilinearly",
    value_range="[-1, 1]",
    mean=127.5,
    scale=127.5,
    source="https://arxiv.org/abs/1409.4842",
    central_fraction=lambda fraction, *_: {"central_fraction": fraction},
    trains_on_encoded=True,
    mirrors=True,
    distorts_colors=True,
)
def preprocess_image(
    image: tf.Tensor,
    height: int,
    width: int,
    is_training: bool = False,
    bbox: tf.Tensor | None = None,
    fast_mode: bool = True,
    add_image_summaries: bool = True,
    crop_image: bool = True,
    use_grayscale: bool = False,
    seed: Any = None,
    central_fraction: float | None = 0.875,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Preprocesses one picture by `preprocess_for_train` or `preprocess_for_eval`.

    `crop_image` is `random_crop` of the one and `central_crop` of the other.
    """
    if is_training:
        return preprocess_for_train(
            image,
            height,
            width,
            bbox,
            fast_mode,
            add_image_summaries=add_image_summaries,
            random_crop=crop_image,
            use_grayscale=use_grayscale,
            seed=seed,
            distortions=distortions,
        )
    return preprocess_for_eval(
        image,
        height,
        width,
        central_fraction,
        central_crop=crop_image,
        use_grayscale=use_grayscale,
    )


def _to_symmetric_range(image: tf.Tensor) -> tf.Tensor:
    """Maps [0, 1] to [-1, 1]."""
    return (image - 0.5) * 2.0
