"""Files of weights that timm has published: `.safetensors`, and a configuration."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from nets.registry import Network
from slimbase import extras
from slimbase.errors import UserError
from slimbase.text import listed
from slimzoo.zoo.ports import targets, timm_weights
from slimzoo.zoo.ports.timm_models import MODELS, Model
from slimzoo.zoo.ports.weights import MisfitError, Weights

_CONFIG = "config.json"
_LARGEST_HEADER = 100 << 20  # In bytes, as the library has it.
_EPSILON = 0.001  # Of batch norm in all of these models, unless built otherwise.
_ARGUMENTS_OF_NORM = ("bn_eps", "norm_eps")
_CLASSES = 1000  # Of the variables that timm's names are matched with.
_MEAN = _DEVIATION = [0.5, 0.5, 0.5]  # Of what [-1, 1] is made from [0, 1] by.


def is_safetensors(path: pathlib.Path) -> bool:
    """Whether a file begins as safetensors do: a length, and so much JSON."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        first = file.read(1)
    return first == b"{" and 2 <= length <= min(
        _LARGEST_HEADER, path.stat().st_size - 8
    )


def read(path: pathlib.Path, network: Network, width: float) -> Weights:
    """Reads the weights of one of timm's models, and the config.json beside them.

    Raises:
      UserError: when the package safetensors is missing, or a file cannot be read.
      MisfitError: when the weights are not those of the network.
    """
    del width  # Names are the same at all widths; shapes are checked later.
    model = MODELS.get(network.name)
    tensors = _tensors(path)
    if model is None:
        raise MisfitError(
            f"{path} has {len(tensors)} tensors, first {min(tensors, default='none')}, "
            f"but no port to PyTorch is known of {network.name}. Known are those of "
            f"{', '.join(MODELS)}"
        )
    config = _config(path)
    notes = _checked(config, path, model, network, tensors)
    image_size = config.image_size if config else None
    ours = targets.own_variables(network, _CLASSES)
    found, changes = timm_weights.of_tensors(tensors, model, ours)
    notes += [*changes, *_without_auxiliary(found, network, image_size)]
    norms = {n.rpartition("/")[0] for n in found if n.endswith("/moving_variance")}
    return Weights(
        kind=f"timm's {model.name}",
        tensors=found,
        image_size=image_size,
        preprocessing="inception",
        epsilons=dict.fromkeys(norms, config.epsilon if config else _EPSILON),
        differences=(*model.differences, *notes),
    )


def _tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    library = extras.load("safetensors.numpy", "safetensors", f"--from={path}")
    try:
        return library.load_file(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # Of its own kinds, and others for unknown types.
        raise UserError(
            f"{path} cannot be read as safetensors: {error}. It is damaged, or of a "
            "type that NumPy lacks: get it again, or save it as float32"
        ) from error


@dataclasses.dataclass(frozen=True)
class _Config:
    """What the configuration of a model of timm says.

    Attributes:
      architecture: name of the model; empty if unknown.
      rows: number of logits in the file; None if unknown.
      image_size: (height, width) in pixels; None if unknown.
      mean, deviation: that pictures in [0, 1] are normalized with, per channel.
      epsilon: of batch norm.
    """

    architecture: str
    rows: int | None
    image_size: tuple[int, int] | None
    mean: list[float]
    deviation: list[float]
    epsilon: float


def _config(path: pathlib.Path) -> _Config | None:
    """The configuration beside a file; None without one."""
    beside = path.with_name(_CONFIG)
    if not beside.is_file():
        return None
    try:
        return _parsed(json.loads(beside.read_text("utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"{beside} is not the configuration of a model of timm: {error}. Get it "
            "again, or remove it"
        ) from error


def _parsed(record: Mapping[str, Any]) -> _Config:
    facts = {**record, **record.get("pretrained_cfg", {})}
    arguments = record.get("model_args") or {}
    epsilons = [arguments[name] for name in _ARGUMENTS_OF_NORM if name in arguments]
    classes = record.get("num_classes", facts.get("num_classes"))
    size = facts.get("input_size")
    return _Config(
        architecture=str(record.get("architecture", "")),
        rows=None
        if classes is None
        else int(classes) + int(facts.get("label_offset", 0)),
        image_size=(int(size[1]), int(size[2])) if size else None,
        mean=[float(value) for value in facts.get("mean", _MEAN)],
        deviation=[float(value) for value in facts.get("std", _DEVIATION)],
        epsilon=float([*epsilons, _EPSILON][0]),
    )


def _checked(
    config: _Config | None,
    path: pathlib.Path,
    model: Model,
    network: Network,
    tensors: Mapping[str, np.ndarray],
) -> list[str]:
    """Notes on what is taken for granted; a MisfitError for another model's."""
    if config is None:
        return [
            f"there is no {_CONFIG} beside {path.name}: it is taken for timm's "
            f"{model.name} of tf_in1k, with pictures in [-1, 1] at the network's own "
            "size. Models whose weights have the same names, such as mobilenetv3_* "
            f"without tf_, compute otherwise: put the {_CONFIG} beside it to be sure."
        ]
    where = path.with_name(_CONFIG)
    if config.architecture not in ("", *model.architectures):
        others = [
            name for name, m in MODELS.items() if config.architecture in m.architectures
        ]
        known = f"give --model_name={others[0]}" if others else "it has no port here"
        raise MisfitError(
            f"{where} says that the weights are of timm's {config.architecture}, not "
            f"of {' or '.join(model.architectures)}, which are {network.name}: {known}"
        )
    if (config.mean, config.deviation) != (_MEAN, _DEVIATION):
        raise MisfitError(
            f"{where} says that pictures are normalized with mean {config.mean} and "
            f"deviation {config.deviation}, where {network.name} takes them in "
            "[-1, 1], with 0.5 for each: they are other weights than those ported from "
            "slim (tf_in1k), and no recipe here prepares pictures like that"
        )
    classifier = {
        len(value)
        for name, value in tensors.items()
        if name in ("fc.bias", "last_linear.bias", "classif.bias", "classifier.bias")
    }
    if config.rows and classifier - {config.rows}:
        raise MisfitError(
            f"{where} says that there are {config.rows} logits (num_classes plus "
            f"label_offset), {path.name} has {listed(map(str, classifier))}: they are "
            "not of the same model"
        )
    return []


def _without_auxiliary(
    tensors: dict[str, np.ndarray],
    network: Network,
    image_size: tuple[int, int] | None,
) -> list[str]:
    """Leaves out the auxiliary classifier where pictures are too small for it."""
    if image_size is None or min(image_size) >= network.image_size:
        return []
    left_out = [
        name
        for name in tensors
        if name.startswith(tuple(f"{s}/" for s in targets.auxiliary_scopes(network)))
    ]
    for name in left_out:
        del tensors[name]
    if not left_out:
        return []
    return [
        f"{len(left_out)} variables of the auxiliary classifier are left out: its "
        f"kernel is for pictures of {network.image_size}x{network.image_size}, not of "
        f"{image_size[0]}x{image_size[1]}."
    ]
