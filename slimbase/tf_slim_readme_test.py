"""What tf_slim's README shows works here, with reference and with resource variables.

The README is older than the library it describes. To be written differently today:

    in the README                             here
    ----------------------------------------  -----------------------------------------
    import tensorflow as tf                   import tensorflow.compat.v1 as tf, and a
                                              tf.Graph() around whatever is built
    no comma after weights_initializer=...    a comma
    conv2d(inputs, 64, [11, 11], 4) where     conv2d(inputs, 64, [11, 11], stride=4)
      an arg_scope sets stride
    learning.train(...):                      no colon
    losses.sum_of_squares                     losses.mean_squared_error
    metrics.accuracy, .precision, .recall,    metrics.streaming_accuracy and so on
      .percentage_less
    recall(mean_relative_errors, 0.3)         streaming_recall(predictions, labels)
    streaming_mean_relative_error(a, b)       takes a third argument, the normalizer
    predictions = vgg.vgg_16(images)          predictions, end_points = ...; pictures of
                                              at least 224x224 and one-hot labels
    exclude=['fc6', 'fc7', 'fc8']             scopes from the root on: 'vgg_16/fc6'
    assign_from_checkpoint_fn                 slim.assign_from_checkpoint_fn
    "bias" in var.op.name                     slim's layers call them biases
    metric_map.iteritems()                    metric_map.items()
    sess.run(metric_map.values()), eval_op    list(metric_map.values())
    evaluation_loop('local', ...)             '' is this process; 'local' is no longer
    learning.train(train_op, logdir)          tf.disable_eager_execution() before it

The last one: TensorFlow's Supervisor counts steps and saves in threads of its own, and
what eager execution is in these is a setting of the whole process. So the tests here
that train into a directory do it in a process that has disabled it.

The README's own vgg16() feeds its last convolution to a fully connected layer without
slim.flatten, which is no error: the layer works on the channels of every position.
"""

# What pyright infers of tf_slim, which has no types, is wrong.
# pyright: reportArgumentType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

import concurrent.futures
import contextlib
import math
import multiprocessing

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim import nets

import slimbase.compat  # noqa: F401

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)


@contextlib.contextmanager
def new_graph(use_resource):
    """A graph with resource variables or with reference variables."""
    with tf.Graph().as_default() as graph:
        tf.get_variable_scope().set_use_resource(use_resource)
        tf.set_random_seed(0)
        yield graph


@pytest.fixture(params=[False, True], ids=["reference", "resource"])
def use_resource(request):
    return request.param


@pytest.fixture(autouse=True)
def graph(use_resource):
    """The graph that a test builds in."""
    with new_graph(use_resource) as graph:
        yield graph


@pytest.fixture(scope="module")
def without_eager():
    """Calls a function in a process whose eager execution is disabled."""
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=tf.disable_eager_execution,
    ) as process:
        yield lambda *call: process.submit(*call).result()


def names(variables):
    return [variable.op.name for variable in variables]


def evaluate(fetches):
    """Values of `fetches` right after initialization."""
    with tf.Session() as session:
        session.run(
            [tf.global_variables_initializer(), tf.local_variables_initializer()]
        )
        return session.run(fetches)


# Variables


def test_variable_has_regularizer_and_device():
    weights = slim.variable(
        "weights",
        shape=[10, 10, 3, 3],
        initializer=tf.truncated_normal_initializer(stddev=0.1),
        regularizer=slim.l2_regularizer(0.05),
        device="/CPU:0",
    )
    assert weights.device == "/device:CPU:0"
    [penalty] = slim.losses.get_regularization_losses()
    value, penalty = evaluate([weights, penalty])
    assert 0.05 < value.std() < 0.1 and abs(value).max() < 0.2
    np.testing.assert_allclose(penalty, 0.05 * (value**2).sum() / 2, rtol=1e-5)


def test_model_variables_are_told_from_regular_ones():
    slim.model_variable("weights", shape=[10, 10, 3, 3])
    slim.variable("my_var", shape=[20, 1], initializer=tf.zeros_initializer())
    assert names(slim.get_model_variables()) == ["weights"]
    assert names(slim.get_variables()) == ["weights", "my_var"]


