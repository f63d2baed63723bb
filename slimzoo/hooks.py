"""What happens beside the steps of training."""

import sys
import time

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm
from absl import logging

from slimzoo.errors import UserError


class Progress(tf.train.SessionRunHook):
    """Tells step, loss, speed and learning rate: a bar on a terminal, else lines."""

    def __init__(
        self,
        step: tf.Tensor,
        loss: tf.Tensor,
        learning_rate: tf.Tensor,
        *,
        pictures_per_step: int,
        every_n_steps: int,
        last_step: int | None,
    ):
        self._start = tf.train.get_global_step()
        self._fetches = {"loss": loss, "rate": learning_rate, "step": step}
        self._pictures_per_step = pictures_per_step
        self._every_n_steps = max(1, every_n_steps)
        self._last_step = last_step
        self._bar = None
        self._told = 0, 0.0

    def after_create_session(self, session, coord):
        """Starts the clock at the step that the session starts from."""
        start = int(session.run(self._start))
        self._told = start, time.monotonic()
        if sys.stderr.isatty() and self._bar is None:
            self._bar = tqdm.tqdm(initial=start, total=self._last_step, unit=" steps")

    def before_run(self, run_context):
        """Asks for what is told."""
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        """Tells it, every so many steps."""
        values = run_values.results
        told_step, told_time = self._told
        step = int(values["step"])
        if step - told_step < self._every_n_steps:
            return
        now = time.monotonic()
        speed = (step - told_step) * self._pictures_per_step / (now - told_time)
        self._told = step, now
        line = (
            f"loss {values['loss']:.4f}, {speed:.1f} images/s, "
            f"learning rate {values['rate']:.3g}"
        )
        if self._bar is None:
            of_all = f"/{self._last_step}" if self._last_step else ""
            logging.info("step %d%s: %s", step, of_all, line)
        else:
            self._bar.set_postfix_str(line, refresh=False)
            self._bar.update(step - self._bar.n)

    def end(self, session):
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()


class StopOnNan(tf.train.NanTensorHook):
    """Stops training when the loss is not a number."""

    def after_run(self, run_context, run_values):
        """Checks the loss of the step.

        Raises:
          UserError: the loss is not a number.
        """
        if np.isnan(run_values.results):
            raise UserError(
                "the loss is not a number any more: training has diverged. Try a "
                "lower --learning_rate; the checkpoints before this step are kept."
            )
