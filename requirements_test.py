"""The pinned combination against the bounds that pyproject.toml states."""

import pathlib

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Before Python 3.11.
    import tomli as tomllib
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _pins(file_name):
    lines = (ROOT / file_name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


@pytest.mark.parametrize(
    ("file_name", "bounds"),
    [
        ("requirements.txt", PROJECT["dependencies"]),
        ("requirements-dev.txt", PROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_pins_are_within_the_bounds(file_name, bounds):
    pins = _pins(file_name)
    for bound in map(Requirement, bounds):
        own = [pin for pin in pins if pin.name.lower() == bound.name.lower()]
        assert own, f"{bound.name} is not pinned"
        for pin in own:
            [exact] = pin.specifier
            assert exact.operator == "=="
            assert bound.specifier.contains(exact.version), f"{pin} is not {bound}"
