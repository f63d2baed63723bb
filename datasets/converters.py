"""Finds the converter of a data set and hands it the options it takes."""

import dataclasses
import importlib
import inspect
import pkgutil

import datasets
from datasets.config import ConvertConfig
from slimbase import errors

_PREFIX = "download_and_convert_"
_SUFFIXES = ("_test", "_lib")


def names() -> list[str]:
    """The data sets that have a converter: a module with a function `run`."""
    modules = (module.name for module in pkgutil.iter_modules(datasets.__path__))
    return [
        name.removeprefix(_PREFIX)
        for name in modules
        if name.startswith(_PREFIX) and not name.endswith(_SUFFIXES)
    ]


def run(config: ConvertConfig) -> None:
    """Converts the data set that `config` names.

    The parameters of the converter's `run`, besides `dataset_dir`, are the options
    that it takes.

    Raises:
      UserError: for an unknown data set or an option that its converter does not
        take, or from the converter.
    """
    for flag in ("dataset_name", "dataset_dir"):
        if not getattr(config, flag):
            raise errors.UserError(f"--{flag} is missing")
    name = config.dataset_name
    if name not in names():
        message = f"--dataset_name={name} has no converter"
        raise errors.unknown(message, name, names())
    convert = importlib.import_module(f"datasets.{_PREFIX}{name}").run
    taken = set(inspect.signature(convert).parameters) - {"dataset_dir"}
    options = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in ("dataset_name", "dataset_dir"):
            continue
        if field.name in taken:
            options[field.name] = value
        elif value != field.default:
            flags = ", ".join(f"--{option}" for option in sorted(taken)) or "none"
            raise errors.UserError(
                f"--{field.name} is not for {name}, which takes {flags}"
            )
    convert(config.dataset_dir, **options)
