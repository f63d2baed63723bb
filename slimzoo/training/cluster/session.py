"""How the sessions of several workers start, go together and end."""

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
# Left for a step to end: the chief's, which then writes a checkpoint, and another
# worker's, for which the chief waits with sync_replicas.
_CHIEF_GRACE_SECS = 30
_SYNC_GRACE_SECS = 15
_GRACE_SECS = 5


class WaitForChief(tf.train.SessionCreator):
    """Makes the sessions of the other workers, as soon as the chief has made its own.

    `tf.train.WorkerSessionCreator` does too, but looks every 30 seconds only, says
    nothing meanwhile and gives up after half an hour.
    """

    def __init__(
        self, master: str, scaffold: tf.train.Scaffold, options: tf.ConfigProto
    ):
        """Makes sessions of `master` with `options`."""
        self._master = master
        self._scaffold = scaffold
        self._options = options

    def create_session(self):
        """Waits for the variables to have values; gives a session."""
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

    That one's own hook closes the queue that the workers wait at when the chief stops,
    so that a chief that comes back cannot go on, and ends with a stack trace.
    """

    def __init__(self, optimizer: tf.train.SyncReplicasOptimizer, is_chief: bool):
        """Starts `optimizer`, whose gradients must be applied in the graph."""
        self._optimizer = optimizer
        self._is_chief = is_chief

    def begin(self):
        """Makes the operations."""
        # Sessions are ready when they are made; TensorFlow would tell of a tensor that
        # is not used.
        self._optimizer.ready_for_local_init_op.mark_used()
        if self._is_chief:
            self._start = [
                self._optimizer.chief_init_op,
                self._optimizer.get_init_tokens_op(),
            ]
            [self._apply] = self._optimizer.get_chief_queue_runner().enqueue_ops
        else:
            self._start = [self._optimizer.local_step_init_op]

    def after_create_session(self, session, coord):
        """Starts at the session's step."""
        for operation in self._start:
            session.run(operation)
        if self._is_chief:
            thread = threading.Thread(
                target=self._keep_applying, args=(session, coord), daemon=True
            )
            thread.start()

    def _keep_applying(self, session, coord):
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
    """Whether a worker works on when it is told to stop, until `ending_when_blocked`.

    Where all are told at once, the chief cannot end its step without the others.
    """
    return config.task > 0 and config.sync_replicas


@contextlib.contextmanager
def ending_when_blocked(config: TrainConfig, stop_on_signals: Any) -> Iterator[None]:
    """Ends a worker some time after a signal that finds it waiting for others.

    Python's handlers of signals run between two operations of Python; a process that
    waits in TensorFlow, for a server that is not there, never comes to the next one. A
    second signal ends it at once.

    Args:
      config: as `cluster.join` gave it.
      stop_on_signals: has a `reason` as soon as the handler has run.
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

    def watch():
        number = arrivals.recv(1)
        if not number:
            return
        arrivals.settimeout(grace_secs)
        with contextlib.suppress(TimeoutError):
            if not arrivals.recv(1):
                return
        if not stop_on_signals.reason or leaves_late(config):
            logging.warning(
                "%s: ending in the middle of a step, without a checkpoint",
                signal.Signals(number[0]).name,
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
