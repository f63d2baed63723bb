"""Checkpoints made for a test."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from slimbase.graph import classic_graph


@pytest.fixture
def write_checkpoint(tmp_path: pathlib.Path) -> Callable[..., str]:
    """`f(values, step=None, ...)` writes a checkpoint of values by variable name.

    It goes to `path` below a temporary directory, by default to `train/model.ckpt`,
    with the step behind it; other arguments go to the saver. Gives the prefix.
    """

    def write(
        values: Mapping[str, Any],
        step: int | None = None,
        path: str = "train/model.ckpt",
        write_state: bool = True,
        **saver_arguments: Any,
    ) -> str:
        prefix = tmp_path / path
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with classic_graph(), tf.Session() as session:
            for name, value in values.items():
                tf.get_variable(name, initializer=np.asarray(value, np.float32))
            if step is not None:
                global_step = tf.train.create_global_step()
            session.run(tf.global_variables_initializer())
            if step is not None:
                session.run(global_step.assign(step))
            return tf.train.Saver(**saver_arguments).save(
                session, str(prefix), step, write_state=write_state
            )

    return write
