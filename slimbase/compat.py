"""tf_slim 1.1.0 on today's TensorFlow: puts back the names that it looks for.

Importing this module is all there is to do, before or after tf_slim.

tf_slim reaches into private TensorFlow modules whose names have moved since. Each name
is put back from the public API, where it is the same object on TensorFlow 2.16 to 2.21.
Names that are still there are left alone, and nothing else of TensorFlow is changed.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

import tensorflow.compat.v1 as tf
from tensorflow.python.util.lazy_loader import LazyLoader

# Module below tensorflow.python, missing name, its home in tensorflow.compat.v1.
MOVED = (
    ("framework.ops", "IndexedSlices", "IndexedSlices"),
    ("framework.ops", "Tensor", "Tensor"),
    ("ops.array_ops", "stack", "stack"),
    ("ops.array_ops", "unstack", "unstack"),
    ("ops.control_flow_ops", "Assert", "Assert"),
    ("ops.control_flow_ops", "case", "case"),
    ("ops.control_flow_ops", "cond", "cond"),
    ("ops.control_flow_ops", "while_loop", "while_loop"),
    ("ops.variable_scope", "variable", "Variable"),
    # The rest is only used by the tests that tf_slim carries.
    ("ops.variable_scope", "disable_resource_variables", "disable_resource_variables"),
    ("ops.variable_scope", "enable_resource_variables", "enable_resource_variables"),
    ("ops.variable_scope", "resource_variables_enabled", "resource_variables_enabled"),
    ("ops.variables", "VariableV1", "Variable"),
)

# TensorFlow loads its batch norm layer from tf_keras when it is first used.
OLD_BATCH_NORM = "tf_keras.legacy_tf_layers.normalization"
BATCH_NORM = "tf_keras.src.legacy_tf_layers.normalization"


def _unknown(missing: str) -> ImportError:
    return ImportError(
        f"tf_slim needs {missing}, which is not where slimzoo.compat expects it beside "
        f"TensorFlow {tf.__version__}. It knows TensorFlow 2.16 to 2.21 with the "
        "tf-keras of the same minor version: pip install 'tensorflow==2.21.*' "
        "'tf-keras==2.21.*'"
    )


def put_back(moved: Iterable[tuple[str, str, str]] = MOVED) -> None:
    """Sets every name of `moved` that its old module lacks.

    Raises:
      ImportError: a module or a new home is missing, so this TensorFlow is not known.
    """
    for module_name, name, home in moved:
        try:
            module = importlib.import_module(f"tensorflow.python.{module_name}")
            if not hasattr(module, name):
                setattr(module, name, getattr(tf, home))
        except (ImportError, AttributeError) as error:
            raise _unknown(f"tensorflow.python.{module_name}.{name}") from error


def _installed(name: str) -> bool:
    """Whether module `name` exists; unlike `find_spec`, imports no parent package."""
    package, *rest = name.split(".")
    spec = importlib.util.find_spec(package)
    roots = spec.submodule_search_locations if spec else None
    return any(Path(root, *rest).with_suffix(".py").is_file() for root in roots or ())


def redirect_batch_norm(home: str = BATCH_NORM) -> None:
    """Makes TensorFlow's lazy batch norm load `home`, if the old one is gone.

    Raises:
      ImportError: `home` is missing, so this tf-keras is not known.
    """
    layers = "tensorflow.python.layers.normalization"
    try:
        module = importlib.import_module(layers)
        loads = module.normalization.__name__
    except (ImportError, AttributeError) as error:
        raise _unknown(f"{layers}.normalization") from error
    if loads != OLD_BATCH_NORM or _installed(OLD_BATCH_NORM):
        return
    if not _installed(home):
        raise _unknown(home)
    module.normalization = LazyLoader("normalization", vars(module), home)


put_back()
redirect_batch_norm()
