"""Which rooms of the project import which: what the drawing of its structure must show.

python -m tools.imports
"""

import ast
import pathlib
import re

from tools.markdown import ROOT

PACKAGES = ("nets", "datasets", "preprocessing", "deployment")
_BENCHMARK = "slimzoo.benchmark"
_IMPORT = re.compile(r"\bimport_module$")


def sources() -> list[pathlib.Path]:
    """The files of our modules, sorted; those of tests and tools left out."""
    paths = [*ROOT.glob("*.py")]
    for package in (*PACKAGES, "slimzoo"):
        paths += (ROOT / package).rglob("*.py")
    return sorted(path for path in paths if not _is_test(path))


def modules() -> dict[str, set[str]]:
    """Of each module, the modules of ours that it imports."""
    known = {_name(path): path for path in sources()}
    return {name: _imported(path, known) for name, path in known.items()}


def _is_test(path: pathlib.Path) -> bool:
    return path.stem.endswith("_test") or path.stem in ("conftest", "testing")


def _name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _imported(path: pathlib.Path, known: dict[str, pathlib.Path]) -> set[str]:
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


def rooms() -> dict[str, str]:
    """The room of each module.

    A package is a room. Of slimzoo, modules that import a package, be it by way of
    others, are the `engine`; those that all may use, as they use no package, are the
    `foundation`.
    """
    imported = modules()
    engine: set[str] = set()
    while True:
        more = {
            name
            for name, its in imported.items()
            if name.startswith("slimzoo")
            and name not in engine
            and any(other in engine or _package(other) for other in its)
        }
        if not more:
            break
        engine |= more
    return {name: _room(name, engine) for name in imported}


def _package(name: str) -> str:
    first = name.split(".")[0]
    return first if first in PACKAGES else ""


def _room(name: str, engine: set[str]) -> str:
    if name.startswith(_BENCHMARK):
        return "benchmark"
    if name.startswith("slimzoo"):
        return "engine" if name in engine else "foundation"
    return _package(name) or "commands"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def edges() -> set[tuple[str, str]]:
    """Pairs of rooms, of which the first imports from the second."""
    room = rooms()
    pairs = {(room[n], room[other]) for n, its in modules().items() for other in its}
    return {(one, other) for one, other in pairs if one != other}


if __name__ == "__main__":
    for pair in sorted(edges()):
        print(" --> ".join(pair))
