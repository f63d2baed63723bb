"""Starts TensorFlow without its chatter, and without modules that it need not load."""

import contextlib
import gc
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

# Information, and that there is no GPU driver; TF_CPP_MIN_LOG_LEVEL does not hold for
# what is logged while the libraries load.
_CHATTER = re.compile(
    rb"^(I\d{4} .*|To enable the following instructions.*"
    rb"|WARNING: All log messages before absl::InitializeLog.*"
    rb"|E\d{4} .*failed call to cuInit.*)\n",
    re.MULTILINE,
)


def start_tensorflow() -> None:
    """Imports TensorFlow and finds its devices; what it logs passes a filter.

    Warnings and errors still reach standard error; deprecations within TensorFlow,
    which the user cannot fix, do not. Keras is not loaded before it is used.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            with _without_keras(), _without_collection():
                import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            os.write(2, _CHATTER.sub(b"", captured.read()))
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tensorflow|tf_keras|tf_slim)\b")


class _NoKeras:
    """A finder of modules that makes the import of Keras fail.

    Keras itself is found, as TensorFlow looks where it is; what it imports first is
    not, so that nothing of it stays behind.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> None:
        if name in ("keras.src", "tf_keras.src"):
            raise ModuleNotFoundError(f"{name} is not imported yet", name=name)


@contextlib.contextmanager
def without_information() -> Iterator[None]:
    """Silences messages below warnings, as of a part that another one reports on."""
    from absl import logging as absl_logging

    logger = absl_logging.get_absl_logger()
    verbosity, level = absl_logging.get_verbosity(), logger.level
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        yield
    finally:
        absl_logging.set_verbosity(verbosity)
        logger.setLevel(level)  # A program may have set another.


@contextlib.contextmanager
def _without_keras() -> Iterator[None]:
    """Keeps TensorFlow's import from importing Keras, and with it matplotlib.

    Graphs need neither, and `tf.keras` imports Keras when it is used.
    """
    finder = _NoKeras()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Switches the garbage collector off during the import, as modules stay anyway."""
    if not gc.isenabled() or "tensorflow" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
