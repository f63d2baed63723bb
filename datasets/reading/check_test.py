import dataclasses
import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from PIL import ExifTags, Image

from datasets import testing
from datasets.dataset_factory import DATASETS
from datasets.reading import check as record_check
from datasets.reading.check import Checker
from datasets.storage.manifests import Manifest
from datasets.storage.records import Record
from datasets.testing import png, record
from slimbase.errors import UserError

MNIST = DATASETS["mnist"].find_split("train", Manifest())
NO_LABEL = "it has no label in image/class/label"


def jpeg(size=(40, 30), mode="RGB"):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(content, "JPEG", quality=90)
    return content.getvalue()


def picture(kind, **options):
    content = io.BytesIO()
    Image.new("RGB", (30, 20)).save(content, kind, **options)
    return content.getvalue()


def example(**features):
    """A record of some features; `__` in a key stands for a slash."""
    of_kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    made = tf.train.Example()
    for key, values in features.items():
        feature = made.features.feature[key.replace("__", "/")]
        getattr(feature, of_kind[type(values[0])]).value.extend(values)
    return made.SerializeToString(deterministic=True)


def look(content, dataset=None, **options):
    checker = Checker(dataset or testing.open_tiny(), **options)
    return checker(Record(0, 0, content))


def hole(content):
    """A JPEG in whose middle the code is wrong."""
    middle = len(content) // 2
    return content[:middle] + b"\xff\xd3" * 40 + content[middle + 800 :]


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (png(7), (2, 2)),
        (jpeg(), (30, 40)),
        (jpeg(mode="L"), (30, 40)),
        (jpeg(mode="CMYK"), (30, 40)),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_sound_records_have_facts(content, size, strict):
    facts = look(record(3, content=content, filename="a/b.jpg"), strict=strict)
    assert facts == ("", "", 3, "a/b.jpg", content, size, 1, "")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"no example", "it is no tf.train.Example"),
        (b"", "it has no picture in image/encoded"),
        (record(1, content=b""), "it has no picture in image/encoded"),
        (record(1, content=b"text"), "can't be decoded: Unknown image file format"),
        (record(1, content=png(1)[:40]), "can't be decoded: Invalid PNG"),
        (record(1, content=jpeg()[:500]), "can't be decoded: "),
        (
            example(image__encoded=[png(1)], image__class__label=[1, 2]),
            "label should be one integer: it is a list of integers, 1, 2",
        ),
        (
            example(image__encoded=[png(1)], image__class__label=[*range(9)]),
            "one integer: it is a list of integers, 0, 1, 2, 3 and 5 more",
        ),
        (
            example(image__encoded=[png(1)], image__class__label=[1.0]),
            "label should be one integer: it is a list of floats, 1",
        ),
        (
            example(image__encoded=[png(1)], image__class__label=[b"daisy"]),
            "label should be one integer: it is a list of strings, 'daisy'",
        ),
        (
            example(image__encoded=[png(1), png(2)], image__class__label=[1]),
            r"image/encoded should be one file: it is a list of strings, '\x89PNG",
        ),
        (
            example(image__encoded=[5], image__class__label=[1]),
            "image/encoded should be one file: it is a list of integers, 5",
        ),
        (
            example(image=[png(1)], label=[1]),
            "it has no picture in image/encoded; it has image, label",
        ),
        (
            example(image__encoded=[bytes(12)], image__format=[b"raw"])
            + example(
                image__class__label=[1]
            ),  # Messages that follow each other merge.
            "image/format is raw, and image/encoded has 12 bytes of unknown height",
        ),
        (jpeg(), "it is no tf.train.Example, but a picture (JPEG)"),
        (b"path,label\n", "it is no tf.train.Example, but a text file, which begins"),
        (
            record(1, content=jpeg().replace(b"\xff\xd8\xff\xe0", b"II*\0")),
            "format TIFF",
        ),
    ],
)
def test_faults_are_told_in_a_line(content, fault):
    facts = look(content)
    assert fault in facts.fault
    assert "\n" not in facts.fault
    assert not facts.label_fault


def test_corrupt_record_is_told():
    checker = Checker(testing.open_tiny())
    facts = checker(Record(0, 0, None, "its content is damaged"))
    assert facts.fault == "it is corrupt: its content is damaged"


@pytest.mark.parametrize(
    ("label", "offset", "told"),
    [
        (5, 0, "its label 5 is none of 0 to 4"),
        (-1, 0, "its label -1 is none of 0 to 4"),
        (0, 1, "its label 0 is none of 1 to 4"),
        (4, 1, ""),
        (0, 0, ""),
    ],
)
def test_labels_out_of_range_are_told(label, offset, told):
    facts = look(record(2, label), labels_offset=offset)
    assert (facts.fault, facts.label_fault, facts.label) == ("", told, label)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("missing", [0, -1, (0,)])
