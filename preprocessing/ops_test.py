import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import ops
from preprocessing.testing import coordinates, picture, run, run_on_seeds
from slimbase.errors import UserError


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_color(channels, known):
    source = picture(5, 7, channels).astype(np.float32)
    weights = np.array([[0.2989], [0.587], [0.114]])
    luma = source if channels == 1 else source @ weights
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.float32, source.shape if known else [None] * 3)
        # A step before it, as the graph optimizer treats placeholders alone kindly.
        image = image[:, :-1]
        rgb, gray = ops.to_rgb(image), ops.to_grayscale(image)
        assert rgb.shape.as_list()[-1] == 3
        assert gray.shape.as_list()[-1] == 1
        feed = {session.graph.get_tensor_by_name("Placeholder:0"): source}
        rgb, gray = session.run([rgb, gray], feed)
    np.testing.assert_array_equal(rgb, np.broadcast_to(source, [5, 7, 3])[:, :-1])
    np.testing.assert_allclose(gray, luma[:, :-1], rtol=1e-6)
    if channels == 1:
        np.testing.assert_array_equal(gray, source[:, :-1])


def test_color_of_other_channels():
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(UserError, match="got 4"):
            ops.to_rgb(tf.zeros([2, 2, 4]))
        image = tf.placeholder(tf.float32, [None] * 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
            session.run(ops.to_rgb(image), {image: np.zeros([2, 2, 4])})


def test_random_crop_is_a_rectangle_of_the_picture():
    source = coordinates(9, 12)
    crops = run_on_seeds(
        lambda seed: ops.random_crop(tf.constant(source), 6, 10, seed), range(150)
    )
    corners = {(int(crop[0, 0, 0]), int(crop[0, 0, 1])) for crop in crops}
    for crop in crops:
        top, left = crop[0, 0, :2].astype(int)
        np.testing.assert_array_equal(crop, source[top : top + 6, left : left + 10])
    assert corners == {(top, left) for top in range(4) for left in range(3)}


def test_random_crop_of_everything():
    source = coordinates(6, 7)
    crop = run(lambda: ops.random_crop(tf.constant(source), 6, 7, [1, 2]))
    np.testing.assert_array_equal(crop, source)


def test_central_crop_rounds_down():
    source = coordinates(9, 12)
    crop = run(lambda: ops.central_crop(tf.constant(source), 4, 5))
    np.testing.assert_array_equal(crop, source[2:6, 3:8])


@pytest.mark.parametrize("crop", ["central", "random"])
@pytest.mark.parametrize(
    "shape, error",
    [
        ([9, 12, 3], UserError),
        ([9, None, 3], UserError),
        ([None, 12, 3], tf.errors.InvalidArgumentError),
        ([None, None, None], tf.errors.InvalidArgumentError),
    ],
)
def test_a_crop_that_does_not_fit(crop, shape, error):
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.float32, shape)
        with pytest.raises(error, match="10x12 pixels does not fit"):
            if crop == "central":
                result = ops.central_crop(image, 10, 12)
            else:
                result = ops.random_crop(image, 10, 12, [1, 2])
            session.run(result, {image: coordinates(9, 12)})


def test_resize_samples_at_corners():
    row = run(lambda: ops.resize(tf.constant([[[0], [10]]], tf.uint8), 1, 4))
    np.testing.assert_array_equal(row, [[[0], [5], [10], [10]]])


def test_split_seed():
    first, second, again = (
        run(lambda seed=seed: ops.split_seed(seed, 3))
        for seed in ([1, 2], [1, 3], [1, 2])
    )
    np.testing.assert_array_equal(first, again)
    assert len({tuple(seed) for seed in [*first, *second]}) == 6


def test_a_drawn_seed_obeys_the_graphs():
    def draw(graph_seed):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(graph_seed)
            seed = ops.split_seed(None, 1)[0]
            return [session.run(seed).tolist() for _ in range(2)]

    assert draw(1) == draw(1) != draw(2)
    assert draw(1)[0] != draw(1)[1]


def test_summary_is_for_graphs_only():
    def summaries(image):
        ops.add_image_summary("picture", image, boxes=[[[0.0, 0.0, 0.5, 0.5]]])
        return tf.get_collection(tf.GraphKeys.SUMMARIES)

    found_in_function = []
    with tf.Graph().as_default(), tf.Session() as session:
        tf.data.Dataset.from_tensors(picture(4, 4, 3)).map(
            lambda image: found_in_function.extend(summaries(image)) or image
        )
        assert not found_in_function
        (summary,) = summaries(tf.constant(picture(4, 4, 3)))
        value = tf.Summary.FromString(session.run(summary)).value[0]
    assert value.tag == "picture/image"
    assert (value.image.height, value.image.width) == (4, 4)
