"""The turns of slim as in 2017: queue runners, float32, nothing frozen, slim's loops.

They are composed as slim's scripts were: `DatasetDataProvider`, `tf.train.batch`, a
prefetch queue, `slim.learning.train`, `slim.evaluation.evaluate_once` with streaming
metrics. The networks are ours, whose graphs are the same.
"""

import pathlib
import tempfile
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_utils
from datasets.storage.split import StoredSplit
from deployment import model_deploy
from slimbase.graph import classic_graph
from slimzoo.benchmark import classic_preprocessing, ours
from slimzoo.benchmark.clock import Clock, Request
from slimzoo.model.info import ModelInfo
from slimzoo.training import graph as train_graph

_NUM_THREADS = 4  # Threads of preprocessing, and readers in training.
_WEIGHT_DECAY = 0.00004


def _decoder() -> slim.tfexample_decoder.TFExampleDecoder:
    handlers = slim.tfexample_decoder
    features = {
        "image/encoded": tf.FixedLenFeature((), tf.string, ""),
        "image/format": tf.FixedLenFeature((), tf.string, "jpeg"),
        "image/class/label": tf.FixedLenFeature([], tf.int64, -1),
    }
    items = {
        "image": handlers.Image("image/encoded", "image/format"),
        "label": handlers.Tensor("image/class/label"),
    }
    return handlers.TFExampleDecoder(features, items)


