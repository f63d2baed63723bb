"""What each script can be told: the table of options.

Each script has one frozen dataclass. A field is an option and a flag of the same name:
its annotation is the type, its default the default. `slimzoo.cli` makes the flags.
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
class _Model:
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
class _Data:
    dataset_name: str | None = recorded("imagenet", "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Directory of the data set's records.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(_Model, _Data):
    """Options of training."""

    train_dir: str = option(
        "/tmp/tfmodel/", "Where checkpoints, summaries and model.json are written."
    )
    dataset_split_name: str = option("train", "Split to train on.")
    batch_size: int = option(32, "Pictures per clone and step.", at_least=1)
    train_image_size: int | None = option(
        None, "Height and width in pixels; by default the network's own.", at_least=1
    )
    max_number_of_steps: int | None = option(
        None,
        "Step to stop at; by default training goes on until it is interrupted.",
        at_least=1,
    )
    seed: int | None = option(
        None, "Seed of initial weights, order of pictures, distortions and dropout."
    )

    # Starting point.
    checkpoint_path: str | None = option(
        None,
        "Checkpoint, or directory of checkpoints, to start from. Ignored, with a "
        "warning, when train_dir already holds a checkpoint.",
    )
    checkpoint_exclude_scopes: str | None = option(
        None,
        "Comma-separated scopes of variables that are not taken from checkpoint_path.",
    )
    ignore_missing_vars: bool = option(
        False, "Start variables that checkpoint_path lacks anew instead of stopping."
    )
    trainable_scopes: str | None = option(
        None, "Comma-separated scopes of variables to train; by default all."
    )

    # Optimizer.
    optimizer: str = option("rmsprop", "Optimizer; unknown names list all.")
    learning_rate: float = option(0.01, "Initial learning rate.")
    momentum: float = option(0.9, "Of the optimizer 'momentum'.")
    opt_epsilon: float = option(1.0, "Of adadelta, adam and rmsprop.")
    adadelta_rho: float = option(0.95, "Decay rate of adadelta.")
    adagrad_initial_accumulator_value: float = option(0.1, "Of adagrad.")
    adam_beta1: float = option(0.9, "Decay rate of the first moments of adam.")
    adam_beta2: float = option(0.999, "Decay rate of the second moments of adam.")
    ftrl_learning_rate_power: float = option(-0.5, "Of ftrl.")
    ftrl_initial_accumulator_value: float = option(0.1, "Of ftrl.")
    ftrl_l1: float = option(0.0, "Strength of ftrl's L1 regularization.")
    ftrl_l2: float = option(0.0, "Strength of ftrl's L2 regularization.")
    rmsprop_momentum: float = option(0.9, "Momentum of rmsprop.")
    rmsprop_decay: float = option(0.9, "Decay rate of the squares of rmsprop.")

    # Schedule.
    learning_rate_decay_type: str = option(
        "exponential", "Schedule of the learning rate; unknown names list all."
    )
    learning_rate_decay_factor: float = option(0.94, "Factor of exponential decay.")
    num_epochs_per_decay: float = option(
        2.0, "Epochs after which the learning rate decays."
    )
    end_learning_rate: float = option(0.0001, "Where polynomial decay ends.")
    warmup_epochs: float = option(
        0.0, "Epochs in which the learning rate rises linearly from zero.", at_least=0
    )

    # Loss and averages.
    weight_decay: float = option(0.00004, "Factor of the L2 regularization.")
    label_smoothing: float = option(
        0.0, "Share of each label spread evenly over all classes."
    )
    moving_average_decay: float | None = option(
        None, "Decay of moving averages of all weights; by default none are kept."
    )
    grow_batch_norm_decay: bool = option(
        True,
        "Let batch norm's moving averages follow quickly at first, with decay (1 + "
        "step) / (10 + step) as long as that is below the network's own. Without, "
        "they lag behind for thousands of steps, and so does evaluation.",
    )
    quantize_delay: int = option(
        -1, "Step at which quantization-aware training begins; -1: never."
    )

    # Logs.
    log_every_n_steps: int = option(10, "Steps between lines of progress.", at_least=1)
    save_summaries_secs: int = option(
        600, "Seconds between TensorBoard summaries.", at_least=0
    )
    save_interval_secs: int = option(600, "Seconds between checkpoints.", at_least=0)

    # Devices and machines.
    num_clones: int = option(
        1, "Copies of the network on this machine, one per GPU.", at_least=1
    )
    clone_on_cpu: bool = option(
        False, "Run the clones on the CPU; implied where there is no GPU."
    )
    master: str = option("", "Address of the TensorFlow server; '' runs in-process.")
    task: int = option(0, "Number of this worker; 0 is the chief.", at_least=0)
    worker_replicas: int = option(1, "Number of workers.", at_least=1)
    num_ps_tasks: int = option(
        0, "Number of parameter servers; 0 keeps all local.", at_least=0
    )
    sync_replicas: bool = option(False, "Average the workers' gradients.")
    replicas_to_aggregate: int = option(
        1, "Number of gradients to average per step with sync_replicas.", at_least=1
    )
    num_readers: int = option(4, "Record files read in parallel.", at_least=1)
    num_preprocessing_threads: int = option(
        4, "Pictures preprocessed in parallel.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(_Model, _Data):
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
class ExportConfig(_Model, _Data):
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
class ClassifyConfig(_Model):
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
