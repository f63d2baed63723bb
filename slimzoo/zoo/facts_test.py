import pytest

from slimbase.testing import run
from slimzoo.zoo import facts, listing

LIST = """
import sys
from slimzoo.zoo import facts

rows = facts.models().rows()
print(len(rows), "tensorflow" in sys.modules)
import slimzoo
assert not hasattr(slimzoo, "zoo")
from slimzoo.zoo import listing as models  # With TensorFlow.
assert models.rows() == models.rows()
assert [vars(row) for row in models.rows()] == [vars(row) for row in rows]
from nets import nets_factory
import tensorflow.compat.v1 as tf
with tf.Graph().as_default():
    logits, _ = nets_factory.get_network_fn("lenet", 10)(tf.zeros([1, 28, 28, 1]))
assert logits.shape == [1, 10]
"""
# A network as somebody may add it.
NETWORK = """
import tensorflow.compat.v1 as tf
from nets import registry

{before}

@registry.register(
    "mine",
    arg_scope=None,
    image_size={size},
    preprocessing="inception",
    classifier_scopes=(),
    paper="",
)
def mine(images, num_classes=1000, is_training=True): ...
"""


def _run(program, more=""):
    return run("-c", more + program).stdout.split()


def test_networks_are_known_without_tensorflow_and_the_same_with_it():
    assert _run(LIST) == [str(len(listing.rows())), "False"]


@pytest.mark.parametrize(
    ("before", "size", "started"),
    [
        ("", "123", "False"),
        ("LAYERS = [tf.nn.relu] * 3", "100 + 23", "False"),
        ("class Layer(tf.Module): pass", "123", "True"),
        ("", "int(tf.TensorShape([123])[0])", "True"),
        *(
            pytest.param(before, size, "True", marks=pytest.mark.slow)
            for before, size in [
                ("assert tf.__version__", "123"),
                ("", "tf.TensorShape([123]).num_elements()"),
            ]
        ),
    ],
)
def test_tensorflow_is_started_where_facts_need_it(tmp_path, before, size, started):
    (tmp_path / "mine.py").write_text(NETWORK.format(before=before, size=size))
    program = f"""
import importlib.util, pkgutil, sys
from slimzoo.zoo import facts

walk = pkgutil.walk_packages
mine = pkgutil.ModuleInfo(None, "nets.mine", False)
pkgutil.walk_packages = lambda *args: [*walk(*args), mine]

class InNets:
    def find_spec(self, name, path=None, target=None):
        if name == "nets.mine":
            location = {str(tmp_path / "mine.py")!r}
            return importlib.util.spec_from_file_location(name, location)

sys.meta_path.insert(0, InNets())
[mine] = facts.models().rows(["mine"])
print(mine.image_size, "tensorflow" in sys.modules)
"""
    assert _run(program) == ["123", started]


def test_where_tensorflow_is_already_nothing_stands_in():
    assert facts.models() is listing
