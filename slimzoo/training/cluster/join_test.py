"""Clusters of processes on this machine; most as people run them."""

import contextlib
import json
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.testing import ROOT
from slimzoo.config.train import TrainConfig
from slimzoo.model import checkpoints
from slimzoo.training.cluster import join as cluster

SYNC = ("--sync_replicas", "--replicas_to_aggregate=2")
PATIENCE_SECS = 120


def free_addresses(count):
    """Addresses of this machine, below the ports that systems hand out themselves."""
    found = []
    while len(found) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            found.append(f"localhost:{port}")
    return found


# In this process.


def configs(workers=2, **options):
    """The output of each worker, then that of the parameter server."""
    ps, *hosts = free_addresses(1 + workers)
    options |= {"ps_hosts": ps, "worker_hosts": ",".join(hosts)}
    return [
        *(TrainConfig(job_name="worker", task=i, **options) for i in range(workers)),
        TrainConfig(job_name="ps", **options),
    ]


def join(config):
    """The config of a worker that has joined."""
    joined = cluster.join(config)
    assert joined is not None
    return joined


@pytest.fixture
def parameter_server():
    """`f(config)` runs one in a thread, which it gives."""
    threads = []

    def start(config):
        thread = threading.Thread(target=cluster.join, args=(config,), daemon=True)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(PATIENCE_SECS)
        assert not thread.is_alive()


def test_joining_fills_in_the_place():
    _, config, _ = configs(workers=2)
    joined = join(config)
    assert joined.master == f"grpc://{str(config.worker_hosts).split(',')[1]}"
    assert (joined.task, joined.worker_replicas, joined.num_ps_tasks) == (1, 2, 1)
    with tf.Graph().as_default():
        answer = tf.constant(6) * 7
        options = tf.ConfigProto(device_filters=["/job:worker/task:1"])
        with tf.Session(joined.master, config=options) as session:
            assert session.run(answer) == 42