def test_label_that_is_missing_is_told_with_the_keys_that_are_there(missing, strict):
    dataset = testing.open_tiny(missing_label=missing)
    facts = look(example(image__encoded=[png(1)], label=[3]), dataset, strict=strict)
    found = "it has image/encoded, label"
    assert (facts.fault, facts.label_fault) == (f"{NO_LABEL}; {found}", "")
    assert facts.label is None
    assert "image/class/label" in facts.advice


def test_records_of_sequences_are_told():
    made = tf.train.SequenceExample()
    made.context.feature["label"].int64_list.value.append(1)
    made.feature_lists.feature_list["image"].feature.add().bytes_list.value.append(b"a")
    assert look(made.SerializeToString(deterministic=True)).fault == (
        "it has no picture in image/encoded; it has label, and is a "
        "tf.train.SequenceExample"
    )


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP"])
def test_pictures_of_any_format_that_tensorflow_decodes_have_their_size(kind):
    facts = look(record(1, content=picture(kind)))
    is_known = "WebP required" in look(record(1, content=b"text")).fault
    if kind == "WEBP" and not is_known:  # TensorFlow before 2.20 or so.
        assert "format WebP, which TensorFlow" in facts.fault
    else:
        assert (facts.fault, facts.size) == ("", (20, 30))


def test_pictures_of_formats_that_tensorflow_does_not_decode_are_named(shared_data):
    for name, kind in (("photo.heic", "HEIC"), ("fox.avif", "AVIF")):
        content = (shared_data / "phone_photos" / name).read_bytes()
        facts = look(record(1, content=content))
        assert facts.fault.startswith(f"its picture is of the format {kind}, which Ten")


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_orientation_is_found(kind, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    facts = look(record(1, content=picture(kind, exif=exif)))
    assert facts.fault == ""
    assert facts.orientation == (orientation if 1 <= orientation <= 8 else 1)


@pytest.mark.parametrize(
    ("size", "fault"),
    [((28, 28), ""), ((14, 56), "has 56x14 pixels instead of 28x28"), ((5, 5), "5x5")],
)
def test_pictures_of_a_set_of_one_size_must_have_it(size, fault):
    facts = look(record(1, content=png(9, size)), MNIST)
    assert fault in facts.fault
    assert bool(facts.fault) == bool(fault)


@pytest.mark.parametrize(("size", "is_sound"), [(28 * 28, True), (28 * 27, False)])
def test_raw_pixels_are_a_picture(size, is_sound):
    content = example(
        image__encoded=[bytes(size)], image__format=[b"raw"], image__class__label=[1]
    )
    facts = look(content, MNIST)
    wrong = "raw, and image/encoded has 756 bytes; 28x28x1 pixels have 784"
    assert facts.fault == ("" if is_sound else f"image/format is {wrong}")
    assert facts.size == ((28, 28) if is_sound else None)


def test_damage_that_no_run_stops_at_is_for_strict_checks():
    content = record(1, content=hole(jpeg((200, 200))))
    assert not look(content).fault
    assert look(content, strict=True).fault == "its picture is truncated"


def test_names_that_are_no_text_are_shown():
    content = example(image__filename=[b"a\xff.jpg"])
    assert record_check.filename_of(content) == "a\\xff.jpg"
    assert record_check.filename_of(b"no example") == ""
    assert record_check.filename_of(b"") == ""


# Many


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_all_records_are_given_in_order(tmp_path, threads):
    testing.write(tmp_path, range(70), [], range(70, 75))
    paths = [str(testing.shard(tmp_path, i, 3)) for i in range(3)]
    read = list(
        record_check.map_records(paths, lambda r: len(r.content or b""), threads)
    )
    places = [(path, record.position) for path, record, _ in read]
    assert places == [
        *((paths[0], i) for i in range(70)),
        *((paths[2], i) for i in range(5)),
    ]
    assert [size for *_, size in read] == [len(record(i)) for i in range(75)]
    assert not any(record.content for _, record, _ in read)


def test_reading_stops_where_nobody_wants_more(tmp_path):
    testing.write(tmp_path, range(1000))
    seen = []
    reading = record_check.map_records(
        [str(testing.shard(tmp_path, 0, 1))], seen.append
    )
    next(reading)
    reading.close()
    assert len(seen) < 500


def test_errors_reach_who_reads(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        list(record_check.map_records([str(tmp_path / "none")], len))


def test_decoders_of_other_keys_decide_themselves():
    keys = {
        "picture": tf.FixedLenFeature([], tf.string),
        "number": tf.FixedLenFeature([], tf.int64),
    }
    items = {
        "image": slim.tfexample_decoder.Image("picture", "number"),
        "label": slim.tfexample_decoder.Tensor("number"),
    }
    decoder = slim.tfexample_decoder.TFExampleDecoder(keys, items)
    items["image"]._decode = lambda content, _: tf.io.decode_png(content, 3)
    dataset = dataclasses.replace(testing.open_tiny(), decoder=decoder)
    facts = look(example(picture=[png(1)], number=[3]), dataset)
    assert (facts.fault, facts.label, facts.size) == ("", 3, (2, 2))
    assert look(example(picture=[b"text"], number=[3]), dataset).fault
