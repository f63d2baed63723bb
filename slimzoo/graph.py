"""Graphs and sessions as the scripts use them."""

import contextlib
from collections.abc import Iterator

import tensorflow.compat.v1 as tf


@contextlib.contextmanager
def classic_graph(seed: int | None = None) -> Iterator[tf.Graph]:
    """A new default graph whose variables are reference variables.

    TensorFlow's freeze_graph restores variables by name, which resource variables
    do not allow. Conditionals built in it are of the first kind too: those of the
    second would read a reference variable even in the branch that is not taken,
    before it has a value.

    Args:
      seed: of all random operations in the graph.
    """
    with tf.Graph().as_default() as graph, _first_control_flow():
        tf.get_variable_scope().set_use_resource(False)
        if seed is not None:
            tf.set_random_seed(seed)
        yield graph


@contextlib.contextmanager
def _first_control_flow() -> Iterator[None]:
    if not tf.control_flow_v2_enabled():
        yield
        return
    tf.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.enable_control_flow_v2()


def session_config() -> tf.ConfigProto:
    """How sessions run: operations without a kernel on their device move to the CPU."""
    return tf.ConfigProto(allow_soft_placement=True)
