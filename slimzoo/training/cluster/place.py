"""The place of this process in a cluster, by flags or by TF_CONFIG."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig

_CHIEF_JOBS = ("chief", "master")  # `master` is TF_CONFIG's older name.


@dataclasses.dataclass(frozen=True)
class Place:
    """A process in its cluster.

    Attributes:
      job: ps or worker.
      task: number of the process in the job; worker 0 is the chief.
      hosts: host:port of all processes of both jobs.
    """

    job: str
    task: int
    hosts: Mapping[str, Sequence[str]]

    @property
    def address(self) -> str:
        """The host:port of the process."""
        return self.hosts[self.job][self.task]


def find(config: TrainConfig, tf_config: str | None) -> Place | None:
    """The place of this process.

    Args:
      config: options, whose flags win.
      tf_config: value of the environment variable TF_CONFIG, if it is set.

    Returns:
      None where neither describes a cluster: without flags and TF_CONFIG, with a
      TF_CONFIG of a single worker, and with `master`, a server that runs already.

    Raises:
      UserError: for mistakes in the flags or in TF_CONFIG.
    """
    if config.job_name or config.ps_hosts or config.worker_hosts:
        return _by_flags(config)
    if config.master not in ("", "local") and "://" not in config.master:
        raise UserError(
            f"--master={config.master} is no address of a TensorFlow server: give "
            "one like grpc://localhost:2222, or leave it out"
        )
    return _by_environment(tf_config) if tf_config and not config.master else None


def _by_flags(config: TrainConfig) -> Place:
    flags = ("job_name", "ps_hosts", "worker_hosts")
    missing = [f"--{flag}" for flag in flags if not getattr(config, flag)]
    if missing:
        raise UserError(
            "each process of a cluster needs --job_name, --ps_hosts, --worker_hosts "
            f"and --task; there is no {' and no '.join(missing)}"
        )
    if config.job_name not in ("ps", "worker"):
        raise UserError(f"--job_name={config.job_name}: expected ps or worker")
    if config.master:
        raise UserError(
            f"--master={config.master} is a server that runs already, --job_name "
            "starts one: leave out one of them"
        )
    hosts = {
        job: getattr(config, f"{job}_hosts").split(",") for job in ("ps", "worker")
    }
    for job, addresses in hosts.items():
        _check_addresses(f"--{job}_hosts", addresses)
    return _checked(Place(config.job_name, config.task, hosts), f"--task={config.task}")


def _by_environment(content: str) -> Place | None:
    try:
        described = json.loads(content)
    except ValueError as error:
        raise UserError(f"TF_CONFIG is no JSON: {error}") from error
    jobs = _entry(described, "TF_CONFIG", "cluster", dict, {})
    unknown = set(jobs) - {"ps", "worker", "evaluator", *_CHIEF_JOBS}
    if unknown:
        raise UserError(
            f"TF_CONFIG's cluster has the job {min(unknown)!r}: expected ps, worker "
            "and chief"
        )
    known = {
        job: _check_addresses(f"TF_CONFIG's cluster.{job}", addresses)
        for job, addresses in jobs.items()
    }
    chiefs = [address for job in _CHIEF_JOBS for address in known.get(job, [])]
    hosts = {"ps": known.get("ps", []), "worker": chiefs + known.get("worker", [])}
    if not hosts["ps"] and len(hosts["worker"]) <= 1:
        return None
    if not all(hosts.values()):
        job = "ps" if hosts["worker"] else "worker"
        raise UserError(
            f"TF_CONFIG's cluster has no {job}: workers share variables through "
            "parameter servers; give at least one of each"
        )
    task = _entry(described, "TF_CONFIG", "task", dict)
    job = _entry(task, "TF_CONFIG's task", "type", str)
    index = _entry(task, "TF_CONFIG's task", "index", int)
    named = f"TF_CONFIG's task {job} {index}"
    if job == "evaluator":
        raise UserError(f"{named} does not train: run eval_image_classifier.py there")
    if job not in known:
        raise UserError(f"{named} is of no job of its cluster: {', '.join(known)}")
    if not 0 <= index < len(known[job]):
        raise UserError(f"{named} is out of range: cluster.{job} has {len(known[job])}")
    if job == "worker":
        index += len(chiefs)
    return _checked(Place("ps" if job == "ps" else "worker", index, hosts), named)


def _entry(mapping: Any, where: str, key: str, kind: type, default: Any = None) -> Any:
    """An entry of an object in TF_CONFIG, checked to be of type `kind`."""
    if not isinstance(mapping, dict):
        raise UserError(f"{where} is {mapping!r}: expected an object with {key!r}")
    value = mapping.get(key, default)
    if not isinstance(value, kind):
        names = {dict: "an object", str: "a string", int: "a number"}
        problem = f"has no {key!r}" if value is None else f"has {key} {value!r}"
        raise UserError(f"{where} {problem}: expected {names[kind]}")
    return value


def _check_addresses(where: str, addresses: Any) -> list[str]:
    if not isinstance(addresses, list):
        raise UserError(f"{where} is {addresses!r}: expected a list of host:port")
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise UserError(f"{where} lists {address!r}: expected host:port")
    return addresses


def _checked(place: Place, named: str) -> Place:
    addresses = place.hosts[place.job]
    if place.task >= len(addresses):
        raise UserError(
            f"{named} is out of range: there are {len(addresses)} of the job "
            f"{place.job}, counted from 0"
        )
    everyone = [address for each in place.hosts.values() for address in each]
    twice = {address for address in everyone if everyone.count(address) > 1}
    if twice:
        raise UserError(
            f"{min(twice)} is listed twice: each process of a cluster needs an address "
            "of its own"
        )
    return place
