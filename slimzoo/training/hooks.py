"""Hooks of training: progress, checkpoints, and reasons to stop."""

import contextlib
import math
import pathlib
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm
from absl import logging

from slimbase.errors import UserError
from slimzoo.model import checkpoints
from slimzoo.model.history import History


class Progress(tf.train.SessionRunHook):
    """Shows progress as a bar on a terminal, else in log lines; adds to metrics.csv."""

    def __init__(
        self,
        step: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
        *,
        images_per_step: int,
        every_n_steps: int,
        last_step: int | None,
        history: History | None = None,
    ):
        """Shows scalars of the step.

        Args:
          step: step reached.
          scalars: loss, accuracy, learning_rate and data_wait; see `TrainGraph`.
          images_per_step: images per step, for the speed.
          every_n_steps: steps from one line to the next.
          last_step: step at which training will end; None if it will not.
          history: rows to which each line is added; None to add none.
        """
        self._start = tf.train.get_global_step()
        self._fetches = {**scalars, "step": step}
        self._images_per_step = images_per_step
        self._every_n_steps = every_n_steps
        self._last_step = last_step
        self._history = history
        self._bar = None
        self._step, self._time, self._waited = 0, 0.0, 0.0

    def after_create_session(
        self, session: tf.Session, coord: tf.train.Coordinator
    ) -> None:
        """Starts the clock at the step that the session starts from."""
        self._step, self._time = int(session.run(self._start)), time.monotonic()
        if self._history:
            self._history.forget_after(self._step)
        if sys.stderr.isatty() and self._bar is None:
            self._bar = tqdm.tqdm(
                initial=self._step, total=self._last_step, unit=" steps"
            )

    def before_run(
        self, run_context: tf.train.SessionRunContext
    ) -> tf.train.SessionRunArgs:
        """Asks for the scalars."""
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(
        self,
        run_context: tf.train.SessionRunContext,
        run_values: tf.train.SessionRunValues,
    ) -> None:
        """Shows the scalars, every so many steps."""
        values = {key: value.item() for key, value in run_values.results.items()}
        step = values["step"]
        self._waited += values["data_wait"]
        if step - self._step < self._every_n_steps:
            return
        now = time.monotonic()
        seconds = now - self._time
        speed = (step - self._step) * self._images_per_step / seconds
        values |= {
            "images_per_second": speed,
            "data_wait": min(1.0, self._waited / seconds),
        }
        self._show(values, seconds / (step - self._step))
        if self._history:
            self._history.add(split="", **values)
        self._step, self._time, self._waited = step, now, 0.0

    def _show(self, values: Mapping[str, Any], seconds_per_step: float) -> None:
        line = (
            f"loss {values['loss']:.4f}, accuracy {values['accuracy']:.1%}, "
            f"{values['images_per_second']:.1f} images/s, "
            f"data wait {values['data_wait']:.0%}, "
            f"learning rate {values['learning_rate']:.3g}"
        )
        step = values["step"]
        if self._bar is not None:
            self._bar.set_postfix_str(line, refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._last_step:
            left = (self._last_step - step) * seconds_per_step
            left = tqdm.tqdm.format_interval(max(0, left))
            logging.info(f"step {step}/{self._last_step}: {line}, {left} left")
        else:
            logging.info(f"step {step}: {line}")

    def end(self, session: tf.Session) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()


class StopOnNan(tf.train.SessionRunHook):
    """Stops training when the loss is not a finite number."""

    def __init__(self, loss: tf.Tensor, train_dir: str):
        """Checks `loss` after each step; checkpoints are in `train_dir`."""
        self._fetches = {"loss": loss, "step": tf.train.get_global_step()}
        self._train_dir = train_dir

    def before_run(
        self, run_context: tf.train.SessionRunContext
    ) -> tf.train.SessionRunArgs:
        """Asks for the loss."""
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(
        self,
        run_context: tf.train.SessionRunContext,
        run_values: tf.train.SessionRunValues,
    ) -> None:
        """Checks the loss of the step.

        Raises:
          UserError: the loss is not a finite number.
        """
        values = run_values.results
        if not np.isfinite(values["loss"]):
            last = checkpoints.latest(self._train_dir)
            raise UserError(
                f"the loss is {values['loss']} at step {values['step']}: training has "
                "diverged. Try a lower --learning_rate, or --clip_gradient_norm; the "
                f"last checkpoint from before is {last}."
            )


class SaveCheckpoints(tf.train.SessionRunHook):
    """Writes a checkpoint at the start, every so often, and at the end.

    Where training resumes, TensorFlow's own hook writes the checkpoint again that is
    there: a process that dies meanwhile leaves no good one. This hook does not.
    """

    def __init__(
        self,
        directory: str,
        saver: tf.train.Saver,
        *,
        every_secs: int,
        every_steps: int | None = None,
        after_save: Callable[[int], bool] = lambda step: False,
    ):
        """Saves to `directory`/model.ckpt-STEP with `saver`.

        Args:
          directory: directory of the checkpoints.
          saver: saver of all variables.
          every_secs: time between checkpoints; 0 for only the first and the last.
          every_steps: steps between checkpoints, in addition to `every_secs`.
          after_save: function of the step, called after each checkpoint but the first;
            returns whether training shall end.
        """
        self._directory = directory
        self._saver = saver
        self._every_secs = every_secs or math.inf
        self._every_steps = every_steps or math.inf
        self._after_save = after_save
        self._step = tf.train.get_global_step()
        self._saved_step, self._saved_time = 0, 0.0

    def after_create_session(
        self, session: tf.Session, coord: tf.train.Coordinator
    ) -> None:
        """Saves the values that training starts from, if `directory` lacks them."""
        step = int(session.run(self._step))
        own = checkpoints.latest(self._directory)
        if own is None or checkpoints.step_of(own) != step:
            tf.train.write_graph(session.graph, self._directory, "graph.pbtxt")
            self._write(session, step)
        self._saved_step, self._saved_time = step, time.monotonic()

    def before_run(
        self, run_context: tf.train.SessionRunContext
    ) -> tf.train.SessionRunArgs:
        """Asks for the step."""
        return tf.train.SessionRunArgs(self._step)

    def after_run(
        self,
        run_context: tf.train.SessionRunContext,
        run_values: tf.train.SessionRunValues,
    ) -> None:
        """Saves when it is time to."""
        # The value fetched may be from before this step, or after other workers' steps.
        if not self._is_due(int(run_values.results) + 1):
            return
        session = run_context.session
        if self._is_due(int(session.run(self._step))) and self._save(session):
            run_context.request_stop()

    def _is_due(self, step: int) -> bool:
        late = time.monotonic() - self._saved_time >= self._every_secs
        return late or step // self._every_steps > self._saved_step // self._every_steps

    def end(self, session: tf.Session) -> None:
        """Saves the last step."""
        self._save(session)

    def _save(self, session: tf.Session) -> bool:
        """Saves the step, unless it is saved; returns whether training shall end."""
        step = int(session.run(self._step))
        if step == self._saved_step:
            return False
        self._write(session, step)
        self._saved_step = step
        is_enough = self._after_save(step)
        self._saved_time = time.monotonic()
        return is_enough

    def _write(self, session: tf.Session, step: int) -> None:
        prefix = str(pathlib.Path(self._directory) / "model.ckpt")
        self._saver.save(session, prefix, step)


class _StopOnSignals(tf.train.SessionRunHook):
    """Ends training after the current step when a signal has asked for it."""

    reason: str | None = None

    def after_run(
        self,
        run_context: tf.train.SessionRunContext,
        run_values: tf.train.SessionRunValues,
    ) -> None:
        """Ends training, which writes a checkpoint."""
        if self.reason:
            run_context.request_stop()


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[_StopOnSignals]:
    """Gives a hook that ends training with a checkpoint on SIGTERM and Ctrl-C.

    A second signal ends the process at once.
    """
    hook = _StopOnSignals()
    previous = {}

    def stop(number: int, frame: types.FrameType | None) -> None:
        hook.reason = f"Stopped by {signal.Signals(number).name}"
        logging.warning(f"{hook.reason}: saving; once more ends at once")
        for each, handler in previous.items():
            signal.signal(each, handler)

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # Only the main thread may.
            previous[number] = signal.signal(number, stop)
    try:
        yield hook
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
