import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception, lenet, mobilenet_v1, nets_factory
from slimbase.graph import classic_graph
from slimzoo.training.batch_norm import average_all, freeze, grow_decay

PIXEL = 3.0
# Where the decay stands in a network's arg scope: among the parameters of the
# convolutions' normalizer, or in a scope of batch norm's own.
SCOPES = {
    "normalizer_params": inception.inception_v3_arg_scope,
    "batch_norm scope": mobilenet_v1.mobilenet_v1_arg_scope,
}


def decay_at(step, make_scope):
    """The decay of a convolution's batch norm in a training step, as measured.

    The pictures are constant, so the moving variance falls from 1 to the decay, and
    the moving mean rises from 0 to what is left of the mean.
    """
    with classic_graph():
        global_step = tf.train.create_global_step()
        with slim.arg_scope(grow_decay(make_scope(), global_step)):
            with slim.arg_scope([slim.batch_norm], is_training=True):
                slim.conv2d(
                    tf.constant(PIXEL, shape=[2, 4, 4, 1]),
                    1,
                    [1, 1],
                    weights_initializer=tf.ones_initializer(),
                    scope="layer",
                )
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        mean, variance = (
            slim.get_variables_by_suffix(f"layer/BatchNorm/{name}")[0]
            for name in ("moving_mean", "moving_variance")
        )
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(global_step.assign(step))
            session.run(updates)
            [mean], [variance] = session.run([mean, variance])
    assert mean == pytest.approx((1 - variance) * PIXEL, rel=1e-3)
    return variance


@pytest.mark.parametrize("style", SCOPES)
@pytest.mark.parametrize(
    ("step", "decay"), [(0, 0.1), (10, 0.55), (990, 0.991), (1_000_000, 0.9997)]
)
def test_decay_grows_up_to_that_of_the_scope(style, step, decay):
    assert decay_at(step, SCOPES[style]) == pytest.approx(decay, abs=1e-6)


@pytest.mark.parametrize("style", SCOPES)
def test_decay_of_the_scope_holds_where_it_is_lower(style):
    def make_scope():
        return SCOPES[style](batch_norm_decay=0.25)

    assert decay_at(0, make_scope) == pytest.approx(0.1, abs=1e-6)
    assert decay_at(10, make_scope) == pytest.approx(0.25, abs=1e-6)


def test_scope_that_names_no_decay_has_that_of_slim():
    def make_scope():
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm) as scope:
            return scope

    assert decay_at(10, make_scope) == pytest.approx(0.55, abs=1e-6)
    assert decay_at(1_000_000, make_scope) == pytest.approx(0.999, abs=1e-6)


@pytest.mark.parametrize("style", SCOPES)
def test_given_scope_is_unchanged(style):
    def copied(value):
        if not isinstance(value, dict):
            return value
        return {key: copied(inner) for key, inner in value.items()}

    with classic_graph():
        scope = SCOPES[style]()
        before = copied(scope)
        adapted = grow_decay(scope, tf.train.create_global_step())
        assert scope == before
        assert adapted != before


@pytest.mark.parametrize("style", SCOPES)
def test_all_else_in_the_scope_is_kept(style):
    with classic_graph():
        scope = SCOPES[style]()
        adapted = grow_decay(scope, tf.train.create_global_step())
    assert adapted.keys() == scope.keys() | {slim.arg_scope_func_key(slim.batch_norm)}
    for layer, arguments in scope.items():
        for name, value in arguments.items():
            if name == "normalizer_params":
                assert adapted[layer][name] | {"decay": 0} == value | {"decay": 0}
            elif name != "decay":
                assert adapted[layer][name] == value


def test_network_without_batch_norm_is_as_before():
    logits = []
    for adapt in (lambda scope, step: scope, grow_decay):
        with classic_graph():
            scope = adapt(lenet.lenet_arg_scope(), tf.train.create_global_step())
            with slim.arg_scope(scope):
                output, _ = lenet.lenet(tf.ones([2, 8, 8, 1]))
            names = [variable.op.name for variable in tf.trainable_variables()]
            assert names[::2] == [
                f"LeNet/{layer}/weights" for layer in ("conv1", "conv2", "fc3", "fc4")
            ]
            assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
            with tf.Session() as session:
                for i, variable in enumerate(tf.trainable_variables()):
                    shape = variable.shape.as_list()
                    value = np.random.default_rng(i).normal(0, 0.1, shape)
                    initializer = variable.initializer
                    session.run(initializer, {initializer.inputs[1]: value})
                logits.append(session.run(output))
    np.testing.assert_array_equal(logits[0], logits[1])


@pytest.mark.parametrize("name", ["inception_v3", "mobilenet_v1_025", "resnet_v2_50"])
def test_frozen_batch_norm_is_that_of_inference(name):
    """Whatever the network's own scopes say, inside or outside of it."""
    with classic_graph():
        network_fn = nets_factory.get_network_fn(
            name, 0, is_training=True, adapt_arg_scope=freeze
        )
        network_fn(tf.placeholder(tf.float32, [2, 96, 96, 3]))
        assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        trained = {variable.op.name for variable in tf.trainable_variables()}
        frozen = {v.op.name for v in tf.global_variables()} - trained
        of_batch_norm = {"beta", "gamma", "moving_mean", "moving_variance"}
        assert trained and not {n.split("/")[-1] for n in trained} & of_batch_norm
        assert {name.split("/")[-1] for name in frozen} <= of_batch_norm
        modes = {
            op.get_attr("is_training")
            for op in tf.get_default_graph().get_operations()
            if op.type.startswith("FusedBatchNorm")
        }
        assert modes == {False}


@pytest.mark.parametrize("style", SCOPES)
def test_average_of_all_batches(style):
    random = np.random.RandomState(0)
    batches = random.normal(2, 3, [4, 8, 5, 5, 1]).astype(np.float32)
    with classic_graph():
        images = tf.placeholder(tf.float32, batches.shape[1:])
        count = tf.placeholder(tf.float32, [])
        with slim.arg_scope(average_all(SCOPES[style](), count)):
            with slim.arg_scope([slim.batch_norm], is_training=True):
                ones = tf.ones_initializer()
                slim.conv2d(images, 1, [1, 1], weights_initializer=ones, scope="layer")
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        kept = [
            slim.get_variables_by_suffix(f"layer/BatchNorm/{name}")[0]
            for name in ("moving_mean", "moving_variance")
        ]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run([v.assign(v + 100) for v in kept])  # Of before.
            for i, batch in enumerate(batches):
                session.run(updates, {images: batch, count: i})
            [mean], [variance] = session.run(kept)
    assert mean == pytest.approx(batches.mean(), rel=1e-5)
    within = np.mean([batch.var(ddof=1) for batch in batches])
    assert variance == pytest.approx(within, rel=1e-2)