def test_own_variable_becomes_a_model_variable():
    own = tf.get_variable("own", [3])
    assert own not in slim.get_model_variables()
    slim.add_model_variable(own)
    assert slim.get_model_variables() == [own]


# Layers


def test_conv2d_does_what_takes_five_steps_by_hand():
    net = slim.conv2d(IMAGES, 8, [3, 3], scope="conv1_1")
    kernel, biases = slim.get_model_variables()
    assert names([kernel, biases]) == ["conv1_1/weights", "conv1_1/biases"]
    by_hand = tf.nn.conv2d(IMAGES, kernel, [1, 1, 1, 1], padding="SAME")
    by_hand = tf.nn.relu(tf.nn.bias_add(by_hand, biases))
    np.testing.assert_allclose(*evaluate([net, by_hand]), atol=1e-6)


def windows(images, reduce, size=2):
    """`reduce`s every `size` by `size` square of `images`, side by side."""
    n, height, width, channels = images.shape
    shape = n, height // size, size, width // size, size, channels
    return reduce(images.reshape(shape), axis=(2, 4))


ONES = {"weights_initializer": tf.ones_initializer()}
LINEAR = {**ONES, "activation_fn": None}
LAYERS = {
    "bias_add": (
        lambda images: slim.bias_add(images, initializer=tf.constant_initializer(2.0)),
        lambda: IMAGES + 2,
    ),
    "batch_norm": (
        lambda images: slim.batch_norm(images, epsilon=1e-6),
        lambda: (IMAGES - IMAGES.mean((0, 1, 2))) / IMAGES.std((0, 1, 2)),
    ),
    "conv2d": (
        lambda images: slim.conv2d(images, 5, [2, 2], stride=2, **LINEAR),
        lambda: windows(IMAGES, np.sum).sum(-1, keepdims=True).repeat(5, -1),
    ),
    "conv2d_in_plane": (
        lambda images: slim.conv2d_in_plane(images, [2, 2], stride=2, **LINEAR),
        lambda: windows(IMAGES, np.sum),
    ),
    "conv2d_transpose": (
        lambda images: slim.conv2d_transpose(images, 1, [2, 2], stride=2, **LINEAR),
        lambda: IMAGES.sum(-1, keepdims=True).repeat(2, 1).repeat(2, 2),
    ),
    "fully_connected": (
        lambda images: slim.fully_connected(images[:, 0, 0], 4, **ONES),
        lambda: IMAGES[:, 0, 0].sum(-1, keepdims=True).repeat(4, -1).clip(min=0),
    ),
    "avg_pool2d": (
        lambda images: slim.avg_pool2d(images, [2, 2]),
        lambda: windows(IMAGES, np.mean),
    ),
    "dropout": (
        lambda images: slim.dropout(images, 0.5, is_training=False),
        lambda: IMAGES,
    ),
    "flatten": (
        lambda images: slim.flatten(images),
        lambda: IMAGES.reshape(2, 48),
    ),
    "max_pool2d": (
        lambda images: slim.max_pool2d(images, [2, 2]),
        lambda: windows(IMAGES, np.max),
    ),
    "one_hot_encoding": (
        lambda _: slim.one_hot_encoding([2, 0], 3),
        lambda: [[0, 0, 1], [1, 0, 0]],
    ),
    "separable_conv2d": (
        lambda images: slim.separable_conv2d(
            images, 2, [2, 2], depth_multiplier=1, stride=2, **LINEAR
        ),
        lambda: windows(IMAGES, np.sum).sum(-1, keepdims=True).repeat(2, -1),
    ),
    "unit_norm": (
        lambda images: slim.unit_norm(images, dim=3, epsilon=0.0),
        lambda: IMAGES / np.linalg.norm(IMAGES, axis=3, keepdims=True),
    ),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer):
    build, expected = LAYERS[layer]
    output = evaluate(build(tf.constant(IMAGES)))
    np.testing.assert_allclose(output, expected(), rtol=1e-4, atol=1e-5)


