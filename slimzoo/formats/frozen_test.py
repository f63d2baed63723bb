import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.formats import frozen


@pytest.fixture
def write_graph(tmp_path):
    """`f(build)` writes the graph that `build` makes; gives its path."""

    def write(build):
        with classic_graph() as graph:
            build()
            path = tmp_path / "graph.pb"
            path.write_bytes(graph.as_graph_def().SerializeToString())
        return str(path)

    return write


def double(name="input"):
    images = tf.placeholder(tf.float32, [None, 2], name)
    return tf.add(images, images, "Predictions")


def test_input_and_output_of_a_frozen_graph_are_found(write_graph):
    path = write_graph(double)
    with classic_graph(), tf.Session() as session:
        images, output = frozen.load(path)
        assert images.name == "input:0"
        assert output.name == "Predictions:0"
        assert session.run(output, {images: [[1, 2]]}).tolist() == [[2, 4]]


@pytest.mark.parametrize("use_resource", [False, True])
def test_graph_that_is_not_frozen_is_refused(write_graph, use_resource):
    def build():
        with tf.variable_scope("", use_resource=use_resource):
            tf.multiply(double(), tf.get_variable("weights", [2]))

    path = write_graph(build)
    with classic_graph(), pytest.raises(UserError, match=r"not frozen.*freeze_graph"):
        frozen.load(path)


def two_inputs():
    tf.add(double(), tf.placeholder(tf.float32, name="more"), "sum")


def two_outputs():
    predictions = double()
    tf.tanh(predictions, "a")
    tf.exp(predictions, "b")


def no_input():
    tf.constant(1.0, name="c")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (two_inputs, r"inputs \[input, more\] and outputs \[sum\]"),
        (two_outputs, r"inputs \[input\] and outputs \[a, b\]"),
        (no_input, r"inputs \[\] and outputs \[c\]"),
    ],
)
def test_graph_with_more_or_fewer_ends_is_refused(write_graph, build, message):
    path = write_graph(build)
    with classic_graph(), pytest.raises(UserError, match=message):
        frozen.load(path)


def test_graph_that_is_not_there_is_reported(tmp_path):
    path = str(tmp_path / "none.pb")
    with classic_graph(), pytest.raises(UserError, match=rf"{path}: No such file"):
        frozen.load(path)


@pytest.mark.parametrize("content", [b'node { name: "input" }', b"\xff\xd8" * 99])
def test_file_that_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with classic_graph(), pytest.raises(UserError, match=f"{path} is not a binary Gra"):
        frozen.load(str(path))


def test_graph_with_unknown_operations_is_refused(tmp_path):
    graph_def = tf.GraphDef()
    graph_def.node.add(name="a", op="NoSuchOperation")
    path = tmp_path / "graph.pb"
    path.write_bytes(graph_def.SerializeToString())
    with (
        classic_graph(),
        pytest.raises(UserError, match=rf"cannot use .*{path}: .*NoSuchOpe"),
    ):
        frozen.load(str(path))


@pytest.mark.parametrize("name", ["a", "a:0", "import/a", "import/a:0"])
def test_output_may_be_named(write_graph, name):
    path = write_graph(two_outputs)
    with classic_graph():
        _, output = frozen.load(path, output_layer=name)
        assert output.name == "a:0"


def test_input_may_be_named(write_graph):
    path = write_graph(two_inputs)
    with classic_graph():
        images, _ = frozen.load(path, input_layer="input")
        assert images.name == "input:0"


@pytest.mark.parametrize("which", ["input_layer", "output_layer"])
def test_unknown_layer_suggests(write_graph, which):
    path = write_graph(double)
    with classic_graph(), pytest.raises(UserError) as error:
        frozen.load(path, **{which: "Prediction"})
    assert "no operation Prediction" in str(error.value)
    assert "Did you mean Predictions" in str(error.value)


def test_layer_under_import_itself_comes_first(write_graph):
    def build():
        images = double()
        tf.tanh(images, "import/a")
        tf.exp(images, "a")

    path = write_graph(build)
    with classic_graph():
        _, output = frozen.load(path, output_layer="import/a")
        assert output.name == "import/a:0"


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (tf.nn.softmax, True),
        (lambda x: tf.reshape(tf.nn.softmax(x), [-1]), True),
        (lambda x: tf.identity(tf.squeeze(tf.nn.softmax(x))), True),
        (lambda x: x, False),
        (lambda x: tf.nn.softmax(x) * 2.0, False),
        (tf.nn.log_softmax, False),
    ],
)
def test_softmax_is_seen(build, expected):
    with classic_graph():
        logits = tf.placeholder(tf.float32, [None, 3])
        assert frozen.gives_probabilities(build(logits)) is expected
