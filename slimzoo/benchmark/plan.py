"""What is measured: the combinations that the options ask for."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from absl import logging

from nets.registry import NETWORKS
from slimbase.command_line.options import Size
from slimbase.errors import UserError, unknown
from slimbase.text import counted
from slimzoo.benchmark import others
from slimzoo.benchmark.clock import cores
from slimzoo.config.benchmark import BenchmarkConfig
from slimzoo.zoo import networks

OURS, CLASSIC = "ours", "classic"
# Ours, but for what computes the network.
RUNTIMES = ("onnxruntime", "openvino")
CONTENDERS = (OURS, CLASSIC, "keras", "timm", *RUNTIMES)
PRECISIONS = ("float32", "bfloat16")
# Whatever they are compared with.
_IN_FLOAT32_ONLY = (CLASSIC, "onnxruntime")
_WITH_CLONES = (OURS, CLASSIC)
EXPORT_FORMATS = ("frozen", "saved_model", "tflite", "onnx")

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Mode:
    """What a mode of the benchmark depends on.

    Attributes:
      contenders: that have it.
      by: which lists of options it is measured for, besides batch sizes and threads.
    """

    contenders: tuple[str, ...]
    by: tuple[str, ...] = ()


MODES = {
    "train": Mode(
        (OURS, CLASSIC, "keras", "timm"),
        ("model", "precision", "batch_size", "num_clones"),
    ),
    "inference": Mode(CONTENDERS, ("model", "precision", "batch_size")),
    "input": Mode((OURS, CLASSIC), ("model", "batch_size")),
    "conversion": Mode((OURS, CLASSIC)),
    "export": Mode((OURS,), ("model", "format")),
}


@dataclasses.dataclass(frozen=True)
class Contest:
    """What some contenders do in turns.

    Attributes:
      mode: key of `MODES`.
      model_name: empty where it is about no network.
      image_size: (height, width) in pixels; None without a network.
      batch_size: per clone; None where there are no batches.
      threads: that TensorFlow may use, and cores; None for all.
      num_clones: of the network, in training.
      format: of export; else empty.
      contestants: (contender, precision), ours first; the precision is empty where
        nothing depends on it.
    """

    mode: str
    model_name: str
    image_size: Size | None
    batch_size: int | None
    threads: int | None
    num_clones: int
    format: str
    contestants: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        facts = [self.mode, self.model_name, self.format]
        facts += ["{}x{}".format(*self.image_size)] if self.image_size else []
        facts += [f"batch {self.batch_size}"] if self.batch_size else []
        facts += [counted(self.threads, "thread")] if self.threads else []
        facts += [f"{self.num_clones} clones"] if self.num_clones > 1 else []
        return ", ".join(filter(None, facts))


def contests(config: BenchmarkConfig) -> list[Contest]:
    """The contests that `config` asks for, in the order in which they are held.

    Raises:
      UserError: for what does not exist, or does not go together.
    """
    modes = _names("mode", config.mode, MODES)
    against = _names("against", config.against or "", CONTENDERS)
    precisions = _names("precision", config.precision, PRECISIONS)
    if "timm" in against:
        _check_timm(config)
    _check_data(config)
    lists = {
        "model": [n.name for n in networks.find(list(_parts(config.model_name)))],
        "format": _names("export_formats", config.export_formats, EXPORT_FORMATS),
        "batch_size": _numbers("batch_size", config.batch_size),
        "num_clones": _numbers("num_clones", config.num_clones),
        "threads": _threads(config.threads),
    }
    found = []
    for mode in modes:
        found += _of_mode(config, mode, lists, against, precisions)
    return found


def _of_mode(config, mode, lists, against, precisions) -> Iterator[Contest]:
    facts = MODES[mode]
    nothing = {"model": [""], "format": [""], "batch_size": [None], "num_clones": [1]}
    axes = [lists[k] if k in facts.by else v for k, v in nothing.items()]
    for model, form, batch_size, clones, threads in itertools.product(
        *axes, lists["threads"]
    ):
        size = None
        if model:
            side = NETWORKS[model].image_size
            size = config.image_size or (side, side)
        contenders = [
            name
            for name in dict.fromkeys([OURS, *against])
            if name in facts.contenders
            and (clones == 1 or name in _WITH_CLONES)
            and _has(name, model, mode)
        ]
        yield Contest(
            mode,
            model,
            size,
            batch_size,
            threads,
            clones,
            form,
            tuple(
                (name, precision)
                for name in contenders
                for precision in _computed(name, facts, precisions)
            ),
        )


def _computed(contender: str, facts: Mode, precisions: list[str]) -> list[str]:
    if "precision" not in facts.by:
        return [""]
    return ["float32"] if contender in _IN_FLOAT32_ONLY else precisions


def _has(contender: str, model: str, mode: str) -> bool:
    known = {"keras": others.KERAS, "timm": others.TIMM}.get(contender)
    if known is None or model in known:
        return True
    logging.info("%s: %s has no %s", mode, contender, model)
    return False


def _check_timm(config: BenchmarkConfig) -> None:
    python = config.timm_python
    if not python:
        raise UserError(
            "--against=timm needs --timm_python, the python of an environment that "
            "has torch and timm"
        )
    if not (pathlib.Path(python).is_file() and os.access(python, os.X_OK)):
        raise UserError(f"--timm_python={python} is no program that can be run")


def _check_data(config: BenchmarkConfig) -> None:
    for name in ("dataset_dir", "source_dir"):
        path = getattr(config, name)
        if path and not pathlib.Path(path).is_dir():
            raise UserError(f"--{name}: there is no directory {path}")
    for name in ("csv", "json"):  # Written when hours have gone by.
        path = getattr(config, name)
        if path and not os.access(pathlib.Path(path).parent, os.W_OK):
            raise UserError(f"--{name}={path}: that directory cannot be written to")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _names(option: str, text: str, known: Iterable[str]) -> list[str]:
    for part in _parts(text):
        if part not in known:
            raise unknown(f"--{option}={text}: there is no {part}", part, known)
    if not _parts(text) and option != "against":
        raise UserError(f"--{option} is empty: give some of {', '.join(known)}")
    return list(dict.fromkeys(_parts(text)))


def _numbers(option: str, text: str) -> list[int]:
    return _each(
        text,
        lambda part: part.isdecimal() and int(part) > 0,
        int,
        f"--{option}={text} should be numbers from 1 on, as in 16,32",
    )


def _threads(text: str | None) -> list[Any]:
    if not text:
        return [None]
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("--threads needs Linux, where a process can be bound to cores")
    most = len(cores())
    return _each(
        text,
        lambda part: part.isdecimal() and 0 < int(part) <= most,
        int,
        f"--threads={text} should be numbers from 1 to {most}, the cores here",
    )


def _each(
    text: str, fits: Callable[[str], bool], make: Callable[[str], T], message: str
) -> list[T]:
    parts = _parts(text)
    if not parts or not all(map(fits, parts)):
        raise UserError(message)
    return list(dict.fromkeys(map(make, parts)))
