"""The usual ways in, of programs of 2017 and of TensorFlow 2: docs/python.md."""

# What pyright infers of tf_slim, which has no types, is wrong.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalCall=false
# pyright: reportOptionalMemberAccess=false

import json

import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_utils
from nets import (
    inception,
    inception_v3,
    mobilenet_v1,
    nets_factory,
    resnet_utils,
    resnet_v1,
)
from nets.mobilenet import mobilenet, mobilenet_v2
from nets.testing import fill
from preprocessing import preprocessing_factory
from slimbase import testing

SIZE = 32  # Pixels.
CLASSES = 7
PICTURES = np.random.default_rng(0).uniform(-1, 1, (4, SIZE, SIZE, 3))
PICTURES = PICTURES.astype(np.float32)
MOVING_MEAN = "MobilenetV1/Conv2d_0/BatchNorm/moving_mean"
FIRST, LAST = "MobilenetV1/Conv2d_0/weights", "MobilenetV1/Logits/biases"


def images(size, batch=None):
    return tf.placeholder(tf.float32, [batch, size, size, 3])


def names(variables):
    return [variable.op.name for variable in variables]


def small_network(inputs, num_classes=CLASSES, is_training=False, **scope):
    """The first layers of MobileNet v1, 0.25 wide, and a classifier."""
    scope = mobilenet_v1.mobilenet_v1_arg_scope(is_training=is_training, **scope)
    with slim.arg_scope(scope):
        net, end_points = mobilenet_v1.mobilenet_v1_base(
            inputs, "Conv2d_4_pointwise", depth_multiplier=0.25
        )
    net = tf.reduce_mean(net, [1, 2])
    logits = slim.linear(net, num_classes, scope="MobilenetV1/Logits")
    return logits, end_points


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Of `small_network` with the stated values of its variables; and its logits."""
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = images(SIZE)
        logits, _ = small_network(inputs)
        for variable in tf.global_variables():
            variable.load(fill(variable.op.name, variable.shape.as_list()), session)
        path = str(tmp_path_factory.mktemp("checkpoint") / "model.ckpt")
        tf.train.Saver().save(session, path)
        return path, session.run(logits, {inputs: PICTURES})


# Networks in graphs


def test_inception_v3_by_its_family(graph):
    with slim.arg_scope(inception.inception_v3_arg_scope()):
        logits, end_points = inception.inception_v3(
            images(299, 1), num_classes=1001, is_training=False
        )
    assert logits.op.name == "InceptionV3/Logits/SpatialSqueeze"
    assert logits.shape.as_list() == [1, 1001]
    features = end_points["Mixed_7c"]
    assert features.op.name == "InceptionV3/InceptionV3/Mixed_7c/concat"
    assert features.shape.as_list() == [1, 8, 8, 2048]
    assert end_points["PreLogits"].shape.as_list() == [1, 1, 1, 2048]
    assert end_points["Predictions"].op.name == "InceptionV3/Predictions/Reshape_1"
    assert len(slim.get_model_variables()) == 388
    excluded = ["InceptionV3/Logits", "InceptionV3/AuxLogits"]
    restored = names(slim.get_variables_to_restore(exclude=excluded))
    assert len(restored) == 376 and FIRST not in restored
    assert "InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_variance" in restored


def test_inception_v3_by_its_module_up_to_an_end_point(graph):
    with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
        net, end_points = inception_v3.inception_v3_base(
            images(128), final_endpoint="Mixed_5d", depth_multiplier=0.25
        )
    assert net is end_points["Mixed_5d"] and "Mixed_6a" not in end_points
    assert net.shape.as_list() == [None, 13, 13, 72]


@pytest.mark.parametrize(
    ("depth_multiplier", "output_stride", "shape", "inner"),
    [(1.0, 16, [14, 14, 1280], 576), (0.35, None, [7, 7, 448], 192)],
)
def test_mobilenet_v2_as_detection_uses_it(
    graph, depth_multiplier, output_stride, shape, inner
):
    with (
        slim.arg_scope(mobilenet_v2.training_scope(is_training=None, bn_decay=0.9997)),
        slim.arg_scope([mobilenet.depth_multiplier], min_depth=16),
        slim.arg_scope([slim.batch_norm], is_training=False),
        tf.variable_scope("MobilenetV2", reuse=tf.AUTO_REUSE) as scope,
    ):
        net, end_points = mobilenet_v2.mobilenet_base(
            images(224),
            depth_multiplier=depth_multiplier,
            output_stride=output_stride,
            final_endpoint="layer_19",
            use_explicit_padding=True,
            scope=scope,
        )
    assert net is end_points["layer_19"]
    assert net.shape.as_list() == [None, *shape]
    handle = end_points["layer_15/expansion_output"]
    assert handle.shape.as_list() == [None, 14, 14, inner]
    variables = names(tf.global_variables())
    assert variables[0] == "MobilenetV2/Conv/weights"
    assert variables[-1] == "MobilenetV2/Conv_1/BatchNorm/moving_variance"
    assert len(variables) == 260
    rates = [
        op.get_attr("dilations")
        for op in graph.get_operations()
        if op.type == "DepthwiseConv2dNative"
    ]
    batches_moved = any(op.type == "SpaceToBatchND" for op in graph.get_operations())
    dilated = batches_moved or any(rate != [1, 1, 1, 1] for rate in rates)
    assert dilated == (output_stride == 16)
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)


def test_resnet_v1_as_segmentation_uses_it(graph):
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        net, end_points = resnet_v1.resnet_v1_50(
            images(225), is_training=False, global_pool=False, output_stride=16
        )
    assert net.shape.as_list() == [None, 15, 15, 2048]
    assert net is end_points["resnet_v1_50/block4"]
    low = end_points["resnet_v1_50/block1/unit_2/bottleneck_v1/conv3"]
    assert low.shape.as_list() == [None, 57, 57, 256]
    assert not slim.get_variables("resnet_v1_50/logits")


def test_resnet_v1_in_two_stages(graph):
    """As Faster R-CNN has it: the last block sees crops of the features."""
    scope = resnet_v1.resnet_arg_scope(
        batch_norm_epsilon=1e-5, batch_norm_scale=True, weight_decay=0.0
    )
    with tf.variable_scope("FirstStageFeatureExtractor"), slim.arg_scope(scope):
        _, end_points = resnet_v1.resnet_v1_50(
            images(160),
            num_classes=None,
            is_training=False,
            global_pool=False,
            output_stride=16,
            spatial_squeeze=False,
        )
    features = end_points["FirstStageFeatureExtractor/resnet_v1_50/block3"]
    assert features.shape.as_list() == [None, 10, 10, 1024]
    unit = {"depth": 2048, "depth_bottleneck": 512, "stride": 1}
    blocks = [resnet_utils.Block("block4", resnet_v1.bottleneck, [unit] * 3)]
    crops = tf.placeholder(tf.float32, [None, 7, 7, 1024])
    with (
        tf.variable_scope("SecondStageFeatureExtractor/resnet_v1_50"),
        slim.arg_scope(scope),
        slim.arg_scope([slim.batch_norm], is_training=False),
    ):
        net = resnet_utils.stack_blocks_dense(crops, blocks)
    assert net.shape.as_list() == [None, 7, 7, 2048]
    first = {name.partition("/")[2] for name in names(slim.get_variables("First"))}
    second = {name.partition("/")[2] for name in names(slim.get_variables("Second"))}
    assert len(second) == 50 and second < first  # One checkpoint serves both.


# Checkpoints


def test_saver_restores_all(either_variables, checkpoint):
    path, expected = checkpoint
    inputs = images(SIZE)
    logits, _ = small_network(inputs)
    with tf.Session() as session:
        tf.train.Saver().restore(session, path)
        np.testing.assert_allclose(
            session.run(logits, {inputs: PICTURES}), expected, rtol=1e-5, atol=1e-5
        )


def test_assign_from_checkpoint_leaves_out_scopes(either_variables, checkpoint):
    small_network(images(SIZE), num_classes=3, is_training=True)
    restored = slim.get_variables_to_restore(exclude=["MobilenetV1/Logits"])
    init_fn = slim.assign_from_checkpoint_fn(checkpoint[0], restored)
    [first] = slim.get_variables(FIRST)
    [last] = slim.get_variables(LAST)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert not np.allclose(session.run(first), fill(FIRST, first.shape))
        init_fn(session)
        np.testing.assert_array_equal(session.run(first), fill(FIRST, first.shape))
        np.testing.assert_array_equal(session.run(last), np.zeros(3))


def test_exclude_is_a_regular_expression_of_beginnings(graph):
    """As the page warns."""
    scopes = ("MobilenetV1/Conv2d_1_pointwise", "MobilenetV1/Conv2d_10_pointwise")
    for scope in scopes:
        slim.variable(f"{scope}/weights", [1])

    def left(scope):
        restored = names(slim.get_variables_to_restore(exclude=[scope]))
        return [f"{scope}/weights" in restored for scope in scopes]

    assert left("MobilenetV1/Conv2d_1") == [False, False]
    assert left("MobilenetV1/Conv2d_1_") == [False, True]


def test_init_from_checkpoint_maps_scopes(either_variables, checkpoint):
    with tf.variable_scope("FeatureExtractor"):
        with slim.arg_scope(mobilenet_v1.mobilenet_v1_arg_scope(is_training=False)):
            mobilenet_v1.mobilenet_v1_base(
                images(SIZE), "Conv2d_4_pointwise", depth_multiplier=0.25
            )
    head = slim.variable("BoxPredictor/biases", [3], initializer=tf.ones_initializer())
    scopes = {"MobilenetV1/": "FeatureExtractor/MobilenetV1/"}
    tf.train.init_from_checkpoint(checkpoint[0], scopes)
    variables = slim.get_variables("FeatureExtractor/")
    assert len(variables) == 45
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable, value in zip(variables, session.run(variables), strict=True):
            expected = fill(variable.op.name.partition("/")[2], value.shape)
            np.testing.assert_array_equal(value, expected, variable.op.name)
        np.testing.assert_array_equal(session.run(head), [1, 1, 1])


# Loops of one's own


def loss(logits):
    tf.losses.sparse_softmax_cross_entropy([0, 1, 2, 3], logits)
    return tf.losses.get_total_loss()


def moved_by(train_op):
    """How far one step moves the first moving mean, which is zero at first."""
    [moving_mean] = slim.get_variables(MOVING_MEAN)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train_op)
        return np.abs(session.run(moving_mean)).max()


def test_batch_norm_moves_if_something_runs_its_updates(either_variables):
    """As the page warns."""
    logits, _ = small_network(tf.constant(PICTURES), is_training=True)
    optimizer = tf.train.GradientDescentOptimizer(0.0)
    plain = optimizer.minimize(loss(logits))
    assert moved_by(plain) == 0
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        waiting = optimizer.minimize(tf.losses.get_total_loss())
    assert moved_by(waiting) > 0
    of_slim = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer)
    assert moved_by(of_slim) > 0


def test_train_of_contrib_training(graph, tmp_path):
    logits, _ = small_network(tf.constant(PICTURES), is_training=True)
    train_op = slim.training.create_train_op(
        loss(logits), tf.train.MomentumOptimizer(0.01, 0.9)
    )
    hooks = [tf.train.StopAtStepHook(last_step=2)]
    assert np.isfinite(slim.training.train(train_op, str(tmp_path), hooks=hooks))
    saved = tf.train.load_checkpoint(str(tmp_path))
    assert saved.get_tensor("global_step") == 2
    assert np.abs(saved.get_tensor(MOVING_MEAN)).max() > 0


PROGRAM_OF_2017 = """
import sys

