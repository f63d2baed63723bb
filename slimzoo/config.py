"""What each script can be told: the table of options.

Each script has one frozen dataclass; that of training is in `slimzoo.train_config`. A
field is an option and a flag of the same name: its annotation is the type, its default
the default. `slimzoo.cli` makes the flags.
"""

import dataclasses
from typing import Any


def option(default: Any, description: str, at_least: int | None = None) -> Any:
    """An option with its default, its description for `--help` and a bound, if any."""
    metadata = {"help": description, "at_least": at_least}
    return dataclasses.field(default=default, metadata=metadata)


def recorded(default: Any, description: str, at_least: int | None = None) -> Any:
    """An option that, when it is not given, is taken from the model's model.json.

    The field's own default is None, "not given"; where there is no record either,
    `default` holds, which is what `--help` shows (None: what the network asks for).
    """
    metadata = {"help": description, "at_least": at_least, "flag_default": default}
    return dataclasses.field(default=None, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Options that say which network it is and what it sees."""

    model_name: str | None = recorded(
        "inception_v3", "Network; unknown names list all."
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
class Data:
    """Options that say what the pictures are."""

    dataset_name: str | None = recorded("imagenet", "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Directory of the data set's records.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """Options of sessions."""

    gpu_memory_growth: bool = option(
        False, "Take GPU memory as it is needed, instead of all of it at once."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(Model, Data, Devices):
    """Options of evaluation."""

    checkpoint_path: str = option(
        "/tmp/tfmodel/", "Checkpoint, or directory whose latest one is evaluated."
    )
    eval_dir: str = option(
        "/tmp/tfmodel/", "Where metrics.json and summaries are written."
    )
    dataset_split_name: str | None = recorded(
        None, "Split; by default 'test' if the set has one, else its validation split."
    )
    batch_size: int = option(
        100, "Pictures per step; it does not affect results.", at_least=1
    )
    max_num_batches: int | None = option(
        None, "Batches to evaluate; by default all of the split.", at_least=1
    )
    eval_image_size: int | None = recorded(
        None,
        "Height and width in pixels; by default as trained, or the network's own.",
        at_least=1,
    )
    moving_average_decay: float | None = recorded(
        None, "Evaluate the moving averages of the weights, as trained with this flag."
    )
    quantize: bool = option(False, "Evaluate a quantization-aware network.")
    master: str = option("", "Address of the TensorFlow server; '' runs in-process.")
    num_preprocessing_threads: int = option(
        4, "Pictures preprocessed in parallel.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(Model, Data):
    """Options of export."""

    dataset_dir: str = option("", "Directory with the data set's labels.txt, if any.")
    output_file: str = option("", "GraphDef to write.")
    image_size: int | None = recorded(
        None, "Height and width in pixels; by default the network's own.", at_least=1
    )
    batch_size: int | None = option(
        None, "Fixed batch size; by default any.", at_least=1
    )
    is_training: bool = option(False, "Export the graph of training.")
    is_video_model: bool = option(False, "Input is [batch, frames, height, width, 3].")
    num_frames: int | None = option(None, "Frames of a video model's clip.", at_least=1)
    quantize: bool = option(False, "Export a quantization-aware network.")
    write_text_graphdef: bool = option(False, "Write text instead of binary.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Options of download and conversion."""

    dataset_name: str | None = option(None, "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Where the records are written.")
    source_dir: str | None = option(
        None,
        "Directory of the set's archives, or of what is in them; read and left as it "
        "is. By default they are downloaded.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(Model, Devices):
    """Options of classification."""

    checkpoint_path: str | None = option(
        None, "Checkpoint, or directory whose latest one is used."
    )
    graph: str | None = option(None, "Frozen GraphDef, instead of a checkpoint.")
    labels: str | None = option(
        None, "Class names: lines of `number:name`, or one name per line."
    )
    top_k: int = option(5, "Answers per picture.", at_least=1)
    image_size: int | None = recorded(
        None,
        "Height and width in pixels; by default as trained, or the network's own.",
        at_least=1,
    )
    moving_average_decay: float | None = recorded(
        None, "Use the moving averages of the weights, as trained with this flag."
    )
    batch_size: int = option(
        32, "Pictures per step; it does not affect results.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListConfig:
    """Options of the list of networks."""

    format: str = option("table", "How to print it: table, markdown, csv or json.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownloadConfig:
    """Options of getting a published checkpoint."""

    model_name: str | None = option(None, "Network; unknown names list all.")
    image_size: int | None = option(
        None,
        "Height and width in pixels that it was trained at; by default the network's "
        "own.",
    )
    date: str | None = option(
        None, "Of the publication, as 2018-08-02; by default the newest."
    )
    quantized: bool | None = option(
        None,
        "Whether it was trained for 8-bit integers; by default not, if there is one.",
    )
    depth_multiplier: float | None = option(
        None, "Width; by default the one that model_name stands for."
    )
    checkpoint_dir: str | None = option(
        None, "Where checkpoints are put, each in a directory of its own."
    )
    mirror: str | None = option(
        None,
        "Directory or URL that has the archives; by default what the environment "
        "variable SLIMZOO_MIRROR says, or where they were published.",
    )
