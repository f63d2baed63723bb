"""The names of the classes that a network knows."""

import pathlib

from datasets import imagenet
from slimbase.errors import UserError
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo

# Names of the first of ImageNet's 1001 classes in people's files.
_BACKGROUND = ("background", "dummy")


def choose(labels_file: str | None, info: ModelInfo, classes: int) -> tuple[str, ...]:
    """The names of the network's classes; numbers if the names are unknown.

    Args:
      labels_file: the file of `--labels`, if any.
      info: what is known about the network.
      classes: the number of classes.

    Raises:
      UserError: when there are more or fewer names, or the file cannot be read.
    """
    if labels_file:
        names = _read_names(labels_file)
        if len(names) == classes + 1 and names[0] in _BACKGROUND:
            names = names[1:]  # The network has no such class.
        names = names[info.labels_offset :] if len(names) > classes else names
    elif info.labels:
        names = info.labels
    elif classes in (1000, 1001) and info.dataset_name in ("", "imagenet"):
        names = imagenet.readable_names(classes)
    else:
        names = tuple(f"class {i}" for i in range(classes))
    if len(names) != classes:
        advice = (
            "--labels_offset=1 if its first is one that the network lacks"
            if len(names) > classes
            else "put a first line `background` if the network has that class"
        )
        raise UserError(
            f"{labels_file or model_info.FILE_NAME} has {len(names)} names, but the "
            f"network has {classes} classes: give --labels that has as many, or "
            + advice
        )
    return names


def _read_names(labels_file: str) -> tuple[str, ...]:
    """Reads lines of `number:name`, or of one name each.

    Numbers that occur twice number no classes, and are parts of names such as `10:30`.
    """
    try:
        lines = pathlib.Path(labels_file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--labels: cannot read {labels_file}: {error}") from error
    lines = [line for line in lines if line.strip()]
    numbered = [line.partition(":") for line in lines]
    is_numbered = all(n.isdecimal() and colon for n, colon, _ in numbered)
    names = {int(n): name.strip() for n, _, name in numbered} if is_numbered else {}
    if is_numbered and len(names) == len(lines):
        count = max(names, default=-1) + 1
        return tuple(names.get(i, f"class {i}") for i in range(count))
    return tuple(lines)
