"""A mapping that modules fill as they define things, looked up by name."""

import importlib
import pkgutil
import types
from collections.abc import Callable
from typing import NoReturn, TypeVar

from slimbase import errors

Entry = TypeVar("Entry")

# Ends of the full names of modules that only tests import.
TEST_MODULES = ("_test", ".conftest", ".testing")


class Registry(dict[str, Entry]):
    """Entries by name; a second entry of one name and an unknown name are errors."""

    def __init__(self, unknown_message: str):
        """`unknown_message` has one `%s`, for the name that was asked for."""
        super().__init__()
        self.unknown_message = unknown_message

    def register(self, name: str, entry: Entry) -> Entry:
        """Adds `entry`, which must be the first of its name, and returns it."""
        if name in self:
            raise ValueError(f"{name!r} is registered twice")
        self[name] = entry
        return entry

    def __missing__(self, name: str) -> NoReturn:
        raise errors.unknown(self.unknown_message % name, name, self)


def import_modules(
    package: types.ModuleType, wanted: Callable[[str], bool] = lambda name: True
) -> None:
    """Imports the modules below `package`, those of tests aside, which so register.

    Args:
      package: an imported package.
      wanted: function of a module's full name that returns whether to import it.
    """
    prefix = package.__name__ + "."
    for module in pkgutil.walk_packages(package.__path__, prefix):
        if not module.name.endswith(TEST_MODULES) and wanted(module.name):
            importlib.import_module(module.name)
