"""NASNet, PNASNet and their cells, beyond what nets/zoo_test.py compares."""

import inspect

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory, testing
from nets.nasnet import nasnet, nasnet_utils, pnasnet
from nets.registry import NETWORKS
from slimbase.graph import classic_graph

IMAGENET = {
    "stem_multiplier": 3.0,
    "dense_dropout_keep_prob": 0.5,
    "filter_scaling_rate": 2.0,
    "use_aux_head": 1,
    "num_reduction_layers": 2,
    "data_format": "NHWC",
    "skip_reduction_layer_input": 1,
    "total_training_steps": 250000,
    "use_bounded_activation": False,
}
CONFIGS = {
    nasnet.cifar_config: {
        "num_cells": 18,
        "num_conv_filters": 32,
        "drop_path_keep_prob": 0.6,
        "dense_dropout_keep_prob": 1.0,
        "skip_reduction_layer_input": 0,
        "total_training_steps": 937500,
    },
    nasnet.large_imagenet_config: {
        "num_cells": 18,
        "num_conv_filters": 168,
        "drop_path_keep_prob": 0.7,
    },
    nasnet.mobile_imagenet_config: {
        "num_cells": 12,
        "num_conv_filters": 44,
        "drop_path_keep_prob": 1.0,
        "stem_multiplier": 1.0,
        "skip_reduction_layer_input": 0,
    },
    pnasnet.large_imagenet_config: {
        "num_cells": 12,
        "num_conv_filters": 216,
        "drop_path_keep_prob": 0.6,
    },
    pnasnet.mobile_imagenet_config: {
        "num_cells": 9,
        "num_conv_filters": 54,
        "drop_path_keep_prob": 1.0,
        "stem_multiplier": 1.0,
    },
}
NAMES = {  # The default config of each, and a size that the auxiliary head can take.
    "nasnet_cifar": (nasnet.cifar_config, 12),
    "nasnet_mobile": (nasnet.mobile_imagenet_config, 96),
    "nasnet_large": (nasnet.large_imagenet_config, 96),
    "pnasnet_large": (pnasnet.large_imagenet_config, 96),
    "pnasnet_mobile": (pnasnet.mobile_imagenet_config, 96),
}
CELLS = ["Cell_0", "Cell_1", "Cell_2"]
NASNET_CELLS = ["Cell_0", "Reduction_Cell_0", "Cell_1", "Reduction_Cell_1", "Cell_2"]
HEAD = ["global_pool", "Logits", "Predictions"]

one_per_family = pytest.mark.parametrize(
    "name",
    [
        "nasnet_cifar",
        pytest.param("nasnet_mobile", marks=pytest.mark.slow),  # Another stem only.
        "pnasnet_mobile",
    ],
)


@pytest.fixture(autouse=True)
def graph():
    with classic_graph(seed=0) as graph:
        yield graph


def _small(name, **values):
    """A config of three cells: the second and third at half and a quarter the size."""
    config = NAMES[name][0]()
    for key, value in {"num_cells": 3, "num_conv_filters": 8, **values}.items():
        config.set_hparam(key, value)
    return config


def _build(name, config, *, shape=None, num_classes: int | None = 5, **arguments):
    shape = shape or [2, NAMES[name][1], NAMES[name][1]]
    images = tf.placeholder(tf.float32, [*shape, 3])
    with slim.arg_scope(NETWORKS[name].arg_scope()):
        net, end_points = NETWORKS[name].function(
            images, num_classes, config=config, **arguments
        )
    return images, net, end_points


def _operations():
    """Operations of the default graph, the variables' initial values aside."""
    operations = tf.get_default_graph().get_operations()
    return [op for op in operations if "/Initializer/" not in op.name]


def _run(fetches, feed=None):
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feed)


def _parameters(function):
    return [str(value) for value in inspect.signature(function).parameters.values()]


# Configs.


@pytest.mark.parametrize("config", CONFIGS)
def test_config(config):
    assert config().values() == IMAGENET | CONFIGS[config]


def test_unknown_hyperparameters_are_told():
    config = nasnet.cifar_config()
    config.set_hparam("num_cells", 6)
    config.use_aux_head = 0
    assert (config.num_cells, config.values()["use_aux_head"]) == (6, 0)
    with pytest.raises(ValueError, match=r"num_cell\. Did you mean num_cells"):
        config.set_hparam("num_cell", 6)
    with pytest.raises(ValueError, match="Did you mean data_format"):
        config.data_fromat = "NCHW"


