"""tf_slim works on this TensorFlow: its names, its calls, and its own tests.

As a program, `python -m slimbase.compat_test tf_slim.layers.layers_test` runs one of
the test modules in tf_slim's wheel and prints how many tests ran and which failed, as
JSON.
"""

import ast
import importlib
import inspect
import json
import os
import pathlib
import pkgutil
import re
import subprocess
import sys
import types
import unittest
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim
from packaging.specifiers import SpecifierSet
from tensorflow.python.layers import normalization
from tensorflow.python.ops import array_ops
from tensorflow.python.util.lazy_loader import LazyLoader

from slimbase import compat

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHEEL = pathlib.Path(tf_slim.__file__).parent
SOURCES = sorted(WHEEL.rglob("*.py"))


# The mend


def test_missing_names_are_put_back_and_others_left_alone(monkeypatch):
    monkeypatch.delattr(array_ops, "stack")
    monkeypatch.setattr(array_ops, "unstack", "present")
    compat.put_back()
    assert array_ops.stack is tf.stack
    assert array_ops.unstack == "present"


def test_batch_norm_is_redirected(monkeypatch):
    stale = LazyLoader("normalization", vars(normalization), compat.OLD_BATCH_NORM)
    monkeypatch.setattr(normalization, "normalization", stale)
    compat.redirect_batch_norm()
    assert normalization.BatchNormalization.__module__ == compat.BATCH_NORM
    loaded = normalization.normalization
    compat.redirect_batch_norm()
    assert normalization.normalization is loaded


@pytest.mark.parametrize(
    "row", [("ops.array_ops", "gone", "gone_too"), ("ops.gone", "stack", "stack")]
)
def test_unknown_tensorflow_is_named_in_the_error(row):
    with pytest.raises(ImportError, match=rf"{row[0]}.{row[1]}.* {tf.__version__}"):
        compat.put_back([row])


@pytest.mark.parametrize("home", ["tf_keras.src.gone", "gone.normalization"])
def test_unknown_tf_keras_is_named_in_the_error(home, monkeypatch):
    stale = LazyLoader("normalization", vars(normalization), compat.OLD_BATCH_NORM)
    monkeypatch.setattr(normalization, "normalization", stale)
    with pytest.raises(ImportError, match=rf"needs {home}.* pip install .*tf-keras"):
        compat.redirect_batch_norm(home)


@pytest.mark.slow
def test_import_switches_nothing():
    probe = """
import sys, warnings
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import tensor_shape

def switches():
    return (
        tf.executing_eagerly(), tf.executing_eagerly_outside_functions(),
        tf.resource_variables_enabled(), tf.control_flow_v2_enabled(),
        tensor_shape._TENSORSHAPE_V2_OVERRIDE, tf.get_logger().level,
        list(warnings.filters), dict(__import__("os").environ),
    )

before = switches()
import slimbase.compat
assert "tf_slim" not in sys.modules
import tf_slim
assert switches() == before
assert "tf_keras" not in sys.modules, "slow, and not needed before the first batch norm"
"""
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)


# What tf_slim asks of TensorFlow


def parsed(path: pathlib.Path) -> tuple[ast.Module, dict[str, str]]:
    """The module at `path`, and what each name that it imports stands for."""
    tree = ast.parse(path.read_bytes())
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                known_as = name.asname or name.name.partition(".")[0]
                imported[known_as] = name.name if name.asname else known_as
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for name in node.names:
                if name.name != "*":
                    imported[name.asname or name.name] = f"{node.module}.{name.name}"
    return tree, imported


def full_name(node: ast.expr, imported: dict[str, str]) -> str | None:
    """`tensorflow.python.ops.nn.relu` for `nn.relu`; None for what isn't imported."""
    first, _, rest = ast.unparse(node).partition(".")
    if first in imported and re.fullmatch(r"[\w.]*", rest):
        return f"{imported[first]}.{rest}".removesuffix(".")
    return None


def references(path: pathlib.Path) -> Iterator[str]:
    """The full names of all imported things and their attributes in one source."""
    tree, imported = parsed(path)
    yield from imported.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (name := full_name(node, imported)):
            yield name