def test_dropout_drops_half_and_doubles_the_rest():
    dropped = evaluate(slim.dropout(tf.ones([100, 100]), 0.5, is_training=True))
    assert set(np.unique(dropped)) == {0, 2}
    assert abs(dropped.mean() - 1) < 0.1


def test_repeat_numbers_its_scopes(use_resource):
    net = slim.repeat(IMAGES, 3, slim.conv2d, 256, [3, 3], scope="conv3")
    net = slim.max_pool2d(net, [2, 2], scope="pool2")
    assert net.shape == [2, 2, 2, 256]
    with new_graph(use_resource):
        net = IMAGES
        for i in range(3):
            net = slim.conv2d(net, 256, [3, 3], scope=f"conv3/conv3_{i + 1}")
        looped = [(v.op.name, v.shape) for v in slim.get_model_variables()]
    assert [(v.op.name, v.shape) for v in slim.get_model_variables()] == looped


STACKS = {
    "fc": (slim.fully_connected, [32, 64, 128], [(3, 32), (32, 64), (64, 128)]),
    "core": (
        slim.conv2d,
        [(32, [3, 3]), (32, [1, 1]), (64, [3, 3]), (64, [1, 1])],
        [(3, 3, 3, 32), (1, 1, 32, 32), (3, 3, 32, 64), (1, 1, 64, 64)],
    ),
}


@pytest.mark.parametrize("scope", STACKS)
def test_stack_takes_other_arguments_every_time(scope):
    layer, arguments, shapes = STACKS[scope]
    slim.stack(IMAGES, layer, arguments, scope=scope)
    assert {
        v.op.name: tuple(v.shape) for v in slim.get_variables(suffix="weights")
    } == {f"{scope}/{scope}_{i}/weights": shape for i, shape in enumerate(shapes, 1)}


# Scopes


def test_arg_scope_builds_the_same_graph_as_repeated_arguments(use_resource):
    images = np.zeros([1, 64, 64, 3], np.float32)
    shared = {
        "weights_initializer": tf.truncated_normal_initializer(stddev=0.01),
        "weights_regularizer": slim.l2_regularizer(0.0005),
    }
    with new_graph(use_resource) as repeated:
        net = slim.conv2d(
            images, 64, [11, 11], 4, padding="SAME", scope="conv1", **shared
        )
        net = slim.conv2d(net, 128, [11, 11], padding="VALID", scope="conv2", **shared)
        net = slim.conv2d(net, 256, [11, 11], padding="SAME", scope="conv3", **shared)
    with (
        new_graph(use_resource) as scoped,
        slim.arg_scope(
            [slim.conv2d],
            padding="SAME",
            weights_initializer=tf.truncated_normal_initializer(stddev=0.01),
            weights_regularizer=slim.l2_regularizer(0.0005),
        ),
    ):
        net = slim.conv2d(images, 64, [11, 11], 4, scope="conv1")
        net = slim.conv2d(net, 128, [11, 11], padding="VALID", scope="conv2")
        net = slim.conv2d(net, 256, [11, 11], scope="conv3")
        assert net.shape == [1, 6, 6, 256]
        assert len(slim.losses.get_regularization_losses()) == 3
    assert scoped.as_graph_def() == repeated.as_graph_def()


