"""The sessions of several workers: their start, their common steps, their end."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import tensorflow.compat.v1 as tf
from absl import logging

from slimzoo.config.train import TrainConfig

_POLL_SECS = 1
# Time for a step to end: the chief then writes a checkpoint; with sync_replicas, it
# waits for the other workers' steps.
_CHIEF_GRACE_SECS = 30
_SYNC_GRACE_SECS = 15
_GRACE_SECS = 5


class WaitForChief(tf.train.SessionCreator):
    """Makes the sessions of the other workers, as soon as the chief has made its own.

    `tf.train.WorkerSessionCreator` does the same, but looks only every 30 seconds, logs
    nothing meanwhile and gives up after half an hour.
    """

    def __init__(
        self, master: str, scaffold: tf.train.Scaffold, options: tf.ConfigProto
    ):
        """Makes sessions of `master` with `options`."""
        self._master = master
        self._scaffold = scaffold
        self._options = options

    def create_session(self) -> tf.Session:
        """Waits until the variables have values; gives a session."""
        self._scaffold.finalize()
        logging.info("Waiting for the parameter servers and the chief")
        manager = tf.train.SessionManager(
            local_init_op=self._scaffold.local_init_op,
            ready_op=self._scaffold.ready_op,
            ready_for_local_init_op=self._scaffold.ready_for_local_init_op,
            recovery_wait_secs=_POLL_SECS,
        )
        return manager.wait_for_session(self._master, config=self._options)


class SyncReplicas(tf.train.SessionRunHook):
    """Makes the chief apply the gradients that a `SyncReplicasOptimizer` collects.

    When the chief stops, the optimizer's own hook closes the queue at which workers
    wait, so that a chief that comes back cannot go on; and it ends with a stack trace.
    """

    def __init__(self, optimizer: tf.train.SyncReplicasOptimizer, is_chief: bool):
        """Starts `optimizer`, whose gradients must be applied in the graph."""
        self._optimizer = optimizer
        self._is_chief = is_chief

    def begin(self):
        """Makes the operations."""
        # Sessions are ready when they are made; TensorFlow would warn that a tensor is
        # not used.
        self._optimizer.ready_for_local_init_op.mark_used()
        if self._is_chief:
            self._start = [
                self._optimizer.chief_init_op,
                self._optimizer.get_init_tokens_op(),
            ]
            [self._apply] = self._optimizer.get_chief_queue_runner().enqueue_ops
        else:
            self._start = [self._optimizer.local_step_init_op]

    def after_create_session(
        self, session: tf.Session, coord: tf.train.Coordinator
    ) -> None:
        """Starts at the session's step."""
        for operation in self._start:
            session.run(operation)
        if self._is_chief:
            thread = threading.Thread(
                target=self._keep_applying, args=(session, coord), daemon=True
            )
            thread.start()

    def _keep_applying(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        apply = session.make_callable(self._apply)
        try:
            while not coord.should_stop():
                apply()
        except tf.errors.CancelledError:  # The session has been closed.
            pass
        except tf.errors.OpError as error:
            with contextlib.suppress(type(error)):  # Raised again if all has stopped.
                coord.request_stop(error)


def leaves_late(config: TrainConfig) -> bool:
    """Whether a worker works on after a signal, until `ending_when_blocked`.

    Where all workers get a signal at once, the chief needs the others to end its step.
    """
    return config.task > 0 and config.sync_replicas


@contextlib.contextmanager
def ending_when_blocked(config: TrainConfig, stop_on_signals: Any) -> Iterator[None]:
    """Ends a worker some time after a signal that finds it waiting for others.

    Python's handlers of signals run between two operations of Python; a process that
    waits in TensorFlow for a server that is not there never reaches the next one. A
    second signal ends it at once.

    Args:
      config: options that `join.join` returned.
      stop_on_signals: hook of `hooks.stopping_on_signals`, with a `reason` as soon as
        the handler has run.
    """
    grace_secs = _SYNC_GRACE_SECS if config.sync_replicas else _GRACE_SECS
    if config.task == 0:
        grace_secs = _CHIEF_GRACE_SECS
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (config.master and in_main_thread):
        yield
        return
    arrivals, sender = socket.socketpair()
    sender.setblocking(False)

    def watch() -> None:
        number = arrivals.recv(1)
        if not number:
            return
        arrivals.settimeout(grace_secs)
        with contextlib.suppress(TimeoutError):
            if not arrivals.recv(1):
                return
        if not stop_on_signals.reason or leaves_late(config):
            logging.warning(
                f"{signal.Signals(number[0]).name}: ending in the middle of a step, "
                "without a checkpoint"
            )
            os._exit(128 + number[0])

    previous = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        sender.close()
        thread.join()
        arrivals.close()
