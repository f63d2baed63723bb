import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import resnet_utils
from slimbase.graph import classic_graph
from slimzoo.config.evaluate import EvalConfig
from slimzoo.formats import bfloat16, freezing
from slimzoo.model import info as model_info

pytestmark = pytest.mark.filterwarnings("ignore:.*bfloat16")


def frozen(build, shape):
    """A graph of constants that `build` makes of pictures, and its output."""
    with classic_graph(seed=1), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, *shape], "input")
        output = build(images)
        random = np.random.default_rng(0)
        noise = [
            variable.assign_add(abs(random.normal(0, 0.1, variable.shape)))
            for variable in tf.global_variables()
            if variable.shape.rank == 1  # Biases of zero would be left out.
        ]
        session.run(tf.global_variables_initializer())
        session.run(tf.group(noise))
        return freezing.freeze(session, [output]), output.op.name


def answers(graph_def, output, images):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run(f"{output}:0", {"input:0": images})


def halves(graph_def):
    """The operations that compute in bfloat16."""
    kind = tf.bfloat16.as_datatype_enum
    return {node.name for node in graph_def.node if node.attr["T"].type == kind}


def convolution(images, channels, name, size=3):
    shape = [size, size, images.shape[-1], channels]
    weights = tf.get_variable(f"{name}/weights", shape)
    return tf.nn.conv2d(images, weights, 1, "SAME", name=name)


def small(images):
    net = tf.nn.relu(convolution(images, 8, "first"), "first_relu")
    net = tf.nn.relu6(convolution(net, 8, "second"), "second_relu")
    net = tf.concat([net, tf.nn.max_pool2d(net, 3, 1, "SAME", name="pool")], 3, "join")
    net = tf.nn.softplus(net, "unknown")
    net = convolution(net, 8, "third")
    net = tf.reduce_mean(net, [1, 2], True, name="mean")
    return tf.squeeze(convolution(net, 5, "logits", 1), [1, 2], "squeezed")


def test_what_lies_between_pixels_and_logits_is_narrow():
    graph_def, output = frozen(small, (8, 8, 3))
    narrowed, [name] = bfloat16.to_bfloat16(graph_def, [output])
    expected = {"second", "second_relu", "pool", "join", "third", "mean"}
    assert halves(narrowed) == expected
    images = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3))
    values = answers(narrowed, name, images)
    assert values.dtype == np.float32
    reference = answers(graph_def, output, images)
    assert (values != reference).any()
    np.testing.assert_allclose(values, reference, atol=0.02 * np.abs(reference).max())


def test_given_graph_is_left_alone():
    graph_def, output = frozen(small, (8, 8, 3))
    before = graph_def.SerializeToString(deterministic=True)
    bfloat16.to_bfloat16(graph_def, [output])
    assert graph_def.SerializeToString(deterministic=True) == before


def test_wanted_results_are_float32():
    graph_def, output = frozen(small, (8, 8, 3))
    narrowed, names = bfloat16.to_bfloat16(graph_def, [output, "pool", "first"])
    assert names == [output, "pool/to_float32", "first"]
    images = np.zeros((1, 8, 8, 3))
    assert all(answers(narrowed, name, images).dtype == np.float32 for name in names)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_may_be_of_any_colours(channels):
    graph_def, output = frozen(small, (8, 8, channels))
    narrowed, _ = bfloat16.to_bfloat16(graph_def, [output])
    assert "first" not in halves(narrowed)


# One of each family; what its graph has besides the above is why it is here.
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("lenet", 28),  # Matrix products or convolutions of the whole picture.
        ("mobilenet_v1_025", 64),  # Depthwise convolutions.
        ("mobilenet_v3_small", 64),  # Hard swish; squeeze and excite.
        ("resnet_v1_shallow", 64),  # Padding; sums.
        ("resnet_v2_shallow", 64),  # Batch norm that is not folded.
        pytest.param("resnet_v1_50", 64, marks=pytest.mark.slow),
        pytest.param("resnet_v2_50", 64, marks=pytest.mark.slow),
        pytest.param("inception_v3", 139, marks=pytest.mark.slow),
        pytest.param("inception_resnet_v2", 139, marks=pytest.mark.slow),
        pytest.param("nasnet_mobile", 96, marks=pytest.mark.slow),
        pytest.param("alexnet_v2", 224, marks=pytest.mark.slow),
    ],
)
def test_networks(name, size, monkeypatch):
    if name.endswith("_shallow"):  # A unit of each kind.
        monkeypatch.setitem(resnet_utils._UNITS, 50, (2, 1, 1, 1))
        name = name.replace("shallow", "50")
    info = model_info.settle(EvalConfig(model_name=name), {}, size)
    info = dataclasses.replace(info, num_classes=5)
    graph_def, output = frozen(
        lambda images: info.network_fn()(images)[0], (*info.image_size, info.channels)
    )
    graph_def = freezing.fold_batch_norms(graph_def, [output])
    narrowed, [new] = bfloat16.to_bfloat16(graph_def, [output])
    heavy = [node for node in narrowed.node if node.op in ("Conv2D", "MatMul")]
    in_float32 = {node.name for node in heavy} - halves(narrowed)
    assert 1 <= len(in_float32) <= max(3, len(heavy) // 10)
    images = np.random.default_rng(0).uniform(-1, 1, (2, size, size, info.channels))
    reference = answers(graph_def, output, images)
    values = answers(narrowed, new, images)
    assert np.isfinite(reference).all()
    scale = np.abs(reference).max()
    np.testing.assert_allclose(values, reference, atol=0.05 * scale)
