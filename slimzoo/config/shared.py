"""Options that several commands share."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from slimbase.command_line.options import option, recorded

if TYPE_CHECKING:
    from preprocessing.choices import Distortions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Options of the network and of its input."""

    title: ClassVar = "Network"

    model_name: str | None = recorded(
        "inception_v3", "Network; unknown names list all."
    )
    depth_multiplier: float | None = recorded(
        None,
        "Width of the network: 0.5 for half the channels of each layer. By default the "
        "one that --model_name stands for.",
    )
    labels_offset: int | None = recorded(
        0,
        "Subtracted from every label: 1 for networks without ImageNet's background "
        "class, as the published VGG and ResNet v1.",
        at_least=0,
    )
    preprocessing_name: str | None = recorded(
        None, "Preprocessing recipe; by default the network's own."
    )
    use_grayscale: bool | None = recorded(False, "Make pictures gray, one channel.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Options of what training does to its pictures; None is what the recipe does."""

    title: ClassVar = "Augmentation"

    mirror: str | None = option(
        None,
        "Mirror half of the pictures: none, horizontal, vertical or both; by default "
        "as the recipe does, mostly horizontal. none where left and right matter.",
    )
    distort_colors: bool | None = option(
        None, "Change brightness, saturation and the like; by default as the recipe."
    )
    min_crop_area: float | None = option(
        None,
        "Least share of a picture that a random crop shows, above 0 up to 1; by "
        "default as the recipe has it, 0.05 for inception.",
    )
    rotate: float | None = option(
        None, "Turn pictures by up to so many degrees, either way."
    )
    augment: str | None = option(
        None,
        "trivial: one operation of TrivialAugment for each picture, in place of the "
        "recipe's colours.",
    )

    @property
    def distortions(self) -> "Distortions":
        """What is chosen.

        Raises:
          UserError: for values that cannot be.
        """
        from preprocessing.choices import Distortions  # Takes TensorFlow with it.

        return Distortions(
            self.mirror,
            self.distort_colors,
            self.min_crop_area,
            self.rotate,
            self.augment,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Options of the data set."""

    title: ClassVar = "Data set"

    dataset_name: str | None = recorded("imagenet", "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Directory of the data set's records.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadRecords:
    """Options of commands that read all pictures of a split."""

    title: ClassVar = "Data set"

    skip_bad_records: bool = option(
        False,
        "Leave out corrupt records and pictures that cannot be decoded, and tell which "
        "they are, instead of stopping. All records are read before the first step.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """Options of sessions."""

    title: ClassVar = "Devices and machines"

    gpu_memory_growth: bool = option(
        False, "Take GPU memory as it is needed, instead of all of it at once."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """Options of the choice of weights in a checkpoint."""

    title: ClassVar = "Weights"

    moving_average_decay: float | None = recorded(
        None,
        "Use the moving averages of the weights, as trained with this flag; 0 to use "
        "the weights themselves.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inference(Model, Devices, Weights):
    """Options of commands that use a trained network."""

    title: ClassVar = "Computation"

    graph: str | None = option(
        None,
        "Frozen GraphDef, SavedModel directory, .tflite or .onnx file, instead of a "
        "checkpoint.",
    )
    input_layer: str | None = option(
        None, "Input of a frozen --graph; by default its only placeholder."
    )
    output_layer: str | None = option(
        None, "Output of a frozen --graph; by default the only one that nothing reads."
    )
    precision: str = option(
        "float32",
        "What a checkpoint's network computes in, or with another --runtime a graph: "
        "float32 or bfloat16.",
    )
    runtime: str = option(
        "tensorflow",
        "What computes the network: tensorflow; or openvino or onnxruntime, which are "
        "extras, for CPUs, checkpoints, frozen graphs and .onnx files.",
    )
    central_fraction: float | None = option(
        None,
        "Share of a picture's sides that is shown to the network, above 0 up to 1; by "
        "default as the preprocessing recipe has it, mostly 0.875.",
    )
    crops: int = option(
        1,
        "Views of a picture to average over: 1, or 5, the centre and the corners.",
        at_least=1,
    )
    flip: bool = option(False, "Average over each view and its mirror image, too.")
