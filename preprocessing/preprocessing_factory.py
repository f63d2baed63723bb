"""Looks preprocessing recipes up, by their own name or by a network's."""

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf

import preprocessing
from preprocessing import encoded
from preprocessing.choices import NONE, Distortions
from preprocessing.registry import RECIPES, UNKNOWN, Recipe
from slimbase.errors import UserError
from slimbase.registry import Registry, import_modules

import_modules(preprocessing)


def get_recipe(name: str) -> Recipe:
    """Returns the recipe `name`, or the one that the network `name` uses.

    Raises:
      ValueError: for an unknown `name`; close ones are suggested.
    """
    return RECIPES.get(name) or _recipes_by_any_name()[name]


def get_preprocessing(
    name: str,
    is_training: bool = False,
    use_grayscale: bool = False,
    height: int | None = None,
    width: int | None = None,
    distortions: Distortions = NONE,
) -> Callable[..., Any]:
    """Returns the recipe `name` as a function of one picture.

    Args:
      name: name of a recipe, or of a network for the network's recipe.
      is_training: whether to distort pictures at random.
      use_grayscale: whether to make pictures of one channel.
      height: height in pixels, for calls that do not give one.
      width: width in pixels, for calls that do not give one.
      distortions: what training is to do otherwise than the recipe.

    Returns:
      `preprocessing_fn(image, output_height=None, output_width=None, **kwargs)`.
      `image` is a uint8 `[height, width, channels]` of one or three channels,
      known when the graph is built or not; or an encoded picture, a string scalar,
      which is decoded to three channels. The result is float32 `[output_height,
      output_width, channels]` in the range that the recipe states; it has one
      channel with `use_grayscale`, otherwise three, and as many as the picture in
      lenet's recipe. Keyword arguments go to the recipe's `preprocess_image`;
      `seed`, int32 or int64 `[2]`, fixes all random choices, which are drawn from
      the graph's seed without it. It works in graphs, in functions of `tf.data`
      and eagerly.

    Raises:
      ValueError: for an unknown `name`; close ones are suggested.
      UserError: for distortions that the recipe, one of someone's own, does not take.
    """
    recipe = get_recipe(name)
    options = {}
    if distortions and is_training:
        options["distortions"] = distortions
        if "distortions" not in inspect.signature(recipe.preprocess_image).parameters:
            raise UserError(
                f"the recipe {recipe.name} does not take "
                f"{', '.join(f'--{name}' for name in distortions.as_record())}: leave "
                "them out, or give its preprocess_image the argument distortions"
            )

    def preprocessing_fn(
        image: tf.Tensor,
        output_height: int | None = None,
        output_width: int | None = None,
        **kwargs: Any,
    ) -> tf.Tensor:
        output_height, output_width = output_height or height, output_width or width
        if not (output_height and output_width):
            raise UserError(
                f"Preprocessing [{name}] needs a height and a width in pixels, got "
                f"{output_height} and {output_width}; give both to get_preprocessing "
                "or to the function it returns."
            )
        if not encoded.is_encoded(image):
            image = tf.ensure_shape(image, [None, None, None])
        elif not (is_training and recipe.trains_on_encoded):
            image = encoded.decode(image)
        return recipe.preprocess_image(
            image,
            output_height,
            output_width,
            is_training=is_training,
            use_grayscale=use_grayscale,
            **options,
            **kwargs,
        )

    return preprocessing_fn


def _recipes_by_any_name() -> Registry[Recipe]:
    # Imported here, as recipes alone do not need the networks' modules.
    from nets.nets_factory import NETWORKS

    names: Registry[Recipe] = Registry(UNKNOWN)
    names.update({n: RECIPES[net.preprocessing] for n, net in NETWORKS.items()})
    names.update(RECIPES)
    return names
