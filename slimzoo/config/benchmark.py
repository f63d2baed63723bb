"""Options of benchmark.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import SIZE_HELP, Size, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TurnOptions:
    """Options of the turns."""

    title: ClassVar = "How it is measured"

    repeats: int = option(5, "Turns of each contender, a process each.", at_least=1)
    seconds: float = option(10.0, "Time that a turn measures.", at_least=0)
    steps: int | None = option(
        None, "Steps that a turn measures, instead of --seconds.", at_least=1
    )
    warmup_steps: int = option(
        5, "Steps of each turn before anything is measured.", at_least=1
    )
    timeout_secs: int = option(
        1800, "Time after which the process of a turn is ended.", at_least=1
    )
    seed: int | None = option(
        None, "Seed of initial weights, order and distortions, as of training."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """Options of the pictures that are read."""

    title: ClassVar = "Pictures"

    dataset_name: str | None = option(
        None, "Data set in --dataset_dir; by default the one that was converted there."
    )
    dataset_dir: str | None = option(
        None,
        "Directory of records; by default some are made in a temporary one: JPEG of "
        "500x375 at quality 90.",
    )
    train_split_name: str = option("train", "Split that train and input read.")
    eval_split_name: str | None = option(
        None, "Split that inference reads; by default the data set's own for that."
    )
    source_dir: str | None = option(
        None,
        "Pictures in folders, which conversion reads; by default those that are made.",
    )
    num_pictures: int = option(
        512, "Number of pictures that are made, if any are.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(TurnOptions, PictureOptions):
    """Options of the benchmark. Lists are separated by commas."""

    title: ClassVar = "What is compared"

    model_name: str = option(
        "mobilenet_v1,mobilenet_v2,resnet_v1_50,inception_v3",
        "Networks: names or patterns, as in 'mobilenet_v*,resnet_v1_50'.",
    )
    mode: str = option(
        "train,inference",
        "What to measure: train (end to end, as train_image_classifier.py), inference "
        "(as eval_image_classifier.py), input (of training, alone), conversion, "
        "export.",
    )
    against: str | None = option(
        None,
        "What to measure besides, in turns: classic (slim as in 2017: queue runners, "
        "float32, slim.learning), keras (applications, fit and predict), timm (see "
        "--timm_python); in inference onnxruntime and openvino, as --runtime of "
        "evaluation has them.",
    )
    precision: str = option("float32", "List of float32, bfloat16.")
    batch_size: str = option("32", "List of pictures per clone and step.")
    num_clones: str = option("1", "List of numbers of clones, in training.")
    threads: str | None = option(
        None,
        "List of numbers of threads, and of cores to run on; by default all cores.",
    )
    image_size: Size | None = option(
        None, f"{SIZE_HELP}; by default the network's own."
    )
    export_formats: str = option(
        "frozen,saved_model,tflite", "List of what export writes; onnx is another."
    )
    save_summaries_secs: int = option(
        600, "Seconds between summaries, in training.", at_least=0
    )

    timm_python: str | None = option(
        None, "Python of an environment that has torch and timm."
    )
    csv: str | None = option(None, "CSV file for the results, a row each.")
    json: str | None = option(
        None, "JSON file for the results, each turn and what the machine is."
    )
