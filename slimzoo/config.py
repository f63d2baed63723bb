"""What each script can be told: the table of options.

Each script has one frozen dataclass; that of training is in `slimzoo.train_config`. A
field is an option and a flag of the same name: its annotation is the type, its default
the default. `slimzoo.cli` makes the flags.
"""

import dataclasses
from typing import Any

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
class BadRecords:
    """Options of whatever reads all pictures of a split."""

    skip_bad_records: bool = option(
        False,
        "Leave out corrupt records and pictures that cannot be decoded, and tell which "
        "they are, instead of stopping. All records are read before the first step.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """Options of sessions."""

    gpu_memory_growth: bool = option(
        False, "Take GPU memory as it is needed, instead of all of it at once."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """Options that say which weights of a checkpoint are used."""

    moving_average_decay: float | None = recorded(
        None,
        "Use the moving averages of the weights, as trained with this flag; 0 to use "
        "the weights themselves.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inference(Model, Devices, Weights):
    """Options of whatever uses a trained network."""

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
class ExportConfig(Model, Data, Weights):
    """Options of export."""

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
        "With --checkpoint_path: frozen (the default), saved_model, tflite or onnx.",
    )
    fold_batch_norm: bool | None = option(
        None,
        "Make batch norm part of the weights; by default for all formats but frozen, "
        "where convolutions would give other values.",
    )
    quantization: str = option(
        "float32",
        "Of tflite: float32, float16 (weights), dynamic (8-bit weights) or int8 (all, "
        "calibrated on pictures of the data set).",
    )
    integer_type: str = option("uint8", "Of input and output with int8: uint8 or int8.")
    calibration_size: int = option(100, "Pictures that int8 looks at.", at_least=1)
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
    describe: str | None = option(
        None,
        "Only print inputs, likely outputs, operations and parameters of this graph.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Options of download and conversion.

    Those behind `dataset_dir` go to the converters that take them.
    """

    dataset_name: str | None = option(
        None, "Data set; unknown names list all. folder for pictures of your own."
    )
    dataset_dir: str | None = option(None, "Where the records are written.")
    source_dir: str | None = option(
        None,
        "Directory of the set's archives, or of what is in them; read and left as it "
        "is. By default they are downloaded.",
    )
    mirror: str | None = option(
        None,
        "Directory or URL that has the archives; by default what the environment "
        "variable SLIMZOO_MIRROR says, or where they were published.",
    )
    strict: bool = option(
        False, "Stop at a picture that cannot be used, instead of leaving it out."
    )
    name: str | None = option(
        None, "What a set that is made with folder or tfds is called from then on."
    )
    csv_file: str | None = option(
        None,
        "Lines of path,label or path,label,split, instead of folders; paths are "
        "relative to --source_dir, or to the file.",
    )
    labels_file: str | None = option(
        None, "labels.txt of another set, whose class numbers are kept."
    )
    validation_fraction: float = option(
        0.2, "Share of each class for validation, where the folder has no splits."
    )
    test_fraction: float = option(0.0, "Share of each class for testing, likewise.")
    seed: int = option(0, "Decides which pictures these are, and the order of all.")
    num_shards: int | None = option(
        None, "Files per split; by default some of at most 128 MB.", at_least=1
    )
    tfds_name: str | None = option(
        None, "With tfds: NAME or NAME:VERSION, as tensorflow_datasets has it."
    )
    tfds_data_dir: str | None = option(
        None, "With tfds: where that keeps what it downloads and prepares."
    )
    small_object_area_threshold: float = option(
        0.005, "With visualwakewords: least share of a picture that an object covers."
    )
    foreground_class_of_interest: str = option(
        "person", "With visualwakewords: the class that is or is not in a picture."
    )
    coco_dirname: str = option(
        "coco_dataset", "With visualwakewords: where in --dataset_dir COCO is put."
    )
    coco_train_url: str = option(
        "http://images.cocodataset.org/zips/train2014.zip", "See --coco_dirname."
    )
    coco_validation_url: str = option(
        "http://images.cocodataset.org/zips/val2014.zip", "See --coco_dirname."
    )
    coco_annotations_url: str = option(
        "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
        "See --coco_dirname.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildImagenetConfig:
    """Options of the conversion of ImageNet from directories that are named."""

    train_directory: str = option(
        "/tmp/",
        "Training pictures: folders of synsets, tar archives of such names, or the "
        "published archive itself.",
    )
    validation_directory: str = option(
        "/tmp/",
        "Validation pictures: folders of synsets, one folder, or the archive itself.",
    )
    output_directory: str = option("/tmp/", "Where the records are written.")
    train_shards: int = option(1024, "Files of training records.", at_least=1)
    validation_shards: int = option(128, "Files of validation records.", at_least=1)
    num_threads: int = option(8, "Without effect: all cores are used.", at_least=1)
    labels_file: str = option(
        "imagenet_lsvrc_2015_synsets.txt",
        "Synsets in the order of their labels, from 1; without it, as published.",
    )
    imagenet_metadata_file: str = option(
        "imagenet_metadata.txt",
        "Lines of synset, tabulator and words; without it, as published.",
    )
    bounding_box_file: str = option(
        "./imagenet_2012_bounding_boxes.csv",
        "Bounding boxes: CSV as process_bounding_boxes.py writes it, or an archive or "
        "a folder of XML files; without it there are none.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Options of the check of a data set."""

    dataset_name: str | None = option(None, "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Directory of the data set's records.")
    dataset_split_name: str | None = option(None, "Split; by default all there are.")
    output_file: str | None = option(None, "JSON file for all that is found.")
    contact_sheet: str | None = option(
        None,
        "File (.html or .png) for some pictures of each class, as they are and as "
        "training and evaluation make them.",
    )
    samples_per_class: int = option(4, "Pictures on the contact sheet.", at_least=1)
    preprocessing_name: str = option(
        "inception", "Preprocessing recipe of the contact sheet, or a network's name."
    )
    image_size: Size | None = option(
        None,
        f"{SIZE_HELP}, of what preprocessing makes; by default 224, or that of the "
        "pictures if all are of one.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(Inference):
    """Options of classification."""

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

    format: str = option("table", "How to print it: table, markdown, csv or json.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Options of the benchmark. Lists are separated by commas."""

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
