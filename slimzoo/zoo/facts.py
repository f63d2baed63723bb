"""What is known about the networks, without waiting for TensorFlow.

The facts stand beside the networks, in modules that import TensorFlow and tf_slim; most
of these only define functions, and do as well with something that stands in for both.
"""

import contextlib
import importlib
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from slimbase import quiet

_REPLACED = ("tensorflow", "tf_slim", "tf_keras")
# Whose modules have something of the above in them once they are imported.
_OURS = ("nets", "datasets", "preprocessing", "deployment", "slimzoo")


def models() -> Any:
    """The module `zoo.listing`; its networks can be listed, but maybe not built.

    TensorFlow is imported only where a network's module fails without it, or where its
    facts are made with it.
    """
    if "tensorflow" not in sys.modules:
        with contextlib.suppress(Exception), stand_ins():
            found = importlib.import_module("slimzoo.zoo.listing")
            if all(map(_is_plain, found.rows())):
                return found
        quiet.start_tensorflow()
    return importlib.import_module("slimzoo.zoo.listing")


def _is_plain(row: Any) -> bool:
    facts = vars(row).values()
    return all(fact is None or isinstance(fact, str | int | float) for fact in facts)


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """TensorFlow's modules are stand-ins; those, and what imports them, do not stay."""
    before = set(sys.modules)
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    # It mends what is not there.
    sys.modules["slimbase.compat"] = types.ModuleType("slimbase.compat")
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in (*_REPLACED, *_OURS):
                module = sys.modules.pop(name)
                parent, _, child = name.rpartition(".")
                if parent in before and vars(sys.modules[parent]).get(child) is module:
                    delattr(sys.modules[parent], child)


class _StandIn(types.ModuleType):
    """A module, function, class or value whose attributes and results are the same."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(name)

    def __call__(self, *args, **kwargs):
        return _StandIn("result")

    def __or__(self, other):
        return self

    __ror__ = __or__  # As in annotations.

    def __deepcopy__(self, memo):
        return self


class _Finder:
    """Finds and loads the stand-ins."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in _REPLACED:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass
