import dataclasses
import functools
import io
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from PIL import Image

from datasets import registry, testing
from datasets.dataset_factory import DATASETS
from datasets.reading import pipeline, streams
from datasets.storage.manifests import read_manifest
from datasets.storage.split import NO_LABEL
from datasets.testing import NUM_CLASSES, TINY, png, record
from preprocessing.preprocessing_factory import get_preprocessing
from slimbase.errors import UserError
from slimbase.graph import classic_graph


@pytest.fixture
def write(tmp_path):
    """`f(*files)` writes files of records; gives the data set that they are."""
    return lambda *files: testing.write(tmp_path, *files)


def read(build, steps=None):
    """The elements of the batches that `build` makes: all, or so many."""
    elements = []
    with classic_graph(), pipeline.explained_errors():
        [element] = pipeline.next_batches(build(), 1)
        with tf.Session() as session:
            session.run(tf.tables_initializer())
            while len(elements) != steps:
                try:
                    elements.append(session.run(element))
                except tf.errors.OutOfRangeError:
                    break
    return elements


def as_float(image):
    return tf.cast(tf.ensure_shape(image, [2, 2, 3]), tf.float32)


def read_eval(dataset, batch_size=4, **arguments):
    """Pictures and labels."""
    batches = read(
        lambda: pipeline.eval_batches(dataset, as_float, batch_size, **arguments)
    )
    return [(batch.images, batch.labels) for batch in batches]


def number_and_seed(image, seed):
    return tf.concat([tf.cast(image[0, 0, :1], tf.int64), seed], 0)


def read_train(dataset, steps, batch_size=4, **arguments):
    """The numbers of the pictures, their seeds and their labels."""
    batches = read(
        lambda: pipeline.train_batches(
            dataset, number_and_seed, batch_size, **arguments
        ),
        steps,
    )
    pictures, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return list(pictures[:, 0]), [tuple(seed) for seed in pictures[:, 1:]], list(labels)


# Files


def test_files_are_all_that_match_once_and_in_order(tmp_path):
    names = ["tiny_train-1", "tiny_train-2", "tiny_train-b"]
    for name in (*names[::-1], "tiny_test-1", "a_tiny_train-1"):
        (tmp_path / name).touch()
    dataset = testing.open_tiny(tmp_path)
    assert dataset.record_files == [f"{tmp_path}/{name}" for name in names]
    assert [stretch.path for stretch in dataset.stretches] == dataset.record_files


@pytest.mark.parametrize(
    ("names", "told"), [([], "nothing"), (["b.txt", "a.txt"], "a.txt, b.txt")]
)
def test_without_files_it_is_told_what_there_is(tmp_path, names, told):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        TINY.open_split("train", read_manifest(tmp_path))
    message = str(error.value)
    assert f"match {tmp_path}/tiny_train-*: {tmp_path} holds {told}. " in message
    assert "--dataset_split_name" in message


def test_missing_directory_is_told(tmp_path):
    with pytest.raises(UserError, match=rf"there is no directory {tmp_path}/none\."):
        TINY.open_split("train", read_manifest(tmp_path / "none"))


# Evaluation


@pytest.mark.parametrize("num_threads", [1, 8])
def test_evaluation_sees_each_picture_once_and_in_order(write, num_threads):
    dataset = write(range(7), range(7, 10), [], range(10, 11))
    batches = read_eval(dataset, num_threads=num_threads)
    assert [len(labels) for _, labels in batches] == [4, 4, 3]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert images.dtype == np.float32
    assert images.shape == (11, 2, 2, 3)
    assert labels.dtype == np.int64
    for i in range(11):
        assert (images[i] == i).all()
        assert labels[i] == i % NUM_CLASSES


def test_evaluation_of_no_records_has_no_batches(write):
    assert read_eval(write([])) == []


def test_labels_are_less_the_offset(write):
    dataset = write([1, 2, 3, 4])
    [(_, labels)] = read_eval(dataset, labels_offset=1)
    assert labels.tolist() == [0, 1, 2, 3]
    _, _, labels = read_train(dataset, 1, labels_offset=1)
    assert sorted(labels) == [0, 1, 2, 3]