import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
import tf_slim as slim

from datasets import flowers
from deployment import model_deploy
from nets import nets_factory
from preprocessing import preprocessing_factory

directory, train_dir, checkpoint = sys.argv[1:]
SIZE = 32

def load_batch(split, is_training, batch_size=4):
    dataset = flowers.get_split(split, directory)
    provider = slim.dataset_data_provider.DatasetDataProvider(
        dataset, num_readers=1, shuffle=is_training,
        common_queue_capacity=8, common_queue_min=4)
    [image, label] = provider.get(['image', 'label'])
    preprocess = preprocessing_factory.get_preprocessing(
        'mobilenet_v1', is_training=is_training)
    image = preprocess(image, SIZE, SIZE)
    return dataset, tf.train.batch([image, label], batch_size, capacity=8)

def main(_):
    with tf.Graph().as_default():
        deploy_config = model_deploy.DeploymentConfig(num_clones=2, clone_on_cpu=True)
        with tf.device(deploy_config.inputs_device()):
            dataset, (images, labels) = load_batch('train', True)
            labels = slim.one_hot_encoding(labels, dataset.num_classes)
            queue = slim.prefetch_queue.prefetch_queue([images, labels], capacity=4)
        network_fn = nets_factory.get_network_fn(
            'mobilenet_v1_025', dataset.num_classes, weight_decay=4e-5,
            is_training=True)
        def clone_fn(queue):
            images, labels = queue.dequeue()
            logits, end_points = network_fn(images)
            slim.losses.softmax_cross_entropy(logits, labels)
            return end_points
        with tf.device(deploy_config.optimizer_device()):
            optimizer = tf.train.RMSPropOptimizer(0.001, momentum=0.9, epsilon=1.0)
        model = model_deploy.deploy(
            deploy_config, clone_fn, [queue], optimizer=optimizer)
        tf.get_variable_scope().reuse_variables()
        init_fn = slim.assign_from_checkpoint_fn(
            checkpoint,
            [v for v in slim.get_model_variables() if 'Logits' not in v.op.name],
            ignore_missing_vars=True)
        loss = slim.learning.train(
            model.train_op, train_dir, init_fn=init_fn, number_of_steps=3,
            log_every_n_steps=1, summary_op=model.summary_op)
        print('loss', loss)

    with tf.Graph().as_default():
        dataset, (images, labels) = load_batch('validation', False)
        logits, _ = nets_factory.get_network_fn(
            'mobilenet_v1_025', dataset.num_classes)(images)
        predictions = tf.argmax(logits, 1)
        values, updates = slim.metrics.aggregate_metric_map({
            'Accuracy': slim.metrics.streaming_accuracy(predictions, labels)})
        accuracy = slim.evaluation.evaluate_once(
            '', tf.train.latest_checkpoint(train_dir), train_dir + '/eval',
            num_evals=2, eval_op=list(updates.values()),
            final_op=values['Accuracy'])
        print('accuracy', accuracy)

