import inspect
import itertools
import socket

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from deployment import model_deploy
from deployment.model_deploy import DeploymentConfig

INPUTS = np.random.RandomState(0).uniform(size=(16, 4)).astype(np.float32)
LABELS = (INPUTS[:, :1] > INPUTS[:, 1:2]).astype(np.float32)


class OneCpuPerClone(DeploymentConfig):
    """Clones on the logical CPU devices of `several_cpus`."""

    def clone_device(self, clone_index: int) -> str:
        return f"/device:CPU:{clone_index}"


def classifier(inputs, labels, batch_norm=False, weight_decay=0.0):
    """Logistic regression that adds its loss."""
    if batch_norm:
        inputs = slim.batch_norm(inputs, decay=0.1, is_training=True)
    predictions = slim.fully_connected(
        inputs,
        1,
        activation_fn=tf.sigmoid,
        weights_regularizer=slim.l2_regularizer(weight_decay) if weight_decay else None,
        scope="logistic",
    )
    tf.losses.log_loss(labels, predictions)
    return predictions


def halves_classifier(**kwargs):
    """A `model_fn` whose first clone sees the first half of the data, and so on."""
    batches = zip(np.split(INPUTS, 2), np.split(LABELS, 2), strict=True)
    return lambda: classifier(*map(tf.constant, next(batches)), **kwargs)


def whole_classifier(**kwargs):
    return lambda: classifier(tf.constant(INPUTS), tf.constant(LABELS), **kwargs)


def several_cpus(count: int = 1) -> tf.Session:
    config = tf.ConfigProto(device_count={"CPU": count}, allow_soft_placement=True)
    return tf.Session(config=config)


def run(fetches):
    with several_cpus(2) as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches)


def by_name(gradients):
    return {variable.op.name: gradient for gradient, variable in gradients}


def device(string: str) -> str:
    return tf.DeviceSpec.from_string(string).to_string()


# The configuration.


def test_public_surface():
    assert sorted(model_deploy.__all__) == [
        "Clone",
        "DeployedModel",
        "DeploymentConfig",
        "create_clones",
        "deploy",
        "optimize_clones",
    ]
    assert model_deploy.Clone._fields == ("outputs", "scope", "device")
    assert model_deploy.DeployedModel._fields == (
        "train_op",
        "summary_op",
        "total_loss",
        "clones",
    )


@pytest.mark.parametrize(
    "function, parameters",
    [
        (
            DeploymentConfig,
            "num_clones=1, clone_on_cpu=False, replica_id=0, num_replicas=1, "
            "num_ps_tasks=0, worker_job_name='worker', ps_job_name='ps'",
        ),
        (model_deploy.create_clones, "config, model_fn, args=None, kwargs=None"),
        (
            model_deploy.optimize_clones,
            "clones, optimizer, regularization_losses=None, **kwargs",
        ),
        (
            model_deploy.deploy,
            "config, model_fn, args=None, kwargs=None, optimizer=None, "
            "summarize_gradients=False",
        ),
    ],
)
def test_signatures(function, parameters):
    signature = inspect.signature(function)
    untyped = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    assert ", ".join(map(str, untyped)) == parameters