def test_batches_tell_where_pictures_are_from(write, tmp_path):
    named = tf.train.Example.FromString(record(8))
    named.features.feature["image/filename"].bytes_list.value.append(b"eight.png")
    dataset = write(range(3), [], [7, named.SerializeToString(deterministic=True), 9])
    batches = read(lambda: pipeline.eval_batches(dataset, as_float, 4))
    files, positions, names = (
        np.concatenate([getattr(batch, field) for batch in batches]).tolist()
        for field in ("record_files", "positions", "filenames")
    )
    paths = [f"{tmp_path}/tiny_train-{i:02}-of-03".encode() for i in (0, 2)]
    assert files == [paths[0]] * 3 + [paths[1]] * 3
    assert positions == [0, 1, 2, 0, 1, 2]
    assert names == [b"", b"", b"", b"", b"eight.png", b""]


def test_pictures_are_found_again_by_their_places(write):
    dataset = write(range(10), range(10, 15), range(15, 16))
    batches = read(lambda: pipeline.eval_batches(dataset, as_float, 16))
    [batch] = batches
    places = [
        (batch.record_files[i].decode(), int(batch.positions[i]))
        for i in (12, 0, 15, 9, 3, 12)
    ]
    pictures = pipeline.read_pictures(dataset, iter(places))
    assert set(pictures) == set(places)
    for place, number in zip(places, (12, 0, 15, 9, 3, 12), strict=True):
        assert pictures[place].dtype == np.uint8
        assert pictures[place].shape == (2, 2, 3)
        assert (pictures[place] == number).all()


def test_no_places_have_no_pictures(write):
    assert pipeline.read_pictures(write([1]), []) == {}


# Training

FILES = (range(8), range(8, 9), range(9, 20))


def epochs(numbers):
    return [numbers[i : i + 20] for i in range(0, len(numbers), 20)]


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize(
    ("files", "num_readers", "num_threads"),
    [(FILES, 1, 1), (FILES, 2, 4), (FILES, 8, 8), ([range(20)], 4, 4)],
)
def test_training_shuffles_each_epoch_anew(
    write, seed, files, num_readers, num_threads
):
    numbers, _, labels = read_train(
        write(*files),
        15,
        seed=seed,
        num_readers=num_readers,
        num_threads=num_threads,
    )
    assert labels == [number % NUM_CLASSES for number in numbers]
    orders = epochs(numbers)
    assert [sorted(order) for order in orders] == [list(range(20))] * 3
    assert len({tuple(order) for order in [*orders, range(20)]}) == 4


def test_training_shuffles_files_too(write, monkeypatch):
    monkeypatch.setattr(pipeline, "SHUFFLE_BUFFER", 1)
    numbers, _, _ = read_train(write(*([i] for i in range(20))), 10, seed=1)
    first, second = epochs(numbers)
    assert sorted(first) == sorted(second) == list(range(20))
    assert len({tuple(order) for order in (first, second, range(20))}) == 3


@pytest.mark.parametrize("num_readers", [1, 2])
def test_readers_read_so_many_files_at_once(write, monkeypatch, num_readers):
    monkeypatch.setattr(pipeline, "SHUFFLE_BUFFER", 1)
    dataset = write(range(10), range(10, 20))
    numbers, _, _ = read_train(dataset, 5, seed=1, num_readers=num_readers)
    changes = np.count_nonzero(np.diff(np.array(numbers) >= 10))
    assert changes == {1: 1, 2: 19}[num_readers]


def test_batches_have_a_fixed_shape_even_if_there_are_few_pictures(write):
    dataset = write(range(3))
    with classic_graph():
        batches = pipeline.train_batches(dataset, number_and_seed, 8)
        images, labels = tf.data.get_output_shapes(batches)
    assert (images, labels) == ([8, 3], [8])
    numbers, _, _ = read_train(dataset, 3, batch_size=8)
    assert [sorted(numbers[i : i + 3]) for i in range(0, 24, 3)] == [[0, 1, 2]] * 8


@pytest.mark.parametrize("num_threads", [1, 8])
def test_equal_seeds_repeat_order_and_distortions(write, num_threads):
    dataset = write(*FILES)
    first = read_train(dataset, 15, seed=1, num_threads=4)
    assert read_train(dataset, 15, seed=1, num_threads=num_threads) == first


@pytest.mark.parametrize("seeds", [(1, 2), (0, 1), (None, None)])
def test_other_seeds_change_order_and_distortions(write, seeds):
    dataset = write(*FILES)
    first, second = (read_train(dataset, 5, seed=seed) for seed in seeds)
    assert first[0] != second[0]
    assert not set(first[1]) & set(second[1])


@pytest.mark.parametrize("seed", [None, 1])
def test_every_picture_has_a_seed_of_its_own(write, seed):
    _, seeds, _ = read_train(write(*FILES), 15, seed=seed)
    assert len(set(seeds)) == 60
    assert len(set(np.array(seeds).flat)) == 120


def test_workers_read_files_of_their_own(write):
    dataset = write(*(range(5 * i, 5 * i + 5) for i in range(4)))
    first, second = (
        read_train(dataset, 5, shard=(index, 2), seed=index)[0] for index in (0, 1)
    )
    assert sorted(first) == sorted([*range(5), *range(10, 15)] * 2)
    assert sorted(second) == sorted([*range(5, 10), *range(15, 20)] * 2)


@pytest.mark.parametrize(
    ("files", "count"),
    [
        (FILES, 2),
        (FILES, 5),
        ([range(20)], 3),
        ([range(9), range(9, 9), range(9, 15), range(15, 20)], 3),
        ([[i] for i in range(20)], 3),
        ([range(10 * i, 10 * i + 10) for i in range(2)], 2),
    ],
)
def test_workers_see_each_picture_once_in_an_epoch(write, files, count):
    dataset = write(*files)
    seen = []
    for index in range(count):
        # What one worker sees again marks the end of its epoch.
        numbers, _, _ = read_train(dataset, 22, batch_size=1, shard=(index, count))
        own = set(numbers)
        epoch = numbers[: len(own)]
        assert set(epoch) == own
        seen += epoch
    assert sorted(seen) == list(range(20))


def test_workers_read_whole_files_as_far_as_they_go_round(write):
    stretches = write(*([i] for i in range(5))).stretches
    shares = [streams.shares(stretches, index, 2) for index in (0, 1)]
    whole = [[share.path[-7] for share in s if share.step == 1] for s in shares]
    assert whole == [["0", "2"], ["1", "3"]]
    assert [[s.path[-7] for s in own if s.step == 2] for own in shares] == [["4"]] * 2


@pytest.mark.parametrize("files", [[[]], [[], []]])
def test_training_on_no_records_is_told(write, tmp_path, files):
    dataset = write(*files)
    with pytest.raises(UserError, match=rf"no records in {tmp_path}/tiny_train-00-of"):
        pipeline.train_batches(dataset, number_and_seed, 4)


# Into the graph


def test_iterator_starts_with_the_tables_and_gives_successive_batches(write):
    dataset = write(range(12))
    with classic_graph():
        batches = pipeline.eval_batches(dataset, as_float, 2)
        elements = pipeline.next_batches(batches, 3)
        [initializer] = tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS)
        with tf.Session() as session:
            session.run(initializer)
            steps = [
                session.run([images[:, 0, 0, 0] for images, *_ in elements])
                for _ in range(2)
            ]
    for step, start in zip(steps, (0, 6), strict=True):
        pairs = sorted(batch.tolist() for batch in step)
        assert pairs == [[start + i, start + i + 1] for i in (0, 2, 4)]


# Encoded pictures


def jpeg(number):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (number, number, number)).save(content, "JPEG")
    return content.getvalue()


def trained(dataset, **options):
    """A batch of the Inception recipe, which takes encoded pictures."""
    preprocess = get_preprocessing("inception", is_training=True, height=8, width=8)
    build = functools.partial(
        pipeline.train_batches, dataset, preprocess, 4, seed=1, **options
    )
    [(images, labels)] = read(build, 1)
    return images, labels


def test_encoded_pictures_give_the_batches_that_decoded_ones_give(write):
    dataset = write([record(10 * i, i % 5, jpeg(10 * i)) for i in range(7)], range(5))
    images, labels = trained(dataset, takes_encoded=True)
    expected, expected_labels = trained(dataset)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(images, expected, atol=0.02)  # Some decoded smaller.
    # As a data set of someone's own may have none.
    dataset = dataclasses.replace(dataset, encoded_decoder=None)
    np.testing.assert_array_equal(trained(dataset, takes_encoded=True)[0], expected)


def test_pictures_of_one_shape_are_decoded():
    # They may be raw pixels.
    assert DATASETS["cifar10"].encoded_decoder() is None


def test_items_of_a_data_set_of_ones_own_are_decoded_by_it():
    facts = {
        "name": "mine",
        "splits_to_sizes": {"train": 1},
        "num_classes": 2,
        "file_pattern": "mine_%s",
        "items_to_descriptions": {},
        "image_format": "jpeg",
    }
    assert registry.Descriptor(**facts).encoded_decoder() is not None
    own_label = {"label": slim.tfexample_decoder.Tensor("mine", shape=[])}
    assert registry.Descriptor(**facts, more_items=own_label).encoded_decoder() is None

    class WithDecoder(registry.Descriptor):
        def decoder(self):
            return super().decoder()

    assert WithDecoder(**facts).encoded_decoder() is None


# Bad records

NO_JPEG = "(jpeg::Uncompress failed. )?Invalid JPEG"

READERS = [
    read_eval,
    lambda dataset, **options: read_train(dataset, 4, **options),
    lambda dataset, **options: trained(dataset, takes_encoded=True, **options),
]


@pytest.mark.parametrize("read_all", READERS)
@pytest.mark.parametrize(
    ("label", "offset"), [(5, 0), (-1, 0), (1000, 0), (0, 1), (5, 1), (1, 2)]
)
def test_label_out_of_range_is_named(write, read_all, label, offset):
    dataset = write([3, 4, record(2, label)])
    with pytest.raises(UserError, match=f"a record has label {label},") as error:
        read_all(dataset, labels_offset=offset)
    assert "--labels_offset" in str(error.value)


@pytest.mark.parametrize(("label", "offset"), [(0, 0), (4, 0), (1, 1), (4, 1), (0, -1)])
def test_labels_at_the_ends_of_the_range_are_sound(write, label, offset):
    dataset = write([record(9, label)])
    [(_, labels)] = read_eval(dataset, labels_offset=offset)
    assert labels == [label - offset]


def cut(path):
    os.truncate(path, path.stat().st_size - 10)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("read_all", READERS)
@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_file_is_told(write, tmp_path, read_all, damage):
    dataset = write(range(3), range(3, 9))
    damage(tmp_path / "tiny_train-01-of-02")
    with pytest.raises(UserError, match=r"a record file is corrupt: .*record") as error:
        read_all(dataset)
    message = str(error.value)
    assert message.endswith(". Convert the data set again.")
    assert "\n" not in message


@pytest.mark.parametrize("read_all", READERS)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(1, content=b"no picture"), "Unknown image file format"),
        (record(1, content=b""), "Input is empty"),
        (record(1, content=png(1)[:40]), "Invalid PNG"),
        (record(1, content=jpeg(1)[:300]), NO_JPEG),
        (record(1, content=b"\xff\xd8\xff\xff\xd9"), NO_JPEG),
        (b"no example", "Could not parse example"),
    ],
)
def test_record_without_a_picture_is_told(write, read_all, bad, reason):
    with pytest.raises(
        UserError, match=f"no picture that can be .*: {reason}"
    ) as error:
        read_all(write([0, 1, bad]))
    assert "\n" not in str(error.value)


def test_other_errors_stay_as_they_are():
    with classic_graph(), tf.Session() as session:
        number = tf.check_numerics(tf.log(-1.0), "label out of bounds")
        with pytest.raises(tf.errors.InvalidArgumentError, match="label out of bounds"):
            with pipeline.explained_errors():
                session.run(number)


def test_records_that_are_pictures_are_named(write, tmp_path):
    content = b"\xff\xd8\xff\xe0" + bytes(100)
    dataset = write([1, content])
    with pytest.raises(UserError, match=r"a record is no tf\.train\.Example"):
        read_eval(dataset)
    reading = pipeline.labels(dataset)
    with pytest.raises(UserError, match=r"record 1 of .*, but a picture \(JPEG\)"):
        list(reading)


def test_errors_of_text_that_are_not_of_records_stay_what_they_are():
    with pytest.raises(UnicodeDecodeError), pipeline.explained_errors():
        b"\xff".decode()


@pytest.mark.parametrize("missing", [0, (0,), -1])
def test_no_default_stands_for_a_label(tmp_path, missing):
    example = tf.train.Example.FromString(testing.record(1))
    del example.features.feature["image/class/label"]
    testing.write(tmp_path, [0, example.SerializeToString(deterministic=True)])
    dataset = testing.open_tiny(tmp_path, missing_label=missing)
    [(_, _, labels)] = pipeline.labels(dataset)
    assert labels.tolist() == [0, NO_LABEL]
    for read in (lambda: read_eval(dataset), lambda: read_train(dataset, 4)):
        with pytest.raises(UserError, match="a record has no label"):
            read()
