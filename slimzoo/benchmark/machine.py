"""Describes the machine, and measures its peak speed and a network's multiply-adds."""

import importlib.metadata
import platform
import time
from typing import Any

import tensorflow.compat.v1 as tf

from nets.nets_factory import NETWORKS, get_network_fn
from slimbase.graph import classic_graph, session_config
from slimzoo.benchmark.clock import Answer, Clock, Request, cores
from slimzoo.inference import precision
from slimzoo.zoo import complexity

_SHOWN_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_PACKAGES = ("tensorflow", "tf-keras", "tf-slim", "keras", "numpy")
_SIDES = (4096, 2048)  # Sides of the matrices; the second if the first takes long.
_LONG = 5.0  # Seconds.
_PRODUCTS = 5


def describe() -> dict[str, Any]:
    """The CPU's name, the cores of this process, CPU flags that matter, versions."""
    path = precision.CPU_INFO
    lines = path.read_text().splitlines() if path.exists() else []
    cpu = {
        key.strip(): value.strip()
        for key, _, value in (s.partition(":") for s in lines)
    }
    flags = precision.cpu_flags()
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "family": f"{cpu.get('cpu family', '?')}, model {cpu.get('model', '?')}",
        "cores": len(cores()),
        "flags": [flag for flag in _SHOWN_FLAGS if flag in flags],
        "lacks": [flag for flag in _SHOWN_FLAGS if flag not in flags],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def measure_peak(request: Request, clock: Clock) -> Answer:
    """GFLOP/s of a product of square matrices in a precision, the best of a few."""
    kind = tf.as_dtype(request["precision"])
    best = 0.0
    for side in _SIDES:
        with tf.Graph().as_default(), tf.Session(config=session_config()) as session:
            factors = [
                tf.Variable(tf.cast(tf.random_uniform([side, side], seed=i), kind))
                for i in (1, 2)
            ]
            session.run(tf.global_variables_initializer())
            product = tf.matmul(*factors).op
            times = []
            while len(times) < _PRODUCTS and sum(times) < _LONG:
                start = time.perf_counter()
                session.run(product)
                times.append(time.perf_counter() - start)
        best = 2 * side**3 / min(times) / 1e9
        if len(times) > 1:  # The first time includes what happens only once.
            break
    return {"gflops": best, "side": side}


def measure_count(request: Request, clock: Clock) -> Answer:
    """Multiply-adds for one image of the request's size."""
    network = NETWORKS[request["model_name"]]
    shape = [1, *request["image_size"], network.channels]
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, shape)
        logits, _ = get_network_fn(network.name, network.classes)(images)
        return {"multiply_adds": complexity.multiply_adds(graph, logits)}