@pytest.mark.parametrize(
    ("arg_scope", "defaults"),
    [
        (nasnet.nasnet_cifar_arg_scope, ["0.0005", "0.9", "1e-05"]),
        (nasnet.nasnet_mobile_arg_scope, ["4e-05", "0.9997", "0.001"]),
        (nasnet.nasnet_large_arg_scope, ["5e-05", "0.9997", "0.001"]),
        (pnasnet.pnasnet_large_arg_scope, ["4e-05", "0.9997", "0.001"]),
        (pnasnet.pnasnet_mobile_arg_scope, ["4e-05", "0.9997", "0.001"]),
    ],
)
def test_arg_scope_defaults(arg_scope, defaults):
    names = ["weight_decay", "batch_norm_decay", "batch_norm_epsilon"]
    expected = [f"{name}={value}" for name, value in zip(names, defaults, strict=True)]
    assert _parameters(arg_scope) == expected


def test_signatures():
    cell = ["num_conv_filters", "drop_path_keep_prob", "total_num_cells"]
    cell += ["total_training_steps", "use_bounded_activation"]
    for cell_class in (
        nasnet_utils.NasNetANormalCell,
        nasnet_utils.NasNetAReductionCell,
        pnasnet.PNasNetNormalCell,
    ):
        assert list(inspect.signature(cell_class).parameters) == cell
    base = list(inspect.signature(nasnet_utils.NasNetABaseCell).parameters)
    genotype = ["operations", "used_hiddenstates", "hiddenstate_indices"]
    assert base == [*cell[:1], *genotype, *cell[1:]]
    common = ["images", "num_classes", "is_training=True"]
    last = ["config=None", "current_step=None"]
    for name, others in {
        "nasnet_cifar": last,
        "nasnet_mobile": ["final_endpoint=None", *last],
        "nasnet_large": ["final_endpoint=None", *last],
        "pnasnet_large": ["final_endpoint=None", *last[:1]],
        "pnasnet_mobile": ["final_endpoint=None", *last[:1]],
    }.items():
        assert _parameters(NETWORKS[name].function) == common + others


# Networks.


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_those_of_the_config(name, monkeypatch):
    seen = []
    monkeypatch.setattr(nasnet, "_steps", lambda *args: seen.append(args) or iter([]))
    with pytest.raises(ValueError, match="final endpoint"):
        NETWORKS[name].function(tf.zeros([1, 32, 32, 3]), 10)
    assert seen[0][3] == NAMES[name][0]()


@pytest.mark.slow
@pytest.mark.parametrize("final", ["Stem", *NASNET_CELLS[2:4], "Logits"])
def test_nasnet_final_endpoint(final, graph):
    _, net, end_points = _build(
        "nasnet_mobile", _small("nasnet_mobile"), final_endpoint=final
    )
    every = ["Stem", *NASNET_CELLS, *HEAD]
    expected = every[: every.index(final) + 1]
    if "Reduction_Cell_1" in expected:
        expected.insert(expected.index("Reduction_Cell_1"), "AuxLogits")
    assert list(end_points) == expected
    assert net is end_points[final]
    assert graph.get_name_scope() == tf.get_variable_scope().name == ""


@pytest.mark.slow
@pytest.mark.parametrize("final", ["Cell_1", "global_pool", "Predictions"])
def test_pnasnet_final_endpoint(final):
    config = _small("pnasnet_large")
    _, net, end_points = _build(
        "pnasnet_large", config, is_training=False, final_endpoint=final
    )
    every = ["Stem", *CELLS, *HEAD]
    assert list(end_points) == every[: every.index(final) + 1]
    assert net is end_points[final]


@pytest.mark.slow
def test_unknown_final_endpoint_lists_the_known():
    with pytest.raises(ValueError, match=r"Cell_7; .*Stem, Cell_0, .*global_pool"):
        _build("pnasnet_large", _small("pnasnet_large"), final_endpoint="Cell_7")


