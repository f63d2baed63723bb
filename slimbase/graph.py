"""Graphs and sessions as the scripts use them."""

import contextlib
from collections.abc import Iterator

import tensorflow.compat.v1 as tf

from slimbase.errors import UserError, reason


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


@contextlib.contextmanager
def quick_variables() -> Iterator[None]:
    """Makes hashing of a classic graph's variables quick; changes nothing else.

    For each variable of a layer, TensorFlow makes a set of all there are; and for the
    hash of each looks whether it could be one of TF 2, which has none. That is half of
    the time that a network of a thousand variables takes to build.
    """
    compares = getattr(tf.Tensor, "_USE_EQUALITY", False)
    if not compares or tf.executing_eagerly_outside_functions():
        yield
        return
    tf.disable_tensor_equality()  # In a classic graph, there is none anyway.
    try:
        yield
    finally:
        tf.enable_tensor_equality()


def session_config(
    gpu_memory_growth: bool = False, on_cpu: bool = False
) -> tf.ConfigProto:
    """How sessions run: operations without a kernel on their device move to the CPU.

    Args:
      gpu_memory_growth: take GPU memory as it is needed, not all at once.
      on_cpu: leave GPUs alone.
    """
    config = tf.ConfigProto(allow_soft_placement=True)
    if on_cpu:
        config.device_count["GPU"] = 0
    config.gpu_options.allow_growth = gpu_memory_growth
    return config


@contextlib.contextmanager
def explained_memory_errors(batch_size: int) -> Iterator[None]:
    """Turns running out of memory into an error for the user.

    Raises:
      UserError: names the batch size and what to try.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if "OOM" not in error.message:
            raise
        raise UserError(
            f"out of memory at --batch_size={batch_size}: {reason(error.message)}. "
            f"Try --batch_size={max(1, batch_size // 2)} or smaller pictures; on a GPU "
            "that other programs use too, --gpu_memory_growth."
        ) from error
