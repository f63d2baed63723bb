"""The facts about a model, settled from options, model.json and the registry.

The names of `record` are handed on: callers need this module alone.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from datasets.storage import manifests
from datasets.storage.manifests import Manifest
from datasets.storage.split import StoredSplit
from nets.registry import NETWORKS
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimzoo.config.shared import Inference, Model
from slimzoo.model import record as model_record
from slimzoo.model.record import FILE_NAME, ModelInfo, Record, beside, read

__all__ = [
    "FILE_NAME",
    "ModelInfo",
    "Record",
    "beside",
    "check_known",
    "of_input",
    "read",
    "settle",
    "with_classes",
    "with_offset",
]

_MOST_SHOWN = 5  # Classes.

# The facts that a checkpoint keeps, whatever network the options name.
_OF_ANY = (
    "dataset_name",
    "labels",
    "labels_offset",
    "num_classes",
    "moving_average_decay",
    "quantize",
)


def settle(
    config: Model,
    record: Record,
    image_size: int | Size | None = None,
    manifest: Manifest | None = None,
) -> ModelInfo:
    """Takes each fact from the options, else the record, else the registry.

    The name of the data set is that of the manifest in `dataset_dir`, if there is one.

    Args:
      config: dataclass of `slimzoo.config`; its options that are None were not given.
      record: record of the checkpoint in use.
      image_size: size that was given; one number for squares.
      manifest: the one in `dataset_dir`, if it has been read already.

    Raises:
      UserError: for an unknown network.
    """
    options = [f for f in dataclasses.fields(config) if f.name in model_record.FIELDS]
    defaults = {f.name: f.metadata.get("flag_default") for f in options}
    given = {f.name: getattr(config, f.name) for f in options}
    if manifest is None:
        manifest = manifests.read_manifest(getattr(config, "dataset_dir", None))
    given = _overlay(
        {"dataset_name": manifest.dataset}, given, {"image_size": image_size}
    )
    facts = _overlay(defaults, record, given)
    if record and facts["model_name"] != record.get("model_name"):
        kept = {key: record[key] for key in _OF_ANY if key in record}
        facts = _overlay(defaults, kept, given)
    network = NETWORKS[facts["model_name"]]
    of_network = {
        "image_size": network.image_size,
        "channels": network.channels,
        "preprocessing_name": network.preprocessing,
    }
    facts = _overlay(of_network, facts)
    facts["image_size"] = model_record.as_size(facts["image_size"])
    width = getattr(config, "depth_multiplier", None)
    if width is not None:
        facts["network_arguments"] = network.with_width(
            facts.get("network_arguments"), width
        )
    if facts["use_grayscale"]:
        facts["channels"] = 1
    return ModelInfo(**facts)


def check_known(config: Inference, record: Record, path: str) -> None:
    """Checks that options or record name the network of `path`, a graph.

    With a wrong recipe the answers would be confident nonsense.

    Args:
      config: options.
      record: record beside the graph.
      path: the graph's path.

    Raises:
      UserError: when neither names it, or there is no such graph.
    """
    known = record or config.model_name or config.preprocessing_name
    if config.graph and not pathlib.Path(config.graph).exists():
        raise UserError(f"there is no {config.graph}: check --graph")
    if config.graph and not known:
        raise UserError(
            f"nothing says how pictures are to be prepared for {path}: put the "
            f"{FILE_NAME} of its training beside it, or give --model_name or "
            "--preprocessing_name"
        )


def _overlay(*layers: Record) -> Record:
    """The values of all layers that are not None; later layers win."""
    return {k: v for layer in layers for k, v in layer.items() if v is not None}


def of_input(
    info: ModelInfo, shape: tuple[int | None, ...], path: str, given: Size | None = None
) -> ModelInfo:
    """`info` with the size and channels that a network in a file was made for.

    Args:
      info: the other facts.
      shape: (batch, height, width, channels) of the input; None where it takes any.
      path: the file's path.
      given: the size that was asked for, if any.

    Raises:
      UserError: when preprocessing makes another number of channels, or the network
        takes another size.
    """
    if len(shape) != 4:
        raise UserError(
            f"{path} takes an input of {len(shape)} dimensions, not pictures: [batch, "
            "height, width, channels]"
        )
    _, height, width, channels = shape
    size = height or info.image_size[0], width or info.image_size[1]
    if given and size != given:
        raise UserError(
            f"{path} takes pictures of {size[0]}x{size[1]}, not of "
            f"{given[0]}x{given[1]}: leave the size out, or export another"
        )
    if info.use_grayscale and channels not in (None, 1):
        raise UserError(
            f"{path} takes pictures of {channels} channels, and --use_grayscale makes 1"
        )
    return dataclasses.replace(
        info, image_size=size, channels=channels or info.channels
    )


def with_offset(
    info: ModelInfo, dataset: StoredSplit, classes: int | None
) -> ModelInfo:
    """`info` with the labels offset that follows from the network's `classes`.

    Networks without ImageNet's background class have one class less than the data set.
    """
    names = dataset.labels_to_names or {}
    if classes == dataset.num_classes - 1 and names.get(0) == "background":
        return dataclasses.replace(info, labels_offset=1)
    return info


def with_classes(info: ModelInfo, dataset: StoredSplit) -> ModelInfo:
    """`info` with the classes of a data set, less the labels offset.

    Raises:
      UserError: when the offset leaves no class, or the network was trained for other
        classes.
    """
    names = dataset.labels_to_names
    classes = range(info.labels_offset, dataset.num_classes)
    if not classes:
        raise UserError(
            f"--labels_offset={info.labels_offset} leaves none of the data set's "
            f"{dataset.num_classes} classes"
        )
    labels = tuple(names.get(i, str(i)) for i in classes) if names else None
    if info.labels and labels:
        _check_same_classes(info.labels, labels)
    return dataclasses.replace(info, num_classes=len(classes), labels=labels)


def _check_same_classes(trained: Sequence[str], ours: Sequence[str]) -> None:
    """Raises UserError for other classes than in training, or another order of them."""
    if len(trained) != len(ours):
        new = [name for name in ours if name not in trained]
        added = f" (new: {', '.join(new[:_MOST_SHOWN])})" if new else ""
        raise UserError(
            f"the network knows {len(trained)} classes, the data set has {len(ours)}"
            f"{added}. Take the data set that it was trained on; or train for this "
            "one, in another --train_dir, by --checkpoint_path and --finetune"
        )
    for number, (before, now) in enumerate(zip(trained, ours, strict=True)):
        # Other words for the same class, as people have for ImageNet, are no mistake.
        if before != now and now in trained:
            raise UserError(
                f"class {number} was {before!r} in training and is {now!r} in the "
                "data set's labels.txt: convert the data set with the classes in the "
                "same order"
            )
