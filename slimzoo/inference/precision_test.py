import collections
import itertools
import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf.device_properties_pb2 import DeviceProperties, NamedDevice
from tensorflow.python.grappler import cluster as grappler
from tensorflow.python.grappler import tf_optimizer

from deployment import model_deploy
from slimbase.errors import UserError
from slimbase.graph import classic_graph, session_config
from slimbase.testing import TRAIN_ON_SHAPES, call, run
from slimzoo.config.train import TrainConfig
from slimzoo.inference import precision
from slimzoo.model import info as model_info
from slimzoo.training import graph as train_graph
from slimzoo.training import optimizers, train

try:
    precision.check(TrainConfig(precision="bfloat16"), on_cpu=True)
    REASON = ""
except UserError as error:
    REASON = str(error)
needs_bfloat16 = pytest.mark.skipif(bool(REASON), reason=REASON)
LISTS = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_"


def training(config, size=32, on_cpu=True):
    """What takes steps on noise, in the default graph."""
    info = model_info.settle(config, {"num_classes": 5}, size)
    cluster = model_deploy.DeploymentConfig(clone_on_cpu=on_cpu)
    step = tf.train.create_global_step()
    batch = tf.random.uniform([4, size, size, 3], -1, 1, seed=1), tf.range(4)
    clone_fn = train_graph.clone_fn(
        config, info, train_graph.network(config, info, step)
    )
    with precision.building(config.precision):
        clones = model_deploy.create_clones(cluster, clone_fn, [iter([batch])])
    rate = optimizers.learning_rate(config, step, 100)
    variables = tf.trainable_variables()
    return train_graph._train_op(config, info, cluster, clones, rate, step, variables)


def initialize(session):
    session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])


def types_by_operation(graphs):
    """The types that each kind of operation computes in."""
    found = collections.defaultdict(set)
    for node in itertools.chain.from_iterable(graph.node for graph in graphs):
        if node.attr["T"].type:
            operation = node.op.removeprefix("_MklNative").removeprefix("_Mkl")
            found[operation].add(tf.DType(node.attr["T"].type))
    return found


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_only_the_rewrite_differs_from_float32_sessions(name):
    expected = session_config(True)
    rewrites = expected.graph_options.rewrite_options
    if name == "bfloat16":
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewrites.ON
    if name == "float16":
        rewrites.auto_mixed_precision = rewrites.ON
    assert precision.configure(session_config(True), name) == expected


def test_float32_sessions_have_no_rewrite_options():
    options = precision.configure(session_config(), "float32")
    assert not options.HasField("graph_options")


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_optimizers_are_left_alone_but_in_float16(name):
    optimizer = tf.train.GradientDescentOptimizer(1.0)
    assert precision.scale_loss(optimizer, name) is optimizer


def test_operation_lists_are_those_of_bfloat16_and_go_away(monkeypatch):
    monkeypatch.delenv(LISTS + "ALLOWLIST_REMOVE", raising=False)
    monkeypatch.delenv(LISTS + "CLEARLIST_ADD", raising=False)
    monkeypatch.setenv(LISTS + "CLEARLIST_REMOVE", "Mine")
    before = dict(os.environ)
    for other in "float32", "float16":
        with precision.operation_lists(other):
            assert dict(os.environ) == before
    with pytest.raises(KeyError), precision.operation_lists("bfloat16"):
        removed = os.environ[LISTS + "ALLOWLIST_REMOVE"].split(",")
        assert removed == ["DepthwiseConv2dNativeBackpropInput"]
        assert os.environ[LISTS + "CLEARLIST_ADD"] == "Minimum"
        assert os.environ[LISTS + "CLEARLIST_REMOVE"] == "Mine"
        raise KeyError
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("options", "on_cpu", "expected"),
    [
        ({"precision": "bfloat61"}, True, "bfloat61 is unknown.*mean bfloat16"),
        ({"precision": "bfloat16"}, False, "is for CPUs.*--precision=float16"),
        ({"precision": "bfloat16", "master": "grpc://x"}, True, "for one machine"),
        ({"precision": "float16"}, True, "needs a GPU.*--precision=bfloat16"),
        ({"precision": "float16", "sync_replicas": True}, False, "--sync_replicas"),
    ],
)
def test_what_cannot_be_is_an_error(options, on_cpu, expected):
    with pytest.raises(UserError, match=expected):
        precision.check(TrainConfig(**options), on_cpu)


