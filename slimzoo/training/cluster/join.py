"""The processes and devices that train together.

A cluster has parameter servers, which hold the variables, and workers, which compute
on batches of their own. Worker 0 is the chief: it gives the variables their first
values, or restores them, and writes checkpoints. See docs/distributed.md.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import socket
import stat
import threading
import time

import tensorflow.compat.v1 as tf
from absl import logging

from deployment import model_deploy
from slimbase import graph
from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig
from slimzoo.training.cluster import place as cluster_place
from slimzoo.training.cluster.finished import Finished
from slimzoo.training.cluster.place import Place

_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|\[::1\]")
_POLL_SECS = 1
_FAREWELL_SECS = 10
_servers: list[tf.train.Server] = []  # Each lives as long as the process.


def join(config: TrainConfig) -> TrainConfig | None:
    """Joins the cluster that `config`, or else TF_CONFIG, describes, if any.

    In the process of a parameter server, it returns when all workers have finished.

    Returns:
      `config` with the address of this process's server and its place in the cluster;
      None when this process was a parameter server.

    Raises:
      UserError: for an impossible cluster, or when the server cannot start.
    """
    place = cluster_place.find(config, os.environ.get("TF_CONFIG"))
    if place is None:
        return config
    if place.job == "ps":
        # The server has nothing to save, and may be within TensorFlow, where Python's
        # handler has to wait.
        with contextlib.suppress(ValueError):  # Only the main thread may.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    server = _start_server(place, session_config(config))
    if place.job == "ps":
        _serve(server, place)
        return None
    return dataclasses.replace(
        config,
        master=server.target,
        job_name=place.job,
        task=place.task,
        ps_hosts=",".join(place.hosts["ps"]),
        worker_hosts=",".join(place.hosts["worker"]),
        num_ps_tasks=len(place.hosts["ps"]),
        worker_replicas=len(place.hosts["worker"]),
    )


def finish(config: TrainConfig) -> None:
    """Reports to the parameter servers, if there are any, that this worker is done.

    Servers end when all workers are done, and the other workers end when the chief is.
    A server that cannot be reached is left alone.

    Args:
      config: options that `join` returned.
    """
    if config.job_name is None:
        return
    farewells = [
        threading.Thread(target=_say_farewell, args=(config, server), daemon=True)
        for server in range(config.num_ps_tasks)
    ]
    for thread in farewells:
        thread.start()
    for thread in farewells:  # TensorFlow would wait for a server that is gone.
        thread.join(_FAREWELL_SECS)


def hooks(config: TrainConfig, step: tf.Tensor) -> list[tf.train.SessionRunHook]:
    """The hooks of a worker; `step` is the step reached."""
    return [_Attendance(config, step)] if config.job_name else []


class _Attendance(tf.train.SessionRunHook):
    """Reports that this worker is back, and ends training when the chief has."""

    def __init__(self, config: TrainConfig, step: tf.Tensor):
        """Acts for the worker of `config`, after each `step`."""
        self._config = config
        self._step = step
        self._was_here = False

    def begin(self):
        """Makes the operations."""
        task, servers = self._config.task, range(self._config.num_ps_tasks)
        self._come_back = [Finished(server).remove(task) for server in servers]
        with tf.control_dependencies([self._step]):
            self._is_over = Finished(0).has(0)

    def after_create_session(
        self, session: tf.Session, coord: tf.train.Coordinator
    ) -> None:
        """Reports that this worker is back."""
        session.run(self._come_back)
        if self._was_here:
            step = session.run(tf.train.get_global_step())
            logging.warning(
                "WARNING: a parameter server was lost; training goes on from the "
                f"latest checkpoint, at step {step}"
            )
        self._was_here = True

    def before_run(
        self, run_context: tf.train.SessionRunContext
    ) -> tf.train.SessionRunArgs:
        """Asks whether the chief has finished."""
        return tf.train.SessionRunArgs(self._is_over)

    def after_run(
        self,
        run_context: tf.train.SessionRunContext,
        run_values: tf.train.SessionRunValues,
    ) -> None:
        """Ends training if the chief has finished."""
        if run_values.results:
            run_context.request_stop()


def deployment(config: TrainConfig) -> model_deploy.DeploymentConfig:
    """The devices of clones, variables and input.

    Raises:
      UserError: when there are fewer GPUs than clones.
    """
    on_cpu = config.clone_on_cpu
    computes_elsewhere = config.master and not config.job_name
    if not (on_cpu or computes_elsewhere):
        gpus = len(tf.config.list_physical_devices("GPU"))
        if gpus == 0:
            logging.info("There is no GPU: training on the CPU, as with --clone_on_cpu")
            on_cpu = True
        elif gpus < config.num_clones:
            raise UserError(
                f"--num_clones={config.num_clones} needs as many GPUs, but there are "
                f"{gpus}; give fewer clones, or --clone_on_cpu"
            )
    return model_deploy.DeploymentConfig(
        num_clones=config.num_clones,
        clone_on_cpu=on_cpu,
        replica_id=config.task,
        num_replicas=config.worker_replicas,
        num_ps_tasks=config.num_ps_tasks,
    )


def session_config(config: TrainConfig) -> tf.ConfigProto:
    """The options of the sessions of training.

    With parameter servers, sessions see the servers and their own worker. Otherwise
    TensorFlow waits for other workers too, and ends a step when one of them is lost.
    """
    options = graph.session_config(config.gpu_memory_growth)
    if config.num_ps_tasks:
        options.device_filters.extend(["/job:ps", f"/job:worker/task:{config.task}"])
    return options


def _say_farewell(config: TrainConfig, server: int) -> None:
    filters = [f"/job:ps/task:{server}", f"/job:worker/task:{config.task}"]
    options = tf.ConfigProto(device_filters=filters)
    with tf.Graph().as_default():
        farewell = Finished(server).add(config.task)
        if config.sync_replicas and config.task == server == 0:
            farewell = _release_waiting(config.worker_replicas, after=farewell)
        with contextlib.suppress(tf.errors.UnavailableError):
            with tf.Session(config.master, config=options) as session:
                session.run(farewell)


def _release_waiting(workers: int, after: tf.Operation) -> tf.Operation:
    """Releases the workers that wait for the chief to apply their gradients."""
    with tf.device("/job:ps/task:0/device:CPU:0"), tf.control_dependencies([after]):
        tokens = tf.FIFOQueue(-1, tf.int64, [], shared_name="sync_token_q")
        return tokens.enqueue_many([tf.zeros([workers], tf.int64)])


def _start_server(place: Place, options: tf.ConfigProto) -> tf.train.Server:
    host, _, port = place.address.rpartition(":")
    if place.job == "ps":
        options.device_count["GPU"] = 0  # A parameter server does not compute.
    try:
        server = tf.train.Server(
            tf.train.ClusterSpec(place.hosts),
            job_name=place.job,
            task_index=place.task,
            config=options,
            start=False,
        )
    except tf.errors.UnknownError as error:
        raise UserError(
            f"cannot listen on port {port}, for {place.address}: another process "
            "seems to use it"
        ) from error
    # TensorFlow listens on all of the machine's addresses, whatever the host.
    narrow = _LOOPBACK.fullmatch(host) and _keep_to_loopback(int(port))
    server.start()
    _servers.append(server)
    _log_place(place, port, bool(narrow))
    return server


def _log_place(place: Place, port: str, narrow: bool) -> None:
    job = "parameter server" if place.job == "ps" else "worker"
    workers, servers = (", ".join(place.hosts[each]) for each in ("worker", "ps"))
    reach = "this machine alone" if narrow else "all of this machine's addresses"
    logging.info(
        f"This is {job} {place.task} of a cluster with workers {workers} and parameter "
        f"servers {servers}; it listens on port {port} of {reach}"
    )
    if not narrow:
        logging.warning(
            f"WARNING: whoever reaches port {port} can run anything here, without a "
            "password: keep it off open networks"
        )


def _keep_to_loopback(port: int) -> bool:
    """Takes this process's server on `port` off the network; returns the success.

    TensorFlow has no option for it, but Linux has.
    """
    device = getattr(socket, "SO_BINDTODEVICE", None)
    if device is None:
        return False
    done = False
    for path in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # No socket, closed, or not permitted.
            if not stat.S_ISSOCK(path.stat().st_mode):
                continue
            with socket.socket(fileno=os.dup(int(path.name))) as ours:
                listens = ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and ours.getsockname()[1] == port:
                    ours.setsockopt(socket.SOL_SOCKET, device, b"lo")
                    done = True
    return done


def _serve(server: tf.train.Server, place: Place) -> None:
    """Waits until all workers have finished."""
    workers = len(place.hosts["worker"])
    options = tf.ConfigProto(device_filters=[f"/job:ps/task:{place.task}"])
    with tf.Graph().as_default():
        finished = Finished(place.task).count()
        with tf.Session(server.target, config=options) as session:
            while session.run(finished) < workers:
                time.sleep(_POLL_SECS)  # Not in TensorFlow: signals must arrive.
    logging.info("All workers have finished")
