"""Options of train_image_classifier.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import SIZE_HELP, Size, option
from slimzoo.config.shared import Augmentation, BadRecords, Data, Devices, Model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """Options of the start of training."""

    title: ClassVar = "Where training starts"

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
    finetune: str | None = option(
        None,
        "'head': take all but the classifier from checkpoint_path and train the "
        "classifier; 'all': the same, and train everything. checkpoint_exclude_scopes "
        "and trainable_scopes win over it.",
    )
    freeze_batch_norm: bool = option(
        False,
        "Normalize by the checkpoint's moving averages, and leave them and batch "
        "norm's other variables as they are.",
    )
    show_variables: bool = option(
        False, "List each variable: restored or new, trained or frozen."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimization:
    """Options of the optimizers."""

    title: ClassVar = "Optimizer"

    optimizer: str = option("rmsprop", "Optimizer; unknown names list all.")
    learning_rate: float = option(0.01, "Initial learning rate.")
    momentum: float = option(0.9, "Of the optimizer 'momentum'.")
    opt_epsilon: float = option(1.0, "Of adadelta, adam and rmsprop.")
    adadelta_rho: float = option(0.95, "Decay rate of adadelta.")
    adagrad_initial_accumulator_value: float = option(0.1, "Of adagrad.")
    adam_beta1: float = option(0.9, "Decay rate of the first moments of adam.")
    adam_beta2: float = option(0.999, "Decay rate of the second moments of adam.")
    adamw_epsilon: float = option(1e-8, "Of adamw, whose moments are those of adam.")
    ftrl_learning_rate_power: float = option(-0.5, "Of ftrl.")
    ftrl_initial_accumulator_value: float = option(0.1, "Of ftrl.")
    ftrl_l1: float = option(0.0, "Strength of ftrl's L1 regularization.")
    ftrl_l2: float = option(0.0, "Strength of ftrl's L2 regularization.")
    rmsprop_momentum: float = option(0.9, "Momentum of rmsprop.")
    rmsprop_decay: float = option(0.9, "Decay rate of the squares of rmsprop.")
    decoupled_weight_decay: float = option(
        0.0,
        "Weight decay of adamw and lars, beside their gradients; give --weight_decay=0 "
        "with it, which is part of the loss.",
    )
    decay_weights_only: bool = option(
        False, "Keep the decay of adamw and lars off batch norm and biases."
    )
    clip_gradient_norm: float = option(
        0.0, "Scale gradients down to this global norm; 0 leaves them.", at_least=0
    )
    accumulate_gradients: int = option(
        1, "Batches whose gradients are averaged for one step.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Options of the schedule of the learning rate."""

    title: ClassVar = "Learning rate over time"

    learning_rate_decay_type: str = option(
        "exponential", "Schedule of the learning rate; unknown names list all."
    )
    learning_rate_decay_factor: float = option(0.94, "Factor of exponential decay.")
    num_epochs_per_decay: float = option(
        2.0, "Epochs after which the learning rate decays."
    )
    end_learning_rate: float = option(0.0001, "Where polynomial and cosine decay end.")
    warmup_epochs: float = option(
        0.0, "Epochs in which the learning rate rises linearly from zero.", at_least=0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """Options of the loss and of averages over steps."""

    title: ClassVar = "Loss, regularization and averages"

    weight_decay: float = option(0.00004, "Factor of the L2 regularization.")
    label_smoothing: float = option(
        0.0, "Share of each label spread evenly over all classes."
    )
    class_weights: str | None = option(
        None,
        "Weights of the classes in the loss: 'balanced', so that each class counts as "
        "much as any other, or a file of lines `class:weight`.",
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainAugmentation(Augmentation):
    """Options of what training does to its pictures and batches."""

    title: ClassVar = "Augmentation"

    mixup_alpha: float = option(
        0.0, "Blend pictures and labels in pairs, by shares of Beta(alpha, alpha)."
    )
    cutmix_alpha: float = option(
        0.0, "Paste boxes of other pictures, of areas by Beta(alpha, alpha)."
    )
    random_erasing: float = option(
        0.0, "Share of the pictures in which a random box is erased."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Precision:
    """Options of the numbers in computations."""

    title: ClassVar = "Precision"

    precision: str = option(
        "float32",
        "Of the computation: float32, bfloat16 or float16; variables are float32.",
    )
    quantize_delay: int = option(
        -1,
        "Step at which training begins to compute as if in 8 bits; -1: never.",
        at_least=-1,
    )
    quantize_symmetric: bool = option(
        False,
        "With --quantize_delay, keep ranges of weights symmetric about 0: coarser, but "
        "needed for an int8 .tflite; uint8 does without.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """Options of evaluation while training."""

    title: ClassVar = "Evaluation while training"

    eval_every_steps: int | None = option(
        None, "Evaluate each checkpoint, one every so many steps.", at_least=1
    )
    eval_every_epochs: float | None = option(None, "The same, in epochs.")
    eval_split_name: str | None = option(
        None,
        "Split to evaluate on; by default validation, or else test.",
    )
    stop_after_evaluations: int | None = option(
        None,
        "Evaluations in a row without a better top-1 after which training stops.",
        at_least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traces:
    """Options of logs, summaries and checkpoints."""

    title: ClassVar = "Logs and checkpoints"

    log_every_n_steps: int = option(10, "Steps between lines of progress.", at_least=1)
    save_summaries_secs: int = option(
        600, "Seconds between TensorBoard summaries.", at_least=0
    )
    save_interval_secs: int = option(600, "Seconds between checkpoints.", at_least=0)
    keep_checkpoints: int = option(5, "Latest checkpoints to keep.", at_least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """Options of clones, clusters and threads."""

    title: ClassVar = "Devices and machines"

    num_clones: int = option(
        1, "Copies of the network on this machine, one per GPU.", at_least=1
    )
    clone_on_cpu: bool = option(
        False, "Run the clones on the CPU; implied where there is no GPU."
    )
    master: str = option(
        "",
        "Address of a TensorFlow server that runs already, as grpc://host:port; with "
        "task, worker_replicas and num_ps_tasks. See job_name for starting one.",
    )
    task: int = option(
        0, "Number of this process in its job; worker 0 is the chief.", at_least=0
    )
    job_name: str | None = option(
        None,
        "What this process is in a cluster of ps_hosts and worker_hosts: ps, a "
        "parameter server, or worker. Without these three, TF_CONFIG says.",
    )
    ps_hosts: str | None = option(
        None, "Comma-separated host:port of the parameter servers."
    )
    worker_hosts: str | None = option(
        None, "Comma-separated host:port of the workers; the first is the chief."
    )
    worker_replicas: int = option(
        1, "Number of workers; that of worker_hosts, if given.", at_least=1
    )
    num_ps_tasks: int = option(
        0,
        "Number of parameter servers; that of ps_hosts, if given. 0 keeps all local.",
        at_least=0,
    )
    sync_replicas: bool = option(
        False,
        "Average gradients of several workers for each step, instead of applying each "
        "worker's as it comes.",
    )
    replicas_to_aggregate: int = option(
        1,
        "Number of gradients to average with sync_replicas; usually that of workers.",
        at_least=1,
    )
    num_readers: int = option(4, "Record files read in parallel.", at_least=1)
    num_preprocessing_threads: int = option(
        4, "Pictures preprocessed in parallel.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(
    Model,
    Data,
    BadRecords,
    Start,
    Optimization,
    Schedule,
    Loss,
    TrainAugmentation,
    Precision,
    Validation,
    Traces,
    Devices,
    Cluster,
):
    """Options of training."""

    title: ClassVar = "Training"

    train_dir: str = option(
        "/tmp/tfmodel/", "Where checkpoints, summaries and model.json are written."
    )
    dataset_split_name: str = option("train", "Split to train on.")
    batch_size: int = option(32, "Pictures per clone and step.", at_least=1)
    train_image_size: Size | None = option(
        None, f"{SIZE_HELP}; by default the network's own."
    )
    max_number_of_steps: int | None = option(
        None,
        "Step to stop at; by default training goes on until it is interrupted.",
        at_least=1,
    )
    seed: int | None = option(
        None, "Seed of initial weights, order of pictures, distortions and dropout."
    )

    @property
    def global_batch(self) -> int:
        """Images per step, over all clones and workers that a step waits for."""
        workers = self.replicas_to_aggregate if self.sync_replicas else 1
        clones = self.num_clones * self.accumulate_gradients
        return self.batch_size * clones * workers
