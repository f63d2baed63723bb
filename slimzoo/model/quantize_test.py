import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from deployment import model_deploy
from nets import nets_factory
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.train import TrainConfig
from slimzoo.formats import lite
from slimzoo.model import info as model_info
from slimzoo.model import quantize
from slimzoo.training import graph as train_graph
from slimzoo.training.batch_norm import grow_decay

SIZE = 32
CLASSES = 5
V1_LAYERS = [
    "MobilenetV1/MobilenetV1/Conv2d_0",
    *[
        f"MobilenetV1/MobilenetV1/Conv2d_{i}_{kind}"
        for i in range(1, 14)
        for kind in ("depthwise", "pointwise")
    ],
    "MobilenetV1/Logits/Conv2d_1c_1x1",
]
V2_RESIDUAL = [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
V2_LAYERS = [
    "MobilenetV2/Conv",
    "MobilenetV2/expanded_conv/depthwise",
    "MobilenetV2/expanded_conv/project",
    *[
        f"MobilenetV2/expanded_conv_{i}/{part}"
        for i in range(1, 17)
        for part in ("expand", "depthwise", "project")
    ],
    "MobilenetV2/Conv_1",
    "MobilenetV2/Logits/Conv2d_1c_1x1",
]


def v2_output(layer):
    added = [f"MobilenetV2/expanded_conv_{i}/project" for i in V2_RESIDUAL]
    return f"{layer}/{'conv_quant' if layer in added else 'act_quant'}"


RANGES = {
    "mobilenet_v1_025": [
        *[f"{layer}/weights_quant" for layer in V1_LAYERS],
        *[f"{layer}/act_quant" for layer in V1_LAYERS],
    ],
    "mobilenet_v2_035": [
        *[f"{layer}/weights_quant" for layer in V2_LAYERS],
        *[v2_output(layer) for layer in V2_LAYERS],
        *[f"MobilenetV2/expanded_conv_{i}/add_quant" for i in V2_RESIDUAL],
    ],
}


def network(name="mobilenet_v1_025", is_training=False):
    return nets_factory.get_network_fn(
        name,
        CLASSES,
        is_training=is_training,
        adapt_arg_scope=lambda scope: grow_decay(scope, tf.constant(20)),
    )


def pictures(batch=4, seed=0):
    random = np.random.RandomState(seed)
    colors = random.uniform(-0.8, 0.8, [batch, 1, 1, 3])
    noise = random.uniform(-0.2, 0.2, [batch, SIZE, SIZE, 3])
    return (colors + noise).astype(np.float32)


def names(variables):
    return {v.op.name for v in variables}


def randomize(session, seed=1):
    """Gives all but ranges values that a mistake in the network would show in."""
    random = np.random.RandomState(seed)
    values = []
    for v in sorted(slim.get_model_variables(), key=lambda v: v.op.name):
        if quantize.is_range(v.op.name):
            continue
        if "weights" in v.op.name:
            fan_in = np.prod(v.shape.as_list()[: 2 if "depthwise" in v.op.name else 3])
            value = random.normal(0, 1 / np.sqrt(fan_in), v.shape)
        else:
            around = 0 if v.op.name.endswith(("beta", "mean", "biases")) else 1
            value = around + random.uniform(-0.3, 0.3, v.shape)
        values.append((v.initializer, value))
    session.run(
        [initializer for initializer, _ in values],
        {initializer.inputs[1]: value for initializer, value in values},
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", RANGES)
def test_ranges_have_the_names_of_contrib(name):
    helpers = {
        f"{scope}/{scope}/{end}/{helper}"
        for scope in RANGES[name]
        for end in ("min", "max")
        for helper in ("biased", "local_step")
        if not scope.endswith("weights_quant")
    }
    ranges = {f"{scope}/{end}" for scope in RANGES[name] for end in ("min", "max")}
    with classic_graph():
        network(name)(tf.constant(pictures()))
        plain = names(tf.global_variables())
        trained = names(tf.trainable_variables())
    with classic_graph():
        quantize.for_training(network(name, True))(tf.constant(pictures()))
        assert names(slim.get_model_variables()) == plain | ranges
        assert names(tf.global_variables()) == plain | ranges | helpers
        assert names(tf.trainable_variables()) == trained
    with classic_graph():
        quantize.for_inference(network(name))(tf.constant(pictures()))
        assert names(tf.global_variables()) == plain | ranges
        assert {n for n in plain | ranges if quantize.is_range(n)} == ranges


def small(images, is_training):
    """Two layers, the second without batch norm and activation."""
    norm = {"is_training": is_training, "scale": True, "decay": 0.7}
    net = slim.conv2d(
        images, 8, [3, 3], normalizer_fn=slim.batch_norm, normalizer_params=norm
    )
    net = slim.conv2d(net, 4, [1, 1], activation_fn=None)
    return tf.reduce_mean(net, [1, 2]), {}


NETWORKS = {
    "small": lambda is_training: lambda images: small(images, is_training),
    **{name: functools.partial(network, name) for name in RANGES},
}
of_networks = pytest.mark.parametrize(
    "name",
    ["small", *[pytest.param(name, marks=pytest.mark.slow) for name in RANGES]],
)


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("is_training", [False, True])
@of_networks
def test_before_the_delay_it_computes_what_the_float_network_does(
    name, is_training, resource
):
    """Outputs, gradients and moving averages."""
    # Noise: pictures of one colour leave variances near 0, which enlarge rounding.
    images = np.random.RandomState(0).uniform(-1, 1, [16, SIZE, SIZE, 3])
    results = []
    for quantized in (False, True):
        with classic_graph(seed=1), tf.Session() as session:
            tf.get_variable_scope().set_use_resource(resource)
            with slim.arg_scope([slim.dropout], keep_prob=1.0):
                step = tf.train.create_global_step()
                network_fn = NETWORKS[name](is_training)
                if quantized:
                    network_fn = quantize.for_training(network_fn, 1, step)
                logits, _ = network_fn(tf.constant(images, tf.float32))
            loss = tf.reduce_mean(tf.square(logits))
            variables = sorted(tf.trainable_variables(), key=lambda v: v.op.name)
            gradients = tf.gradients(loss, variables)
            session.run(tf.global_variables_initializer())
            randomize(session)
            logits, gradients = session.run([logits, gradients])
            session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
            averages = [
                v for v in slim.get_model_variables() if "/moving_" in v.op.name
            ]
            averages = session.run(sorted(averages, key=lambda v: v.op.name))
            flat = np.concatenate([gradient.ravel() for gradient in gradients])
            results.append(([logits, *averages], flat))
    (plain, gradient), (quantized, quantized_gradient) = results
    for expected, found in zip(plain, quantized, strict=True):
        tolerance = 2e-3 * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=tolerance)
    # As a whole: where rounding moves an activation across a corner of ReLU6, single
    # values change by per cents, and which ones depends on the processor's kernels.
    difference = np.linalg.norm(quantized_gradient - gradient)
    assert difference < 0.05 * np.linalg.norm(gradient)


def training(images, **kwargs):
    network_fn = quantize.for_training(lambda x: small(x, True), **kwargs)
    return network_fn(images)


def ranges(scope):
    return [slim.get_variables_by_name(f"{scope}/{end}")[0] for end in ("min", "max")]


def fake_quantized(scope):
    graph = tf.get_default_graph()
    return graph.get_tensor_by_name(f"{scope}/FakeQuantWithMinMaxVars:0")


@pytest.mark.parametrize("symmetric", [False, True])
def test_weights_have_255_values_and_outputs_256(symmetric):
    with classic_graph(seed=1), tf.Session() as session:
        training(tf.constant(pictures(32)), symmetric=symmetric)
        session.run(tf.global_variables_initializer())
        randomize(session)
        weights, outputs = (
            fake_quantized(f"Conv/{kind}_quant") for kind in ("weights", "act")
        )
        plain = weights.op.inputs[0]
        weights, plain, outputs = session.run([weights, plain, outputs])
        session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        low, high = session.run(ranges("Conv/weights_quant"))
    levels = np.unique(weights)
    assert 100 < len(levels) <= 255
    assert 100 < len(np.unique(outputs)) <= 256
    step = (high - low) / 254
    assert np.abs(weights - plain).max() <= step
    assert np.abs(weights / step - np.round(weights / step)).max() < 1e-3
    if symmetric:
        assert high == -low == np.abs(plain).max()
    else:
        assert (low, high) == (plain.min(), plain.max())


def test_inference_scales_weights_by_the_moving_averages():
    with classic_graph(seed=1), tf.Session() as session:
        quantize.for_inference(lambda x: small(x, False))(tf.constant(pictures()))
        session.run(tf.global_variables_initializer())
        randomize(session)
        gamma, variance, weights = session.run(
            [
                slim.get_variables_by_name(f"Conv/{name}")[0]
                for name in ("BatchNorm/gamma", "BatchNorm/moving_variance", "weights")
            ]
        )
        folded = session.run(fake_quantized("Conv/weights_quant").op.inputs[0])
    expected = weights * gamma / np.sqrt(variance + 0.001)
    np.testing.assert_allclose(folded, expected, rtol=1e-5)


def test_ranges_of_outputs_are_averages_without_bias():
    with classic_graph(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [1, 1, 1, 1])
        quantize.for_training(one_weight)(images)
        session.run(tf.global_variables_initializer())
        seen = []
        for pixel in (2.0, 4.0, -3.0):
            session.run(
                tf.get_collection(tf.GraphKeys.UPDATE_OPS), {images: [[[[pixel]]]]}
            )
            seen.append(session.run(ranges("Conv/act_quant")))
    decay = 0.999
    second = (4 * (1 - decay) + decay * 2 * (1 - decay)) / (1 - decay**2)
    np.testing.assert_allclose(seen[0], [0, 2], rtol=1e-4)
    np.testing.assert_allclose(seen[1], [0, second], rtol=1e-4)
    assert seen[2][0] == pytest.approx(-1, rel=2e-3)
    assert seen[2][1] == pytest.approx(2, rel=2e-3)


def one_weight(images):
    """Passes pictures through a weight of 1."""
    ones = tf.ones_initializer()
    return slim.conv2d(images, 1, 1, activation_fn=None, weights_initializer=ones), {}


def test_quantization_begins_at_the_delay():
    with classic_graph(), tf.Session() as session:
        step = tf.train.create_global_step()
        values = np.linspace(0, 6, 1000, dtype=np.float32).reshape([1, 1, 1000, 1])
        net, _ = quantize.for_training(one_weight, 2, step)(tf.constant(values))
        session.run(tf.global_variables_initializer())
        counts = []
        for _ in range(4):
            counts.append(len(np.unique(session.run(net))))
            session.run(step.assign_add(1))
    assert counts == [1000, 1000, 256, 256]


def test_gradients_of_quantized_layers_reach_all_that_is_trained():
    with classic_graph(seed=1), tf.Session() as session:
        net, _ = training(tf.constant(pictures()))
        variables = tf.trainable_variables()
        assert {v.op.name for v in variables} >= {
            *("Conv/weights", "Conv/BatchNorm/gamma", "Conv/BatchNorm/beta"),
            *("Conv_1/weights", "Conv_1/biases"),
        }
        gradients = tf.gradients(tf.reduce_sum(tf.square(net)), variables)
        session.run(tf.global_variables_initializer())
        randomize(session)
        for gradient in session.run(gradients):
            assert np.abs(gradient).max() > 1e-3


class OneCpuPerClone(model_deploy.DeploymentConfig):
    """Clones on logical CPU devices."""

    def clone_device(self, clone_index):
        return f"/device:CPU:{clone_index}"


def test_clones_share_ranges_that_the_first_one_learns():
    config = TrainConfig(model_name="lenet", optimizer="sgd", learning_rate=0.01)
    info = model_info.settle(config, {"num_classes": CLASSES}, 28)
    cluster = OneCpuPerClone(2)
    with classic_graph(seed=1):
        step = tf.train.create_global_step()
        network_fn = quantize.for_training(train_graph.network(config, info, step))
        batches = (
            (tf.fill([4, 28, 28, 1], pixel), tf.range(4, dtype=tf.int64))
            for pixel in (1.0, 3.0)
        )
        clone_fn = train_graph.clone_fn(config, info, network_fn)
        clones = model_deploy.create_clones(cluster, clone_fn, [batches])
        created = [v.op.name for v in tf.global_variables() if "_quant" in v.op.name]
        assert len(created) == 4 * (2 + 6)
        assert not any("clone" in name for name in created)
        train_op, _, _, _ = train_graph._train_op(
            config,
            info,
            cluster,
            clones,
            tf.constant(0.01),
            step,
            tf.trainable_variables(),
        )
        devices = tf.ConfigProto(device_count={"CPU": 2})
        with tf.Session(config=devices) as session:
            session.run(tf.global_variables_initializer())
            relu = "LeNet/conv1/Relu:0"
            greatest = tf.reduce_max(
                tf.get_default_graph().get_tensor_by_name(f"clone_0/{relu}")
            )
            expected = session.run(greatest)
            assert session.run(train_op) == 1
            _, high = session.run(ranges("LeNet/conv1/act_quant"))
            counts = session.run(
                [v for v in tf.global_variables() if v.op.name.endswith("local_step")]
            )
    assert high == pytest.approx(expected, rel=1e-3)
    assert set(counts) == {1.0}


def test_names_of_other_releases_are_found():
    variables = {f"net/{kind}_quant/min": kind for kind in ("conv", "add", "weights")}
    there = {"net/act_quant/min", "net/post_activation_bypass_quant/min"}
    assert quantize.names_in(variables, there) == {
        "net/act_quant/min": "conv",
        "net/post_activation_bypass_quant/min": "add",
        "net/weights_quant/min": "weights",
    }
    assert quantize.names_in(variables, variables) == variables


def test_a_network_without_layers_cannot_be_quantized():
    network_fn = quantize.for_training(lambda images: (tf.nn.relu(images), {}))
    with classic_graph(), pytest.raises(UserError, match="cannot be quantized"):
        network_fn(tf.constant(pictures()))


def test_a_delay_below_zero_is_refused():
    with pytest.raises(UserError, match="-1"):
        quantize.for_training(one_weight, -1)


def brightest(images):
    """The colour that is brightest in each picture: classes that are soon learned."""
    return images.mean(axis=(1, 2)).argmax(axis=1)


@pytest.fixture
def learned(tmp_path):
    """Function that trains a network, and gives it frozen, pictures and its outputs."""

    def learn(make, symmetric, steps):
        prefix = str(tmp_path / "model.ckpt")
        with classic_graph(seed=1), tf.Session() as session:
            inputs = tf.placeholder(tf.float32, [32, SIZE, SIZE, 3])
            labels = tf.placeholder(tf.int64, [32])
            network_fn = quantize.for_training(make(True), symmetric=symmetric)
            loss = tf.losses.sparse_softmax_cross_entropy(labels, network_fn(inputs)[0])
            optimizer = tf.train.MomentumOptimizer(0.02, 0.9)
            with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
                train_op = optimizer.minimize(loss)
            session.run(tf.global_variables_initializer())
            for step in range(steps):
                images = pictures(32, seed=step)
                session.run(train_op, {inputs: images, labels: brightest(images)})
            tf.train.Saver(slim.get_model_variables()).save(session, prefix)
        images = pictures(32, seed=steps)
        with classic_graph() as graph, tf.Session() as session:
            inputs = tf.placeholder(tf.float32, [1, SIZE, SIZE, 3], "input")
            net, _ = quantize.for_inference(make(False))(inputs)
            tf.identity(net, "output")
            tf.train.Saver(slim.get_model_variables()).restore(session, prefix)
            outputs = [session.run(net, {inputs: image[None]}) for image in images]
            frozen = tf.graph_util.convert_variables_to_constants(
                session, graph.as_graph_def(), ["output"]
            )
        return frozen, images, np.concatenate(outputs)

    return learn


def run_tflite(model, images):
    """Outputs for pictures in [-1, 1], and the step between two of their values."""
    interpreter = lite.interpreter(content=model)
    interpreter.allocate_tensors()
    [inputs], [outputs] = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    limits = np.iinfo(inputs["dtype"])
    scale, zero = inputs["quantization"]
    quantized = np.clip(np.round(images / scale) + zero, limits.min, limits.max)
    scale, zero = outputs["quantization"]
    found = []
    for image in quantized.astype(inputs["dtype"]):
        interpreter.set_tensor(inputs["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(outputs["index"]).astype(np.float32))
    return (np.concatenate(found) - zero) * scale, scale


def needs_converter():
    if tf.__version__.startswith("2.16."):
        pytest.skip("the converter of TensorFlow 2.16 leaves some tensors floats")


@pytest.mark.parametrize("signed", [False, True])
@of_networks
def test_tflite_computes_in_integers_what_inference_simulates(learned, name, signed):
    if name == "small":
        needs_converter()
    frozen, images, expected = learned(NETWORKS[name], symmetric=signed, steps=60)
    shape = [1, SIZE, SIZE, 3]
    model = lite.with_learned_ranges(frozen, "input", shape, "output", signed=signed)
    found, step = run_tflite(model, images)
    # Differences of a step grow from layer to layer; v2 has the most, hardly trained.
    least = 0.8 if name == "mobilenet_v2_035" else 0.95
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > least
    if name == "small":
        assert np.abs(found - expected).mean() < 0.5 * step
        assert np.mean(brightest(images) == expected.argmax(axis=1)) > 0.8


def test_int8_needs_symmetric_weights(learned):
    needs_converter()
    frozen, _, _ = learned(NETWORKS["small"], symmetric=False, steps=1)
    with pytest.raises(UserError, match="symmetric"):
        lite.with_learned_ranges(
            frozen, "input", [1, SIZE, SIZE, 3], "output", signed=True
        )


def test_operations_without_ranges_are_no_integers():
    with classic_graph() as graph:
        tf.sin(tf.placeholder(tf.float32, [1, 4], "input"), "output")
        with pytest.raises(UserError, match="would not be integers"):
            lite.with_learned_ranges(graph.as_graph_def(), "input", [1, 4], "output")
