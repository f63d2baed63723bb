import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from slimbase.errors import UserError
from slimzoo.classification.classify import Answer, classify
from slimzoo.config.classify import ClassifyConfig


def config_of(model_name="inception_v3", **options):
    return ClassifyConfig(model_name=model_name, **options)


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
    answers = list(classify(config_of(graph=graph), pictures))
    assert [answer.path for answer in answers] == pictures
    best = [{c.name: c.value for c in answer.classes} for answer in answers]
    for probabilities in best:
        assert sum(probabilities.values()) == pytest.approx(1)
    bright = [probabilities["class 1"] for probabilities in best]
    assert bright[0] < 0.01 < bright[1] < bright[2]


def test_wrong_number_of_channels_is_reported(tmp_path, pictures):
    config = config_of(
        graph=write_graph(tmp_path / "graph.pb", channels=5), labels=None
    )
    with pytest.raises(UserError, match="network takes 5"):
        list(classify(config, pictures))


def test_two_may_run_at_once(tmp_path, pictures):
    """Neither leaves its graph as the default one while it waits."""
    config = config_of(graph=write_graph(tmp_path / "graph.pb"), batch_size=1)
    before = tf.get_default_graph()
    pairs = []
    for pair in zip(
        classify(config, pictures), classify(config, pictures), strict=True
    ):
        assert tf.get_default_graph() is before
        pairs.append(pair)
    assert all(first == second for first, second in pairs)
    assert len(pairs) == 3


def ask(graph, pictures, **options):
    return list(classify(config_of(graph=graph, **options), pictures))


def logits_of(answers):
    """In the order of classes."""
    return [
        [c.value for c in sorted(answer.classes, key=lambda c: c.number)]
        for answer in answers
    ]


# What is asked for


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
def test_any_batch_size_gives_the_same_answers(tmp_path, pictures, batch_size):
    graph = write_graph(tmp_path / "graph.pb")
    expected = ask(graph, pictures * 2)
    answers = ask(graph, pictures * 2, batch_size=batch_size)
    assert [answer.path for answer in answers] == pictures * 2
    np.testing.assert_allclose(logits_of(answers), logits_of(expected), rtol=1e-6)


def test_likeliest_classes_come_first(tmp_path, pictures):
    answers = ask(write_graph(tmp_path / "graph.pb"), pictures)
    assert [c.number for c in answers[0].classes] == [0, 1]
    assert [c.number for c in answers[2].classes] == [1, 0]
    [best] = ask(write_graph(tmp_path / "graph.pb"), pictures[2:], top_k=1)
    assert best.classes == answers[2].classes[:1]


def test_logits_may_be_asked_for(tmp_path, pictures):
    graph = write_graph(tmp_path / "graph.pb", softmax=False)
    [answer] = ask(graph, pictures[1:2], logits=True)
    bright = 5 * (160 / 255 - 1)  # In [-1, 1].
    assert logits_of([answer]) == [pytest.approx([-bright, bright], abs=1e-5)]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_bad_picture_is_reported_in_its_place(tmp_path, pictures, batch_size):
    bad = tmp_path / "1b.png"
    bad.write_bytes(b"words")
    graph = write_graph(tmp_path / "graph.pb")
    given = [pictures[0], str(bad), *pictures[1:], str(bad)]
    answers = ask(graph, given, batch_size=batch_size)
    assert [answer.path for answer in answers] == given
    errors = [answer.error for answer in answers]
    assert errors[0] is errors[2] is errors[3] is None
    assert "is not a JPEG" in str(errors[1])
    assert answers[1] == answers[4] == Answer(str(bad), error=errors[1])
    np.testing.assert_allclose(
        logits_of(a for a in answers if not a.error), logits_of(ask(graph, pictures))
    )


def test_picture_of_a_flag_comes_last(tmp_path, pictures):
    graph = write_graph(tmp_path / "graph.pb")
    answers = ask(graph, pictures[:1], image=pictures[1])
    assert [answer.path for answer in answers] == pictures[:2]


# Views