def calls(path: pathlib.Path) -> Iterator[tuple[str, ast.Call]]:
    """Calls of imported things by full name, but for those with * or ** arguments."""
    tree, imported = parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := full_name(node.func, imported)):
            starred = any(isinstance(argument, ast.Starred) for argument in node.args)
            if not starred and all(keyword.arg for keyword in node.keywords):
                yield name, node


LIBRARY = [path for path in SOURCES if not path.name.endswith("_test.py")]
by_path = pytest.mark.parametrize(
    "path", LIBRARY, ids=[str(path.relative_to(WHEEL)) for path in LIBRARY]
)


@by_path
def test_every_name_resolves(path):
    missing = set()
    for name in set(references(path)):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError) as error:
            missing.add(str(error))
    assert not missing


@by_path
def test_every_call_fits_the_signature(path):
    misfits = []
    for name, call in calls(path):
        try:
            signature = inspect.signature(pkgutil.resolve_name(name))
        except ValueError:  # a builtin without one
            continue
        keywords = {str(keyword.arg): None for keyword in call.keywords}
        try:
            signature.bind(*call.args, **keywords)
        except TypeError as error:
            misfits.append(f"line {call.lineno}, {name}: {error}")
    assert not misfits


def test_table_has_no_dead_rows():
    asked_for = {name for path in SOURCES for name in references(path)}
    put_back = {
        f"tensorflow.python.{module}.{name}" for module, name, _ in compat.MOVED
    }
    assert put_back <= asked_for


# tf_slim's own tests

TEST_MODULES = [
    ".".join(path.relative_to(WHEEL.parent).with_suffix("").parts)
    for path in SOURCES
    if path.name.endswith("_test.py")
]
FAST = {"tf_slim.ops.arg_scope_test"}
KNOWN_FAILURES = json.loads(
    pathlib.Path(__file__).with_name("tf_slim_known_failures.json").read_text()
)


def known_failures(module_name: str) -> set[str]:
    """Ids of the tests of a module that are listed to fail with this NumPy."""
    return {
        test
        for group in KNOWN_FAILURES
        if np.__version__ in SpecifierSet(group["numpy"])
        for test in group["tests"]
        if test.startswith(f"{module_name}.")
    }


@pytest.mark.parametrize(
    "module_name",
    [
        pytest.param(name, marks=[] if name in FAST else pytest.mark.slow)
        for name in TEST_MODULES
    ],
)
def test_wheel(module_name, tmp_path):
    temporary = {"TMPDIR": str(tmp_path), "TEST_TMPDIR": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-m", "slimbase.compat_test", module_name],
        cwd=ROOT,
        env=os.environ | temporary,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout.splitlines()[-1])
    assert report["run"] > 0
    failed, known = report["failed"], known_failures(module_name)
    new = [failed[test] for test in failed.keys() - known]
    assert not new, "not listed, but failed:\n" + "\n".join(new)
    assert not known - failed.keys(), "listed, but passed: take them off the list"


def test_known_failures_are_listed_once_with_a_reason():
    tests = [test for group in KNOWN_FAILURES for test in group["tests"]]
    assert len(tests) == len(set(tests))
    assert {test.rsplit(".", 2)[0] for test in tests} <= set(TEST_MODULES)
    assert all(group["reason"] and group["tests"] for group in KNOWN_FAILURES)


def run_test_module(module_name: str) -> dict[str, object]:
    """Runs a test module of tf_slim here: how many ran, and the failed with traces."""
    tf.disable_v2_behavior()  # as they were written for
    # One of them takes a decorator of no effect here from nose, which today's Python
    # cannot import.
    nose_tools = types.ModuleType("nose.tools")
    nose_tools.__dict__["nottest"] = lambda function: function
    sys.modules["nose.tools"] = nose_tools
    sys.modules["nose"] = types.ModuleType("nose")

    module = importlib.import_module(module_name)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    failed = {
        getattr(test, "test_case", test).id(): trace  # of a subtest, its test
        for test, trace in result.failures + result.errors
    }
    return {"run": result.testsRun - len(result.skipped), "failed": failed}


if __name__ == "__main__":
    print("\n" + json.dumps(run_test_module(sys.argv.pop())))