def test_nested_arg_scopes_add_up(graph):
    images = np.zeros([1, 64, 64, 3], np.float32)
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        activation_fn=tf.nn.relu,
        weights_initializer=tf.truncated_normal_initializer(stddev=0.01),
        weights_regularizer=slim.l2_regularizer(0.0005),
    ):
        with slim.arg_scope([slim.conv2d], stride=1, padding="SAME"):
            net = slim.conv2d(
                images, 64, [11, 11], stride=4, padding="VALID", scope="conv1"
            )
            net = slim.conv2d(
                net,
                256,
                [5, 5],
                weights_initializer=tf.truncated_normal_initializer(stddev=0.03),
                scope="conv2",
            )
            net = slim.fully_connected(net, 1000, activation_fn=None, scope="fc")
    assert net.shape == [1, 14, 14, 1000] and net.op.type != "Relu"
    convolutions = [op for op in graph.get_operations() if op.type == "Conv2D"]
    assert [op.get_attr("padding") for op in convolutions] == [b"VALID", b"SAME"]
    weights = slim.get_variables_by_name("weights")
    assert names(weights) == ["conv1/weights", "conv2/weights", "fc/weights"]
    spread = [value.std() / 0.88 for value in evaluate(weights)]  # two sigma cut off
    np.testing.assert_allclose(spread, [0.01, 0.03, 0.01], rtol=0.05)
    assert len(slim.losses.get_regularization_losses()) == 3


def vgg16(net, classes):
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        activation_fn=tf.nn.relu,
        weights_initializer=tf.truncated_normal_initializer(0.0, 0.01),
        weights_regularizer=slim.l2_regularizer(0.0005),
    ):
        for block, (repeats, depth) in enumerate(
            [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1
        ):
            net = slim.repeat(
                net, repeats, slim.conv2d, depth, [3, 3], scope=f"conv{block}"
            )
            net = slim.max_pool2d(net, [2, 2], scope=f"pool{block}")
        for layer in (6, 7):
            net = slim.fully_connected(net, 4096, scope=f"fc{layer}")
            net = slim.dropout(net, 0.5, scope=f"dropout{layer}")
        return slim.fully_connected(net, classes, activation_fn=None, scope="fc8")


def test_vgg16_in_twenty_lines():
    logits = vgg16(tf.random.uniform([2, 32, 32, 3]), classes=10)
    assert logits.shape == [2, 1, 1, 10]
    weights = names(slim.get_variables_by_name("weights"))
    assert len(weights) == 16
    assert weights[::5] == [
        "conv1/conv1_1/weights",
        "conv3/conv3_2/weights",
        "conv5/conv5_1/weights",
        "fc8/weights",
    ]
    assert np.isfinite(evaluate(logits)).all()


# Losses


def test_loss_of_the_vgg_that_tf_slim_carries():
    images = tf.placeholder(tf.float32, [2, 224, 224, 3])
    labels = slim.one_hot_encoding([1, 0], 5)
    predictions, end_points = nets.vgg.vgg_16(images, num_classes=5)
    assert predictions.shape == [2, 5] and end_points["vgg_16/fc8"] is predictions
    loss = slim.losses.softmax_cross_entropy(predictions, labels)
    assert slim.losses.get_losses() == [loss]
    train_op = slim.learning.create_train_op(
        slim.losses.get_total_loss(), tf.train.GradientDescentOptimizer(0.001)
    )
    assert train_op.shape == [] and len(tf.trainable_variables()) == 32


def multi_task_model():
    """Scene logits, depths and poses, each with its labels, and a weight decay."""
    with slim.arg_scope(
        [slim.fully_connected], weights_regularizer=slim.l2_regularizer(0.1)
    ):
        net = slim.fully_connected(slim.flatten(IMAGES), 8)
        scenes, depths, poses = (
            slim.fully_connected(net, size, activation_fn=None) for size in (3, 4, 6)
        )
    return (
        (scenes, slim.one_hot_encoding([0, 2], 3)),
        (depths, tf.ones([2, 4])),
        (poses, tf.zeros([2, 6])),
    )


def test_losses_of_two_tasks_add_up():
    (scenes, scene_labels), (depths, depth_labels), _ = multi_task_model()
    total = slim.losses.softmax_cross_entropy(scenes, scene_labels)
    total += slim.losses.mean_squared_error(depths, depth_labels)
    collected = slim.losses.get_total_loss(add_regularization_losses=False)
    np.testing.assert_allclose(*evaluate([total, collected]), rtol=1e-6)


def test_own_loss_and_weight_decay_are_part_of_the_total():
    (scenes, scene_labels), (depths, depth_labels), (poses, _) = multi_task_model()
    total = slim.losses.softmax_cross_entropy(scenes, scene_labels)
    total += slim.losses.mean_squared_error(depths, depth_labels)
    own = tf.reduce_max(tf.abs(poses))
    slim.losses.add_loss(own)
    decay = tf.add_n(slim.losses.get_regularization_losses())
    collected = slim.losses.get_total_loss()
    total, own, decay, collected = evaluate([total, own, decay, collected])
    assert own > 0 and decay > 0
    np.testing.assert_allclose(collected, total + own + decay, rtol=1e-6)


# Training


def bands(classes):
    """Points in a plane and the number of the band each lies in; quickly learnt."""
    points = np.random.default_rng(1).uniform(-1, 1, (32, 2)).astype(np.float32)
    labels = np.digitize(points[:, 0], np.linspace(-1, 1, classes + 1)[1:-1])
    return points, labels


def classifier(points, classes, is_training):
    with slim.arg_scope([slim.batch_norm], is_training=is_training, decay=0.5):
        net = slim.fully_connected(
            points, 8, normalizer_fn=slim.batch_norm, scope="classifier/fc1"
        )
    return slim.fully_connected(
        net, classes, activation_fn=None, scope="classifier/fc2"
    )


def train(use_resource, logdir, number_of_steps):
    """Trains `classifier` on two bands; returns the last loss."""
    with new_graph(use_resource):
        points, labels = bands(2)
        logits = classifier(points, 2, is_training=True)
        slim.losses.softmax_cross_entropy(logits, slim.one_hot_encoding(labels, 2))
        total_loss = slim.losses.get_total_loss()
        tf.summary.scalar("losses/total_loss", total_loss)
        optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.5)
        train_op = slim.learning.create_train_op(total_loss, optimizer)
        return slim.learning.train(
            train_op,
            logdir,
            number_of_steps=number_of_steps,
            save_summaries_secs=300,
            save_interval_secs=600,
        )


