"""What each script can be told: the table of options.

Each script has one frozen dataclass; that of training is in `slimzoo.train_config`. A
field is an option and a flag of the same name: its annotation is the type, its default
the default. `slimzoo.cli` makes the flags.
"""

import dataclasses
from typing import Any, ClassVar

Size = tuple[int, int]  # Height and width in pixels; as a flag `299` or `224,320`.
SIZE_HELP = "Height and width in pixels, as 224 or 224,320"


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

    title: ClassVar = "Network"

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

    title: ClassVar = "Data set"

    dataset_name: str | None = recorded("imagenet", "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Directory of the data set's records.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadRecords:
    """Options of whatever reads all pictures of a split."""

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
    """Options that say which weights of a checkpoint are used."""

    title: ClassVar = "Weights"

    moving_average_decay: float | None = recorded(
        None,
        "Use the moving averages of the weights, as trained with this flag; 0 to use "
        "the weights themselves.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inference(Model, Devices, Weights):
    """Options of whatever uses a trained network."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(Inference, Data, BadRecords):
    """Options of evaluation."""

    title: ClassVar = "Evaluation"

    model_name: str | None = recorded(
        "inception_v3",
        "Network; unknown names list all. With names or patterns, as in "
        "'resnet_v1_50,mobilenet_*', all such models in the directories below "
        "--checkpoint_path.",
    )
    checkpoint_path: str = option(
        "/tmp/tfmodel/", "Checkpoint, or directory whose latest one is evaluated."
    )
    all_checkpoints: bool = option(
        False, "Evaluate each checkpoint of the directory, the oldest first."
    )
    watch: bool = option(
        False,
        "Evaluate the latest checkpoint and, until training ends, each new latest one.",
    )
    watch_timeout_secs: int = option(
        3600, "With --watch: end after so many seconds without any.", at_least=1
    )
    eval_dir: str = option(
        "/tmp/tfmodel/",
        "Where metrics.json, predictions.csv, report.html and summaries are written.",
    )
    report: bool = option(True, "Write report.html.")
    save_plots: bool = option(False, "Write the plots of the report as PNG, too.")
    results_csv: str | None = option(
        None, "CSV file that each result is appended to, a row each."
    )
    dataset_split_name: str | None = recorded(
        None, "Split; by default 'test' if the set has one, else its validation split."
    )
    batch_size: int = option(
        100, "Pictures per step; what all of a split gives is the same.", at_least=1
    )
    max_num_batches: int | None = option(
        None, "Batches to evaluate; by default all of the split.", at_least=1
    )
    eval_image_size: Size | None = recorded(
        None, f"{SIZE_HELP}; by default as trained, or the network's own."
    )
    quantize: bool | None = recorded(
        False, "Evaluate a network that was trained with --quantize_delay."
    )
    master: str = option("", "Address of the TensorFlow server; '' runs in-process.")
    num_preprocessing_threads: int = option(
        4, "Pictures preprocessed in parallel.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantization:
    """Options of numbers of fewer bits."""

    title: ClassVar = "Quantization"

    quantization: str = option(
        "float32",
        "Of tflite: float32, float16 (weights), dynamic (8-bit weights) or int8 (all, "
        "calibrated on pictures of the data set).",
    )
    integer_type: str = option("uint8", "Of input and output with int8: uint8 or int8.")
    calibration_size: int = option(100, "Pictures that int8 looks at.", at_least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
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
class ExportConfig(Model, Data, Weights, Quantization, Comparison):
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
        "With --checkpoint_path: frozen, saved_model, tflite or onnx; by default what "
        "the end of --output_file says, else frozen.",
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(Inference):
    """Options of classification."""

    title: ClassVar = "Classification"

    checkpoint_path: str | None = option(
        None, "Checkpoint, or directory whose latest one is used."
    )
    image: str | None = option(None, "Picture; the same as giving it without a flag.")
    labels: str | None = option(
        None, "Class names: lines of `number:name`, or one name per line."
    )
    top_k: int = option(5, "Answers per picture.", at_least=1)
    format: str = option("table", "How to write answers: table, csv or jsonl.")
    output_file: str | None = option(None, "Where to write answers; by default, here.")
    logits: bool = option(False, "Write logits instead of probabilities.")
    end_point: str | None = option(
        None, "End point whose values go to --embeddings_file, as global_pool."
    )
    embeddings_file: str | None = option(
        None, "File (.npz) for the values of --end_point, with the pictures' files."
    )
    image_size: Size | None = recorded(
        None, f"{SIZE_HELP}; by default as trained, or the network's own."
    )
    batch_size: int = option(
        32, "Pictures per step; it does not affect results.", at_least=1
    )
    num_preprocessing_threads: int = option(
        4, "Pictures read and preprocessed in parallel.", at_least=1
    )
    input_mean: float | None = option(
        None,
        "With this or --input_std, pictures are resized and become (pixels - mean) / "
        "std, instead of what the preprocessing recipe makes of them. By default 0.",
    )
    input_std: float | None = option(None, "See --input_mean; by default 255.")
    input_height: int | None = option(
        None,
        "Height in pixels, with --input_width: another way to --image_size.",
        at_least=1,
    )
    input_width: int | None = option(None, "See --input_height.", at_least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListConfig:
    """Options of the list of networks."""

    title: ClassVar = "List"

    format: str = option("table", "How to print it: table, markdown, csv or json.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownloadConfig:
    """Options of getting a published checkpoint."""

    title: ClassVar = "Checkpoint"

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