if __name__ == '__main__':
    tf.app.run()
"""


@pytest.fixture
def few_flowers(tmp_path):
    """Records as the data set flowers has them, of noise: 8 in each split."""
    draw = np.random.default_rng(1)
    for split in ("train", "validation"):
        path = str(tmp_path / f"flowers_{split}_00000-of-00001.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for label in range(8):
                pixels = draw.integers(0, 256, (40, 48, 3), np.uint8)
                example = dataset_utils.image_to_tfexample(
                    tf2.io.encode_jpeg(pixels).numpy(), b"jpg", 40, 48, label % 5
                )
                writer.write(example.SerializeToString())
    return tmp_path


def test_program_of_2017(few_flowers, checkpoint, tmp_path):
    train_dir = tmp_path / "train"
    result = testing.run("-c", PROGRAM_OF_2017, few_flowers, train_dir, checkpoint[0])
    told = dict(line.split() for line in result.stdout.splitlines())
    assert 0 < float(told["loss"]) < 20
    assert float(told["accuracy"]) in (0, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 1)
    saved = tf.train.load_checkpoint(str(train_dir))
    assert saved.get_tensor("global_step") == 3
    assert saved.get_variable_to_shape_map()[
        "MobilenetV1/Logits/Conv2d_1c_1x1/biases"
    ] == [5]
    weights = saved.get_tensor(FIRST)
    start = fill(FIRST, weights.shape)
    assert 0 < np.abs(weights - start).max() < 0.1  # Trained from the checkpoint.
    assert not np.array_equal(saved.get_tensor(MOVING_MEAN), fill(MOVING_MEAN, [8]))


# With TensorFlow 2's behaviour switched off


def described(networks):
    """What programs see of networks and recipes: names and shapes."""
    found = {}
    for name in networks:
        network = nets_factory.NETWORKS[name]
        shape = [None, *[64] * bool(network.frames), *[network.image_size] * 2]
        with tf.Graph().as_default():
            inputs = tf.placeholder(tf.float32, [*shape, network.channels])
            network_fn = nets_factory.get_network_fn(name, 5, is_training=True)
            logits, end_points = network_fn(inputs)
            points = {
                key: [value.name, value.shape.rank and value.shape.as_list()]
                for key, value in end_points.items()
                if isinstance(value, tf.Tensor)
            }
            found[name] = {
                "logits": [logits.name, logits.shape.as_list()],
                "end points": points,
                "variables": names(tf.global_variables()),
            }
    for name in preprocessing_factory.RECIPES:
        for is_training in (False, True):
            with tf.Graph().as_default():
                picture = tf.placeholder(tf.uint8, [None, None, 3])
                preprocess = preprocessing_factory.get_preprocessing(name, is_training)
                made = preprocess(picture, 28, 30)
                found[f"{name} {is_training}"] = made.shape.as_list()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "networks",
    [
        ["lenet", "cifarnet", "mobilenet_v1_025"],
        [
            *("alexnet_v2", "i3d", "inception_resnet_v2", "inception_v1"),
            *("inception_v2", "inception_v3", "inception_v4", "mobilenet_edgetpu"),
            *("mobilenet_v2_035", "mobilenet_v3_small", "nasnet_mobile", "overfeat"),
            *("pnasnet_mobile", "resnet_v1_50", "resnet_v2_50", "s3dg", "vgg_16"),
        ],
    ],
    ids=["few", "families"],
)
def test_same_without_v2_behavior(networks):
    result = testing.run(
        "-c",
        "import json, sys\n"
        "import tensorflow.compat.v1 as tf\n"
        "tf.disable_v2_behavior()\n"
        "import old_code_test\n"
        "print(json.dumps(old_code_test.described(sys.argv[1:])))",
        *networks,
    )
    assert json.loads(result.stdout.splitlines()[-1]) == described(networks)


# From TensorFlow 2


class Wrapped(tf2.Module):
    """`small_network` as docs/python.md wraps it."""

    def __init__(self, checkpoint):
        super().__init__()
        spec = [tf2.TensorSpec([None, SIZE, SIZE, 3]), tf2.TensorSpec([], tf2.bool)]
        self.network = tf.wrap_function(self.graph, spec)
        self.by_name = {v.name.removesuffix(":0"): v for v in self.network.variables}
        tf.train.Saver(self.by_name).restore(None, checkpoint)

    def graph(self, inputs, training):
        logits, end_points = small_network(
            inputs, is_training=training, batch_norm_decay=0.5
        )
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            return tf.identity(logits), end_points["Conv2d_4_pointwise"]

    @tf2.function(
        input_signature=[
            tf2.TensorSpec([None, SIZE, SIZE, 3]),
            tf2.TensorSpec([], tf2.bool),
        ]
    )
    def __call__(self, inputs, training):
        return self.network(inputs, training)


def test_wrapped_network_answers_as_in_a_session(checkpoint, tmp_path):
    path, expected = checkpoint
    model = Wrapped(path)
    assert len(model.variables) == 47 and len(model.trainable_variables) == 29
    logits, features = model(PICTURES, False)
    assert features.shape == [4, 4, 4, 64]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    tf2.saved_model.save(model, str(tmp_path))
    logits, _ = tf2.saved_model.load(str(tmp_path))(PICTURES, False)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_wrapped_network_can_be_trained(checkpoint, tmp_path):
    """Gradients and batch norm's updates are those of the session."""
    path, _ = checkpoint
    model = Wrapped(path)
    before = model.by_name[MOVING_MEAN].numpy()
    model(PICTURES, False)
    np.testing.assert_array_equal(model.by_name[MOVING_MEAN], before)
    with tf2.GradientTape() as tape:
        _, features = model(PICTURES, True)
        total = tf2.reduce_sum(features**2)
    gradient = tape.gradient(total, model.by_name[FIRST])
    updates = {n: v.numpy() for n, v in model.by_name.items() if "moving_" in n}

    with tf.Graph().as_default(), tf.Session() as session:
        _, end_points = small_network(
            tf.constant(PICTURES), is_training=True, batch_norm_decay=0.5
        )
        total = tf.reduce_sum(end_points["Conv2d_4_pointwise"] ** 2)
        [first] = slim.get_variables(FIRST)
        [expected] = tf.gradients(total, [first])
        tf.train.Saver().restore(session, path)
        ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        expected, _ = session.run([expected, ops])
        for variable in slim.get_variables():
            name = variable.op.name
            if name in updates:
                np.testing.assert_allclose(
                    updates[name], session.run(variable), rtol=1e-4, atol=1e-5
                )
    assert np.abs(expected).max() > 0
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-4)
    assert not np.array_equal(model.by_name[MOVING_MEAN], before)
    saved = tf.train.Saver(model.by_name).save(None, str(tmp_path / "model.ckpt"))
    assert tf.train.list_variables(saved) == tf.train.list_variables(path)


def test_init_from_checkpoint_has_no_effect_in_wrap_function(checkpoint):
    """As the page warns: TensorFlow takes the initial values from elsewhere."""

    def graph(inputs):
        logits, _ = small_network(inputs)
        tf.train.init_from_checkpoint(checkpoint[0], {"MobilenetV1/": "MobilenetV1/"})
        return logits

    network = tf.wrap_function(graph, [tf2.TensorSpec([None, SIZE, SIZE, 3])])
    by_name = {v.name.removesuffix(":0"): v for v in network.variables}
    np.testing.assert_array_equal(by_name[MOVING_MEAN], np.zeros(8))