def test_joining_by_tf_config(monkeypatch):
    ps, chief = free_addresses(2)
    task = {"type": "chief", "index": 0}
    content = {"cluster": {"ps": [ps], "chief": [chief]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(content))
    joined = cluster.join(TrainConfig(batch_size=3))
    assert joined == TrainConfig(
        batch_size=3,
        master=f"grpc://{chief}",
        job_name="worker",
        ps_hosts=ps,
        worker_hosts=chief,
        num_ps_tasks=1,
    )


def test_what_the_user_gave_as_master_stays(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    config = TrainConfig(
        master="grpc://localhost:2222", task=1, worker_replicas=2, num_ps_tasks=1
    )
    assert cluster.join(config) == config
    assert cluster.join(TrainConfig()) == TrainConfig()


def test_a_port_in_use():
    config, _ = configs(workers=1)
    port = int(str(config.worker_hosts).split(":")[1])
    with socket.create_server(("", port)):
        with pytest.raises(UserError, match=f"cannot listen on port {port}, for local"):
            cluster.join(config)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has the option for it")
def test_a_server_of_localhost_is_not_on_the_network(caplog):
    caplog.set_level(logging.INFO, "absl")
    config, _ = configs(workers=1)
    port = int(str(config.worker_hosts).split(":")[1])
    cluster.join(config)
    socket.create_connection(("localhost", port), 5).close()
    assert f"port {port} of this machine alone" in caplog.text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Sends nothing; shows our own address.
        except OSError:
            pytest.skip("there is no network")
        ours = probe.getsockname()[0]
    with pytest.raises(OSError):
        socket.create_connection((ours, port), 5)


def test_a_server_of_a_name_warns(caplog):
    port = free_addresses(1)[0].split(":")[1]
    config = TrainConfig(
        job_name="worker", ps_hosts="localhost:1", worker_hosts=f"0.0.0.0:{port}"
    )
    cluster.join(config)
    assert f"whoever reaches port {port} can run anything here" in caplog.text


@pytest.mark.slow
def test_parameter_server_ends_when_all_workers_have_finished(parameter_server):
    *workers, ps = configs(workers=2)
    first, second = map(join, workers)
    thread = parameter_server(ps)
    for _ in range(2):  # It has come back, and finished again.
        cluster.finish(first)
    time.sleep(3)
    assert thread.is_alive()
    cluster.finish(second)
    thread.join(10)
    assert not thread.is_alive()


def test_a_worker_that_is_back_is_waited_for(parameter_server):
    *workers, ps = configs(workers=2)
    first, second = map(join, workers)
    thread = parameter_server(ps)
    cluster.finish(first)
    with tf.Graph().as_default():
        step = tf.train.create_global_step()
        [attendance] = cluster.hooks(first, step.read_value())
        with tf.train.MonitoredTrainingSession(
            first.master, hooks=[attendance], config=cluster.session_config(first)
        ):
            cluster.finish(second)
            time.sleep(3)
            assert thread.is_alive()
    cluster.finish(first)


def test_other_workers_end_with_the_chief(parameter_server):
    *workers, ps = configs(workers=2)
    chief, other = map(join, workers)
    parameter_server(ps)
    with tf.Graph().as_default():
        step = tf.train.create_global_step().read_value()
        with tf.train.MonitoredTrainingSession(
            other.master,
            hooks=cluster.hooks(other, step),
            config=cluster.session_config(other),
        ) as session:
            session.run(step)
            assert not session.should_stop()
            cluster.finish(chief)
            session.run(step)
            assert session.should_stop()
    cluster.finish(other)


def test_finishing_without_the_parameter_server(monkeypatch):
    monkeypatch.setattr(cluster, "_FAREWELL_SECS", 1)
    config, _ = configs(workers=1)
    cluster.finish(join(config))


def test_sessions_see_the_parameter_servers_and_their_worker():
    assert not cluster.session_config(TrainConfig()).device_filters
    config = TrainConfig(num_ps_tasks=2, worker_replicas=3, task=2)
    options = cluster.session_config(config)
    assert options.device_filters == ["/job:ps", "/job:worker/task:2"]
    assert options.allow_soft_placement
    assert not options.gpu_options.allow_growth
    options = cluster.session_config(TrainConfig(gpu_memory_growth=True))
    assert options.gpu_options.allow_growth


# As people run them.


class Processes:
    """A parameter server and two workers that run train_image_classifier.py."""

    def __init__(self, directory, data, *flags):
        self.directory = directory
        self.train_dir = directory / "train"
        ps, *workers = free_addresses(3)
        self.hosts = (f"--ps_hosts={ps}", f"--worker_hosts={','.join(workers)}")
        self.flags = (
            *("--dataset_name=shapes", f"--dataset_dir={data}"),
            *("--model_name=lenet", "--train_image_size=28", "--batch_size=4"),
            *("--optimizer=sgd", "--learning_rate=0.001", "--log_every_n_steps=20"),
            *(f"--train_dir={self.train_dir}", *flags),
        )
        self.running = {}

    def start(self, name, *flags, environment=None):
        """Starts ps, chief or worker; again, if it has ended."""
        if environment is None:
            task = int(name == "worker")
            job = "ps" if name == "ps" else "worker"
            flags = (f"--job_name={job}", f"--task={task}", *self.hosts, *flags)
        with self._log(name).open("a") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "train_image_classifier.py", *self.flags, *flags],
                cwd=ROOT,
                env=os.environ | (environment or {}),
                stdout=log,
                stderr=log,
            )

    def start_all(self):
        for name in ("ps", "chief", "worker"):
            self.start(name)

    def _log(self, name):
        return self.directory / f"{name}.log"

    def said(self, name):
        return self._log(name).read_text()

    def steps(self, name):
        return [int(step) for step in re.findall(r"step (\d+)[/:]", self.said(name))]

    def wait_for(self, condition):
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < PATIENCE_SECS, self.everything_said()
            time.sleep(0.1)

    def progress(self, *names, lines=2):
        """Waits until each has logged its steps so many times more."""
        before = {name: len(self.steps(name)) for name in names}
        for name in names:
            self.wait_for(lambda n=name: len(self.steps(n)) >= before[n] + lines)

    def kill(self, name, number=signal.SIGKILL):
        """Ends one and gives its status."""
        self.running[name].send_signal(number)
        return self.running[name].wait(PATIENCE_SECS)

    def finish(self):
        """Waits for all to end, in order."""
        for process in self.running.values():
            self.wait_for(lambda p=process: p.poll() is not None)
        statuses = {name: p.returncode for name, p in self.running.items()}
        assert set(statuses.values()) == {0}, self.everything_said()

    def everything_said(self):
        return "\n".join(f"{name}:\n{self.said(name)}" for name in self.running)