@pytest.mark.slow
@one_per_family
def test_batch_of_unknown_size_and_rectangles(name):
    config = _small(name)
    height, width = NAMES[name][1], NAMES[name][1] * 3 // 2
    images, logits, end_points = _build(name, config, shape=[None, height, width])
    for net in (logits, end_points["AuxLogits"]):
        assert net.shape.as_list() == [None, 5]
    feed = {images: np.random.default_rng(0).random([3, height, width, 3])}
    values = _run([logits, end_points["Predictions"]], feed)
    assert values[0].shape == (3, 5)
    np.testing.assert_allclose(values[1].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_no_classes():
    config = _small("nasnet_cifar")
    _, net, end_points = _build("nasnet_cifar", config, num_classes=None)
    assert end_points["global_pool"] is net
    assert net.shape.as_list() == [2, end_points["Cell_2"].shape[-1]]
    assert not {"AuxLogits", "Logits", "Predictions"} & set(end_points)
    assert not slim.get_variables("final_layer")


@pytest.mark.slow
@one_per_family
def test_inference_has_no_drop_path_and_changes_no_config(name):
    config = _small(name, drop_path_keep_prob=0.5)
    before = config.values()
    _, logits, end_points = _build(name, config, is_training=False)
    assert config.values() == before
    assert logits is end_points["Logits"] and "AuxLogits" not in end_points
    assert tf.train.get_global_step() is None
    assert not [op for op in _operations() if op.type.startswith("Random")]


@pytest.mark.slow
def test_auxiliary_head_can_be_left_out():
    _, _, end_points = _build("nasnet_cifar", _small("nasnet_cifar", use_aux_head=0))
    assert "AuxLogits" not in end_points
    assert not [v for v in tf.global_variables() if v.op.name.startswith("aux")]


@pytest.mark.slow
@pytest.mark.parametrize(("skip", "taken"), [(0, "Cell_0"), (1, "Stem")])
def test_skip_reduction_layer_input(skip, taken):
    config = _small("nasnet_mobile", skip_reduction_layer_input=skip)
    _, _, end_points = _build("nasnet_mobile", config, final_endpoint="Cell_1")
    (weights,) = slim.get_variables("cell_1/path1_conv/weights")
    assert weights.shape[2] == end_points[taken].shape[3]


def test_pnasnet_without_skip_takes_what_the_last_cell_took():
    config = _small("pnasnet_mobile", skip_reduction_layer_input=0)
    _build("pnasnet_mobile", config, final_endpoint="Cell_1")
    channels = [
        slim.get_variables(f"cell_{i}/path1_conv/weights")[0].shape[2] for i in (0, 1)
    ]
    assert channels[0] == channels[1] == 2 * 5  # The first cell of the stem.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bounded"),
    [("nasnet_cifar", True), ("nasnet_cifar", False), ("pnasnet_mobile", True)],
)
def test_bounded_activation(name, bounded):
    config = _small(name, use_bounded_activation=bounded)
    _build(name, config)
    rectified = {op.type for op in _operations() if op.type.startswith("Relu")}
    assert rectified == {"Relu6" if bounded else "Relu"}
    clips = [op for op in _operations() if op.name.endswith("clip_by_value")]
    assert bool(clips) == bounded


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasnet_cifar", "pnasnet_mobile"])
def test_nchw(name):
    _, logits, end_points = _build(name, _small(name))
    expected = [value.shape.as_list() for value in end_points.values()]
    variables = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    with classic_graph():
        config = _small(name, data_format="NCHW")
        _, logits, end_points = _build(name, config)
        assert logits.shape.as_list() == [2, 5]
        shapes = [value.shape.as_list() for value in end_points.values()]
        to_nhwc = [[s[0], *s[2:], s[1]] if len(s) == 4 else s for s in shapes]
        assert to_nhwc == expected
        for variable in tf.global_variables():
            assert variables.pop(variable.op.name) == variable.shape.as_list()
        assert not variables
        formats = {
            op.get_attr("data_format")
            for op in _operations()
            if op.type in ("Conv2D", "DepthwiseConv2dNative", "AvgPool", "MaxPool")
        }
        assert formats == {b"NCHW"}


@pytest.mark.slow
def test_variables_are_reused_under_a_reusing_scope():
    config = _small("nasnet_cifar")
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        _build("nasnet_cifar", config)
        variables = tf.global_variables()
        _build("nasnet_cifar", config)
        assert tf.global_variables() == variables