@pytest.mark.slow
def test_train_lowers_the_loss_and_saves(use_resource, without_eager, tmp_path):
    first = train(use_resource, None, 1)  # nothing to write, so eager does not matter
    last = without_eager(train, use_resource, str(tmp_path), 40)
    assert 0 < last < first / 3
    checkpoint = tf.train.latest_checkpoint(str(tmp_path))
    assert checkpoint == str(tmp_path / "model.ckpt-40")
    reader = tf.train.load_checkpoint(checkpoint)
    assert reader.get_tensor("global_step") == 40
    moving_mean = reader.get_tensor("classifier/fc1/BatchNorm/moving_mean")
    assert abs(moving_mean).max() > 0  # the update ops ran
    assert list(tmp_path.glob("events.out.tfevents.*"))


# Partial restore


@pytest.fixture
def checkpoint(use_resource, tmp_path):
    """Path of a checkpoint of v1 = 1, nested/v2 = 2 and a convolution of threes."""
    with new_graph(use_resource), tf.Session() as session:
        slim.variable("v1", initializer=1.0)
        slim.variable("nested/v2", initializer=2.0)
        threes = tf.constant_initializer(3.0)
        for name in ("vgg16/conv1/weights", "conv1/params1", "conv1/params2"):
            slim.variable(name, shape=[1, 1, 3, 4], initializer=threes)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, str(tmp_path / "model.ckpt"))


def restored(variables_to_restore, checkpoint):
    """Values of all variables, zero but for those restored from `checkpoint`."""
    restorer = tf.train.Saver(variables_to_restore)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restorer.restore(session, checkpoint)
        return {v.op.name: session.run(v) for v in tf.global_variables()}


def test_restore_all_variables(checkpoint):
    slim.variable("v1", initializer=0.0)
    slim.variable("nested/v2", initializer=0.0)
    assert restored(None, checkpoint) == {"v1": 1, "nested/v2": 2}