@pytest.fixture
def processes(shapes, tmp_path):
    """`f(*flags)` makes `Processes`, which are killed at the end."""
    made = []

    def make(*flags):
        made.append(Processes(tmp_path, shapes, *flags))
        return made[-1]

    yield make
    for process in made[0].running.values():
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [(), SYNC], ids=["async", "sync"])
def test_whoever_dies_and_comes_back_trains_on(processes, mode):
    those = processes("--save_interval_secs=1", "--max_number_of_steps=1000000", *mode)
    those.start_all()
    those.progress("chief", "worker")

    those.kill("worker")
    if not mode:
        those.progress("chief")
    those.start("worker")
    those.progress("chief", "worker")

    reached = checkpoints.step_of(checkpoints.find(str(those.train_dir)))
    assert reached > 20
    those.kill("chief")
    if not mode:
        those.progress("worker")
    those.start("chief")
    those.progress("chief", "worker")
    resumed = re.findall(r"Resuming from .*, step (\d+)", those.said("chief"))
    assert [int(step) >= reached for step in resumed] == [True]

    those.kill("ps")
    those.start("ps")
    those.wait_for(lambda: "a parameter server was lost" in those.said("chief"))
    those.progress("chief", "worker")
    assert "Traceback" not in those.everything_said()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [(), SYNC], ids=["async", "sync"])
def test_stopping_and_going_on_to_the_end(processes, mode):
    those = processes(*mode)
    those.start_all()
    those.progress("chief", "worker", lines=1)
    for name in ("chief", "worker"):  # As a scheduler does, all at once.
        those.running[name].terminate()
    assert those.running["chief"].wait(PATIENCE_SECS) == 0
    assert those.running["worker"].wait(PATIENCE_SECS) == (143 if mode else 0)
    reached = checkpoints.step_of(checkpoints.find(str(those.train_dir)))
    assert reached > 0

    last = reached + 30
    those.start("worker")  # Without an end of its own.
    those.start("chief", f"--max_number_of_steps={last}")
    those.finish()
    assert "All workers have finished" in those.said("ps")
    step = checkpoints.step_of(checkpoints.find(str(those.train_dir)))
    assert step >= last  # The other goes on until it sees that the chief is done.
    assert "Traceback" not in those.everything_said()

    those.start("chief", f"--max_number_of_steps={last}")
    those.start("worker", f"--max_number_of_steps={last}")
    those.start("ps")
    those.finish()
    assert "Nothing to do" in those.said("worker")


@pytest.mark.slow
def test_tf_config(processes):
    those = processes("--max_number_of_steps=30")
    *servers, chief, worker = free_addresses(4)
    jobs = {"ps": servers, "chief": [chief], "worker": [worker]}
    for name, job, index in [
        *[("ps", "ps", 0), ("another ps", "ps", 1)],
        *[("chief", "chief", 0), ("worker", "worker", 0)],
    ]:
        place = {"cluster": jobs, "task": {"type": job, "index": index}}
        those.start(name, environment={"TF_CONFIG": json.dumps(place)})
    those.finish()
    assert "Finished at step 3" in those.said("worker")
    saved = json.loads((those.train_dir / "config.json").read_text())
    assert (saved["master"], saved["ps_hosts"]) == ("", None)  # What was given.


@pytest.mark.slow
def test_servers_that_run_already(processes):
    """The flags of 2017: --master, --num_ps_tasks, --worker_replicas and --task."""
    those = processes("--max_number_of_steps=30")
    hosts = dict(zip(("ps", "worker"), ([a] for a in free_addresses(2)), strict=True))
    [_, server] = [
        tf.train.Server(tf.train.ClusterSpec(hosts), job, 0) for job in hosts
    ]
    flags = (f"--master={server.target}", "--num_ps_tasks=1")
    those.start("chief", *flags, "--worker_replicas=1", "--task=0", environment={})
    those.finish()


@pytest.mark.slow
def test_ending_while_waiting_for_others(processes):
    those = processes()
    for name in ("chief", "worker"):
        those.start(name)
    those.wait_for(lambda: "Waiting for the param" in those.said("worker"))
    assert those.kill("worker", signal.SIGTERM) == 143
    those.running["chief"].send_signal(signal.SIGINT)
    time.sleep(1)
    assert those.kill("chief", signal.SIGINT) == 130  # Twice: at once.
    those.start("ps")
    those.wait_for(lambda: "This is parameter server" in those.said("ps"))
    assert those.kill("ps", signal.SIGINT) == -signal.SIGINT
    assert "Traceback" not in those.everything_said()


@pytest.mark.slow
def test_the_recipe(shapes, tmp_path):
    port = free_addresses(1)[0].split(":")[1]
    result = subprocess.run(
        [ROOT / "scripts" / "train_on_localhost_cluster.sh", "--optimizer=sgd"],
        env=os.environ
        | {"PYTHON": sys.executable, "PORT": port, "DATASET_DIR": str(shapes)}
        | {"TRAIN_DIR": str(tmp_path), "STEPS": "6", "BATCH_SIZE": "4", "SYNC": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "batch      8 = 4 images x 2 workers" in result.stderr
    assert "All workers have finished" in result.stderr
    assert checkpoints.step_of(checkpoints.find(str(tmp_path))) == 6