@pytest.mark.parametrize("known", ["flags : sse avx2 avx512f", None])
def test_cpus_without_bfloat16_are_refused(known, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    if known is not None:
        path.write_text(known)
    monkeypatch.setattr(precision, "CPU_INFO", path)
    with pytest.raises(UserError, match=r"AVX512-BF16 or AMX.*--precision=float32"):
        precision.check(TrainConfig(precision="bfloat16"), on_cpu=True)


def test_bfloat16_without_onednn_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text("flags : avx512_bf16")
    monkeypatch.setattr(precision, "CPU_INFO", path)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with pytest.raises(UserError, match="unset that variable"):
        precision.check(TrainConfig(precision="bfloat16"), on_cpu=True)


@pytest.mark.parametrize("capability", [(6, 1), (7, 0), None])
def test_gpus_too_old_for_float16_are_refused(capability, monkeypatch):
    details = {"device_name": "Old"}
    if capability:
        details["compute_capability"] = capability
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: details
    )
    config = TrainConfig(precision="float16")
    if capability == (6, 1):
        with pytest.raises(UserError, match=r"capability 7\.0, and Old has 6\.1"):
            precision.check(config, on_cpu=False)
    else:
        precision.check(config, on_cpu=False)


def types_of_a_step(name, model_name="mobilenet_v1_025"):
    """The types that each kind of operation of a step computes in."""
    config = TrainConfig(model_name=model_name, precision=name)
    with classic_graph(seed=1):
        train_op, *_ = training(config)
        options = precision.configure(session_config(), name)
        with precision.operation_lists(name), tf.Session(config=options) as session:
            initialize(session)
            metadata = tf.RunMetadata()
            session.run(
                train_op,
                options=tf.RunOptions(output_partition_graphs=True),
                run_metadata=metadata,
            )
        variables = {v.dtype.base_dtype for v in tf.trainable_variables()}
    assert variables == {tf.float32}
    return types_by_operation(metadata.partition_graphs)


@needs_bfloat16
def test_bfloat16_is_what_the_session_runs():
    found = types_of_a_step("bfloat16", "mobilenet_v1_050")
    for operation in (
        *("Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput", "MatMul"),
        *("DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropFilter"),
        *("FusedBatchNormEx", "Relu6Grad"),
    ):
        assert found[operation] == {tf.bfloat16}, operation
    assert tf.bfloat16 in found["Minimum"]  # That of the learning rate is not.
    for operation in "DepthwiseConv2dNativeBackpropInput", "ApplyRMSProp":
        assert found[operation] == {tf.float32}, operation
    assert "Relu6" not in found


@needs_bfloat16
def test_depthwise_convolutions_of_eight_channels_are_float32():
    found = types_of_a_step("bfloat16", "mobilenet_v1_025")
    assert found["Conv2D"] == {tf.bfloat16}
    assert found["Conv2DBackpropFilter"] == {tf.bfloat16}
    kept = [op for op in found if "Depthwise" in op or "Relu6" in op]
    assert len(kept) == 5
    for operation in kept:
        assert found[operation] == {tf.float32}
    assert found["ApplyRMSProp"] == {tf.float32}


def test_float32_has_no_other_types():
    found = types_of_a_step("float32")
    assert all(types.isdisjoint({tf.bfloat16, tf.half}) for types in found.values())


@pytest.mark.slow
@needs_bfloat16
@pytest.mark.parametrize(
    ("first", "second"), [("bfloat16", "float32"), ("float32", "bfloat16")]
)
def test_training_goes_on_in_another_precision(first, second, shapes, tmp_path):
    command = *TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}"
    run(*command, f"--precision={first}")
    result = run(*command, f"--precision={second}", "--max_number_of_steps=5")
    assert "step 3" in result.stderr
    assert json.loads((tmp_path / "config.json").read_text())["precision"] == second
    one, other = (
        tf.train.load_checkpoint(str(tmp_path / f"model.ckpt-{step}"))
        for step in (3, 5)
    )
    assert one.get_variable_to_dtype_map() == other.get_variable_to_dtype_map()
    assert tf.bfloat16 not in one.get_variable_to_dtype_map().values()
    assert int(other.get_tensor("global_step")) == 5


@needs_bfloat16
def test_training_sets_up_rewrite_and_lists(shapes, tmp_path, monkeypatch):
    seen = {}

    class EnoughError(Exception):
        pass

    def session(*args, config, **arguments):
        seen.update(os.environ, config=config)
        raise EnoughError

    monkeypatch.setattr(tf.train, "MonitoredTrainingSession", session)
    config = TrainConfig(
        dataset_name="shapes",
        dataset_dir=str(shapes),
        train_dir=str(tmp_path),
        model_name="lenet",
        precision="bfloat16",
    )
    with pytest.raises(EnoughError):
        train.train(config)
    rewrites = seen["config"].graph_options.rewrite_options
    assert rewrites.auto_mixed_precision_onednn_bfloat16 == rewrites.ON
    assert "Minimum" in seen[LISTS + "CLEARLIST_ADD"]
    assert LISTS + "CLEARLIST_ADD" not in os.environ


