"""Packages that are not installed unless asked for: the extras of pyproject.toml."""

import importlib
from typing import Any

from slimbase.errors import UserError

# What to install for each, where slimzoo is used from a checkout.
_PACKAGES = {
    "heic": "pi-heif",
    "onnx": "tf2onnx onnxruntime",
    "openvino": "openvino",
    "safetensors": "safetensors",
}


def load(package: str, extra: str, wanted_by: str) -> Any:
    """Imports a package of an extra.

    Args:
      package: to import.
      extra: name of the extra that has it.
      wanted_by: the option that needs it, for the error.

    Raises:
      UserError: when it is not installed; says how to.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{wanted_by} needs the package {error.name or package}: {command(extra)}"
        ) from error


def command(extra: str) -> str:
    """The commands that install an extra."""
    return (
        f"pip install -e '.[{extra}]' in the checkout, or pip install "
        f"{_PACKAGES[extra]}"
    )
