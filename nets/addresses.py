"""Where the weights of published checkpoints can be had, in the order of trial.

The addresses of ports follow from rules. The names of Hub modules and of timm's models
are those that their pages list, the files of Keras and their MD5 those in the source of
`keras.applications`.
"""

import dataclasses
from collections.abc import Callable, Iterator

from nets.published import PublishedCheckpoint

ORIGINAL = "original"
HUB = "Hub"
KERAS = "Keras"
TIMM = "timm"
KINDS = (ORIGINAL, HUB, KERAS, TIMM)  # In the order of trial.

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"
_INSECURE = "http://download.tensorflow.org/"
_NO_BACKGROUND = "the background class"
_NO_AUXILIARY = "the auxiliary classifier"
# The MobileNets v1 on the Hub were made of the checkpoints of this date.
_HUB_DATE = "2018-02-22"
_HUB_NAMES = {
    **{f"inception_v{i}": f"inception_v{i}" for i in (1, 2, 3)},
    **{name: name for name in ("inception_resnet_v2", "nasnet_mobile")},
    **{name: name for name in ("nasnet_large", "pnasnet_large")},
    **{f"resnet_v{v}_{d}": f"resnet_v{v}_{d}" for v in (1, 2) for d in (50, 101, 152)},
}
# File, MD5 and what it lacks of the ports whose address is not a rule's.
_KERAS_FILES = {
    "inception_resnet_v2": (
        f"inception_resnet_v2/inception_resnet_v2_{_KERNELS}.h5",
        "e693bd0210a403b3192acc6073ad2e96",
        (_NO_AUXILIARY, _NO_BACKGROUND),
    ),
    "nasnet_mobile": (
        "nasnet/NASNet-mobile.h5",
        "020fb642bf7360b370c678b08e0adf61",
        (_NO_AUXILIARY, _NO_BACKGROUND),
    ),
    "nasnet_large": (
        "nasnet/NASNet-large.h5",
        "11577c9a518f0070763c2b964a382f17",
        (_NO_AUXILIARY, _NO_BACKGROUND),
    ),
    "vgg_16": (f"vgg16/vgg16_{_KERNELS}.h5", "64373286793e3c8b2b4e3219cbf3544b", ()),
    "vgg_19": (f"vgg19/vgg19_{_KERNELS}.h5", "cbe5617147190e668d6c5d5026f83318", ()),
    "inception_v3": (
        f"inception_v3/inception_v3_{_KERNELS}.h5",
        "9a0d58056eeedaa3f26cb7ebd46da564",
        (_NO_AUXILIARY, _NO_BACKGROUND),
    ),
    "resnet_v2_50": (
        f"resnet/resnet50v2_{_KERNELS}.h5",
        "3ef43a0b657b3be2300d5770ece849e0",
        (_NO_BACKGROUND,),
    ),
    "resnet_v2_101": (
        f"resnet/resnet101v2_{_KERNELS}.h5",
        "6343647c601c52e1368623803854d971",
        (_NO_BACKGROUND,),
    ),
    "resnet_v2_152": (
        f"resnet/resnet152v2_{_KERNELS}.h5",
        "a49b44d1979771252814e80f8ec446f9",
        (_NO_BACKGROUND,),
    ),
}
_KERAS_V3_MD5 = {
    "large_224_0.75": "765b44a33ad4005b3ac83185abf1d0eb",
    "large_224_1.0": "59e551e166be033d707958cf9e29a6a7",
    "large_minimalistic_224_1.0": "675e7b876c45c57e9e63e6d90a36599c",
    "small_224_0.75": "cb65d4e5be93758266aa0a7f2c6708b7",
    "small_224_1.0": "8768d4c2e7dee89b9d02b2d03d65d862",
    "small_minimalistic_224_1.0": "99cd97fb2fcdad2bf028eb838de69e37",
}
# Trainings of which nothing says that they are those of the checkpoint.
_KERAS_OTHERS = ("inception_v3", "resnet_v2", "mobilenet_v1")
_TIMM_NAMES = {
    "inception_v3": "inception_v3.tf_in1k",
    "inception_v4": "inception_v4.tf_in1k",
    "inception_resnet_v2": "inception_resnet_v2.tf_in1k",
    "nasnet_large": "nasnetalarge.tf_in1k",
    "pnasnet_large": "pnasnet5large.tf_in1k",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """A place where the weights of a checkpoint, or others like them, can be had.

    Attributes:
      kind: `original`, `Hub`, `Keras` or `timm`.
      url: of the file.
      md5: in hexadecimal digits; None where none was published.
      lacks: what the original has and this may not have.
      same: whether the weights are those of the checkpoint. Others are offered, never
        taken in its stead.
    """

    kind: str
    url: str
    md5: str | None = None
    lacks: tuple[str, ...] = ()
    same: bool = True

    @property
    def least(self) -> int:
        """How many parts of the path's end say which file it is."""
        return {HUB: 3, TIMM: 4}.get(self.kind, 1)


def of(checkpoint: PublishedCheckpoint) -> tuple[Address, ...]:
    """The addresses of a checkpoint, those of its archive first.

    Quantized ones have no ports.
    """
    found = list(_original(checkpoint))
    if not checkpoint.quantized:
        for rule in (_hub, _keras, _timm):
            found += rule(checkpoint)
    return tuple(found)


def kinds(checkpoint: PublishedCheckpoint) -> tuple[str, ...]:
    """Kinds of the addresses that have the very weights of a checkpoint, in order."""
    return tuple(dict.fromkeys(a.kind for a in of(checkpoint) if a.same))


def _original(checkpoint: PublishedCheckpoint) -> Iterator[Address]:
    url = checkpoint.url
    if url.startswith(_INSECURE):
        yield Address(kind=ORIGINAL, url=url.replace("http:", "https:", 1))
    yield Address(kind=ORIGINAL, url=url)


def _hub(checkpoint: PublishedCheckpoint) -> Iterator[Address]:
    name = _HUB_NAMES.get(checkpoint.network)
    mobilenet = _mobilenet(checkpoint)
    if mobilenet and mobilenet[0] in ("v1", "v2"):
        version, width = mobilenet
        if version == "v1" and checkpoint.date != _HUB_DATE:
            return
        name = f"mobilenet_{version}_{round(100 * width):03}_{checkpoint.image_size}"
    if name is None:
        return
    handle = f"google/imagenet/{name}/classification/1"
    # Modules have a background class, whatever the checkpoint has.
    for url in (
        f"https://tfhub.dev/{handle}?tf-hub-format=compressed",
        f"https://storage.googleapis.com/tfhub-modules/{handle}.tar.gz",
    ):
        yield Address(kind=HUB, url=url)


def _keras(checkpoint: PublishedCheckpoint) -> Iterator[Address]:
    mobilenet = _mobilenet(checkpoint)
    lacks: tuple[str, ...] = (_NO_BACKGROUND,)
    md5 = None
    if mobilenet:
        found = _KERAS_MOBILENETS[mobilenet[0]](checkpoint, mobilenet[1])
        if found is None:
            return
        file, md5 = found
    elif checkpoint.network in _KERAS_FILES:
        file, md5, lacks = _KERAS_FILES[checkpoint.network]
    else:
        return
    same = not checkpoint.network.startswith(_KERAS_OTHERS)
    url = f"{_KERAS}/{file}"
    yield Address(kind=KERAS, url=url, md5=md5, lacks=lacks, same=same)


def _timm(checkpoint: PublishedCheckpoint) -> Iterator[Address]:
    name = _TIMM_NAMES.get(checkpoint.network)
    mobilenet = _mobilenet(checkpoint)
    if mobilenet and mobilenet[0] == "v3":
        size, _, minimal = checkpoint.network[len("mobilenet_v3_") :].partition("_")
        width = f"{round(100 * mobilenet[1]):03}"
        name = f"tf_mobilenetv3_{size}_{'minimal_' if minimal else ''}{width}.in1k"
    if name is None:
        return
    url = f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors"
    lacks = (_NO_BACKGROUND,)
    if checkpoint.network.startswith(("inception", "nasnet", "pnasnet")):
        lacks = (_NO_AUXILIARY, _NO_BACKGROUND)
    yield Address(kind=TIMM, url=url, lacks=lacks)


def _mobilenet(checkpoint: PublishedCheckpoint) -> tuple[str, float] | None:
    """Version and width of a MobileNet; None for other networks."""
    parts = checkpoint.network.split("_")
    if parts[0] != "mobilenet" or parts[1] not in _KERAS_MOBILENETS:
        return None
    named = int(parts[-1]) / 100 if parts[-1].isdigit() else 1.0
    return parts[1], checkpoint.depth_multiplier or named


def _keras_v1(checkpoint: PublishedCheckpoint, width: float) -> tuple[str, None]:
    alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}[width]
    return f"mobilenet/mobilenet_{alpha}_{checkpoint.image_size}_tf.h5", None


def _keras_v2(checkpoint: PublishedCheckpoint, width: float) -> tuple[str, None]:
    size = checkpoint.image_size
    return f"mobilenet_v2/mobilenet_v2_{_KERNELS}_{float(width)}_{size}.h5", None


def _keras_v3(
    checkpoint: PublishedCheckpoint, width: float
) -> tuple[str, str | None] | None:
    name = f"{checkpoint.network[len('mobilenet_v3_') :]}_224_{float(width)}"
    if name not in _KERAS_V3_MD5:
        return None
    file = f"mobilenet_v3/weights_mobilenet_v3_{name}_float.h5"
    return file, _KERAS_V3_MD5[name]


_KerasRule = Callable[[PublishedCheckpoint, float], tuple[str, str | None] | None]
_KERAS_MOBILENETS: dict[str, _KerasRule] = {
    "v1": _keras_v1,
    "v2": _keras_v2,
    "v3": _keras_v3,
}
