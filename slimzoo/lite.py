"""LiteRT (TensorFlow Lite), wherever this TensorFlow has its interpreter."""

import os
import warnings
from typing import Any


def interpreter(path: str | None = None, content: bytes | None = None) -> Any:
    """The interpreter of a model in a file or in memory; tensors not yet allocated.

    Raises:
      ValueError: when it is no such model.
    """
    import tensorflow as tf2

    model = {"model_path": path, "model_content": content}
    threads = os.cpu_count() or 1
    with warnings.catch_warnings():  # That it will move to the package below.
        warnings.simplefilter("ignore")
        if hasattr(tf2, "lite"):
            return tf2.lite.Interpreter(**model, num_threads=threads)
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(**model, num_threads=threads)