def write_left(path):
    """Logits: how bright the left half of a picture is, and zero."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 8, 8, 3], name="input")
        left = tf.reduce_mean(images[:, :, :4], [1, 2, 3])
        tf.stack([5.0 * left, tf.zeros_like(left)], axis=1, name="output")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return str(path)


def test_views_are_averaged_over(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255
    path = str(tmp_path / "half.png")
    Image.fromarray(pixels).save(path)
    graph = write_left(tmp_path / "graph.pb")
    options = {"central_fraction": 1.0}
    plain = logits_of(ask(graph, [path], **options))
    assert plain == [pytest.approx([1 / (1 + np.exp(-5)), 1 / (1 + np.exp(5))])]
    [both] = logits_of(ask(graph, [path], **options, flip=True))
    assert both == pytest.approx([0.5, 0.5])
    [five] = logits_of(ask(graph, [path], central_fraction=0.5, crops=5))
    assert 0.5 < five[0] < plain[0][0]


# Embeddings


@pytest.mark.parametrize("batch_size", [1, 32])
def test_embeddings_are_written_with_the_names(tmp_path, pictures, batch_size):
    graph = write_graph(tmp_path / "graph.pb")
    bad = tmp_path / "bad.png"
    bad.touch()
    file = tmp_path / "new" / "embeddings.npz"
    ask(
        graph,
        [pictures[0], str(bad), *pictures[1:]],
        end_point="Mean",
        embeddings_file=str(file),
        batch_size=batch_size,
    )
    content = np.load(file)
    assert content["files"].tolist() == pictures
    expected = [80 * i / 127.5 - 1 for i in range(3)]
    np.testing.assert_allclose(content["embeddings"], expected, atol=1e-5)


def test_embeddings_are_means_over_the_views(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255
    path = str(tmp_path / "half.png")
    Image.fromarray(pixels).save(path)
    file = tmp_path / "embeddings.npz"
    options = {"end_point": "Mean", "embeddings_file": str(file)}
    ask(write_left(tmp_path / "g.pb"), [path], flip=True, central_fraction=1, **options)
    np.testing.assert_allclose(np.load(file)["embeddings"], [0], atol=1e-6)


# As label_image


def test_pixels_may_be_scaled_by_mean_and_deviation(tmp_path, pictures):
    graph = write_graph(tmp_path / "graph.pb", softmax=False)

    def bright(**options):
        return [
            row[1] / 5
            for row in logits_of(ask(graph, pictures, logits=True, **options))
        ]

    assert bright(input_mean=80) == pytest.approx([-80 / 255, 0, 80 / 255], abs=1e-6)
    assert bright(input_std=10) == pytest.approx([0, 8, 16], abs=1e-5)
    assert bright(input_mean=127.5, input_std=127.5) == pytest.approx(
        bright(), abs=1e-5
    )


def test_gray_pictures_may_be_scaled_too(tmp_path, pictures):
    graph = write_graph(tmp_path / "graph.pb", channels=1, softmax=False)
    options = {"input_mean": 0, "input_std": 10, "logits": True}
    for use_grayscale in (None, True):
        answers = ask(graph, pictures, use_grayscale=use_grayscale, **options)
        bright = [row[1] for row in logits_of(answers)]
        assert bright == pytest.approx([0, 40, 80], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_std": 0}, "--input_std=0"),
        ({"input_mean": 1, "crops": 5}, "--crops and --flip are of preprocessing"),
        ({"input_std": 1, "flip": True}, "leave out --input_mean and --input_std"),
        ({"input_height": 8}, "--input_height and --input_width"),
        (
            {"input_height": 8, "input_width": 8, "image_size": (8, 8)},
            "--image_size in their place",
        ),
        ({"precision": "bfloat16"}, "--precision is for checkpoints"),
        ({"checkpoint_path": "x"}, "either --checkpoint_path or --graph"),
        ({"end_point": "Mean"}, "go together: give both"),
        ({"embeddings_file": "x.npz"}, "go together: give both"),
        ({"crops": 3}, "--crops=3"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, pictures, options, message):
    with pytest.raises(UserError, match=message):
        ask(write_graph(tmp_path / "graph.pb"), pictures, **options)


def test_layers_of_a_checkpoint_are_refused(pictures):
    config = config_of(checkpoint_path="x", input_layer="input")
    with pytest.raises(UserError, match="are for --graph"):
        list(classify(config, pictures))


# Names


def named(tmp_path, pictures, text, **options):
    labels = tmp_path / "labels.txt"
    labels.write_text(text, "utf-8")
    graph = write_graph(tmp_path / "graph.pb")
    [answer] = ask(graph, pictures[:1], labels=str(labels), **options)
    return [c.name for c in sorted(answer.classes, key=lambda c: c.number)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0:dark\n1:bright\n", ["dark", "bright"]),
        ("1:bright\n\n0: dark, very\n", ["dark, very", "bright"]),
        ("1:bright", ["class 0", "bright"]),
        ("dark\r\nLöwe: 2\r\n", ["dark", "Löwe: 2"]),
        ("²:dark\n1:bright", ["²:dark", "1:bright"]),
    ],
)
def test_names_are_those_of_the_file(tmp_path, pictures, text, names):
    assert named(tmp_path, pictures, text) == names


def test_names_are_less_the_offset_where_there_are_more(tmp_path, pictures):
    text = "background\ndark\nbright"
    assert named(tmp_path, pictures, text, labels_offset=1) == ["dark", "bright"]
    assert named(tmp_path, pictures, text[11:], labels_offset=1) == ["dark", "bright"]
    assert named(tmp_path, pictures, text) == ["dark", "bright"]
    with pytest.raises(UserError, match="has 3 names, but the network has 2 classes"):
        named(tmp_path, pictures, "gray\ndark\nbright")


@pytest.mark.parametrize("text", ["", "one"])
def test_too_few_names_are_refused(tmp_path, pictures, text):
    with pytest.raises(
        UserError, match=r"labels\.txt has . names, .* 2 .* a first line `background`"
    ):
        named(tmp_path, pictures, text)


def test_labels_that_cannot_be_read_are_refused(tmp_path, pictures):
    graph = write_graph(tmp_path / "graph.pb")
    with pytest.raises(UserError, match=r"--labels: cannot read .*none\.txt"):
        ask(graph, pictures, labels=str(tmp_path / "none.txt"))
    path = pathlib.Path(tmp_path / "bytes.txt")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"--labels: cannot read .*bytes\.txt"):
        ask(graph, pictures, labels=str(path))
