import re

import pytest

from tools import imports
from tools.markdown import ROOT

MODULES = imports.modules()


def test_imports_run_downwards_and_in_no_circle():
    assert imports.faults(MODULES) == []


def test_every_module_stands_in_a_room():
    for module in MODULES:
        assert imports.place(module).floor


@pytest.mark.parametrize("module", ["slimzoo.attic.trunk", "datasets.attic.trunk"])
def test_module_without_a_room_is_an_error(module):
    with pytest.raises(LookupError, match=f"{module} stands in no room"):
        imports.place(module)


@pytest.mark.parametrize(
    ("module", "other", "complaint"),
    [
        ("slimbase.files", "nets.vgg", "floor 1) imports nets.vgg (floor 2)"),
        ("datasets.registry", "nets.vgg", "floor 2.3) imports nets.vgg (floor 2)"),
        (
            "datasets.storage.records",
            "datasets.converting.conversion",
            "which is not below",
        ),
        ("datasets.flowers", "datasets.mnist", ""),
        ("slimzoo.model.info", "slimzoo.training.train", "which is not below"),
        (
            "slimzoo.classification.classify",
            "slimzoo.evaluation.metrics",
            "which is not below",
        ),
        ("slimzoo.training.train", "slimzoo.errors", "which is for programs alone"),
        ("slimzoo.model.info", "slimzoo.config", "which is for programs alone"),
        ("slimzoo.evaluation.many", "classify_image", "which is for programs alone"),
        ("slimzoo.training.train", "slimzoo.evaluation.evaluate", ""),
        ("slimzoo.training.train", "slimzoo.training.hooks", ""),
    ],
)
def test_one_import_that_breaks_the_rules_is_found(module, other, complaint):
    broken = {**MODULES, module: {other}}
    found = [text for text in imports.faults(broken) if "a circle" not in text]
    assert len(found) == bool(complaint)
    if complaint:
        assert found[0].startswith(module) and complaint in found[0]


def test_circle_is_found():
    circle = {"nets.vgg": {"nets.layers"}, "nets.layers": {"nets.vgg"}}
    [found] = imports.faults(circle)
    assert re.fullmatch(r"a circle: nets\.(\w+) -> nets\.\w+ -> nets\.\1", found)


def test_imports_in_functions_and_for_type_checkers_count(tmp_path):
    path = tmp_path / "x.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from nets import vgg\n"
        "def f():\n    from slimbase.errors import UserError\n    import nets.lenet\n"
        "    importlib.import_module('slimzoo.training.train')\n"
    )
    known = {name: path for name in MODULES}  # noqa: C420 (Keeps the type.)
    assert imports.imported(path, known) == {
        "nets.vgg",
        "slimbase.errors",
        "nets.lenet",
        "slimzoo.training.train",
    }


def test_faces_define_nothing():
    faces = [p for p in imports.sources() if p.parent == ROOT / "slimzoo"]
    assert len(faces) > 1
    for path in faces:
        assert not re.search(r"^(def|class) ", path.read_text(), re.MULTILINE), path
