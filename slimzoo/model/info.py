"""model.json: what a trained model needs to be used, beside its checkpoints."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets.storage import manifests
from nets import nets_factory
from nets.registry import NETWORKS
from preprocessing import preprocessing_factory
from slimbase import files
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimzoo.model import quantize

FILE_NAME = "model.json"

_MOST_SHOWN = 5  # Classes.

# What model.json holds: some or all attributes of a ModelInfo.
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a program goes by.

    Attributes:
      model_name: key of the networks' registry.
      labels_offset: subtracted from a data set's labels to get the network's.
      image_size: (height, width) in pixels.
      channels: of the pictures after preprocessing.
      preprocessing_name: key of the recipes' registry, or a network's name.
      use_grayscale: whether preprocessing makes pictures gray.
      dataset_name: what it is trained or evaluated on; empty where that is nothing.
      moving_average_decay: of the weights' moving averages; None or 0 without them.
      num_classes: width of the logits; None as long as nobody knows.
      labels: names of the network's classes in order; None without names.
      quantize: whether it computes as if in 8 bits, as it was trained.
      network_arguments: what the network's function takes besides, such as a
        `depth_multiplier` that `model_name` does not stand for.
    """

    model_name: str
    labels_offset: int
    image_size: Size
    channels: int
    preprocessing_name: str
    use_grayscale: bool
    dataset_name: str = ""
    moving_average_decay: float | None = None
    num_classes: int | None = None
    labels: tuple[str, ...] | None = None
    quantize: bool = False
    network_arguments: dict[str, Any] | None = None

    def network_fn(
        self,
        *,
        is_training: bool = False,
        quantization: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Callable[..., Any]:
        """The network as a function of pictures.

        Args:
          is_training: whether it is in the training phase.
          quantization: arguments of `quantize.for_training`, for a network that
            computes as if in 8 bits.
          **options: those of `nets_factory.get_network_fn`.
        """
        network_fn = nets_factory.get_network_fn(
            self.model_name, self.num_classes, is_training=is_training, **options
        )
        network_fn = functools.partial(network_fn, **self.network_arguments or {})
        if not self.quantize:
            return network_fn
        if is_training:
            return quantize.for_training(network_fn, **quantization or {})
        return quantize.for_inference(network_fn)

    def preprocessing(self, is_training: bool = False) -> Callable[..., Any]:
        """The recipe at this size; see `preprocessing_factory.get_preprocessing`."""
        height, width = self.image_size
        return preprocessing_factory.get_preprocessing(
            self.preprocessing_name,
            is_training=is_training,
            use_grayscale=self.use_grayscale,
            height=height,
            width=width,
        )

    @property
    def size_text(self) -> str:
        """Height and width in words."""
        return "{}x{}".format(*self.image_size)

    def labels_or_numbers(self) -> tuple[str, ...]:
        """The names of the classes, numbers where nobody knows names."""
        return self.labels or tuple(map(str, range(self.num_classes or 0)))

    def write(self, directory: str) -> None:
        """Writes model.json into `directory`."""
        files.write_json(pathlib.Path(directory) / FILE_NAME, dataclasses.asdict(self))


# What holds of a checkpoint, whatever network it is said to be of.
_OF_ANY = (
    "dataset_name",
    "labels",
    "labels_offset",
    "num_classes",
    "moving_average_decay",
    "quantize",
)
_FACTS = frozenset(field.name for field in dataclasses.fields(ModelInfo))


def read(directory: str) -> Record:
    """Reads model.json from `directory`; empty where there is none.

    Raises:
      UserError: when the file is not one of ours.
    """
    return _read(pathlib.Path(directory) / FILE_NAME)


def beside(path: str) -> Record:
    """The facts of the network at `path`: its own, or those of its directory.

    Export writes `<path>.json`; training and download write model.json.

    Raises:
      UserError: when the file is not one of ours.
    """
    own = pathlib.Path(f"{path.rstrip('/')}.json")
    return _read(own) if own.is_file() else read(str(own.parent))


def _read(path: pathlib.Path) -> Record:
    try:
        content = json.loads(path.read_text("utf-8"))
        record = {key: value for key, value in content.items() if key in _FACTS}
        if record.get("image_size") is not None:
            record["image_size"] = _size(record["image_size"])
        if record.get("labels") is not None:
            record["labels"] = tuple(record["labels"])
        if record.get("network_arguments") is not None:
            record["network_arguments"] = dict(record["network_arguments"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"cannot read {path}: {error}. Mend it, or move it away and give the "
            "network's facts as flags."
        ) from error
    return record


def _size(value: int | list[int] | tuple[int, ...]) -> Size:
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)


def settle(
    config: Any, record: Record, image_size: int | Size | None = None
) -> ModelInfo:
    """The facts to go by: what was given, then the record, then the registry.

    Which data set it is, the manifest in `dataset_dir` knows better than the record.

    Args:
      config: of `slimzoo.config`; its options that are None were not given.
      record: of the checkpoint in use.
      image_size: as given; one number for squares.

    Raises:
      UserError: for an unknown network.
    """
    options = [f for f in dataclasses.fields(config) if f.name in _FACTS]
    defaults = {f.name: f.metadata.get("flag_default") for f in options}
    given = {f.name: getattr(config, f.name) for f in options}
    dataset_dir = getattr(config, "dataset_dir", None)
    manifest = manifests.read(dataset_dir) if dataset_dir else {}
    given = _overlay(
        {"dataset_name": manifest.get("dataset")}, given, {"image_size": image_size}
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
    facts["image_size"] = _size(facts["image_size"])
    if facts["use_grayscale"]:
        facts["channels"] = 1
    return ModelInfo(**facts)


def check_known(config: Any, record: Record, path: str) -> None:
    """Checks that something says which network `path`, a graph, holds.

    For a wrong recipe would make confident nonsense of pictures.

    Raises:
      UserError: when nothing does.
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
    """Later layers over earlier ones, wherever they know something."""
    return {k: v for layer in layers for k, v in layer.items() if v is not None}


def of_input(
    info: ModelInfo, shape: tuple[int | None, ...], path: str, given: Size | None = None
) -> ModelInfo:
    """`info` with the size and channels that a network in a file was made for.

    Args:
      info: what is known besides.
      shape: (batch, height, width, channels); None where any do.
      path: of the file.
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


def with_offset(info: ModelInfo, dataset: Any, classes: int | None) -> ModelInfo:
    """`info` with the labels offset that `classes`, those of the network, ask for.

    Networks without ImageNet's background class have one class less than the data set.
    """
    names = dataset.labels_to_names or {}
    if classes == dataset.num_classes - 1 and names.get(0) == "background":
        return dataclasses.replace(info, labels_offset=1)
    return info


def with_classes(info: ModelInfo, dataset: Any) -> ModelInfo:
    """`info` with the classes of a `slim.dataset.Dataset`, less the labels offset.

    Raises:
      UserError: when the offset leaves no class, or these are not the classes that
        the network was trained for.
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
    """Classes in another order than in training would go unnoticed."""
    if len(trained) != len(ours):
        new = [name for name in ours if name not in trained]
        told = f" (new: {', '.join(new[:_MOST_SHOWN])})" if new else ""
        raise UserError(
            f"the network knows {len(trained)} classes, the data set has {len(ours)}"
            f"{told}. Take the data set that it was trained on; or train for this one, "
            "in another --train_dir, by --checkpoint_path and --finetune"
        )
    for number, (before, now) in enumerate(zip(trained, ours, strict=True)):
        # The same in other words, as people have for ImageNet, is no mistake.
        if before != now and now in trained:
            raise UserError(
                f"class {number} was {before!r} in training and is {now!r} in the "
                "data set's labels.txt: convert the data set with the classes in the "
                "same order"
            )
