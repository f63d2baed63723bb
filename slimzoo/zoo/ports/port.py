"""Makes a checkpoint of weights from elsewhere."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets import imagenet
from nets.nets_factory import NETWORKS
from nets.published import PublishedCheckpoint
from nets.registry import Network
from slimbase import files
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.model.info import ModelInfo
from slimzoo.zoo.ports import fitting, sources, targets
from slimzoo.zoo.ports.fitting import Fitted
from slimzoo.zoo.ports.weights import Kind, Weights, WidthError

_CHECKPOINT = "model.ckpt"
_IMAGENET_CLASSES = (1000, 1001)  # Without and with a background class.


def import_weights(
    source: str | os.PathLike[str],
    model_name: str,
    target: pathlib.Path,
    published: PublishedCheckpoint | None = None,
    origin: Mapping[str, str] | None = None,
) -> str:
    """Makes an ordinary checkpoint, with a model.json, of weights from elsewhere.

    What differs, was changed and is missing is logged.

    Args:
      source: a TensorFlow Hub module, SavedModel, frozen graph, checkpoint, file of
        Keras or .safetensors of timm, or an archive or directory with one of them.
      model_name: the network.
      target: the checkpoint's directory, which must not be there yet; it is there whole
        or not at all.
      published: facts about the checkpoint, where it is a published one; else they are
        the network's own, and those that the source says: the size of its input and
        the number of classes.
      origin: `source_url` and `source_sha256` of model.json, for what was fetched.

    Returns:
      The path of the checkpoint.

    Raises:
      UserError: when there is no such source, it cannot be read or is unsafe to, its
        weights are not those of the network, or `target` cannot be written.
    """
    network = NETWORKS[model_name]
    if target.exists():
        raise UserError(
            f"{target} is there already: {files.listing(str(target))}. Move it away, "
            "or name another directory"
        )
    with files.new_directory(target) as work:
        with sources.opened(pathlib.Path(source), work / "unpacked") as (path, kind):
            info, fitted = _fit(path, kind, network, published)
        for note in fitted.notes:
            logging.info(note)
        _save(fitted.values, work / _CHECKPOINT)
        info.write(str(work), origin)
        state = f'model_checkpoint_path: "{_CHECKPOINT}"\n'
        (work / "checkpoint").write_text(state, "utf-8")
    logging.info(
        f"{len(fitted.values)} variables of {source} ({kind.name}) are in {target}, "
        f"for {info.model_name} at {info.size_text}, preprocessed as "
        f"{info.preprocessing_name}, of {info.num_classes or 'no'} classes."
    )
    return str(target / _CHECKPOINT)


def _fit(
    path: pathlib.Path,
    kind: Kind,
    network: Network,
    published: PublishedCheckpoint | None,
) -> tuple[ModelInfo, Fitted]:
    """Reads the weights, at the first width of the network that they fit."""
    errors: list[WidthError] = []
    for arguments in _widths(network, published):
        width = arguments.get("depth_multiplier", network.width)
        try:
            weights = kind.read(path, network, width)
            info = _info(network, published, weights, arguments)
            fitted = fitting.fit(weights, network, targets.variables(info))
        except WidthError as error:
            errors.append(error)
        else:
            return info, fitted
    raise errors[0]


def _widths(
    network: Network, published: PublishedCheckpoint | None
) -> list[dict[str, Any]]:
    """Arguments of the network for the widths that its weights may have."""
    if published is not None:
        return [published.network_arguments]
    arguments = {c.depth_multiplier: c.network_arguments for c in network.checkpoints}
    return [{}, *(found for width, found in arguments.items() if width is not None)]


def _info(
    network: Network,
    published: PublishedCheckpoint | None,
    weights: Weights,
    arguments: Mapping[str, Any],
) -> ModelInfo:
    classes = fitting.classes(weights, network)
    recipes = {checkpoint.preprocessing for checkpoint in network.checkpoints}
    recipe = recipes.pop() if len(recipes) == 1 else network.preprocessing
    size = weights.image_size or (network.image_size, network.image_size)
    # Others are not ImageNet's, as far as anybody knows.
    named = classes if classes in _IMAGENET_CLASSES else None
    info = ModelInfo(
        model_name=network.name,
        labels_offset=_IMAGENET_CLASSES[-1] - named if named else 0,
        image_size=size,
        channels=network.channels,
        preprocessing_name=weights.preprocessing or recipe,
        use_grayscale=False,
        dataset_name="imagenet" if named else "",
        num_classes=classes,
        labels=imagenet.readable_names(named) if named else None,
        network_arguments=dict(arguments) or None,
    )
    if published is None:
        return info
    return dataclasses.replace(
        info,
        image_size=(published.image_size, published.image_size),
        preprocessing_name=published.preprocessing,
        quantize=published.quantized,
    )


def _save(values: Mapping[str, np.ndarray], prefix: pathlib.Path) -> None:
    """Writes a checkpoint of values by their variables' names."""
    names = sorted(values)
    with classic_graph(), tf.Session() as session:
        # Not as constants: a graph holds 2 GB at most.
        inputs = [tf.placeholder(tf.float32, values[name].shape) for name in names]
        save = tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=inputs,
        )
        feeds = {place: values[name] for place, name in zip(inputs, names, strict=True)}
        try:
            session.run(save, feeds)
        except tf.errors.OpError as error:
            raise UserError(f"cannot write {prefix}: {error.message}") from error
