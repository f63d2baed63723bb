import os
import subprocess
import sys

import pytest

from slimbase import testing

PROGRAM = """
import warnings
from slimbase import quiet

quiet.start_tensorflow()
import tensorflow
assert tensorflow.found == ["devices"]
tensorflow.deprecated()
warnings.warn("ours")
"""
TENSORFLOW = """
import os, types, warnings

found = []
config = types.SimpleNamespace(
    list_physical_devices=lambda: (found.append("devices"), log("listed devices"))
)

def log(line):
    os.write(2, line.encode() + b"\\n")

def deprecated():
    warnings.warn("theirs", DeprecationWarning)

log("WARNING: All log messages before absl::InitializeLog() is called are written")
log("I0000 00:00:1763.4 12 port.cc:153] oneDNN custom operations are on")
log("To enable the following instructions: AVX2 FMA, rebuild TensorFlow")
log("E0000 00:00:1763.4 12 cuda_platform.cc:51] failed call to cuInit: INTERNAL")
log("E0000 00:00:1763.4 12 gpu.cc:1] the driver is too old")
log("W0000 00:00:1763.4 12 gpu.cc:2] Cannot dlopen some GPU libraries")
"""


@pytest.fixture
def run(tmp_path):
    """`f(tensorflow)` runs a program with that source in place of TensorFlow."""

    def run_program(tensorflow):
        (tmp_path / "tensorflow.py").write_text(tensorflow)
        return subprocess.run(
            [sys.executable, "-W", "always", "-c", PROGRAM],
            env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{testing.ROOT}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run_program


def test_chatter_is_left_out_and_the_rest_let_through(run):
    result = run(TENSORFLOW)
    assert result.returncode == 0, result.stderr
    logged, ours = result.stderr.splitlines()[:3], result.stderr.splitlines()[3:]
    assert logged == [
        "E0000 00:00:1763.4 12 gpu.cc:1] the driver is too old",
        "W0000 00:00:1763.4 12 gpu.cc:2] Cannot dlopen some GPU libraries",
        "listed devices",
    ]
    assert len(ours) == 1
    assert "ours" in ours[0]


def test_failure_to_start_is_not_hidden(run):
    result = run(TENSORFLOW + "raise ImportError('no such library')")
    assert result.returncode != 0
    assert "the driver is too old" in result.stderr
    assert "no such library" in result.stderr


KERAS = """
import gc, sys
from slimbase import quiet

quiet.start_tensorflow()
assert gc.isenabled()
import tensorflow as tf
print(*(name for name in sys.modules if name.partition(".")[0] in NOT_LOADED))
from slimzoo.evaluation import plots
import matplotlib.pyplot, tensorflow.keras.layers
assert tf.keras.layers.Dense(3)(tf.zeros([1, 2])).shape == (1, 3)
import slimbase.compat, tf_slim, tf_keras
print("all there")
"""


@pytest.mark.slow
def test_keras_and_matplotlib_are_loaded_when_they_are_used():
    not_loaded = "NOT_LOADED = 'keras', 'tf_keras', 'matplotlib', 'sklearn'\n"
    result = testing.run("-c", not_loaded + KERAS)
    assert result.stdout.splitlines() == ["", "all there"]
