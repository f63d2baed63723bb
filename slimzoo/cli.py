"""From the command line to a config: strict flags, mistakes told on one screen."""

import dataclasses
import logging as standard_logging
import sys
import typing
from collections.abc import Callable
from typing import Any

from absl import app, flags, logging

from slimzoo import quiet
from slimzoo.errors import UserError

_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
}


def define_flags(config_class: type, values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one flag per option of `config_class`, as flags of the program run."""
    types = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        annotation = types[field.name]
        kind, *_ = typing.get_args(annotation) or (annotation,)  # `T | None` or `T`.
        least = field.metadata["at_least"]
        bound = {} if least is None else {"lower_bound": least}
        _DEFINE[kind](
            field.name,
            field.metadata.get("flag_default", field.default),
            field.metadata["help"],
            flag_values=values,
            module_name=sys.argv[0],
            **bound,
        )


def read_flags(config_class: type, values: flags.FlagValues = flags.FLAGS) -> Any:
    """The config that parsed flags describe; recorded options only when given."""
    given = {}
    for field in dataclasses.fields(config_class):
        flag = values[field.name]
        if flag.present or "flag_default" not in field.metadata:
            given[field.name] = flag.value
    return config_class(**given)


def run(main: Callable[..., Any], config_class: type, operands: str = "") -> None:
    """Runs a script: `main(config)`, or `main(config, operands)`, and exits.

    Args:
      main: raises `UserError` for what the user can mend, which is printed without a
        stack trace; the exit status is then 1.
      config_class: a dataclass of `slimzoo.config`.
      operands: what arguments that are not flags stand for; by default there must be
        none.
    """

    def guarded(argv):
        _plain_logging()
        try:
            if argv[1:] and not operands:
                raise UserError(
                    f"unexpected argument {argv[1]!r}: flags are given as --name=value"
                )
            config = read_flags(config_class)
            quiet.start_tensorflow()
            main(config, argv[1:]) if operands else main(config)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return 0

    define_flags(config_class)
    app.run(guarded)


def _plain_logging():
    """Progress goes to standard error as plain lines."""
    logging.get_absl_handler().setFormatter(
        standard_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )
