"""Fixtures shared by all tests."""

import pathlib

import pytest

SHARED_DATA = pathlib.Path(__file__).resolve().parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The directory of real photos, archives and checkpoints beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return SHARED_DATA
