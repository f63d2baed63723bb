"""Fields of the dataclasses that are a command's table of options.

Each command has one frozen dataclass, those of `slimzoo.config` and `datasets.config`.
A field is an option and a flag of the same name (but for `option(flag=...)`): its
annotation is the type, its default the default. `slimbase.command_line.flags` makes the
flags.
"""

import dataclasses
from typing import Any

Size = tuple[int, int]  # Height and width in pixels; as a flag `299` or `224,320`.
SIZE_HELP = "Height and width in pixels, as 224 or 224,320"


def option(
    default: Any,
    description: str,
    at_least: int | None = None,
    flag: str | None = None,
) -> Any:
    """An option with its default, its description for `--help` and a bound, if any.

    `flag` is the flag's name, where no field can have it, as `from`.
    """
    metadata = {"help": description, "at_least": at_least, "flag": flag}
    return dataclasses.field(default=default, metadata=metadata)


def recorded(default: Any, description: str, at_least: int | None = None) -> Any:
    """An option that, when it is not given, is taken from the model's model.json.

    The field's own default is None, "not given"; where there is no record either,
    `default` holds, which is what `--help` shows (None: what the network asks for).
    """
    metadata = {"help": description, "at_least": at_least, "flag_default": default}
    return dataclasses.field(default=None, metadata=metadata)
