import json
import pathlib
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.nets_factory import NETWORKS
from preprocessing.preprocessing_factory import RECIPES, get_preprocessing, get_recipe
from preprocessing.testing import picture, run, run_on_seeds
from slimbase.errors import UserError

GOLDENS = json.loads(pathlib.Path(__file__).with_name("goldens.json").read_text())
RANDOM_RECIPES = ["cifarnet", "inception", "vgg"]


def golden_name(golden):
    return "{}-{}x{}x{}".format(golden["recipe"], *golden["input_shape"])


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("golden", GOLDENS, ids=golden_name)
def test_golden(golden, known):
    shape = golden["input_shape"]
    height, width, channels = golden["output_shape"]
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.uint8, shape if known else [None, None, shape[-1]])
        result = get_preprocessing(golden["recipe"])(image, height, width)
        assert result.shape.as_list() == [height, width, channels]
        result = session.run(result, {image: picture(*shape)})
    values = result.astype(np.float64).ravel()
    np.testing.assert_allclose(values.mean(), golden["mean"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(values.std(), golden["std"], rtol=1e-5)
    samples = values[:: values.size // 24][:24]
    np.testing.assert_allclose(samples, golden["samples"], rtol=1e-5, atol=1e-4)


def test_every_recipe_has_a_golden():
    assert {golden["recipe"] for golden in GOLDENS} == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_facts_say_what_the_recipe_does(recipe):
    pixel = np.full([256, 256, 3], 200, np.uint8)
    result = run(lambda: get_preprocessing(recipe.name)(tf.constant(pixel), 32, 32))
    if recipe.mean is None:
        assert recipe.scale is None
        np.testing.assert_allclose(result, 0, atol=1e-5)
    else:
        expected = (pixel[:32, :32] - np.array(recipe.mean)) / recipe.scale
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_names_of_recipes_and_networks():
    assert set(RECIPES) >= {"cifarnet", "inception", "lenet", "vgg"}
    for name, recipe in RECIPES.items():
        assert get_recipe(name) is recipe
    for name, network in NETWORKS.items():
        assert get_recipe(name) is RECIPES[network.preprocessing]


def test_a_network_registered_later(monkeypatch):
    network = types.SimpleNamespace(preprocessing="vgg")
    monkeypatch.setitem(NETWORKS, "vgg_of_tomorrow", network)
    assert get_recipe("vgg_of_tomorrow") is RECIPES["vgg"]


@pytest.mark.parametrize("name", ["incepton", "no such thing", ""])
def test_unknown_name(name):
    with pytest.raises(ValueError) as error:
        get_preprocessing(name)
    assert f"Preprocessing name [{name}] was not recognized" in str(error.value)
    assert ("Did you mean inception" in str(error.value)) == (name == "incepton")
    assert all(known in str(error.value) for known in [*RECIPES, *NETWORKS])


def test_size_at_either_place():
    def shape(given_first, *given_later, **given_by_name):
        with tf.Graph().as_default():
            function = get_preprocessing("inception", **given_first)
            image = tf.constant(picture(30, 30, 3))
            return function(image, *given_later, **given_by_name).shape.as_list()

    assert shape({"height": 8, "width": 9}) == [8, 9, 3]
    assert shape({}, 8, 9) == [8, 9, 3]
    assert shape({}, output_height=8, output_width=9) == [8, 9, 3]
    assert shape({"height": 8}, output_width=9) == [8, 9, 3]
    assert shape({"height": 4, "width": 4}, 8, 9) == [8, 9, 3]
    for given in ({}, {"height": 8}, {"width": 8}):
        with pytest.raises(UserError, match="height and a width"):
            shape(given)


def test_a_batch_is_not_a_picture():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="rank"):
        get_preprocessing("vgg")(tf.zeros([2, 30, 30, 3]), 8, 8)


@pytest.mark.parametrize("sizes", ["known", "unknown size", "unknown"])
@pytest.mark.parametrize("use_grayscale", [False, True], ids=["color", "gray"])
@pytest.mark.parametrize("is_training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", RECIPES)
def test_channels(name, channels, is_training, use_grayscale, sizes):
    source = picture(40, 36, channels)
    shape = {
        "known": source.shape,
        "unknown size": [None, None, channels],
        "unknown": None,
    }[sizes]
    seed = {"seed": [1, 2]} if is_training else {}
    wanted = 1 if use_grayscale else channels if name == "lenet" else 3
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.uint8, shape)
        function = get_preprocessing(name, is_training, use_grayscale)
        result = function(image, 30, 34, **seed)
        assert result.dtype == tf.float32
        if sizes == "unknown" and name == "lenet" and not use_grayscale:
            assert result.shape.as_list() == [30, 34, None]
        else:
            assert result.shape.as_list() == [30, 34, wanted]
        result = session.run(result, {image: source})
    assert result.shape == (30, 34, wanted)
    assert np.all(np.isfinite(result))
    assert result.std() > 0.02
    if channels == 1 and wanted == 3:
        if name == "vgg":
            result += RECIPES["vgg"].mean
        np.testing.assert_allclose(result[..., 1:], result[..., :-1], atol=1e-3)


@pytest.mark.parametrize("name", RANDOM_RECIPES)
def test_seeds(name):
    function = get_preprocessing(name, is_training=True)
    source = picture(40, 36, 3)
    first, second, other = run_on_seeds(
        lambda seed: function(tf.constant(source), 32, 32, seed=seed), [1, 1, 2]
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-2


@pytest.mark.parametrize("name", RANDOM_RECIPES)
def test_the_seed_of_the_graph(name):
    function = get_preprocessing(name, is_training=True)

    def run_twice(graph_seed):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(graph_seed)
            result = function(tf.constant(picture(40, 36, 3)), 32, 32)
            return session.run(result), session.run(result)

    first, later = run_twice(1)
    np.testing.assert_array_equal([first, later], run_twice(1))
    assert np.abs(first - later).max() > 1e-2
    assert np.abs(first - run_twice(2)[0]).max() > 1e-2


@pytest.mark.parametrize(
    "name, options",
    [*((name, {}) for name in RECIPES), ("inception", {"fast_mode": False})],
)
def test_nothing_but_the_seed_is_random(name, options):
    function = get_preprocessing(name, is_training=True)
    with tf.Graph().as_default() as graph:
        function(tf.constant(picture(40, 36, 3)), 32, 32, seed=[1, 2], **options)
        definition = graph.as_graph_def()
    nodes = [*definition.node]
    for inner in definition.library.function:
        nodes.extend(inner.node_def)
    drawing = {node.op for node in nodes if "Random" in node.op or "Sample" in node.op}
    assert all(op.startswith("Stateless") for op in drawing)
    assert bool(drawing) == (name in RANDOM_RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_in_a_dataset(name):
    function = get_preprocessing(name, is_training=True, height=32, width=32)
    source = picture(40, 36, 3)

    def run_dataset(parallel):
        with tf.Graph().as_default(), tf.Session() as session:
            encoded = tf.io.encode_jpeg(tf.constant(source))
            dataset = (
                tf.data.Dataset.range(6)
                .map(
                    lambda i: function(
                        tf.io.decode_jpeg(encoded), seed=tf.stack([i, i + 7])
                    ),
                    num_parallel_calls=parallel,
                )
                .batch(6)
            )
            iterator = tf.data.make_initializable_iterator(dataset)
            session.run(iterator.initializer)
            batch = session.run(iterator.get_next())
            assert not tf.get_collection(tf.GraphKeys.SUMMARIES)
            return batch

    batch = run_dataset(1)
    assert batch.shape == (6, 32, 32, 3)
    np.testing.assert_array_equal(batch, run_dataset(4))
    assert len({picture.tobytes() for picture in batch}) == (
        6 if name in RANDOM_RECIPES else 1
    )


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_eagerly(name, is_training):
    if not tf.executing_eagerly():
        pytest.skip("the program runs without eager mode")
    function = get_preprocessing(name, is_training)
    source = picture(40, 36, 3)
    result = function(tf.constant(source), 32, 32, seed=[3, 4])
    in_graph = run(lambda: function(tf.constant(source), 32, 32, seed=[3, 4]))
    np.testing.assert_allclose(result.numpy(), in_graph, rtol=1e-4, atol=1e-4)
