import importlib
import sys

import pytest

from slimbase import registry
from slimbase.errors import UserError


def test_entries_are_found_by_name_and_kept_in_order():
    fruits = registry.Registry("Fruit [%s] is unknown")
    assert fruits.register("pear", 1) == 1
    assert fruits.register("apple", 2) == 2
    assert fruits["apple"] == 2
    assert list(fruits) == ["pear", "apple"]


def test_second_entry_of_a_name_is_an_error_and_changes_nothing():
    fruits = registry.Registry("Fruit [%s] is unknown")
    fruits.register("pear", 1)
    with pytest.raises(ValueError, match="'pear' is registered twice"):
        fruits.register("pear", 2)
    assert fruits == {"pear": 1}


def test_unknown_name_is_an_error_that_suggests():
    fruits = registry.Registry("Fruit [%s] is unknown")
    fruits.register("pear", 1)
    with pytest.raises(UserError, match=r"Fruit \[paer\] is unknown. .*mean pear\?"):
        fruits["paer"]
    assert fruits.get("paer") is None
    assert fruits == {"pear": 1}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of modules, some of them for tests."""
    root = tmp_path / "zoo_of_modules"
    for folder in (root, root / "below"):
        folder.mkdir()
        for name in ("__init__", "cat", "cat_test", "conftest", "testing", "dog"):
            (folder / f"{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("zoo_of_modules")
    for name in [name for name in sys.modules if name.startswith("zoo_of_modules")]:
        del sys.modules[name]


def imported():
    return {name for name in sys.modules if name.startswith("zoo_of_modules.")}


def test_modules_below_a_package_are_imported_but_not_those_of_tests(package):
    registry.import_modules(package)
    assert imported() == {
        *("zoo_of_modules.cat", "zoo_of_modules.dog", "zoo_of_modules.below"),
        *("zoo_of_modules.below.cat", "zoo_of_modules.below.dog"),
    }


def test_only_wanted_modules_are_imported(package):
    registry.import_modules(package, lambda name: name.endswith(".dog"))
    # walk_packages itself imports packages to look into them.
    assert imported() - {"zoo_of_modules.below"} == {
        *("zoo_of_modules.dog", "zoo_of_modules.below.dog"),
    }
