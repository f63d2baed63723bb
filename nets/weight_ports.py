"""Where else the weights of published checkpoints are: weight_ports.csv."""

import csv
import dataclasses
import functools
import pathlib
from collections.abc import Sequence

from nets.published import PublishedCheckpoint

_CSV = pathlib.Path(__file__).with_name("weight_ports.csv")
# Addresses by kind. Of Hub modules, version 5 is a SavedModel of TensorFlow 2, and 3
# has the module format of TensorFlow 1.
_URLS: dict[str, Sequence[str]] = {
    "hub": (
        "https://tfhub.dev/google/imagenet/{name}/classification/5"
        "?tf-hub-format=compressed",
        "https://storage.googleapis.com/tfhub-modules/google/imagenet/{name}/"
        "classification/5.tar.gz",
        "https://tfhub.dev/google/imagenet/{name}/classification/3"
        "?tf-hub-format=compressed",
        "https://storage.googleapis.com/tfhub-modules/google/imagenet/{name}/"
        "classification/3.tar.gz",
    ),
    "keras": ("https://storage.googleapis.com/tensorflow/keras-applications/{name}",),
    "timm": ("https://huggingface.co/timm/{name}/resolve/main/model.safetensors",),
}
_TITLES = {"hub": "TensorFlow Hub", "keras": "Keras", "timm": "timm"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightPort:
    """A file elsewhere with the weights of a network, in another format.

    Attributes:
      kind: hub, keras or timm.
      name: its name there.
      origin: date of the checkpoint that it was made from, as 2018-02-22; "" where
        that has none, "unknown" where nothing says which one it was, and "keras" for
        weights that Keras trained itself.
      md5: in hexadecimal digits; None where none was published.
    """

    kind: str
    name: str
    origin: str
    md5: str | None

    @property
    def title(self) -> str:
        """The library that it is for."""
        return _TITLES[self.kind]

    @property
    def urls(self) -> tuple[str, ...]:
        """Its addresses, in the order in which they are to be tried."""
        return tuple(url.format(name=self.name) for url in _URLS[self.kind])

    def has_weights_of(self, checkpoint: PublishedCheckpoint) -> bool:
        """Whether the weights are known to be those of a published checkpoint."""
        return self.origin == (checkpoint.date or "")


def ports(checkpoint: PublishedCheckpoint) -> tuple[WeightPort, ...]:
    """The ports of a network, width and size: first those of the same weights.

    There are none of checkpoints that were trained to be used with 8-bit integers.
    """
    if checkpoint.quantized:
        return ()
    found = _ports().get(_key(checkpoint), [])
    return tuple(sorted(found, key=lambda port: not port.has_weights_of(checkpoint)))


def _key(checkpoint: PublishedCheckpoint) -> tuple[str, float | None, int]:
    return checkpoint.network, checkpoint.depth_multiplier, checkpoint.image_size


@functools.cache
def _ports() -> dict[tuple[str, float | None, int], list[WeightPort]]:
    found: dict[tuple[str, float | None, int], list[WeightPort]] = {}
    with _CSV.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            width = float(row["depth_multiplier"]) if row["depth_multiplier"] else None
            port = WeightPort(
                kind=row["kind"],
                name=row["name"],
                origin=row["origin"],
                md5=row["md5"] or None,
            )
            key = row["network"], width, int(row["image_size"])
            found.setdefault(key, []).append(port)
    return found
