import dataclasses
import io
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from PIL import Image

from datasets import registry, testing
from slimbase.errors import UserError

TOY = registry.Descriptor(
    "toy",
    splits_to_sizes={"train": 400, "validation": 100},
    num_classes=4,
    file_pattern="toy_%s-*",
    items_to_descriptions={"image": "", "label": ""},
    image_format="png",
)


def _write_records(path, count):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in range(count):
            writer.write(b"x" * index)


def _write_manifest(directory, name, **counts):
    splits = {split: {"count": count} for split, count in counts.items()}
    (directory / "manifest.json").write_text(
        json.dumps({"dataset": name, "splits": splits})
    )


@pytest.mark.parametrize("directory", ["", "nowhere"])
def test_sizes_are_as_published_without_data(tmp_path, monkeypatch, directory):
    monkeypatch.chdir(tmp_path)
    # What lies about in the current directory is not the data set's.
    (tmp_path / "labels.txt").write_text("0:mine\n")
    dataset = TOY.get_split("train", directory)
    assert dataset.num_samples == 400
    assert dataset.num_classes == 4
    assert dataset.labels_to_names is None


def test_sizes_are_counted(tmp_path):
    _write_records(tmp_path / "toy_train-0", 3)
    _write_records(tmp_path / "toy_train-1", 4)
    assert TOY.get_split("train", tmp_path).num_samples == 7
    assert TOY.get_split("validation", tmp_path).num_samples == 100


def test_sizes_of_large_splits_are_as_published(tmp_path, monkeypatch):
    _write_records(tmp_path / "toy_train-0", 3)
    monkeypatch.setattr(registry, "_COUNTED_BYTES", 10)
    assert TOY.get_split("train", tmp_path).num_samples == 400


def test_files_of_other_readers_are_not_counted(tmp_path):
    (tmp_path / "toy_train-0").write_text("not a TFRecord\n")
    dataset = TOY.get_split("train", tmp_path, reader=tf.TextLineReader)
    assert dataset.num_samples == 400
    assert dataset.reader is tf.TextLineReader


def test_manifest_saves_counting(tmp_path):
    (tmp_path / "toy_train-0").write_bytes(b"damaged")
    _write_manifest(tmp_path, "toy", train=12)
    assert TOY.get_split("train", tmp_path).num_samples == 12
    assert TOY.get_split("validation", tmp_path).num_samples == 100


def test_manifest_of_another_set_does_not_count(tmp_path):
    _write_records(tmp_path / "toy_train-0", 3)
    _write_manifest(tmp_path, "other", train=12)
    assert TOY.get_split("train", tmp_path).num_samples == 3


def test_other_files_are_counted_despite_the_manifest(tmp_path):
    _write_records(tmp_path / "mine_train", 5)
    _write_manifest(tmp_path, "toy", train=12)
    dataset = TOY.get_split("train", str(tmp_path), file_pattern="mine_%s")
    assert dataset.num_samples == 5
    assert dataset.data_sources == str(tmp_path / "mine_train")


def test_damaged_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text('{"dataset": ')
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        TOY.get_split("train", tmp_path)


def test_classes_are_those_of_the_label_file(tmp_path):
    (tmp_path / "labels.txt").write_text("1:ant\n6:bee\n")
    dataset = TOY.get_split("train", tmp_path)
    assert dataset.num_classes == 7
    assert dataset.labels_to_names == {1: "ant", 6: "bee"}


def test_unknown_split_lists_the_known(tmp_path):
    with pytest.raises(
        UserError, match=r"split name test was not recognized.*train, validation"
    ):
        TOY.get_split("test", tmp_path)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "test"), "test"),
        (("train", "validation", "test"), "test"),
        (("train", "validation"), "validation"),
        (("train", "val"), "val"),
    ],
)
def test_evaluation_split(splits, expected):
    descriptor = registry.Descriptor(
        "toy",
        splits_to_sizes=dict.fromkeys(splits, 1),
        num_classes=2,
        file_pattern="%s",
        items_to_descriptions={},
        image_format="png",
    )
    assert descriptor.evaluation_split == expected
    choosing = "validation" if "validation" in splits else expected
    assert descriptor.validation_split == choosing


def test_names_of_shards():
    assert TOY.shard_names("train", 2) == [
        "toy_train-00000-of-00002",
        "toy_train-00001-of-00002",
    ]
    single = dataclasses.replace(TOY, file_pattern="toy_%s.tfrecord")
    assert single.shard_names("train", 1) == ["toy_train.tfrecord"]


def decoded(decoder, content):
    with tf.Graph().as_default(), tf.Session() as session:
        record = tf.constant(testing.record(1, content=content))
        [image] = decoder.decode(record, ["image"])
        return session.run(image)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures_are_decoded_as_tf_slim_does(kind, mode):
    decoder = testing.TINY.decoder()
    original = slim.tfexample_decoder.TFExampleDecoder(
        testing.TINY.features(), {"image": slim.tfexample_decoder.Image(channels=3)}
    )
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, kind)
    ours, theirs = (decoded(d, content.getvalue()) for d in (decoder, original))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == (30, 40, 3)


def test_animated_pictures_are_their_first_frame():
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    first, *others = (Image.new("RGB", (40, 30), color) for color in colors)
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others)
    image = decoded(testing.TINY.decoder(), content.getvalue())
    assert image.shape == (30, 40, 3)
    assert (image == [250, 0, 0]).all()


def test_raw_pixels_have_to_be_of_a_known_size():
    example = tf.train.Example.FromString(testing.record(1, content=bytes(range(48))))
    example.features.feature["image/format"].bytes_list.value[0] = b"raw"
    sized = dataclasses.replace(testing.TINY, image_shape=(4, 4, 3))
    with tf.Graph().as_default(), tf.Session() as session:
        record = tf.constant(example.SerializeToString(deterministic=True))
        image, _ = sized.decoder().decode(record)
        assert session.run(image).flatten().tolist() == [*range(48)]
        image, _ = testing.TINY.decoder().decode(record)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file"):
            session.run(image)
