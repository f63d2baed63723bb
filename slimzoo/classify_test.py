import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from slimzoo.classify import classify
from slimzoo.config import ClassifyConfig
from slimzoo.errors import UserError


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        pixels = np.full((8, 8, 3), 80 * i, np.uint8)
        Image.fromarray(pixels).save(path)
    return [str(path) for path in paths]


def write_graph(path, batch_size=None, channels=3, softmax=True):
    """A frozen graph of two classes: how dark and how bright a picture is."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [batch_size, 8, 8, channels], name="input")
        bright = tf.reduce_mean(images, [1, 2, 3])
        output = 5.0 * tf.stack([-bright, bright], axis=1)
        if softmax:
            output = tf.nn.softmax(output)
        tf.identity(output, name="output")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return str(path)


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_any_frozen_graph_gives_probabilities(tmp_path, pictures, batch_size, softmax):
    graph = write_graph(tmp_path / "graph.pb", batch_size, softmax=softmax)
    answers = list(classify(ClassifyConfig(graph=graph), pictures))
    assert [answer.path for answer in answers] == pictures
    best = [dict(answer.classes) for answer in answers]
    for probabilities in best:
        assert sum(probabilities.values()) == pytest.approx(1)
    bright = [probabilities["class 1"] for probabilities in best]
    assert bright[0] < 0.01 < bright[1] < bright[2]


def test_wrong_number_of_channels_is_told(tmp_path, pictures):
    config = ClassifyConfig(
        graph=write_graph(tmp_path / "graph.pb", channels=5), labels=None
    )
    with pytest.raises(UserError, match="network takes 5"):
        list(classify(config, pictures))


def test_two_may_run_at_once(tmp_path, pictures):
    """Neither leaves its graph as the default one while it waits."""
    config = ClassifyConfig(graph=write_graph(tmp_path / "graph.pb"), batch_size=1)
    before = tf.get_default_graph()
    pairs = []
    for pair in zip(
        classify(config, pictures), classify(config, pictures), strict=True
    ):
        assert tf.get_default_graph() is before
        pairs.append(pair)
    assert all(first == second for first, second in pairs)
    assert len(pairs) == 3
