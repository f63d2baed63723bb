import json

import pytest
import tensorflow.compat.v1 as tf

from nets import registry
from nets.registry import NETWORKS
from slimbase.graph import classic_graph
from tools import measure_networks


def test_every_network_was_measured():
    measured = json.loads(measure_networks.FILE.read_text())
    assert sorted(measured) == sorted(NETWORKS), "run tools/measure_networks.py"
    for name, network in NETWORKS.items():
        assert network.parameters == measured[name]["parameters"] > 0
        assert network.multiply_adds == measured[name]["multiply_adds"] > 0


@pytest.mark.parametrize("name", ["lenet", "cifarnet", "mobilenet_v1", "alexnet_v2"])
def test_file_is_fresh(name):
    network = NETWORKS[name]
    assert measure_networks.measure(name) == {
        "multiply_adds": network.multiply_adds,
        "parameters": network.parameters,
    }


def test_counts_are_the_published_ones():
    network = NETWORKS["mobilenet_v1"]
    assert round(network.multiply_adds or 0, -5) == 568_700_000
    assert round(network.parameters or 0, -4) == 4_230_000


def _convolution(images):
    return tf.nn.conv2d(images, tf.zeros([3, 3, 4, 5]), 2, "SAME")


def _depthwise(images):
    return tf.nn.depthwise_conv2d(images, tf.zeros([3, 3, 4, 2]), [1] * 4, "SAME")


def _clip(images):
    clip = tf.reshape(images, [1, 2, 4, 8, 4])
    return tf.nn.conv3d(clip, tf.zeros([1, 3, 3, 4, 5]), [1] * 5, "VALID")


def _transposed(images):
    kernel = tf.zeros([3, 3, 5, 4])
    return tf.nn.conv2d_transpose(images, kernel, [1, 16, 16, 5], 2)


def _product(images):
    return tf.matmul(tf.reshape(images, [256, 1]), tf.zeros([256, 7]), transpose_a=True)


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (_convolution, 4 * 4 * 5 * 3 * 3 * 4),
        (_depthwise, 8 * 8 * 8 * 3 * 3),
        (_clip, 2 * 2 * 6 * 5 * 3 * 3 * 4),
        (_transposed, 8 * 8 * 4 * 3 * 3 * 5),
        (_product, 256 * 7),
    ],
)
def test_operations_count_their_multiplications(monkeypatch, build, count):
    def network(images, num_classes, is_training):
        tf.get_variable("weights", [num_classes, 2])
        tf.get_variable("step", [3], trainable=False)
        _convolution(images)  # Not needed for the logits.
        return build(images), {}

    facts = registry.Network(
        *("tiny", network, lambda weight_decay: {}, 8, "vgg", (), ""),
        channels=4,
        classes=10,
    )
    monkeypatch.setitem(NETWORKS, "tiny", facts)
    with classic_graph():
        assert measure_networks.measure("tiny") == {
            "multiply_adds": count,
            "parameters": 20,
        }


def test_only_what_is_named_is_measured(monkeypatch, tmp_path):
    path = tmp_path / "complexity.json"
    path.write_text('{"vgg_16": {"parameters": 1}, "gone": {"parameters": 2}}')
    monkeypatch.setattr(measure_networks, "FILE", path)
    measure_networks.main(["lenet"])
    lenet = NETWORKS["lenet"]
    assert json.loads(path.read_text()) == {
        "lenet": {"multiply_adds": lenet.multiply_adds, "parameters": lenet.parameters},
        "vgg_16": {"parameters": 1},
    }
