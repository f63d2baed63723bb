import collections
import re

import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory, published
from nets.registry import NETWORKS
from preprocessing import preprocessing_factory

CHECKPOINTS = published.checkpoints()


def _of(network, **facts):
    [found] = [
        checkpoint
        for checkpoint in NETWORKS[network].checkpoints
        if all(getattr(checkpoint, name) == value for name, value in facts.items())
    ]
    return found


def test_rows_are_plausible():
    for checkpoint in CHECKPOINTS:
        assert checkpoint.network in NETWORKS
        assert checkpoint.preprocessing in preprocessing_factory.RECIPES
        assert 96 <= checkpoint.image_size <= 331
        assert checkpoint.labels_offset in (0, 1)
        assert re.fullmatch(r"https?://\S+\.(tar\.gz|tgz)", checkpoint.url)
        assert re.fullmatch(r"201[678]-[01]\d-[0-3]\d", checkpoint.date or "2018-01-01")
        assert 39 < (checkpoint.top1 or 50) < (checkpoint.top5 or 97) < 98


@pytest.mark.parametrize("fact", ["url", "name"])
def test_no_two_are_alike(fact):
    counts = collections.Counter(getattr(c, fact) for c in CHECKPOINTS)
    assert counts.most_common(1)[0][1] == 1


def test_networks_know_theirs():
    assert sum(len(network.checkpoints) for network in NETWORKS.values()) == len(
        CHECKPOINTS
    )
    assert len(NETWORKS["mobilenet_v1_025"].checkpoints) == 10
    assert NETWORKS["lenet"].checkpoints == ()


def test_facts_of_one():
    assert _of("mobilenet_v1_050", date="2017-06-14") == published.PublishedCheckpoint(
        network="mobilenet_v1_050",
        depth_multiplier=None,
        image_size=160,
        date="2017-06-14",
        quantized=False,
        classes=1001,
        preprocessing="inception",
        top1=59.9,
        top5=82.5,
        url="http://download.tensorflow.org/models/"
        "mobilenet_v1_0.50_160_2017_06_14.tar.gz",
    )


@pytest.mark.parametrize(
    ("network", "facts"),
    [
        ("resnet_v1_50", (224, "vgg", 1)),
        ("resnet_v2_50", (299, "inception", 0)),
        ("vgg_16", (224, "vgg", 1)),
        ("inception_v3", (299, "inception", 0)),
        ("pnasnet_large", (331, "inception", 0)),
    ],
)
def test_what_a_checkpoint_needs(network, facts):
    checkpoint = _of(network)
    assert facts == (
        checkpoint.image_size,
        checkpoint.preprocessing,
        checkpoint.labels_offset,
    )


@pytest.mark.parametrize(
    ("network", "facts", "name"),
    [
        ("nasnet_mobile", {}, "nasnet-a_mobile_04_10_2017"),
        ("vgg_16", {}, "vgg_16_2016_08_28"),
        (
            "mobilenet_v1",
            {"date": "2018-02-22"},
            "mobilenet_v1_1.0_224_2018_02_22",
        ),
        ("mobilenet_v2_140", {"quantized": True}, "quantized_v2_224_140"),
    ],
)
def test_names(network, facts, name):
    assert _of(network, **facts).name == name


@pytest.mark.slow
# Parameters, in millions, as published with the checkpoints; for MobileNet v3 small,
# as in the paper.
@pytest.mark.parametrize(
    ("network", "width", "millions"),
    [
        pytest.param("mobilenet_v2", 1.3, 5.34, marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", 0.75, 2.61, marks=pytest.mark.slow),
        ("mobilenet_v2", 0.5, 1.95),
        pytest.param("mobilenet_v3_large", 0.75, 4.0, marks=pytest.mark.slow),
        ("mobilenet_v3_small", 0.75, 2.0),
    ],
)
def test_network_of_a_width_without_a_name_is_the_one_that_was_trained(
    network, width, millions
):
    [arguments] = {
        tuple(checkpoint.network_arguments.items())
        for checkpoint in NETWORKS[network].checkpoints
        if checkpoint.depth_multiplier == width
    }
    with tf.Graph().as_default():
        network_fn = nets_factory.get_network_fn(network, 1001)
        network_fn(tf.zeros([1, 96, 96, 3]), **dict(arguments))
        count = sum(v.shape.num_elements() for v in tf.trainable_variables())
    assert count / 1e6 == pytest.approx(millions, rel=0.025)


def test_width_of_the_name_needs_no_arguments():
    assert _of("mobilenet_v1", date="2018-02-22").network_arguments == {}
