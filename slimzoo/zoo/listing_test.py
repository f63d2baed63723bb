import dataclasses
import json
import shutil
import subprocess
import sys

import pytest

from nets.registry import NETWORKS
from slimbase.testing import copy_checkout
from slimzoo.zoo import listing, networks

LIST = """
import dataclasses, json, sys
from slimzoo.zoo import listing

rows = [dataclasses.asdict(row) for row in listing.rows()]
print(json.dumps([rows, "tensorflow" in sys.modules]))
"""
# A network as somebody may add it.
NETWORK = """
import tensorflow.compat.v1 as tf
from nets import registry

@registry.register(
    "mine",
    arg_scope=None,
    image_size=int(tf.TensorShape([123])[0]),
    preprocessing="inception",
    classifier_scopes=(),
    paper="",
)
def mine(images, num_classes=1000, is_training=True): ...
"""


def _list(checkout):
    """The rows of all networks by name, and whether TensorFlow was started."""
    result = subprocess.run(
        [sys.executable, "-c", LIST],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    rows, started = json.loads(result.stdout)
    return {row["name"]: row for row in rows}, started


@pytest.mark.slow
def test_all_are_listed_without_tensorflow_and_with_it_where_there_are_more(tmp_path):
    checkout = tmp_path / "checkout"
    copy_checkout(checkout)
    expected = {row.name: dataclasses.asdict(row) for row in networks.rows()}
    assert _list(checkout) == (expected, False)
    (checkout / "nets" / "mine.py").write_text(NETWORK)
    rows, started = _list(checkout)
    mine = rows.pop("mine")
    assert (mine["image_size"], mine["parameters"], started) == (123, None, True)
    assert rows == expected


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A copy of `nets/`."""
    shutil.copytree(listing.NETS, tmp_path / "nets")
    monkeypatch.setattr(listing, "NETS", tmp_path / "nets")
    return tmp_path / "nets"


def test_changes_of_tests_and_of_line_ends_do_not_count(nets):
    for name in ("zoo_test.py", "testing.py", "goldens/lenet.json"):
        (nets / name).write_text("other")
    text = (nets / "lenet.py").read_bytes()
    (nets / "lenet.py").write_bytes(text.replace(b"\n", b"\r\n"))
    assert listing._recorded() == networks.rows()


@pytest.mark.parametrize(
    "file", ["lenet.py", "nasnet/nasnet.py", "published_checkpoints.csv", "mine.py"]
)
def test_changes_of_networks_are_noticed(nets, file):
    with (nets / file).open("a") as output:
        output.write("\n")
    assert listing._recorded() is None


def test_network_that_is_gone_is_noticed(nets):
    (nets / "lenet.py").unlink()
    assert listing._recorded() is None


def test_networks_of_a_program_that_has_tensorflow_are_listed(monkeypatch):
    mine = dataclasses.replace(NETWORKS["lenet"], name="mine", image_size=123)
    monkeypatch.setitem(NETWORKS, "mine", mine)
    [row] = listing.rows(["mine"])
    assert row.image_size == 123
