"""Plans what is measured: the combinations that the options ask for."""

import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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
# The code is ours; only the network is computed by another runtime.
RUNTIMES = ("onnxruntime", "openvino")
CONTENDERS = (OURS, CLASSIC, "keras", "timm", *RUNTIMES)
PRECISIONS = ("float32", "bfloat16")
# Contenders that compute in float32 whatever precisions ours is measured in.
_IN_FLOAT32_ONLY = (CLASSIC, "onnxruntime")
_WITH_CLONES = (OURS, CLASSIC)
EXPORT_FORMATS = ("frozen", "saved_model", "tflite", "onnx")


@dataclasses.dataclass(frozen=True)
class Mode:
    """The contenders and the options of a mode of the benchmark.

    Attributes:
      contenders: names of the contenders that have the mode.
      by: names of the lists of options that the mode is measured for, besides threads.
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
    """A measurement that some contenders do in turns.

    Attributes:
      mode: key of `MODES`.
      model_name: name of the network; empty where no network is measured.
      image_size: (height, width) in pixels; None without a network.
      batch_size: images per clone; None where there are no batches.
      threads: number of threads that TensorFlow may use, and of cores; None for all.
      num_clones: number of clones of the network, in training.
      format: format of export; else empty.
      contestants: pairs of contender and precision, ours first; the precision is empty
        where nothing depends on it.
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
        parts = [self.mode, self.model_name, self.format]
        parts += ["{}x{}".format(*self.image_size)] if self.image_size else []
        parts += [f"batch {self.batch_size}"] if self.batch_size else []
        parts += [counted(self.threads, "thread")] if self.threads else []
        parts += [f"{self.num_clones} clones"] if self.num_clones > 1 else []
        return ", ".join(filter(None, parts))


def contests(config: BenchmarkConfig) -> list[Contest]:
    """The contests that `config` asks for, in the order in which they are held.

    Raises:
      UserError: for names that do not exist, or options that do not fit together.
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


def _of_mode(
    config: BenchmarkConfig,
    name: str,
    lists: Mapping[str, list[Any]],
    against: Iterable[str],
    precisions: list[str],
) -> Iterator[Contest]:
    mode = MODES[name]
    nothing = {"model": [""], "format": [""], "batch_size": [None], "num_clones": [1]}
    axes = [lists[k] if k in mode.by else v for k, v in nothing.items()]
    for model, form, batch_size, clones, threads in itertools.product(
        *axes, lists["threads"]
    ):
        size = None
        if model:
            side = NETWORKS[model].image_size
            size = config.image_size or (side, side)
        contenders = [
            contender
            for contender in dict.fromkeys([OURS, *against])
            if contender in mode.contenders
            and (clones == 1 or contender in _WITH_CLONES)
            and _has(contender, model, name)
        ]
        yield Contest(
            name,
            model,
            size,
            batch_size,
            threads,
            clones,
            form,
            tuple(
                (contender, precision)
                for contender in contenders
                for precision in _computed(contender, mode, precisions)
            ),
        )


def _computed(contender: str, mode: Mode, precisions: list[str]) -> list[str]:
    """The precisions of a contender in a mode."""
    if "precision" not in mode.by:
        return [""]
    return ["float32"] if contender in _IN_FLOAT32_ONLY else precisions


def _has(contender: str, model: str, mode: str) -> bool:
    """Whether a contender has a network; logs where it does not."""
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
    for name in ("csv", "json"):  # Before hours of measuring, not after them.
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
    return _integers(
        text, f"--{option}={text} should be numbers from 1 on, as in 16,32"
    )


def _threads(text: str | None) -> list[int | None]:
    if not text:
        return [None]
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("--threads needs Linux, where a process can be bound to cores")
    most = len(cores())
    numbers = _integers(
        text,
        f"--threads={text} should be numbers from 1 to {most}, the cores here",
        most,
    )
    return [*numbers]


def _integers(text: str, message: str, most: float = math.inf) -> list[int]:
    """The distinct numbers from 1 to `most` in a list.

    Raises:
      UserError: with `message`, for anything else, or no numbers.
    """
    parts = _parts(text)
    if not parts or not all(p.isdecimal() and 0 < int(p) <= most for p in parts):
        raise UserError(message)
    return list(dict.fromkeys(map(int, parts)))