def test_precision_of_a_gpu_is_an_error_on_the_command_line(shapes, tmp_path):
    command = *TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}"
    result = call(*command, "--precision=float16", "--clone_on_cpu", check=False)
    assert result.returncode != 0
    assert "needs a GPU" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_scaling_the_loss_changes_no_step_and_no_checkpoint(name):
    weights = {}
    saved = {}
    for kind in "float32", "float16":
        config = TrainConfig(precision=kind, optimizer=name, learning_rate=0.125)
        with classic_graph():
            weight = tf.get_variable("weight", initializer=[[1.0, 2.0]])
            step = tf.train.create_global_step()
            optimizer = precision.scale_loss(
                optimizers.make(config, tf.constant(config.learning_rate)), kind
            )
            pairs = optimizer.compute_gradients(tf.reduce_sum(weight**2))
            train = optimizer.apply_gradients(pairs, step)
            with tf.Session() as session:
                initialize(session)
                for _ in range(3):
                    session.run(train)
                weights[kind] = session.run(weight)
                assert session.run(step) == 3
            saved[kind] = {v.op.name for v in tf.global_variables()}
    np.testing.assert_allclose(weights["float16"], weights["float32"], rtol=1e-6)
    assert saved["float16"] == saved["float32"]


def test_a_step_that_overflows_halves_the_scale_and_nothing_else():
    with classic_graph():
        weight = tf.get_variable("weight", initializer=[2.0])
        factor = tf.placeholder_with_default(1.0, [])
        step = tf.train.create_global_step()
        optimizer = precision.scale_loss(
            tf.train.MomentumOptimizer(0.5, 0.9), "float16"
        )
        pairs = optimizer.compute_gradients(tf.reduce_sum(factor * weight))
        pairs = optimizers.clip(pairs, 10.0)
        train = optimizer.apply_gradients(pairs, step)
        (scale,) = (v for v in tf.local_variables() if "loss_scale" in v.name)
        with tf.Session() as session:
            initialize(session)
            before = session.run(scale)
            session.run(train, {factor: np.inf})
            assert session.run([weight, step]) == [[2.0], 0]
            assert session.run(scale) == before / 2
            session.run(train)
            assert session.run([weight, step]) == [[1.5], 1]


def test_training_takes_the_same_steps_whatever_the_scale():
    trained = {}
    for name in "float32", "float16":
        config = TrainConfig(
            model_name="cifarnet",
            precision=name,
            learning_rate=0.01,
            accumulate_gradients=2,
            clip_gradient_norm=1.0,
            moving_average_decay=0.9,
        )
        with classic_graph(seed=1), tf.Session() as session:
            train_op, accumulate_op, *_ = training(config)
            initialize(session)
            for step in 1, 2, 3:
                session.run(accumulate_op)
                assert session.run(train_op) == step
            values = session.run({v.op.name: v for v in tf.global_variables()})
        trained[name] = values
    assert trained["float16"].keys() == trained["float32"].keys()
    for name, value in trained["float32"].items():
        np.testing.assert_allclose(
            trained["float16"][name], value, rtol=1e-3, atol=1e-5, err_msg=name
        )


def test_gpus_would_compute_in_float16():
    """By what Grappler makes of the graph for a GPU that it believes to have."""
    devices = [
        NamedDevice(name=f"/device:{kind}:0", properties=DeviceProperties(type=kind))
        for kind in ("CPU", "GPU")
    ]
    devices[1].properties.environment.update(architecture="7.0", cudnn="90000")
    config = TrainConfig(model_name="mobilenet_v1_025", precision="float16")
    with classic_graph() as graph:
        train_op, *_ = training(config, on_cpu=False)
        tf.add_to_collection(tf.GraphKeys.TRAIN_OP, train_op)
        optimized = tf_optimizer.OptimizeGraph(
            precision.configure(session_config(), "float16"),
            tf.train.export_meta_graph(graph=graph),
            cluster=grappler.Cluster(devices=devices),
        )
    found = types_by_operation([optimized])
    for operation in "Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput":
        assert found[operation] == {tf.half}
    assert found["ApplyRMSProp"] == {tf.float32}