@pytest.mark.parametrize(
    "choose",
    [
        lambda: slim.get_variables_by_name("v2"),
        lambda: slim.get_variables_by_suffix("2"),
        lambda: slim.get_variables(scope="nested"),
        lambda: slim.get_variables_to_restore(include=["nested"]),
        lambda: slim.get_variables_to_restore(exclude=["v1"]),
    ],
    ids=["name", "suffix", "scope", "include", "exclude"],
)
def test_restore_some_variables(choose, checkpoint):
    slim.variable("v1", initializer=0.0)
    slim.variable("nested/v2", initializer=0.0)
    assert restored(choose(), checkpoint) == {"v1": 0, "nested/v2": 2}


def test_restore_from_below_another_scope(checkpoint):
    slim.conv2d(IMAGES, 4, [1, 1], biases_initializer=None, scope="conv1")
    to_restore = {f"vgg16/{v.op.name}": v for v in slim.get_model_variables()}
    assert (restored(to_restore, checkpoint)["conv1/weights"] == 3).all()


def test_restore_from_other_names(checkpoint):
    def name_in_checkpoint(variable):
        name = variable.op.name.replace("weights", "params1")
        return name.replace("biases", "params2")

    slim.model_variable("conv1/weights", [1, 1, 3, 4])
    slim.model_variable("conv1/biases", [1, 1, 3, 4])
    to_restore = {name_in_checkpoint(v): v for v in slim.get_model_variables()}
    values = restored(to_restore, checkpoint)
    assert set(values) == {"conv1/weights", "conv1/biases"}
    assert all((value == 3).all() for value in values.values())


def fine_tune(use_resource, model_path, logdir):
    """Steps once, with learning rate 0, on three bands; names what it restored."""
    with new_graph(use_resource):
        point, label = tf.train.slice_input_producer(list(bands(3)))
        points, labels = tf.train.batch([point, label], batch_size=4)
        logits = classifier(points, 3, is_training=True)
        loss = slim.losses.sparse_softmax_cross_entropy(logits, labels)
        optimizer = tf.train.GradientDescentOptimizer(0.0)
        train_op = slim.learning.create_train_op(loss, optimizer)
        variables_to_restore = slim.get_variables_to_restore(
            exclude=["classifier/fc2", "global_step"]
        )
        init_fn = slim.assign_from_checkpoint_fn(model_path, variables_to_restore)
        slim.learning.train(train_op, logdir, init_fn=init_fn, number_of_steps=1)
        return names(variables_to_restore)


@pytest.mark.slow
def test_fine_tuning_starts_from_all_but_the_last_layer(
    use_resource, without_eager, tmp_path
):
    pretrained, tuned = str(tmp_path / "pretrained"), str(tmp_path / "tuned")
    without_eager(train, use_resource, pretrained, 5)
    model_path = tf.train.latest_checkpoint(pretrained)
    kept = without_eager(fine_tune, use_resource, model_path, tuned)
    assert kept == [
        "classifier/fc1/weights",
        "classifier/fc1/BatchNorm/beta",
        "classifier/fc1/BatchNorm/moving_mean",
        "classifier/fc1/BatchNorm/moving_variance",
    ]
    before = tf.train.load_checkpoint(model_path)
    after = tf.train.load_checkpoint(tf.train.latest_checkpoint(tuned))
    for name in kept[:2]:
        np.testing.assert_array_equal(after.get_tensor(name), before.get_tensor(name))
    assert after.get_tensor("classifier/fc2/weights").shape == (8, 3)
    assert after.get_tensor("global_step") == 1


# Evaluation

PREDICTIONS = np.array([[1, 2, 4, 8], [3, 3, 3, 3], [0, 1, 0, 1]], np.float32)
LABELS = np.array([[1, 1, 5, 4], [2, 4, 3, 3], [1, 1, 1, 1]], np.float32)


def fed_metrics(build):
    """Values of the pairs that `build` makes after an update with every row."""
    predictions, labels = (tf.placeholder(tf.float32, [4]) for _ in range(2))
    values, updates = build(predictions, labels)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.local_variables_initializer())
        for feed in zip(PREDICTIONS, LABELS, strict=True):
            session.run(updates, dict(zip((predictions, labels), feed, strict=True)))
        once = session.run(values)
        assert session.run(values) == once  # reading a value does not change it
    return once