def _batches(
    info: ModelInfo, dataset: StoredSplit, batch_size: int, is_training: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images `[batch, height, width, channels]` and labels, out of queues."""
    ahead = batch_size * (10 if is_training else 1)
    provider = slim.dataset_data_provider.DatasetDataProvider(
        slim.dataset.Dataset(
            dataset.data_sources,
            tf.TFRecordReader,
            _decoder(),
            dataset.num_samples,
            {},
        ),
        common_queue_capacity=2 * ahead,
        common_queue_min=ahead,
        num_readers=_NUM_THREADS if is_training else 1,
        shuffle=is_training,
    )
    image, label = provider.get(["image", "label"])
    image = classic_preprocessing.get(info, is_training)(image)
    return tf.train.batch(
        [image, label],
        batch_size,
        num_threads=_NUM_THREADS,
        capacity=5 * batch_size,
    )


def _queue(request: Request, info: ModelInfo, dataset: StoredSplit) -> Any:
    """The queue of batches with one-hot labels, from which clones read."""
    images, labels = _batches(info, dataset, request["batch_size"], is_training=True)
    labels = slim.one_hot_encoding(labels, info.num_classes)
    return slim.prefetch_queue.prefetch_queue(
        [images, labels], capacity=2 * request["num_clones"]
    )


class _Writer(tf.summary.FileWriter):
    """Notes when the first summary of the graph is written.

    A thread computes it beside the first steps, which are slow meanwhile. The second
    summary comes ten minutes later.
    """

    has_summary = False

    def add_summary(
        self, summary: bytes | tf.Summary, global_step: int | None = None
    ) -> None:
        super().add_summary(summary, global_step)
        # Speed comes as a message, and what the graph computes as a string of bytes.
        self.has_summary |= isinstance(summary, bytes)


def measure_train(request: Request, clock: Clock) -> None:
    """Training by `slim.learning.train`."""
    # slim's Supervisor counts steps in threads of its own, which run eagerly otherwise.
    tf.disable_eager_execution()
    info, dataset = ours.model_and_data(request, is_training=True)
    deployment = model_deploy.DeploymentConfig(
        num_clones=request["num_clones"], clone_on_cpu=True
    )
    with (
        classic_graph(request["seed"]),
        tempfile.TemporaryDirectory(dir=request["scratch"]) as train_dir,
    ):
        train_tensor, summary = _train_graph(request, info, dataset, deployment)
        images = request["batch_size"] * request["num_clones"]
        writer = _Writer(train_dir)

        def step(*arguments: Any) -> tuple[float, bool]:
            loss, should_stop = slim.learning.train_step(*arguments)
            if request["save_summaries_secs"] and not writer.has_summary:
                clock.note_first()
                return loss, should_stop
            return loss, clock.tick(images) or should_stop

        slim.learning.train(
            train_tensor,
            logdir=train_dir,
            train_step_fn=step,
            summary_op=summary,
            summary_writer=writer,
            log_every_n_steps=10,
            save_summaries_secs=request["save_summaries_secs"],
            save_interval_secs=600,
            session_config=tf.ConfigProto(allow_soft_placement=True),
        )


def _train_graph(
    request: Request,
    info: ModelInfo,
    dataset: Any,
    deployment: model_deploy.DeploymentConfig,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss, whose evaluation takes a step, and all summaries."""
    with tf.device(deployment.variables_device()):
        global_step = slim.create_global_step()
    network = info.network_fn(is_training=True, weight_decay=_WEIGHT_DECAY)
    with tf.device(deployment.inputs_device()):
        queue = _queue(request, info, dataset)

    def clone_fn(queue: tf.QueueBase) -> dict[str, tf.Tensor]:
        images, labels = queue.dequeue()
        logits, end_points = network(images)
        if "AuxLogits" in end_points:
            tf.losses.softmax_cross_entropy(
                labels,
                end_points["AuxLogits"],
                weights=train_graph.AUXILIARY_LOSS_WEIGHT,
                scope="aux_loss",
            )
        tf.losses.softmax_cross_entropy(labels, logits)
        return end_points

    clones = model_deploy.create_clones(deployment, clone_fn, [queue])
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
    with tf.device(deployment.optimizer_device()):
        decay_steps = int(dataset.num_samples / request["batch_size"] * 2.0)
        rate = tf.train.exponential_decay(
            0.01, global_step, max(1, decay_steps), 0.94, staircase=True
        )
        optimizer = tf.train.RMSPropOptimizer(
            rate, decay=0.9, momentum=0.9, epsilon=1.0
        )
    loss, gradients = model_deploy.optimize_clones(clones, optimizer)
    train_graph.summarize(clones[0].outputs, clones[0].scope, loss, rate)
    updates.append(optimizer.apply_gradients(gradients, global_step))
    with tf.control_dependencies([tf.group(*updates)]):
        return tf.identity(loss, name="train_op"), tf.summary.merge_all()


def measure_inference(request: Request, clock: Clock) -> None:
    """Evaluation by `slim.evaluation.evaluate_once`."""
    info, dataset = ours.model_and_data(request, is_training=False)
    path = ours.checkpoint(request, info, clock)
    with (
        classic_graph(request["seed"]),
        tempfile.TemporaryDirectory(dir=request["scratch"]) as eval_dir,
    ):
        slim.get_or_create_global_step()
        images, labels = _batches(
            info, dataset, request["batch_size"], is_training=False
        )
        logits, _ = info.network_fn()(images)
        values, updates = slim.metrics.aggregate_metric_map(
            {
                "Accuracy": slim.metrics.streaming_accuracy(
                    tf.argmax(logits, 1), labels
                ),
                "Recall_5": slim.metrics.streaming_recall_at_k(logits, labels, 5),
            }
        )
        for name, value in values.items():
            tf.summary.scalar(f"eval/{name}", value)
        slim.evaluation.evaluate_once(
            master="",
            checkpoint_path=path,
            logdir=eval_dir,
            num_evals=2**31,
            eval_op=list(updates.values()),
            variables_to_restore=slim.get_variables_to_restore(),
            hooks=[ours.TickHook(clock, request["batch_size"])],
        )


def measure_input(request: Request, clock: Clock) -> None:
    """Reading and preprocessing for training, without a network."""
    info, dataset = ours.model_and_data(request, is_training=True)
    with classic_graph(request["seed"]), tf.Session() as session:
        images, labels = _queue(request, info, dataset).dequeue()
        step = tf.group(images, labels)
        session.run(tf.global_variables_initializer())
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        ours.take_steps(lambda: session.run(step), request["batch_size"], clock)
        coordinator.request_stop()
        coordinator.join(threads, ignore_live_threads=True)


def measure_conversion(request: Request, clock: Clock) -> None:
    """Conversion of a folder; each picture is decoded in a session."""
    photos = ours.pictures(pathlib.Path(request["source_dir"]))
    with tempfile.TemporaryDirectory(dir=request["scratch"]) as target:
        clock.begin()
        convert(photos, pathlib.Path(target, "records"))
        clock.end(len(photos))


def convert(photos: list[pathlib.Path], path: pathlib.Path) -> None:
    """Writes a record for each JPEG file; the label is the folder's rank by name."""
    class_names = sorted({photo.parent.name for photo in photos})
    with tf.Graph().as_default(), tf.Session() as session:
        content = tf.placeholder(tf.string)
        decoded = tf.image.decode_jpeg(content, channels=3)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for photo in photos:
                encoded = tf.gfile.GFile(str(photo), "rb").read()
                height, width, _ = session.run(decoded, {content: encoded}).shape
                label = class_names.index(photo.parent.name)
                example = dataset_utils.image_to_tfexample(
                    encoded, b"jpg", height, width, label
                )
                writer.write(example.SerializeToString())