@pytest.mark.parametrize(
    "settings, clones, scopes, worker_cpu",
    [
        ({}, ["/device:GPU:0"], [""], "/device:CPU:0"),
        ({"clone_on_cpu": True}, ["/device:CPU:0"], [""], "/device:CPU:0"),
        (
            {"num_clones": 2},
            ["/device:GPU:0", "/device:GPU:1"],
            ["clone_0", "clone_1"],
            "/device:CPU:0",
        ),
        (
            {"num_clones": 2, "clone_on_cpu": True},
            ["/device:CPU:0", "/device:CPU:0"],
            ["clone_0", "clone_1"],
            "/device:CPU:0",
        ),
        (
            {"num_ps_tasks": 1},
            ["/job:worker/device:GPU:0"],
            [""],
            "/job:worker/device:CPU:0",
        ),
        (
            {"num_ps_tasks": 1, "clone_on_cpu": True},
            ["/job:worker/device:CPU:0"],
            [""],
            "/job:worker/device:CPU:0",
        ),
        (
            {
                "num_clones": 2,
                "num_replicas": 3,
                "replica_id": 2,
                "num_ps_tasks": 2,
                "worker_job_name": "trainer",
            },
            ["/job:trainer/device:GPU:0", "/job:trainer/device:GPU:1"],
            ["clone_0", "clone_1"],
            "/job:trainer/device:CPU:0",
        ),
    ],
)
def test_devices_and_scopes(settings, clones, scopes, worker_cpu):
    config = DeploymentConfig(**settings)
    indices = range(config.num_clones)
    assert [config.clone_device(i) for i in indices] == clones
    assert [config.clone_scope(i) for i in indices] == scopes
    assert config.optimizer_device() == worker_cpu
    assert config.inputs_device() == worker_cpu


def test_worker_and_ps_jobs():
    alone = DeploymentConfig(worker_job_name="trainer", ps_job_name="params")
    assert (alone.worker_device, alone.ps_device) == ("", "")
    config = DeploymentConfig(2, True, 1, 3, 2, "trainer", "params")
    assert (config.worker_device, config.ps_device) == ("/job:trainer", "/job:params")
    assert config.replica_id == 1
    assert config.num_replicas == 3
    assert config.num_ps_tasks == 2


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_clones": 0}, "num_clones is 0"),
        ({"num_replicas": 2}, "num_ps_tasks is 0"),
        ({"num_ps_tasks": -1}, "num_ps_tasks is -1"),
        ({"replica_id": 1}, "replica_id is 1"),
        ({"replica_id": -1}, "replica_id is -1"),
        ({"replica_id": 2, "num_replicas": 2, "num_ps_tasks": 1}, "from 0 to 1"),
        ({"num_ps_tasks": 1, "ps_job_name": ""}, "ps_job_name must not be empty"),
        ({"num_ps_tasks": 1, "worker_job_name": ""}, "worker_job_name"),
    ],
)
def test_impossible_configurations(settings, message):
    with pytest.raises(ValueError, match=message):
        DeploymentConfig(**settings)


@pytest.mark.parametrize("index", [-1, 2])
def test_clone_index_out_of_range(index):
    config = DeploymentConfig(num_clones=2)
    with pytest.raises(ValueError, match=f"clone_index is {index}"):
        config.clone_device(index)
    with pytest.raises(ValueError, match=f"clone_index is {index}"):
        config.clone_scope(index)


def test_variables_stay_on_the_cpu_without_parameter_servers(either_variables):
    config = DeploymentConfig(num_clones=2)
    assert config.variables_device() == "/device:CPU:0"
    assert config.caching_device() is None


def test_variables_are_dealt_to_parameter_servers(either_variables):
    config = DeploymentConfig(num_ps_tasks=2, ps_job_name="params")
    with tf.device(config.variables_device()):
        variables = [tf.get_variable(f"v{i}", []) for i in range(3)]
        other = tf.no_op()
    assert [device(variable.device) for variable in variables] == [
        "/job:params/task:0/device:CPU:0",
        "/job:params/task:1/device:CPU:0",
        "/job:params/task:0/device:CPU:0",
    ]
    assert other.device == ""
    with tf.device(config.variables_device()):
        assert "task:0" in tf.get_variable("anew", []).device


def test_reads_are_cached_on_the_reader(graph):
    tf.get_variable_scope().set_use_resource(False)
    config = DeploymentConfig(num_ps_tasks=1)
    with tf.device(config.clone_device(0)):
        variable = slim.variable(
            "v",
            [],
            device=config.variables_device(),
            caching_device=config.caching_device(),
        )
    assert device(variable.device) == "/job:ps/task:0/device:CPU:0"
    assert device(variable.value().device) == "/job:worker/device:GPU:0"