def test_streaming_metrics_gather_over_batches():
    def metrics(predictions, labels):
        relative_errors = tf.abs(predictions - labels) / labels
        return zip(
            slim.metrics.streaming_mean_absolute_error(predictions, labels),
            slim.metrics.streaming_mean_relative_error(predictions, labels, labels),
            slim.metrics.streaming_percentage_less(relative_errors, 0.3),
            strict=True,
        )

    errors = abs(PREDICTIONS - LABELS)
    np.testing.assert_allclose(
        fed_metrics(metrics),
        [errors.mean(), (errors / LABELS).mean(), (errors / LABELS < 0.3).mean()],
        rtol=1e-6,
    )


def test_aggregate_metrics_makes_two_lists():
    values = fed_metrics(
        lambda predictions, labels: slim.metrics.aggregate_metrics(
            slim.metrics.streaming_mean_absolute_error(predictions, labels),
            slim.metrics.streaming_mean_squared_error(predictions, labels),
        )
    )
    errors = PREDICTIONS - LABELS
    np.testing.assert_allclose(values, [abs(errors).mean(), (errors**2).mean()])


def test_aggregate_metric_map_makes_two_dictionaries():
    values = fed_metrics(
        lambda predictions, labels: slim.metrics.aggregate_metric_map(
            {
                "eval/mean_absolute_error": slim.metrics.streaming_mean_absolute_error(
                    predictions, labels
                ),
                "eval/mean_squared_error": slim.metrics.streaming_mean_squared_error(
                    predictions, labels
                ),
            }
        )
    )
    errors = PREDICTIONS - LABELS
    assert values == pytest.approx(
        {
            "eval/mean_absolute_error": abs(errors).mean(),
            "eval/mean_squared_error": (errors**2).mean(),
        }
    )


def test_evaluation_loop_writes_the_metrics_of_a_checkpoint(
    use_resource, without_eager, tmp_path, capfd
):
    checkpoint_dir, log_dir = str(tmp_path / "train"), tmp_path / "eval"
    without_eager(train, use_resource, checkpoint_dir, 40)
    points, labels = bands(2)
    batch_size = 5
    num_batches = math.ceil(len(points) / batch_size)
    batches = tf.data.Dataset.from_tensor_slices((points, labels)).batch(batch_size)
    batch_points, batch_labels = tf.data.make_one_shot_iterator(batches).get_next()
    predictions = tf.argmax(classifier(batch_points, 2, is_training=False), 1)
    names_to_values, names_to_updates = slim.metrics.aggregate_metric_map(
        {
            "accuracy": slim.metrics.streaming_accuracy(predictions, batch_labels),
            "precision": slim.metrics.streaming_precision(predictions, batch_labels),
            "recall": slim.metrics.streaming_recall(predictions, batch_labels),
        }
    )
    summary_ops = []
    for metric_name, metric_value in names_to_values.items():
        op = tf.summary.scalar(metric_name, metric_value)
        summary_ops.append(tf.Print(op, [metric_value], metric_name))
    slim.get_or_create_global_step()
    result = slim.evaluation.evaluation_loop(
        "",
        checkpoint_dir,
        str(log_dir),
        num_evals=num_batches,
        eval_op=list(names_to_updates.values()),
        final_op=names_to_values,
        summary_op=tf.summary.merge(summary_ops),
        eval_interval_secs=0,
        max_number_of_evaluations=1,
        timeout=60,
    )
    assert result and set(result) == {"accuracy", "precision", "recall"}
    assert all(0.9 < value <= 1 for value in result.values())
    [events] = log_dir.glob("events.out.tfevents.*")
    written = {
        value.tag: value.simple_value
        for event in tf.train.summary_iterator(str(events))
        for value in event.summary.value
        if event.step == 40
    }
    # The plain names are taken by the scopes of the metrics themselves.
    assert written == pytest.approx({f"{k}_1": v for k, v in result.items()})
    assert f"accuracy[{result['accuracy']:.9g}]" in capfd.readouterr().err