def test_image_sizes_are_checked():
    with pytest.raises(ValueError, match=r"known size, not \(2, None, None, 3\)"):
        _build("nasnet_cifar", None, shape=[2, None, None])
    with pytest.raises(ValueError, match="expected 4"):
        nasnet.build_nasnet_mobile(tf.zeros([224, 224, 3]), 10)
    network_fn = nets_factory.get_network_fn("nasnet_cifar", 10, is_training=True)
    with pytest.raises(ValueError, match="too small for nasnet_cifar"):
        network_fn(tf.zeros([1, 8, 8, 3]), config=_small("nasnet_cifar"))


# Drop path.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "total_cells"),
    [("nasnet_cifar", 3 + 2), ("nasnet_mobile", 3 + 2 + 2), ("pnasnet_mobile", 3 + 2)],
)
def test_drop_path_grows_with_cells_and_steps(name, total_cells, monkeypatch):
    keep_probs = []

    @slim.add_arg_scope
    def drop_path(net, keep_prob, is_training):
        assert is_training
        keep_probs.append(keep_prob)
        return net

    monkeypatch.setattr(nasnet_utils, "drop_path", drop_path)
    step = tf.train.create_global_step()
    _build(name, _small(name, drop_path_keep_prob=0.6, total_training_steps=100))
    cells = np.arange(1, total_cells + 1) / total_cells
    with testing.session() as session:
        session.run(step.initializer)
        for at, progress in [(0, 0.0), (50, 0.5), (100, 1.0), (1000, 1.0)]:
            values = session.run(keep_probs, {step: at})
            expected = 1 - progress * cells * (1 - 0.6)
            np.testing.assert_allclose(sorted(set(values)), sorted(set(expected)), 1e-6)


@pytest.mark.slow
def test_current_step_takes_the_place_of_the_global_step():
    name = "nasnet_mobile"  # Its stem has cells too.
    config = _small(name, drop_path_keep_prob=0.5, dense_dropout_keep_prob=1.0)
    config.total_training_steps = 10
    step = tf.placeholder(tf.int64, [])
    images, logits, _ = _build(name, config, current_step=step)
    assert tf.train.get_global_step() is None
    pixels = np.random.default_rng(0).random(images.shape.as_list())
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        kept = [session.run(logits, {images: pixels, step: 0}) for _ in range(2)]
        dropped = [session.run(logits, {images: pixels, step: 10}) for _ in range(2)]
    np.testing.assert_allclose(*kept, rtol=1e-4, atol=1e-4)
    assert np.abs(dropped[0] - dropped[1]).max() > 1e-2


def test_drop_path():
    net = tf.ones([1000, 2, 3, 4])
    kept = nasnet_utils.drop_path(net, tf.constant(0.8))
    assert kept.shape.as_list() == [1000, 2, 3, 4]
    examples = _run(kept).reshape(1000, -1)
    np.testing.assert_array_equal(examples.min(axis=1), examples.max(axis=1))
    np.testing.assert_allclose(np.unique(examples), [0, 1 / 0.8], rtol=1e-6)
    assert examples.mean() == pytest.approx(1, abs=0.06)
    assert nasnet_utils.drop_path(net, 0.8, is_training=False) is net
    half = nasnet_utils.drop_path(tf.cast(net, tf.bfloat16), tf.constant(0.5))
    assert half.dtype == tf.bfloat16


def test_drop_path_needs_the_number_of_the_cell():
    cell = nasnet_utils.NasNetANormalCell(4, 0.5, 3, 10)
    with pytest.raises(ValueError, match="cell_num"), _nhwc():
        cell(tf.zeros([1, 4, 4, 4]))


# Cells and what they are made of.


def _nhwc():
    ours = [nasnet_utils.get_channel_index, nasnet_utils.get_channel_dim]
    ours += [nasnet_utils.factorized_reduction]
    return slim.arg_scope(ours, data_format="NHWC")


def test_calc_reduction_layers():
    assert nasnet_utils.calc_reduction_layers(18, 2) == [6, 12]
    assert nasnet_utils.calc_reduction_layers(10, 2) == [3, 6]
    assert nasnet_utils.calc_reduction_layers(8, 3) == [2, 4, 6]


