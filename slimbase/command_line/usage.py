"""What a script prints for --help: what it does, examples, its flags in groups."""

import dataclasses
import pathlib
import re
import shutil
import textwrap
import typing
from typing import Any

from slimbase.command_line.options import Size

HELP_FLAG = re.compile(r"--?(help\w*|h|\?)(=.*)?")
CONFIG_HELP = (
    "YAML or JSON file of options, such as the config.json that training writes; "
    "flags win over it."
)

_LEGEND = "Values shown are defaults; flags with [no] are off unless it says otherwise."
_VALUES = {Size: "H,W", str: "TEXT", int: "INTEGER", float: "NUMBER"}
_COLUMN = 30  # Where descriptions begin.
_WIDTHS = 72, 100  # Of lines, whatever the terminal has.


def kind(annotation: Any) -> type:
    """The type of an option that may also be None."""
    first, *_ = typing.get_args(annotation) or (annotation,)
    return Size if annotation is Size else first


def flag_name(field: dataclasses.Field) -> str:
    """What the flag of an option is called."""
    return field.metadata.get("flag") or field.name


def default(field: dataclasses.Field) -> Any:
    """What an option is if neither a flag nor a model.json says anything."""
    return field.metadata.get("flag_default", field.default)


def groups(config_class: type) -> dict[str, list[dataclasses.Field]]:
    """A config's options by titles: its own, then those of the classes it consists of.

    An option that a config describes anew stays with the class that had it first.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    of_class = {}
    for part in reversed(config_class.__mro__):
        for name in fields.keys() & vars(part).get("__annotations__", {}).keys():
            of_class.setdefault(name, part)
    found: dict[str, list[dataclasses.Field]] = {}
    for part in config_class.__mro__:
        own = [field for name, field in fields.items() if of_class[name] is part]
        if own:
            found.setdefault(vars(part)["title"], []).extend(own)
    return found


def spelling(field: dataclasses.Field, annotation: Any) -> str:
    """A flag as it is given, with its default, or the kind of its value."""
    if kind(annotation) is bool:
        return f"--[no]{flag_name(field)}"
    value = default(field)
    if value is None or value == "":
        value = _VALUES[kind(annotation)]
    return f"--{flag_name(field)}={value}"


def text(program: str, about: str, config_class: type, operands: str = "") -> str:
    """The help of a script.

    Args:
      program: as it was called: a file, or the name of an installed command.
      about: the script's docstring: a sentence, then examples.
      config_class: a dataclass of options.
      operands: what arguments that are not flags stand for, if there are any.
    """
    name = pathlib.Path(program).name
    call = f"python {name}"
    if not name.endswith(".py"):  # Installed commands have the scripts' names.
        about = re.sub(r"\bpython (\w+)\.py\b", r"\1", about)
        call = name
    rest = f" [{operands} ...]" if operands else ""
    lines = [about.strip(), "", f"usage: {call} [flags]{rest}"]
    lines += [_LEGEND]
    annotations = typing.get_type_hints(config_class)
    for title, fields in groups(config_class).items():
        lines += ["", f"{title}:"]
        for field in fields:
            note = " On by default." if default(field) is True else ""
            flag = spelling(field, annotations[field.name])
            lines += _entry(flag, field.metadata["help"] + note)
    lines += ["", "Of every script:"]
    lines += _entry("--config=FILE", CONFIG_HELP)
    lines += _entry("--help", "Print this.")
    return "\n".join(lines)


def _entry(flag: str, description: str) -> list[str]:
    least, most = _WIDTHS
    width = min(max(shutil.get_terminal_size().columns, least), most)
    lines = textwrap.wrap(
        description,
        width,
        initial_indent=" " * _COLUMN,
        subsequent_indent=" " * _COLUMN,
        break_on_hyphens=False,
        break_long_words=False,
    )
    flag = f"  {flag}"
    if len(flag) + 2 > _COLUMN:
        return [flag, *lines]
    return [flag.ljust(_COLUMN) + lines[0].lstrip(), *lines[1:]]
