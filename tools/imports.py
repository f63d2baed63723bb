"""Which module may import which: the floors of the project, and what breaks them.

python -m tools.imports

prints each import that runs up or sideways and each circle, and fails if there are any.
"""

import ast
import graphlib
import pathlib
import re
import sys
from collections.abc import Mapping
from typing import NamedTuple

from tools.markdown import ROOT

Floors = tuple[tuple[str, ...], ...]

# From the ground up. A module may import from its own room and from lower floors. A
# name with a * at its end stands for modules of that one package, where no other room
# names them.
FLOORS: Floors = (
    ("slimbase",),
    ("nets", "deployment", "datasets"),
    ("preprocessing",),
    ("slimzoo.config",),
    ("slimzoo.model",),
    ("slimzoo.zoo", "slimzoo.dataset_check"),
    ("slimzoo.formats",),
    ("slimzoo.inference",),
    ("slimzoo.evaluation", "slimzoo.classification", "slimzoo.exporting"),
    ("slimzoo.training",),
    ("slimzoo.benchmark",),
    ("slimzoo.*", "*"),
)
# The same inside of `datasets`. What has no other place there is a descriptor.
DATASETS_FLOORS: Floors = (
    ("datasets.config", "datasets.dataset_utils"),
    ("datasets.storage", "datasets.ilsvrc"),
    ("datasets.reading", "datasets.registry"),
    ("datasets.*",),
    ("datasets.dataset_factory",),
    ("datasets.converting",),
    (
        "datasets.converters",
        "datasets.download_and_convert_*",
        "datasets.process_*",
        "datasets.preprocess_*",
    ),
    ("datasets.build_imagenet_data",),
)
# For programs that use slimzoo: modules that hand on what is defined in a room.
FACES = ("slimzoo.*", "slimzoo.config", "*")

_TITLES = {"slimzoo.*": "faces", "*": "commands"}
_PURPOSES = {
    "slimzoo.*": "What programs import: modules that hand on what lives in a room.",
    "*": "The scripts.",
}
_IMPORT = re.compile(r"\bimport_module$")


class Place(NamedTuple):
    """Where a module stands.

    Attributes:
      floor: number in `FLOORS`, from 1 for the ground floor.
      room: entry of `FLOORS`.
      inner_floor: number in `DATASETS_FLOORS`; 0 outside of `datasets`.
      inner_room: entry of `DATASETS_FLOORS`; "" outside of `datasets`.
    """

    floor: int
    room: str
    inner_floor: int = 0
    inner_room: str = ""

    def may_import(self, other: "Place") -> bool:
        """Whether a module here may import one that stands in `other`."""
        if self.room != other.room:
            return self.floor > other.floor
        is_below = self.inner_floor > other.inner_floor
        return is_below or self.inner_room == other.inner_room


def sources() -> list[pathlib.Path]:
    """The files of the project's modules, sorted; without tests and tools."""
    packages = sorted({room.partition(".")[0] for floor in FLOORS for room in floor})
    paths = [*ROOT.glob("*.py")]
    for package in packages:
        if package != "*":
            paths += (ROOT / package).rglob("*.py")
    return sorted(path for path in paths if not _is_test(path))


def modules() -> dict[str, set[str]]:
    """The modules of the project that each module imports, anywhere in its code.

    Imports inside of functions and those for type checkers alone count as others do.
    """
    known = {_name(path): path for path in sources()}
    return {name: imported(path, known) for name, path in known.items()}


def place(module: str) -> Place:
    """The place of a module.

    Raises:
      LookupError: when it stands in no room.
    """
    found = _find(module, FLOORS)
    if found is None:
        raise LookupError(
            f"{module} stands in no room of FLOORS: move it into one, or give its room "
            "a floor"
        )
    if found[1] != "datasets" or module == "datasets":
        return Place(*found)
    inner = _find(module, DATASETS_FLOORS)
    if inner is None:
        raise LookupError(
            f"{module} stands in no room of DATASETS_FLOORS: move it into one, or give "
            "its room a floor"
        )
    return Place(*found, *inner)


def _is_test(path: pathlib.Path) -> bool:
    return path.stem.endswith("_test") or path.stem in ("conftest", "testing")


def _name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported(path: pathlib.Path, known: Mapping[str, pathlib.Path]) -> set[str]:
    """The modules among `known` that a file imports, anywhere in its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and _IMPORT.search(ast.unparse(node.func)):
            found |= {ast.literal_eval(a) for a in node.args if _is_text(a)}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & known.keys() or {node.module}
    return found & known.keys()


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _find(module: str, floors: Floors) -> tuple[int, str] | None:
    """Number of the floor and name of the room that fits `module` most closely."""
    fitting = [
        (len(room), number, room)
        for number, floor in enumerate(floors, 1)
        for room in floor
        if _is_in(module, room)
    ]
    return max(fitting)[1:] if fitting else None


def _is_in(module: str, room: str) -> bool:
    if room.endswith("*"):
        start = room.removesuffix("*")
        return module.startswith(start) and "." not in module.removeprefix(start)
    return module == room or module.startswith(f"{room}.")


def faults(imports: Mapping[str, set[str]]) -> list[str]:
    """What breaks the rules, a line each.

    Args:
      imports: as `modules` returns it.
    """
    found = []
    for name, others in sorted(imports.items()):
        for other in sorted(others - {name}):
            here, there = place(name), place(other)
            if any(_is_face(other, room) for room in FACES):
                found.append(f"{name} imports {other}, which is for programs alone")
            elif not here.may_import(there):
                found.append(
                    f"{name} ({_text(here)}) imports {other} ({_text(there)}), which "
                    "is not below"
                )
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        found.append(f"a circle: {' -> '.join(reversed(error.args[1]))}")
    return found


def _is_face(module: str, room: str) -> bool:
    return module == room if not room.endswith("*") else place(module).room == room


def _text(where: Place) -> str:
    inner = f".{where.inner_floor}" if where.inner_floor else ""
    return f"floor {where.floor}{inner}"


def drawing() -> str:
    """A mermaid graph of the rooms; an arrow says that one imports from the other.

    Arrows that follow from others are left out: a room may import from all rooms that
    it leads to.
    """
    below: dict[str, set[str]] = {}
    for name, others in modules().items():
        room = place(name).room
        below.setdefault(room, set()).update(place(other).room for other in others)
    reached: dict[str, set[str]] = {}
    for room in graphlib.TopologicalSorter(
        {room: others - {room} for room, others in below.items()}
    ).static_order():
        direct = below.get(room, set()) - {room}
        reached[room] = direct.union(*(reached[other] for other in direct))
    lines = ["graph TD"]
    for floor in reversed(FLOORS):
        lines += [f'  {_node(room)}["{title(room)}"]' for room in floor]
    for floor in reversed(FLOORS):
        for room in floor:
            direct = below.get(room, set()) - {room}
            indirect = set().union(*(reached[other] for other in direct))
            lines += [
                f"  {_node(room)} --> {_node(other)}"
                for other in sorted(direct - indirect)
            ]
    return "\n".join(lines)


def title(room: str) -> str:
    """What a room of `FLOORS` is called."""
    return _TITLES.get(room, room)


def purpose(room: str) -> str:
    """What a room of `FLOORS` is for: the first line of its package's docstring."""
    if room in _PURPOSES:
        return _PURPOSES[room]
    source = ROOT.joinpath(*room.split("."), "__init__.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _node(room: str) -> str:
    return title(room).replace(".", "_")


def main() -> int:
    """Prints what breaks the rules; returns the exit status."""
    found = faults(modules())
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(modules())} modules, {len(found)} faults")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