def test_channels_by_data_format():
    assert nasnet_utils.get_channel_index(data_format="NHWC") == 3
    assert nasnet_utils.get_channel_index("NCHW") == 1
    assert nasnet_utils.get_channel_dim([2, 3, 4, 5], "NHWC") == 5
    assert nasnet_utils.get_channel_dim(tf.zeros([2, 3, 4, 5]).shape, "NCHW") == 3
    with _nhwc():
        assert nasnet_utils.get_channel_dim([2, 3, 4, 5]) == 5
    with pytest.raises(ValueError, match="NHWC or NCHW, not 'null'"):
        nasnet_utils.get_channel_index()
    with pytest.raises(ValueError, match="rank"):
        nasnet_utils.get_channel_dim([2, 3], "NHWC")


@pytest.mark.parametrize(("data_format", "axes"), [("NHWC", (1, 2)), ("NCHW", (2, 3))])
def test_global_avg_pool(data_format, axes):
    net = np.random.default_rng(0).random([2, 3, 4, 5], np.float32)
    pooled = nasnet_utils.global_avg_pool(tf.constant(net), data_format=data_format)
    np.testing.assert_allclose(_run(pooled), net.mean(axes), rtol=1e-6)


@pytest.mark.parametrize("size", [4, 5])
def test_factorized_reduction_takes_every_second_pixel_and_those_between(size):
    net = np.random.default_rng(0).random([1, size, size, 1], np.float32)
    with slim.arg_scope([slim.conv2d], weights_initializer=tf.ones_initializer()):
        with slim.arg_scope([slim.batch_norm], is_training=False, epsilon=1e-7):
            reduced = nasnet_utils.factorized_reduction(net, 3, 2, data_format="NHWC")
    between = np.pad(net, [(0, 0), (0, 1), (0, 1), (0, 0)])[:, 1::2, 1::2]
    between = between[:, : -(-size // 2), : -(-size // 2)]
    expected = np.concatenate([net[:, ::2, ::2], between, between], axis=3)
    np.testing.assert_allclose(_run(reduced), expected, rtol=1e-5)


def test_factorized_reduction_of_channels_alone_and_of_nchw():
    net = tf.zeros([2, 6, 8, 8])
    same = nasnet_utils.factorized_reduction(net, 7, 1, data_format="NHWC")
    assert same.shape.as_list() == [2, 6, 8, 7]
    assert slim.get_variables("path_conv") and slim.get_variables("path_bn")
    reduced = nasnet_utils.factorized_reduction(net, 7, 2, data_format="NCHW")
    assert reduced.shape.as_list() == [2, 7, 4, 4]


def test_pools_of_any_genotype():
    """The last combination alone is output: the least plus the largest of 3x3."""
    cell = nasnet_utils.NasNetABaseCell(
        1,
        ["none", "separable_3x3"]
        + ["none", "avg_pool_3x3"] * 3
        + ["min_pool_3x3", "max_pool_3x3"],
        [1, 1, 1, 1, 1, 1, 0],
        [0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        drop_path_keep_prob=1.0,
        total_num_cells=1,
        total_training_steps=1,
    )
    net = np.random.default_rng(0).random([1, 3, 3, 1], np.float32)
    with (
        _nhwc(),
        slim.arg_scope([slim.conv2d], weights_initializer=tf.ones_initializer()),
        slim.arg_scope([slim.batch_norm], is_training=False, epsilon=1e-7),
    ):
        output = cell(tf.constant(net))
    assert output.shape.as_list() == [1, 3, 3, 1]
    assert _run(output)[0, 1, 1, 0] == pytest.approx(net.min() + net.max(), rel=1e-5)
    names = {v.op.name for v in tf.global_variables() if "separable" in v.op.name}
    assert "cell/comb_iter_0/right/separable_3x3_1/depthwise_weights" in names
    assert not [name for name in names if "separable_3x3_2" in name]


def test_unknown_operation():
    cell = nasnet_utils.NasNetABaseCell(
        1, ["median_pool_3x3"] * 10, [1] * 6 + [0], [0] * 10, 1.0, 1, 1
    )
    with pytest.raises(ValueError, match="median_pool_3x3"), _nhwc():
        cell(tf.zeros([1, 3, 3, 1]))