# Clones.


def test_only_clone_has_plain_names(either_variables):
    config = DeploymentConfig()
    [clone] = model_deploy.create_clones(config, whole_classifier(batch_norm=True))
    assert clone.scope == ""
    assert clone.outputs.op.name == "logistic/Sigmoid"
    assert device(clone.outputs.device) == clone.device == "/device:GPU:0"
    assert [variable.op.name for variable in slim.get_variables()] == [
        "BatchNorm/beta",
        "BatchNorm/moving_mean",
        "BatchNorm/moving_variance",
        "logistic/weights",
        "logistic/biases",
    ]
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 2


def test_clones_share_variables(either_variables):
    config = DeploymentConfig(num_clones=3)
    model_fn = whole_classifier(batch_norm=True, weight_decay=0.1)
    clones = model_deploy.create_clones(config, model_fn)
    assert len(slim.get_variables()) == len(slim.get_model_variables()) == 5
    assert {device(v.device) for v in slim.get_variables()} == {"/device:CPU:0"}
    assert len(tf.losses.get_regularization_losses()) == 1
    for i, clone in enumerate(clones):
        assert clone.scope == f"clone_{i}/"
        assert clone.device == f"/device:GPU:{i}"
        assert clone.outputs.op.name == f"clone_{i}/logistic/Sigmoid"
        assert device(clone.outputs.device) == clone.device
        assert len(tf.losses.get_losses(clone.scope)) == 1
        assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS, clone.scope)) == 2


def test_clones_with_parameter_servers(either_variables):
    config = DeploymentConfig(num_clones=2, num_ps_tasks=2)
    clones = model_deploy.create_clones(config, whole_classifier(batch_norm=True))
    assert [device(variable.device) for variable in slim.get_variables()] == [
        f"/job:ps/task:{task}/device:CPU:0" for task in (0, 1, 0, 1, 0)
    ]
    assert [device(clone.outputs.device) for clone in clones] == [
        "/job:worker/device:GPU:0",
        "/job:worker/device:GPU:1",
    ]


def test_model_fn_gets_its_arguments(graph):
    calls = []

    def model_fn(*args, **kwargs):
        calls.append((args, kwargs))
        return len(calls)

    config = DeploymentConfig(num_clones=2)
    clones = model_deploy.create_clones(config, model_fn, [1, 2], {"depth": 3})
    assert calls == [((1, 2), {"depth": 3})] * 2
    assert [clone.outputs for clone in clones] == [1, 2]


def test_clones_run_on_their_devices(graph):
    config = OneCpuPerClone(num_clones=2)
    clones = model_deploy.create_clones(config, halves_classifier())
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    with several_cpus(2) as session:
        session.run(tf.global_variables_initializer())
        session.run(
            [clone.outputs for clone in clones],
            options=options,
            run_metadata=metadata,
        )
    ran_on = {
        node.node_name: stats.device[-len("CPU:0") :]
        for stats in metadata.step_stats.dev_stats
        for node in stats.node_stats
    }
    assert ran_on["clone_0/logistic/Sigmoid"] == "CPU:0"
    assert ran_on["clone_1/logistic/Sigmoid"] == "CPU:1"


# Losses and gradients.


