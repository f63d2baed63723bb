"""Computing in fewer bits than variables have.

Grappler, TensorFlow's graph optimizer, rewrites the graph when a session first runs it:
convolutions, matrix products and the operations between them compute in fewer bits,
losses and other sensitive operations in float32. The graph that was built, its
variables and so its checkpoints stay the same. docs/precision.md has speeds and
accuracies.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow.compat.v1 as tf

from slimbase.errors import UserError, unknown
from slimzoo.config.train import TrainConfig
from slimzoo.inference import bfloat16_kernels

# The switch of RewriterConfig for each precision.
_REWRITES = {
    "float32": None,
    "bfloat16": "auto_mixed_precision_onednn_bfloat16",
    "float16": "auto_mixed_precision",
}
# Changes to Grappler's lists of the operations that it computes in bfloat16, for those
# that CPUs are slower at. If all depthwise convolutions suit CPUs, they have the
# gradients of bfloat16_kernels.py, and are faster, too, except with strides.
_FAST_THROUGHOUT = {
    "ALLOWLIST_REMOVE": ("DepthwiseConv2dNativeBackpropInput",),
    "CLEARLIST_ADD": ("Minimum",),
}
_SLOW_IN_PART = {
    "ALLOWLIST_REMOVE": (
        "DepthwiseConv2dNative",
        "DepthwiseConv2dNativeBackpropFilter",
        "DepthwiseConv2dNativeBackpropInput",
    ),
    "CLEARLIST_REMOVE": ("Relu6", "Relu6Grad"),
}
CPU_INFO = pathlib.Path("/proc/cpuinfo")
_FAST_IN_FLOAT16 = (7, 0)  # Compute capability; Grappler leaves other GPUs alone.


def check(config: TrainConfig, on_cpu: bool) -> None:
    """Checks that this machine computes in the precision that `config` asks for.

    Args:
      config: options.
      on_cpu: whether it computes on the CPU, rather than on GPUs.

    Raises:
      UserError: if not, or for an unknown precision.
    """
    if config.precision not in _REWRITES:
        raise unknown(
            f"--precision={config.precision} is unknown", config.precision, _REWRITES
        )
    if config.precision == "bfloat16":
        if config.master:
            # Each worker fuses convolutions before it knows that oneDNN computes them.
            raise UserError(
                "--precision=bfloat16 is for one machine: TensorFlow fails at it in a "
                "cluster, or with --master. Give --precision=float32, or --num_clones"
            )
        _check_bfloat16(on_cpu)
    if config.precision == "float16":
        _check_float16(config, on_cpu)


def check_inference(
    precision: str, is_quantized: bool, runtime: str = "tensorflow"
) -> None:
    """Checks that this machine can use trained networks in `precision`.

    Args:
      precision: as `--precision` takes it.
      is_quantized: whether the network computes as if in 8 bits.
      runtime: the runtime, as `--runtime` takes it.

    Raises:
      UserError: if not.
    """
    if is_quantized and precision != "float32":
        raise UserError(
            f"--precision={precision} does not go with a network that computes as if "
            "in 8 bits, which has to do so in float32"
        )
    if precision not in ("float32", "bfloat16"):
        known = ("float32", "bfloat16")
        raise unknown(f"--precision={precision} is not for inference", precision, known)
    if precision != "bfloat16":
        return
    if runtime == "tensorflow":
        _check_bfloat16(on_cpu=not tf.config.list_physical_devices("GPU"))
    else:
        _check_cpu()


def configure(options: tf.ConfigProto, precision: str) -> tf.ConfigProto:
    """Makes sessions with `options` compute in `precision`; returns `options`.

    Sessions in bfloat16 must run inside of `operation_lists`.
    """
    if rewrite := _REWRITES[precision]:
        rewrites = options.graph_options.rewrite_options
        setattr(rewrites, rewrite, rewrites.ON)
    return options


@contextlib.contextmanager
def building(precision: str) -> Iterator[None]:
    """Gives networks that are built inside gradients that suit `precision`."""
    if precision != "bfloat16":
        yield
        return
    with bfloat16_kernels.fast_gradients(has_amx="amx_bf16" in cpu_flags()):
        yield
    bfloat16_kernels.bound_relu(tf.get_default_graph())


@contextlib.contextmanager
def operation_lists(precision: str) -> Iterator[None]:
    """Keeps operations in float32 that would make the default graph slower.

    Grappler takes its lists of operations from environment variables, whenever a
    session runs something new. Variables that the user has set stay as they are.
    """
    lists = {}
    if precision == "bfloat16":
        graph = tf.get_default_graph()
        fast = bfloat16_kernels.is_fast_throughout(graph)
        lists = _FAST_THROUGHOUT if fast else _SLOW_IN_PART
    wanted = {
        f"TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_{name}": ",".join(operations)
        for name, operations in lists.items()
    }
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def scale_loss(optimizer: tf.train.Optimizer, precision: str) -> tf.train.Optimizer:
    """`optimizer`, scaling the loss up and the gradients down where these are float16.

    Small gradients would be zero in float16. The scale adapts: a step whose gradients
    overflow halves it, changes no trained variable and does not count.
    """
    if precision != "float16":
        return optimizer

    def make_local(make: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        # The scale is no part of checkpoints, which are the same in each precision.
        return make(**{**arguments, "collections": [tf.GraphKeys.LOCAL_VARIABLES]})

    with tf.variable_creator_scope(make_local):
        scale = tf.mixed_precision.DynamicLossScale()
    return _LossScaling(optimizer, scale)


class _LossScaling(tf.mixed_precision.MixedPrecisionLossScaleOptimizer):
    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor | None, tf.Variable]],
        global_step: tf.Variable | None = None,
        name: str | None = None,
    ) -> tf.Operation:
        pairs = list(grads_and_vars)
        # If they were made in the conditional around the optimizer, some of its
        # variables would have other names in checkpoints than in float32.
        self._optimizer._create_slots([v for grad, v in pairs if grad is not None])
        return super().apply_gradients(pairs, global_step, name)


def _check_bfloat16(on_cpu: bool) -> None:
    if not on_cpu:
        raise UserError(
            "--precision=bfloat16 is for CPUs: TensorFlow's rewrite leaves GPUs in "
            "float32. Give --precision=float16 (in training) or float32, or "
            "--clone_on_cpu"
        )
    _check_cpu()
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() in ("0", "false"):
        raise UserError(
            "--precision=bfloat16 needs oneDNN, which TF_ENABLE_ONEDNN_OPTS turns "
            "off: unset that variable, or give --precision=float32"
        )


def _check_cpu() -> None:
    if not cpu_flags() & {"avx512_bf16", "amx_bf16"}:
        raise UserError(
            "--precision=bfloat16 needs a CPU with AVX512-BF16 or AMX, and "
            f"{CPU_INFO} tells of neither: it would be slower, or fail. Give "
            "--precision=float32"
        )


def _check_float16(config: TrainConfig, on_cpu: bool) -> None:
    if on_cpu:
        raise UserError(
            "--precision=float16 needs a GPU, and this trains on the CPU. Give "
            "--precision=bfloat16, for CPUs with AVX512-BF16 or AMX, or float32"
        )
    if config.sync_replicas:
        raise UserError(
            "--precision=float16 does not go with --sync_replicas, which has no place "
            "for steps that overflow and so do not count. Give --precision=float32, or "
            "leave out --sync_replicas"
        )
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        capability = details.get("compute_capability", _FAST_IN_FLOAT16)
        if capability < _FAST_IN_FLOAT16:
            raise UserError(
                "--precision=float16 needs GPUs of compute capability "
                f"{_dotted(_FAST_IN_FLOAT16)}, and {details.get('device_name')} has "
                f"{_dotted(capability)}: give --precision=float32"
            )


def cpu_flags() -> set[str]:
    """The words of the kernel's description of the CPU, its features among them."""
    if not CPU_INFO.exists():
        return set()
    return set(CPU_INFO.read_text().split())


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
