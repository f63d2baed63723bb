"""The applications of Keras that are networks here: a row each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from slimbase.command_line.options import Size
from slimzoo.zoo.ports import keras_names
from slimzoo.zoo.ports.keras_names import Rules


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """An application of Keras.

    Attributes:
      application: its name in `keras.applications`.
      rules: from names of its layers to our scopes.
      arguments: arguments of the application.
      has_width: whether it has an `alpha`, our `depth_multiplier`.
      image_size: height and width in pixels that it was made for.
      preprocessing: recipe that prepares pictures as its `preprocess_input` does.
      top: scopes, besides the classifier's, that it lacks without its top.
      takes_bgr: kernel of the convolution that sees pictures as BGR there.
      differences: sentences on what it computes otherwise with the same weights.
      is_exact: whether it gives our probabilities for our pictures, but for rounding.
    """

    application: str
    rules: Rules
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    has_width: bool = False
    image_size: int = 224
    preprocessing: str = "inception"
    top: Sequence[str] = ()
    takes_bgr: str | None = None
    differences: Sequence[str] = ()
    is_exact: bool = True


_POOL1 = (
    "Keras pads pictures with zeros on all sides before pool1, which is padded SAME "
    "here: outputs differ a little. The weights were ported to Keras from slim, whose "
    "padding this is."
)
_REDUCTION_POOLS = (
    "Keras pads with zeros before the pools of NASNet's reduction cells, which are "
    "padded SAME here: outputs differ a little. The weights were ported to Keras from "
    "slim, whose padding this is."
)
_GATES = (
    "the gates of squeeze-and-excitation are a sixth of relu6 in Keras and 0.16667 of "
    "it here: values differ by 2e-5 of themselves."
)
_BGR = (
    "Keras' VGG takes pictures as BGR: the kernel of the first convolution is turned "
    "to RGB."
)


def _mobilenet_v1() -> Family:
    return Family(
        application="MobileNet", rules=keras_names.MOBILENET_V1, has_width=True
    )


def _mobilenet_v2() -> Family:
    return Family(
        application="MobileNetV2", rules=keras_names.MOBILENET_V2, has_width=True
    )


def _mobilenet_v3(size: str, minimalistic: bool) -> Family:
    return Family(
        application=f"MobileNetV3{size}",
        rules=keras_names.MOBILENET_V3,
        arguments={"minimalistic": minimalistic},
        has_width=True,
        top=("MobilenetV3/Conv_2",),
        differences=() if minimalistic else (_GATES,),
    )


def _resnet(depth: int) -> Family:
    return Family(
        application=f"ResNet{depth}V2",
        rules=keras_names.resnet_v2(f"resnet_v2_{depth}"),
        differences=(_POOL1,),
        is_exact=False,
    )


def _vgg(name: str) -> Family:
    return Family(
        application=name.upper().replace("_", ""),
        rules=keras_names.vgg(name),
        preprocessing="vgg",
        top=(f"{name}/fc6", f"{name}/fc7"),
        takes_bgr=f"{name}/conv1/conv1_1/weights",
        differences=(_BGR,),
        is_exact=False,
    )


def _nasnet(size: str, cells: int, image_size: int) -> Family:
    return Family(
        application=f"NASNet{size}",
        rules=keras_names.nasnet(cells),
        image_size=image_size,
        differences=(_REDUCTION_POOLS,),
        is_exact=False,
    )


FAMILIES: Mapping[str, Family] = {
    **{
        f"mobilenet_v1{width}": _mobilenet_v1()
        for width in ("", "_075", "_050", "_025")
    },
    **{f"mobilenet_v2{width}": _mobilenet_v2() for width in ("", "_140", "_035")},
    "mobilenet_v3_large": _mobilenet_v3("Large", False),
    "mobilenet_v3_small": _mobilenet_v3("Small", False),
    "mobilenet_v3_large_minimalistic": _mobilenet_v3("Large", True),
    "mobilenet_v3_small_minimalistic": _mobilenet_v3("Small", True),
    "inception_v3": Family(
        application="InceptionV3", rules=keras_names.INCEPTION_V3, image_size=299
    ),
    "inception_resnet_v2": Family(
        application="InceptionResNetV2",
        rules=keras_names.INCEPTION_RESNET_V2,
        image_size=299,
    ),
    "nasnet_mobile": _nasnet("Mobile", 4, 224),
    "nasnet_large": _nasnet("Large", 6, 331),
    **{f"resnet_v2_{depth}": _resnet(depth) for depth in (50, 101, 152)},
    "vgg_16": _vgg("vgg_16"),
    "vgg_19": _vgg("vgg_19"),
}


def build(
    family: Family, width: float, classes: int | None, image_size: Size | None = None
) -> keras.Model:
    """The application with random values.

    Args:
      family: the application.
      width: our `depth_multiplier`.
      classes: number of classes; None for the network without its top.
      image_size: height and width in pixels; None for the application's own.
    """
    application: Callable[..., keras.Model]
    application = getattr(keras.applications, family.application)
    arguments = dict(family.arguments)
    if family.has_width:
        arguments["alpha"] = width
    if classes is not None:
        arguments["classes"] = classes
    height, width_pixels = image_size or (family.image_size, family.image_size)
    return application(
        weights=None,
        include_top=classes is not None,
        input_shape=(height, width_pixels, 3),
        **arguments,
    )


def custom_objects() -> dict[str, type]:
    """Layers of the applications that Keras does not know by name."""
    from keras.src.applications import inception_resnet_v2

    return {"CustomScaleLayer": inception_resnet_v2.CustomScaleLayer}