def gradients_of(config, model_fn, use_resource=False, **kwargs):
    """Total loss and gradients by variable, from equal initial values."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        tf.get_variable_scope().set_use_resource(use_resource)
        with slim.arg_scope(
            [slim.fully_connected],
            weights_initializer=tf.initializers.glorot_uniform(seed=1),
        ):
            clones = model_deploy.create_clones(config, model_fn)
        loss, gradients = model_deploy.optimize_clones(
            clones, tf.train.GradientDescentOptimizer(0.1), **kwargs
        )
        return run((loss, by_name(gradients)))


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_two_clones_equal_one_with_the_whole_batch(use_resource, weight_decay):
    loss, gradients = gradients_of(
        OneCpuPerClone(num_clones=2),
        halves_classifier(weight_decay=weight_decay),
        use_resource,
    )
    expected_loss, expected_gradients = gradients_of(
        OneCpuPerClone(), whole_classifier(weight_decay=weight_decay), use_resource
    )
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    assert set(gradients) == {"logistic/weights", "logistic/biases"}
    for name, expected in expected_gradients.items():
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("num_clones", [1, 3])
def test_regularization_counts_once(graph, num_clones):
    def model_fn():
        weight = slim.model_variable(
            "w", [], initializer=tf.constant_initializer(2.0), regularizer=tf.square
        )
        tf.losses.add_loss(6 * weight)

    config = DeploymentConfig(num_clones)
    clones = model_deploy.create_clones(config, model_fn)
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    regularized = model_deploy.optimize_clones(clones, optimizer)
    plain = model_deploy.optimize_clones(clones, optimizer, regularization_losses=[])
    given = model_deploy.optimize_clones(clones, optimizer, [tf.constant(0.5)])
    values = run(
        [(loss, by_name(gradients)) for loss, gradients in (regularized, plain)]
    )
    assert values == [
        (pytest.approx(12 + 4), {"w": pytest.approx(6 + 4)}),
        (pytest.approx(12), {"w": pytest.approx(6)}),
    ]
    assert run(given[0]) == pytest.approx(12.5)


def test_regularization_alone_is_a_loss(graph):
    config = DeploymentConfig(num_clones=2)
    clones = model_deploy.create_clones(
        config,
        lambda: slim.model_variable(
            "w", [], initializer=tf.constant_initializer(3.0), regularizer=tf.square
        ),
    )
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    loss, gradients = model_deploy.optimize_clones(clones, optimizer)
    assert run((loss, by_name(gradients))) == (9, {"w": 6})


def test_gradients_are_computed_beside_their_clone(graph):
    config = DeploymentConfig(num_clones=2)
    clones = model_deploy.create_clones(config, halves_classifier())
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    with tf.device(config.optimizer_device()):
        loss, gradients = model_deploy.optimize_clones(clones, optimizer)
    assert device(loss.device) == "/device:CPU:0"
    for gradient, _ in gradients:
        assert device(gradient.device) == "/device:CPU:0"
        assert gradient.op.type == "AddN"
        assert [device(part.device) for part in gradient.op.inputs] == [
            "/device:GPU:0",
            "/device:GPU:1",
        ]


def test_keywords_reach_compute_gradients(graph):
    config = DeploymentConfig(num_clones=2)
    clones = model_deploy.create_clones(config, halves_classifier())
    [biases] = slim.get_variables_by_name("biases")
    _, gradients = model_deploy.optimize_clones(
        clones, tf.train.GradientDescentOptimizer(0.1), var_list=[biases]
    )
    assert list(by_name(gradients)) == ["logistic/biases"]


def test_gradients_missing_in_some_clones(either_variables):
    used_by_clone = iter([["a"], ["b", "a"], ["b"], []])

    def model_fn():
        variables = {
            name: slim.model_variable(name, [], initializer=tf.ones_initializer())
            for name in ("a", "b", "unused")
        }
        loss = tf.add_n(
            [tf.constant(1.0)] + [variables[u] for u in next(used_by_clone)]
        )
        tf.losses.add_loss(loss)

    clones = model_deploy.create_clones(DeploymentConfig(num_clones=3), model_fn)
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    _, gradients = model_deploy.optimize_clones(clones, optimizer)
    assert run(by_name(gradients)) == {
        "a": pytest.approx(2 / 3),
        "b": pytest.approx(2 / 3),
    }


def test_sparse_gradients_stay_sparse(either_variables):
    rows = iter([[0, 2], [2, 2]])

    def model_fn():
        table = slim.model_variable(
            "table", [5, 1], initializer=tf.constant_initializer(1.0)
        )
        looked_up = tf.nn.embedding_lookup(table, tf.constant(next(rows)))
        tf.losses.add_loss(tf.reduce_mean(looked_up))

    clones = model_deploy.create_clones(DeploymentConfig(num_clones=2), model_fn)
    optimizer = tf.train.GradientDescentOptimizer(4.0)
    _, [(gradient, table)] = model_deploy.optimize_clones(clones, optimizer)
    assert isinstance(gradient, tf.IndexedSlices)
    apply_op = optimizer.apply_gradients([(gradient, table)])
    with several_cpus() as session:
        session.run(tf.global_variables_initializer())
        session.run(apply_op)
        # Each of the four look-ups has a gradient of 1/4, times the rate of 4.
        assert session.run(table)[:, 0].tolist() == [0, 1, -2, 1, 1]


def test_sparse_and_dense_gradients_add_up(either_variables):
    reads = iter([lambda table: tf.nn.embedding_lookup(table, [0, 2, 2]), tf.identity])

    def model_fn():
        table = slim.model_variable("table", [3, 1])
        tf.losses.add_loss(tf.reduce_sum(next(reads)(table)))

    clones = model_deploy.create_clones(DeploymentConfig(num_clones=2), model_fn)
    optimizer = tf.train.GradientDescentOptimizer(1.0)
    _, [(gradient, _)] = model_deploy.optimize_clones(clones, optimizer)
    assert run(gradient)[:, 0].tolist() == [1, 0.5, 1.5]


def test_no_loss(graph):
    config = DeploymentConfig(num_clones=2)
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    with pytest.raises(ValueError, match="no loss to optimize"):
        model_deploy.deploy(config, lambda: None, optimizer=optimizer)
    model = model_deploy.deploy(config, lambda: None)
    assert model[:3] == (None, None, None)


# Training.


@pytest.mark.parametrize("num_clones", [1, 4])
def test_deployed_model_learns(either_variables, num_clones):
    model = model_deploy.deploy(
        OneCpuPerClone(num_clones),
        classifier,
        [tf.constant(INPUTS), tf.constant(LABELS)],
        {"batch_norm": True},
        optimizer=tf.train.GradientDescentOptimizer(1.0),
    )
    assert len(model.clones) == num_clones
    with several_cpus(num_clones) as session:
        session.run(tf.global_variables_initializer())
        losses = [session.run(model.train_op) for _ in range(50)]
        assert session.run(tf.train.get_global_step()) == 50
        assert losses[-1] < 0.25 < 0.5 < losses[0]
        assert session.run(model.total_loss) <= losses[-1]


def test_moving_averages_follow_the_first_clone(either_variables):
    model = model_deploy.deploy(
        OneCpuPerClone(num_clones=2),
        halves_classifier(batch_norm=True),
        optimizer=tf.train.GradientDescentOptimizer(0.1),
    )
    [mean] = slim.get_variables_by_name("moving_mean")
    with several_cpus(2) as session:
        session.run(tf.global_variables_initializer())
        session.run(model.train_op)
        # The decay is 0.1, the initial value 0.
        expected = 0.9 * INPUTS[:8].mean(axis=0)
        np.testing.assert_allclose(session.run(mean), expected, rtol=1e-5)


def test_deploy_without_optimizer_sums_losses(graph):
    config = OneCpuPerClone(num_clones=2)
    model = model_deploy.deploy(config, halves_classifier(weight_decay=0.5))
    parts = [
        loss / 2 for clone in model.clones for loss in tf.losses.get_losses(clone.scope)
    ]
    total, parts, penalty = run(
        (model.total_loss, parts, tf.losses.get_regularization_loss())
    )
    assert model.train_op is None
    assert len(parts) == 2
    assert penalty > 0
    assert total == pytest.approx(sum(parts) + penalty)
    assert tf.train.get_global_step() is None


def test_deploy_places_everything(either_variables):
    model = model_deploy.deploy(
        DeploymentConfig(num_clones=2, num_ps_tasks=2),
        halves_classifier(),
        optimizer=(optimizer := tf.train.MomentumOptimizer(0.1, 0.9)),
    )
    for tensor in (model.train_op, model.total_loss):
        assert tensor is not None
        assert device(tensor.device) == "/job:worker/device:CPU:0"
    assert "/job:ps" in tf.train.get_global_step().device
    for variable in slim.get_model_variables():
        slot = optimizer.get_slot(variable, "momentum")
        assert device(slot.device) == device(variable.device)
        assert "/job:ps" in slot.device


def test_replicas_train_shared_variables():
    """Two workers and two parameter servers, all in this process."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(4)]
    addresses = [f"localhost:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    cluster = tf.train.ClusterSpec({"ps": addresses[:2], "worker": addresses[2:]})
    servers = {
        (job, task): tf.train.Server(cluster, job_name=job, task_index=task)
        for job, task in itertools.product(["ps", "worker"], [0, 1])
    }
    for replica in (0, 1):
        with tf.Graph().as_default():
            model = model_deploy.deploy(
                DeploymentConfig(1, True, replica, num_replicas=2, num_ps_tasks=2),
                whole_classifier(),
                optimizer=tf.train.GradientDescentOptimizer(1.0),
            )
            with tf.Session(servers["worker", replica].target) as session:
                if replica == 0:
                    session.run(tf.global_variables_initializer())
                losses = [session.run(model.train_op) for _ in range(20)]
                steps = session.run(tf.train.get_global_step())
        if replica == 0:
            first_losses = losses
    assert steps == 40
    assert first_losses[0] > first_losses[-1] > losses[0] > losses[-1]


# Summaries.


def tags_of(summary_op):
    return {value.tag for value in tf.Summary.FromString(run(summary_op)).value}


@pytest.mark.parametrize(
    "num_clones, scope, others",
    [(1, "", set()), (2, "clone_0/", {"clone_1/seen", "clone_1/Losses/clone_loss"})],
)
def test_summaries(graph, num_clones, scope, others):
    tf.summary.scalar("before", 1.0)

    def model_fn():
        tf.summary.scalar("seen", 1.0)
        return whole_classifier(weight_decay=0.5)()

    model = model_deploy.deploy(
        DeploymentConfig(num_clones),
        model_fn,
        optimizer=tf.train.GradientDescentOptimizer(0.1),
        summarize_gradients=True,
    )
    names = ("logistic/weights_gradient", "logistic/biases_gradient")
    expected = {
        "before",
        "total_loss_1",  # The tensor itself has the plain name.
        f"{scope}seen",
        f"{scope}Losses/clone_loss",
        f"{scope}Losses/regularization_loss",
        *names,
        *(f"{name}_norm" for name in names),
    }
    assert tags_of(model.summary_op) == expected
    assert tags_of(tf.summary.merge_all()) == expected | others
    ours = [s for s in tf.get_collection(tf.GraphKeys.SUMMARIES) if "loss" in s.name]
    assert {device(summary.device) for summary in ours} == {"/device:CPU:0"}


def test_gradient_norms_cover_sparse_gradients(graph):
    def model_fn():
        table = slim.model_variable("table", [5, 1])
        tf.losses.add_loss(tf.reduce_sum(tf.nn.embedding_lookup(table, [0, 1, 2, 3])))

    model = model_deploy.deploy(
        DeploymentConfig(clone_on_cpu=True),
        model_fn,
        optimizer=tf.train.GradientDescentOptimizer(0.1),
        summarize_gradients=True,
    )
    values = tf.Summary.FromString(run(model.summary_op)).value
    assert {v.tag: v.simple_value for v in values}["table_gradient_norm"] == 2
