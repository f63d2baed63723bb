"""Options of export_inference_graph.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import SIZE_HELP, Size, option, recorded
from slimzoo.config.shared import Data, Model, Weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantization:
    """Options of the numbers in a TensorFlow Lite file."""

    title: ClassVar = "Quantization"

    quantization: str = option(
        "float32",
        "Of tflite: float32, float16 (weights), dynamic (8-bit weights) or int8 (all, "
        "calibrated on pictures of the data set).",
    )
    integer_type: str = option("uint8", "Of input and output with int8: uint8 or int8.")
    calibration_size: int = option(100, "Pictures that int8 looks at.", at_least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
    """Options of the comparison that an export must pass."""

    title: ClassVar = "Comparison with the checkpoint"

    verification_size: int = option(
        100,
        "Pictures of --dataset_dir on which what was written is compared with the "
        "checkpoint; some noise where there are none.",
        at_least=1,
    )
    min_agreement: float = option(
        0.7,
        "Least share of these pictures that dynamic and int8 must answer as the "
        "checkpoint does; below, nothing is written.",
    )
    dataset_split_name: str | None = option(
        None,
        "Split of these pictures; by default train, or that of evaluation where there "
        "is no other.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """Options of the model card."""

    title: ClassVar = "Model card"

    model_card: str = option(
        "",
        "With --checkpoint_path: also write a model card, Markdown with the header "
        "that the Hugging Face hub reads. Usually README.md beside --output_file.",
    )
    eval_dir: str = option(
        "", "Directory of an evaluation whose metrics.json the model card shows."
    )
    license: str = option(
        "", "Licence of the weights for the model card, as apache-2.0."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(Model, Data, Weights, Quantization, Verification, Card):
    """Options of export."""

    title: ClassVar = "Export"

    dataset_dir: str = option(
        "", "Directory of the data set's labels.txt and records, if any."
    )
    output_file: str = option("", "What to write; a directory for saved_model.")
    image_size: Size | None = recorded(
        None, f"{SIZE_HELP}; by default as trained, or the network's own."
    )
    batch_size: int | None = option(
        None, "Fixed batch size; by default any, but 1 for tflite.", at_least=1
    )
    is_training: bool = option(False, "Export the graph of training.")
    is_video_model: bool = option(False, "Input is [batch, frames, height, width, 3].")
    num_frames: int | None = option(None, "Frames of a video model's clip.", at_least=1)
    quantize: bool | None = recorded(
        False, "Export a network that was trained with --quantize_delay."
    )
    write_text_graphdef: bool = option(False, "Write text instead of binary.")
    checkpoint_path: str | None = option(
        None,
        "Checkpoint, or directory whose latest one is used; by default a graph without "
        "weights is written.",
    )
    format: str | None = option(
        None,
        "With --checkpoint_path: frozen, saved_model, tflite, onnx or keras; by "
        "default what the end of --output_file says, else frozen.",
    )
    fold_batch_norm: bool | None = option(
        None,
        "Make batch norm part of the weights; by default for all formats but frozen, "
        "where convolutions would give other values.",
    )
    describe: str | None = option(
        None,
        "Only print inputs, likely outputs, operations and parameters of this graph.",
    )
