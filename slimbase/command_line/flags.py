"""From the command line to a config: strict flags, mistakes shown on one screen."""

import dataclasses
import importlib.util
import itertools
import logging as standard_logging
import os
import pathlib
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from absl import app, flags, logging

from slimbase import errors, quiet
from slimbase.command_line import exit_status, usage
from slimbase.command_line.options import Size
from slimbase.errors import UserError


class _SizeParser(flags.ArgumentParser):
    """One number for squares, two for rectangles, as in lists of files too."""

    syntactic_help = "a number of pixels, or height,width"

    def flag_type(self) -> str:
        return "size"

    def parse(self, argument: Any) -> Size:
        numbers = [part.strip() for part in str(argument).strip("[()] ").split(",")]
        if not all(n.isdecimal() and int(n) for n in numbers) or len(numbers) > 2:
            raise ValueError(f"should be {self.syntactic_help}")
        return int(numbers[0]), int(numbers[-1])


def _define_size(name: str, default: Size | None, help: str, **arguments: Any) -> None:
    flags.DEFINE(_SizeParser(), name, default, help, **arguments)


_DEFINE = {
    Size: _define_size,
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
}


def define_flags(config_class: type, values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one flag per option of `config_class`, as flags of the program run."""
    types = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        least = field.metadata["at_least"]
        bound = {} if least is None else {"lower_bound": least}
        _DEFINE[usage.kind(types[field.name])](
            usage.flag_name(field),
            usage.default(field),
            field.metadata["help"],
            flag_values=values,
            module_name=sys.argv[0],
            **bound,
        )


def read_flags(
    config_class: type,
    values: flags.FlagValues = flags.FLAGS,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """The config that parsed flags describe; recorded options only when given.

    Args:
      config_class: a dataclass of options.
      values: parsed flags, which win over `options`.
      options: what `read_options` has read from a file.
    """
    options = options or {}
    given = {}
    for field in dataclasses.fields(config_class):
        name = usage.flag_name(field)
        flag = values[name]
        if name in options and not flag.present:
            given[field.name] = options[name]
        elif flag.present or "flag_default" not in field.metadata:
            given[field.name] = flag.value
    return config_class(**{name: _at_home(value) for name, value in given.items()})


def _at_home(value: Any) -> Any:
    """Expands `~/` in `--name=~/x`, which shells do not."""
    is_path = isinstance(value, str) and value.startswith("~/")
    return os.path.expanduser(value) if is_path else value  # noqa: PTH111


def read_options(path: str, config_class: type) -> dict[str, Any]:
    """Options by name from a YAML or JSON file, such as training's config.json.

    Raises:
      UserError: when the file is not there, or names an option that `config_class`
        lacks, or gives one a value of another type.
    """
    import yaml  # Takes a while, and most runs do without.

    try:
        options = yaml.safe_load(pathlib.Path(path).read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read --config={path}: {error}") from error
    if not isinstance(options, dict):
        raise UserError(f"--config={path} should map options to values")
    values = flags.FlagValues()
    define_flags(config_class, values)
    for name, value in options.items():
        if name not in values:
            raise errors.unknown(f"{path}: there is no option {name}", name, values)
        try:
            if value is not None:
                values[name].parse(str(value))
        except flags.Error as error:
            raise UserError(f"{path}: {error}") from error
    return {n: values[n].value for n, value in options.items() if value is not None}


def run(
    main: Callable[..., Any],
    config_class: type,
    operands: str = "",
    tensorflow: bool = True,
) -> None:
    """Runs a script: `main(config)`, or `main(config, operands)`, and exits.

    Args:
      main: returns the exit status, None for 0. It raises `UserError` for what the
        user can fix, which is printed without a stack trace; the status is then 1.
      config_class: a dataclass of `slimzoo.config`.
      operands: what arguments that are not flags stand for; by default there must be
        none.
      tensorflow: whether `main` needs it, so that it is started before.
    """

    def guarded(argv: list[str]) -> int | None:
        _plain_logging()
        return execute(main, config_class, operands, flags.FLAGS, argv[1:], tensorflow)

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS(argv)
        except flags.Error as error:
            sys.exit(f"error: {error}\nSee --help.")

    flagged = itertools.takewhile("--".__ne__, sys.argv[1:])
    if any(map(usage.HELP_FLAG.fullmatch, flagged)):
        about = sys.modules[main.__module__].__doc__ or ""
        text = usage.text(sys.argv[0], about, config_class, operands)
        sys.exit(exit_status.status_of(lambda: print(text)))
    define_all(config_class, flags.FLAGS)
    app.run(guarded, flags_parser=parse)


def define_all(config_class: type, values: flags.FlagValues) -> None:
    """Defines all flags of a script: the options and `--config`."""
    define_flags(config_class, values)
    flags.DEFINE_string(
        "config",
        None,
        usage.CONFIG_HELP,
        flag_values=values,
        module_name=sys.argv[0],
    )


def execute(
    main: Callable[..., Any],
    config_class: type,
    operands: str,
    values: flags.FlagValues,
    arguments: list[str],
    tensorflow: bool = True,
) -> int | None:
    """What `run` does, once flags are parsed; returns the exit status."""

    def checked():
        _check_packages()
        if arguments and not operands:
            raise UserError(
                f"unexpected argument {arguments[0]!r}: flags are given as "
                "--name=value, without spaces in lists"
            )
        options = read_options(values.config, config_class) if values.config else {}
        config = read_flags(config_class, values, options)
        if tensorflow:
            quiet.start_tensorflow()
        return main(config, arguments) if operands else main(config)

    return exit_status.status_of(checked)


def _check_packages():
    """Other projects have packages of such names, too."""
    home = pathlib.Path(__file__).resolve().parents[2]
    for name in ("nets", "datasets", "preprocessing", "deployment"):
        found = importlib.util.find_spec(name)
        place = pathlib.Path(found.origin).resolve() if found and found.origin else None
        if place is None or not place.is_relative_to(home / name):
            raise UserError(
                f"Python finds the package {name} of another project, {place}, before "
                f"the one in {home}: give each an environment of its own, or run this "
                "from the checkout"
            )


def _plain_logging():
    """Progress goes to standard error as plain lines."""
    logging.get_absl_handler().setFormatter(
        standard_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )
