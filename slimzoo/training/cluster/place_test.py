import dataclasses
import json

import pytest

from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig
from slimzoo.training.cluster import place as cluster_place
from slimzoo.training.cluster.place import Place

FLAGS = TrainConfig(
    job_name="worker", task=1, ps_hosts="a:1", worker_hosts="b:1,[::1]:2"
)
JOBS = {"chief": ["b:1"], "worker": ["c:1", "d:1"], "ps": ["a:1"]}
HOSTS = {"ps": ["a:1"], "worker": ["b:1", "c:1", "d:1"]}


def described(jobs=None, task=None, **more):
    cluster = JOBS if jobs is None else jobs
    task = {"type": "chief", "index": 0} if task is None else task
    return json.dumps({"cluster": cluster, "task": task, **more})


def by_tf_config(content):
    return cluster_place.find(TrainConfig(), content)


def test_flags():
    place = cluster_place.find(FLAGS, None)
    assert place == Place("worker", 1, {"ps": ["a:1"], "worker": ["b:1", "[::1]:2"]})
    assert place is not None and place.address == "[::1]:2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"job_name": None}, "there is no --job_name"),
        ({"ps_hosts": None, "worker_hosts": ""}, "no --ps_hosts and no --worker_hosts"),
        ({"job_name": "master"}, "--job_name=master: expected ps or worker"),
        ({"task": 2}, "--task=2 is out of range: there are 2 of the job worker"),
        ({"job_name": "ps"}, "--task=1 is out of range: there are 1 of the job ps"),
        ({"worker_hosts": "b:1,c"}, "--worker_hosts lists 'c': expected host:port"),
        ({"worker_hosts": "b:1,"}, "--worker_hosts lists '': expected host:port"),
        ({"ps_hosts": "a:0"}, "--ps_hosts lists 'a:0'"),
        ({"ps_hosts": "a:65536"}, "--ps_hosts lists 'a:65536'"),
        ({"ps_hosts": "b:1"}, "b:1 is listed twice"),
        ({"master": "grpc://b:1"}, "leave out one of them"),
    ],
)
def test_mistakes_in_flags(changes, message):
    with pytest.raises(UserError) as error:
        cluster_place.find(dataclasses.replace(FLAGS, **changes), None)
    assert message in str(error.value)


def test_a_server_that_runs_already():
    for master in ("local", "grpc://localhost:2222"):
        assert cluster_place.find(TrainConfig(master=master), described()) is None
    with pytest.raises(UserError, match="--master=localhost:2222 is no address"):
        cluster_place.find(TrainConfig(master="localhost:2222"), None)


@pytest.mark.parametrize(
    ("kind", "index", "job", "task"),
    [
        *[("chief", 0, "worker", 0), ("worker", 0, "worker", 1)],
        *[("worker", 1, "worker", 2), ("ps", 0, "ps", 0)],
    ],
)
def test_tf_config(kind, index, job, task):
    content = described(task={"type": kind, "index": index}, environment="cloud")
    assert by_tf_config(content) == Place(job, task, HOSTS)


def test_tf_config_by_other_names():
    content = described({**JOBS, "evaluator": ["e:1"]}).replace("chief", "master")
    assert by_tf_config(content) == Place("worker", 0, HOSTS)
    jobs = {"worker": ["b:1", "c:1"], "ps": ["a:1"]}
    task = {"type": "worker", "index": 0}
    assert by_tf_config(described(jobs, task)) == Place("worker", 0, jobs)


def test_flags_win_over_tf_config():
    assert cluster_place.find(FLAGS, "nonsense") == cluster_place.find(FLAGS, None)


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{}", '{"task": {"type": "worker"}}', described({})),
        *(described({"chief": ["a:1"]}), described({"worker": ["a:1"]}, {})),
    ],
)
def test_tf_config_of_one_process_is_of_no_interest(content):
    assert by_tf_config(content) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "TF_CONFIG is no JSON: Expecting property name"),
        ("[]", r"TF_CONFIG is \[\]: expected an object with 'cluster'"),
        ('{"cluster": 1}', "TF_CONFIG has cluster 1: expected an object"),
        (described({"gpu": ["a:1"]}), "has the job 'gpu': expected ps, worker and chi"),
        (described({"ps": "a:1"}), "cluster.ps is 'a:1': expected a list of host:port"),
        (described({"ps": ["a"]}), "cluster.ps lists 'a': expected host:port"),
        (described({"ps": [1]}), "cluster.ps lists 1: expected host:port"),
        (described({"worker": ["a:1", "b:1"]}), "has no ps: workers share variables"),
        (described({"ps": ["a:1"]}), "TF_CONFIG's cluster has no worker"),
        (described({**JOBS, "chief": ["a:1"]}), "a:1 is listed twice"),
        (json.dumps({"cluster": JOBS}), "TF_CONFIG has no 'task': expected an object"),
        (described(task={"index": 0}), "TF_CONFIG's task has no 'type': expected a st"),
        (described(task={"type": "ps"}), "task has no 'index': expected a number"),
        (described(task={"type": "ps", "index": "0"}), "has index '0': expected a num"),
        (
            described(task={"type": "ps", "index": 1}),
            "ps 1 is out of range: cluster.ps",
        ),
        (described(task={"type": "ps", "index": -1}), "ps -1 is out of range"),
        (described(task={"type": "gpu", "index": 0}), "gpu 0 is of no job of its clus"),
        (described(task={"type": "evaluator", "index": 0}), "eval_image_classifier.py"),
    ],
)
def test_mistakes_in_tf_config(content, message):
    with pytest.raises(UserError, match=message):
        by_tf_config(content)
