import pytest
import tensorflow.compat.v1 as tf
from google.protobuf import text_format

from slimbase.errors import UserError
from slimzoo.exporting.describe import describe


@pytest.fixture
def graph_def():
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 4, 4, 3], "input")
        tf.placeholder(tf.bool, name="switch")
        weights = tf.get_variable("weights", [4, 4, 3, 7], use_resource=False)
        bias = tf.constant([0.5] * 7, name="bias")
        net = tf.nn.conv2d(images, weights, 1, "SAME") + bias
        tf.nn.softmax(net, name="probabilities")
        return graph.as_graph_def()


@pytest.mark.parametrize("as_text", [False, True])
def test_description(graph_def, tmp_path, as_text):
    path = tmp_path / "graph.pb"
    if as_text:
        path.write_text(text_format.MessageToString(graph_def))
    else:
        path.write_bytes(graph_def.SerializeToString())
    text = describe(str(path))
    assert "inputs: 2\n  input, float32 [any, 4, 4, 3]\n  switch, bool of any" in text
    assert "likely outputs: 1\n  probabilities, Softmax\n" in text
    assert f"variables: 1 of {4 * 4 * 3 * 7} values" in text
    assert "     1 Conv2D\n" in text
    assert "     2 Placeholder\n" in text


def test_values_of_constants_are_counted(tmp_path):
    with tf.Graph().as_default() as graph:
        tf.identity(tf.zeros([3, 5]) + tf.ones([]), name="sum")
        tf.io.write_graph(graph, str(tmp_path), "graph.pb", as_text=False)
    text = describe(str(tmp_path / "graph.pb"))
    assert "constants: 2 of 16 values" in text
    assert "inputs: 0\nlikely outputs: 1\n  sum, Identity\n" in text


@pytest.mark.parametrize("content", [b"\xff\xfe\xfd", b"not a graph", b""])
def test_other_files(tmp_path, content):
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"graph\.pb is (not a GraphDef|empty)"):
        describe(str(path))


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        describe(str(tmp_path / "none.pb"))
