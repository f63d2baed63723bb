"""model.json: what a trained model needs to be used, beside its checkpoints."""

import dataclasses
import json
import pathlib
from typing import Any

from nets.nets_factory import NETWORKS
from slimzoo import files
from slimzoo.errors import UserError

FILE_NAME = "model.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The facts; None where nobody knows.

    Attributes:
      model_name: key of the network's registry.
      num_classes: width of the logits.
      labels_offset: subtracted from a data set's labels to get the network's.
      image_size: height and width in pixels.
      channels: of the pictures after preprocessing.
      preprocessing_name: key of the recipes' registry, or a network's name.
      use_grayscale: whether preprocessing makes pictures gray.
      moving_average_decay: of the weights' moving averages; None without them.
      dataset_name: what it was trained on.
      labels: names of the network's classes in order.
    """

    model_name: str | None = None
    num_classes: int | None = None
    labels_offset: int | None = None
    image_size: int | None = None
    channels: int | None = None
    preprocessing_name: str | None = None
    use_grayscale: bool | None = None
    moving_average_decay: float | None = None
    dataset_name: str | None = None
    labels: tuple[str, ...] | None = None

    def write(self, directory: str) -> None:
        """Writes model.json into `directory`."""
        files.write_json(pathlib.Path(directory) / FILE_NAME, dataclasses.asdict(self))


FACTS = frozenset(field.name for field in dataclasses.fields(ModelInfo))


def read(directory: str) -> ModelInfo:
    """Reads model.json from `directory`; nothing is known where there is none.

    Raises:
      UserError: when the file is not one of ours.
    """
    path = pathlib.Path(directory) / FILE_NAME
    try:
        content = json.loads(path.read_text("utf-8"))
        facts = {key: value for key, value in content.items() if key in FACTS}
    except FileNotFoundError:
        return ModelInfo()
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(
            f"cannot read {path}: {error}. Mend it, or move it away and give the "
            "network's facts as flags."
        ) from error
    if facts.get("labels") is not None:
        facts["labels"] = tuple(facts["labels"])
    return ModelInfo(**facts)


def overlay(info: ModelInfo, **given: Any) -> ModelInfo:
    """`info` with the facts that are `given`, those that are not None."""
    return dataclasses.replace(
        info, **{key: value for key, value in given.items() if value is not None}
    )


def settle(config: Any, record: ModelInfo, image_size: int | None) -> ModelInfo:
    """The facts to go by: what was given, then the record, then the registry.

    Args:
      config: of `slimzoo.config`; its options that are None were not given.
      record: what is known of the checkpoint in use.
      image_size: as given.

    Raises:
      UserError: for an unknown network.
    """
    shared = [f for f in dataclasses.fields(config) if f.name in FACTS]
    given = {field.name: getattr(config, field.name) for field in shared}
    info = overlay(record, **(given | {"image_size": image_size}))
    defaults = {field.name: field.metadata.get("flag_default") for field in shared}
    info = overlay(ModelInfo(**defaults), **dataclasses.asdict(info))
    network = NETWORKS[info.model_name]
    of_network = ModelInfo(
        image_size=network.image_size,
        channels=network.channels,
        preprocessing_name=network.preprocessing,
    )
    return overlay(of_network, **dataclasses.asdict(info))


def with_classes(info: ModelInfo, dataset: Any) -> ModelInfo:
    """`info` with the classes of a `slim.dataset.Dataset`, less the labels offset."""
    names = dataset.labels_to_names
    labels = None
    if names:
        wanted = range(info.labels_offset or 0, dataset.num_classes)
        labels = tuple(names.get(label, str(label)) for label in wanted)
    return dataclasses.replace(
        info,
        num_classes=dataset.num_classes - (info.labels_offset or 0),
        labels=labels,
    )
