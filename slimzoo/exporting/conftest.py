"""Networks that exports are made of."""

import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory
from slimbase.graph import classic_graph


@pytest.fixture(scope="session")
def lenet(tmp_path_factory):
    """A checkpoint of random weights, and without any facts beside it."""
    path = str(tmp_path_factory.mktemp("lenet") / "model.ckpt")
    _write(path, "lenet", 10, [None, 28, 28, 1])
    return path


@pytest.fixture(scope="session")
def write_network():
    """`f(path, name, classes, shape, decay=None)` writes a network's checkpoint."""
    return _write


def _write(path, name, classes, shape, decay=None):
    """Writes a checkpoint of random weights, or of their moving averages."""
    with classic_graph(seed=3), tf.Session() as session:
        nets_factory.get_network_fn(name, classes)(tf.placeholder(tf.float32, shape))
        if decay:
            average = tf.train.ExponentialMovingAverage(decay)
            average.apply(tf.trainable_variables())
        session.run(tf.global_variables_initializer())
        if decay:  # So that the weights themselves are of no use.
            session.run([v.assign(0 * v) for v in tf.trainable_variables()])
        tf.train.Saver().save(session, path, write_meta_graph=False)
