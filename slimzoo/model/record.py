"""model.json: the facts that a trained model's users need, beside its checkpoints."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from nets import nets_factory
from preprocessing import preprocessing_factory
from preprocessing.choices import Distortions
from slimbase import files
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimzoo.model import quantize

FILE_NAME = "model.json"

# The content of model.json: some or all attributes of a ModelInfo.
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The facts about a model.

    Attributes:
      model_name: key of the networks' registry.
      labels_offset: number to subtract from a data set's labels to get the network's.
      image_size: (height, width) in pixels.
      channels: channels of the images after preprocessing.
      preprocessing_name: key of the recipes' registry, or a network's name.
      use_grayscale: whether preprocessing makes pictures gray.
      dataset_name: data set to train or evaluate on; empty without one.
      moving_average_decay: decay of the weights' moving averages; None or 0 without
        them.
      num_classes: width of the logits; None as long as it is unknown.
      labels: names of the network's classes in order; None without names.
      quantize: whether the network computes as if in 8 bits, as it was trained.
      network_arguments: further arguments of the network's function, such as a
        `depth_multiplier` that `model_name` does not stand for.
      distortions: what training does to its pictures otherwise than the recipe:
        attributes of `preprocessing.choices.Distortions` by name.
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
    distortions: dict[str, Any] | None = None

    def network_fn(
        self,
        *,
        is_training: bool = False,
        quantization: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Callable[..., Any]:
        """The network as a function of images.

        Args:
          is_training: whether the network is in the training phase.
          quantization: arguments of `quantize.for_training`, for a network that
            computes as if in 8 bits.
          **options: options of `nets_factory.get_network_fn`.
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
        """The recipe at `image_size`; see `preprocessing_factory.get_preprocessing`."""
        height, width = self.image_size
        return preprocessing_factory.get_preprocessing(
            self.preprocessing_name,
            is_training=is_training,
            use_grayscale=self.use_grayscale,
            height=height,
            width=width,
            distortions=self.chosen_distortions,
        )

    @property
    def chosen_distortions(self) -> Distortions:
        """What training does to its pictures otherwise than the recipe."""
        return Distortions(**self.distortions or {})

    @property
    def size_text(self) -> str:
        """Height and width, as in `224x224`."""
        return "{}x{}".format(*self.image_size)

    def labels_or_numbers(self) -> tuple[str, ...]:
        """The names of the classes, or their numbers where there are no names."""
        return self.labels or tuple(map(str, range(self.num_classes or 0)))

    def write(self, directory: str, origin: Mapping[str, str] | None = None) -> None:
        """Writes model.json into `directory`.

        Args:
          directory: the checkpoint's.
          origin: where the weights were published, `source_url`, also if a mirror gave
            them, and the `source_sha256` of the file. For people to read: what is
            trained from these weights does not keep it.
        """
        content = dataclasses.asdict(self) | dict(origin or {})
        files.write_json(pathlib.Path(directory) / FILE_NAME, content)


FIELDS = frozenset(field.name for field in dataclasses.fields(ModelInfo))


def read(directory: str) -> Record:
    """Reads model.json from `directory`; empty where there is none.

    Raises:
      UserError: when the file is not one of ours.
    """
    return _read(pathlib.Path(directory) / FILE_NAME)


def beside(path: str) -> Record:
    """Reads the facts about the network at `path`, from `<path>.json` or model.json.

    Export writes `<path>.json`; training and download write model.json into the
    directory. Empty where there is neither.

    Raises:
      UserError: when the file is not one of ours.
    """
    own = pathlib.Path(f"{path.rstrip('/')}.json")
    return _read(own) if own.is_file() else read(str(own.parent))


def _read(path: pathlib.Path) -> Record:
    try:
        content = json.loads(path.read_text("utf-8"))
        record = {key: value for key, value in content.items() if key in FIELDS}
        if record.get("image_size") is not None:
            record["image_size"] = as_size(record["image_size"])
        if record.get("labels") is not None:
            record["labels"] = tuple(record["labels"])
        if record.get("network_arguments") is not None:
            record["network_arguments"] = dict(record["network_arguments"])
        if record.get("distortions") is not None:
            Distortions(**record["distortions"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"cannot read {path}: {error}. Mend it, or move it away and give the "
            "network's facts as flags."
        ) from error
    return record


def as_size(value: int | list[int] | tuple[int, ...]) -> Size:
    """A height and width, or one number for both, as a `Size`."""
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)
