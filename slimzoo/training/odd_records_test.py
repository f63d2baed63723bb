"""Records and files of every odd kind, on every way that leads to them."""

import gzip
import io
import types
import zlib

import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import registry, testing
from datasets.reading import pipeline, preflight
from datasets.storage import manifests
from datasets.testing import png, record
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.check import CheckConfig
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.train import TrainConfig
from slimzoo.dataset_check import check as check_dataset
from slimzoo.evaluation import evaluate
from slimzoo.training import train

pytestmark = pytest.mark.slow  # Some 300 of a fifth of a second.

SIZE = (8, 6)
DEEP = 20  # Behind the records that are decoded before a run.


def picture(kind, **options):
    content = io.BytesIO()
    Image.new("RGB", SIZE, (200, 0, 0)).save(content, kind, **options)
    return content.getvalue()


def example(**changes):
    """A sound record of a JPEG, with some features changed, or taken out by None."""
    made = tf.train.Example.FromString(record(1, content=picture("JPEG")))
    feature = made.features.feature
    keys = {
        "encoded": "image/encoded",
        "label": "image/class/label",
        "kind": "image/format",
        "filename": "image/filename",
    }
    for name, values in changes.items():
        feature.pop(keys[name], None)
        if values is not None:
            of_type = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
            list_ = getattr(feature[keys[name]], of_type[type(values[0])])
            list_.value.extend(values)
    return made.SerializeToString(deterministic=True)


def without_values(key):
    made = tf.train.Example.FromString(example())
    made.features.feature[key].int64_list.value[:] = []
    made.features.feature[key].int64_list.SetInParent()
    return made.SerializeToString(deterministic=True)


def sequence():
    made = tf.train.SequenceExample()
    made.context.feature["label"].int64_list.value.append(1)
    made.feature_lists.feature_list["image"].feature.add().bytes_list.value.append(b"a")
    return made.SerializeToString(deterministic=True)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
ANIMATION = {"save_all": True, "append_images": [Image.new("RGB", SIZE)]}
RIGHT = {
    "gif": example(encoded=[picture("GIF")]),
    "animated gif": example(encoded=[picture("GIF", **ANIMATION)]),
    "bmp": example(encoded=[picture("BMP")]),
    "gray jpeg": example(encoded=[picture("JPEG")]),
    "format that is none": example(kind=[b"webp"]),
    "no format": example(kind=None),
}
# What each is called, wherever it is found.
WRONG = {
    "no label": (example(label=None), r"it has no label in image/class/label; it has "),
    "no picture": (example(encoded=None), r"it has no picture in image/encoded; it ha"),
    "empty picture": (
        example(encoded=[b""]),
        r"image/encoded: that is empty",
    ),
    "two pictures": (
        example(encoded=[png(1)] * 2),
        r"encoded should be one file: ",
    ),
    "pixels as integers": (example(encoded=[1, 2]), r"it is a list of integers, 1, 2"),
    "two labels": (
        example(label=[1, 2]),
        r"one integer: it is a list of integers",
    ),
    "empty label": (without_values("image/class/label"), r"it is an empty list of int"),
    "float label": (example(label=[1.0]), r"one integer: it is a list of floats, 1"),
    "label of text": (example(label=[b"ant"]), r"it is a list of strings, 'ant'"),
    "raw": (example(kind=[b"raw"], encoded=[bytes(144)]), r"image/format is raw, and"),
    "RAW": (example(kind=[b"RAW"], encoded=[bytes(144)]), r"image/format is raw, and"),
    "number as format": (
        example(kind=[3]),
        r"image/format should be one string: it",
    ),
    "number as name": (example(filename=[3]), r"image/filename should be one string"),
    "heic": (example(encoded=[HEIC]), r"its picture is of the format HEIC, which Tens"),
    "tiff": (example(encoded=[picture("TIFF")]), r"picture is of the format TIFF, whi"),
    "text": (example(encoded=[b"text"]), r"its picture can't be decoded: "),
    "cut png": (example(encoded=[png(1)[:40]]), r"its picture can't be decoded: "),
    "cut jpeg": (example(encoded=[picture("JPEG")[:-300]]), r"its picture "),
    "no example": (b"no example", r"it is no tf\.train\.Example, but a text file"),
    "a file": (picture("JPEG"), r"it is no tf\.train\.Example, but a picture \(JPEG\)"),
    "nothing": (b"", r"it has no picture in image/encoded; it has no features"),
    "sequence": (sequence(), r"it has label, and is a tf\.train\.SequenceExample"),
}
LABELS = {
    "label above": (record(1, 5), r"its label 5 is none of 0 to 4"),
    "label below": (record(1, -1), r"its label -1 is none of 0 to 4"),
}
FILES = {
    "gzip": (gzip.compress, r"is compressed \(GZIP\), .* gunzip -c < "),
    "zlib": (zlib.compress, r"is compressed \(ZLIB\), .* python -c "),
    "text": (
        lambda _: b"path,label\na.jpg,1\n",
        r"is a text file, which begin",
    ),
    "picture": (lambda _: picture("PNG"), r"is a picture \(PNG\), not a TFRecord file"),
    "no records": (lambda _: b"", r"there are no records in .*tiny_train-00-of-01"),
    "cut": (lambda content: content[:-5], r"record 20.*the file ends before"),
    "damaged": (
        lambda content: b"\1" + content[1:],
        r"record 0.*its length is damaged",
    ),
    "other": (lambda _: bytes(range(128, 228)), r"record 0.*its length is damaged"),
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The tests' descriptor, known by its name."""
    monkeypatch.setitem(registry.DATASETS, "tiny", testing.TINY)


class _PassedError(Exception):
    """The records have passed what comes before a run."""


def _pass(*_, **__):
    raise _PassedError


def training(directory, monkeypatch, **options):
    """Training up to its graph."""
    monkeypatch.setattr(train.train_graph, "build", _pass)
    config = TrainConfig(
        model_name="lenet",
        dataset_name="tiny",
        dataset_dir=str(directory),
        train_dir=str(directory / "run"),
        **options,
    )
    with pytest.raises(_PassedError):
        train.train(config)


def evaluation(directory, monkeypatch, **options):
    """Evaluation of a network that is not opened, up to the first batch."""
    info = types.SimpleNamespace(dataset_name="tiny", labels_offset=0)
    choice = types.SimpleNamespace(info=info, path="")
    monkeypatch.setattr(evaluate.chosen, "choose", lambda *_, **__: choice)
    monkeypatch.setattr(evaluate, "_open", lambda *_: (choice, None))
    monkeypatch.setattr(evaluate.checkpoints, "step_of", _pass)
    config = EvalConfig(
        dataset_dir=str(directory),
        dataset_split_name="train",
        eval_dir=str(directory / "eval"),
        **options,
    )
    with pytest.raises(_PassedError):
        evaluate.evaluate(config)


def training_without(directory, monkeypatch):
    return training(directory, monkeypatch, skip_bad_records=True)


def evaluation_without(directory, monkeypatch):
    return evaluation(directory, monkeypatch, skip_bad_records=True)


def checking(directory, _):
    """The check, whose problems become an error."""
    config = CheckConfig(dataset_name="tiny", dataset_dir=str(directory))
    # Equal pictures are no matter here.
    problems = [p.text for p in check_dataset.check(config).problems]
    if problems := [text for text in problems if "its picture has label" not in text]:
        raise UserError("; ".join(problems))


def _step(build, takes_encoded):
    def read(directory, _):
        dataset = testing.open_tiny(directory)

        def preprocess(image, **_):
            if takes_encoded:
                image = tf.io.decode_image(image, 3, expand_animations=False)
            image.set_shape([None, None, 3])
            return tf.image.resize(image, [4, 4])

        with classic_graph(), pipeline.explained_errors(dataset):
            [batch] = pipeline.next_batches(build(dataset, preprocess), 1)
            with tf.Session() as session:
                session.run(tf.tables_initializer())
                for _ in range(DEEP + 1):
                    session.run(batch)

    return read


BEFORE = {
    "training": training,
    "evaluation": evaluation,
    "check": checking,
}
STEPS = {
    "batches of training": _step(
        lambda split, f: pipeline.train_batches(split, f, 1, takes_encoded=True), True
    ),
    "batches of decoded pictures": _step(
        lambda split, f: pipeline.train_batches(split, f, 1), False
    ),
    "batches of evaluation": _step(
        lambda split, f: pipeline.eval_batches(split, f, 1), False
    ),
}
WITHOUT = {"training": training_without, "evaluation": evaluation_without}


@pytest.mark.parametrize("way", [*BEFORE, *STEPS])
@pytest.mark.parametrize("kind", RIGHT)
def test_odd_records_that_are_right_pass(tmp_path, monkeypatch, kind, way):
    testing.write(tmp_path, [0, RIGHT[kind], *range(2, DEEP + 1)])
    (BEFORE | STEPS)[way](tmp_path, monkeypatch)


@pytest.mark.parametrize("way", BEFORE)
@pytest.mark.parametrize("kind", WRONG | LABELS)
def test_a_first_record_that_is_wrong_is_named(tmp_path, monkeypatch, kind, way):
    content, reason = (WRONG | LABELS)[kind]
    testing.write(tmp_path, [0, content, *range(2, 5)])
    with pytest.raises(UserError, match=rf"record 1 of .*: .*{reason}") as error:
        BEFORE[way](tmp_path, monkeypatch)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("way", ["check", *STEPS])
@pytest.mark.parametrize("kind", WRONG | LABELS)
def test_a_later_record_that_is_wrong_is_named(tmp_path, monkeypatch, kind, way):
    content, reason = (WRONG | LABELS)[kind]
    testing.write(tmp_path, [*range(DEEP), content])
    if kind == "number as name" and way not in ("check", "batches of evaluation"):
        pytest.skip("training reads no names")
    if kind == "number as format" and way == "batches of training":
        pytest.skip("the content decides")
    with pytest.raises(UserError, match=rf"record {DEEP} of .*: .*{reason}") as error:
        (BEFORE | STEPS)[way](tmp_path, monkeypatch)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", WRONG | LABELS)
def test_reading_labels_takes_all_that_has_one(tmp_path, kind):
    content, _ = (WRONG | LABELS)[kind]
    dataset = testing.write(tmp_path, [0, content, 2])
    try:
        [(_, _, labels)] = pipeline.labels(dataset)
    except UserError as error:
        assert "record 1 of" in str(error)
        return
    assert labels.tolist()[::2] == [0, 2]
    assert labels[1] in {
        "label above": [5],
        "label below": [-1],
        "no label": [pipeline.NO_LABEL],
        "nothing": [pipeline.NO_LABEL],
        "sequence": [pipeline.NO_LABEL],
    }.get(kind, [1])


@pytest.mark.parametrize("way", WITHOUT)
@pytest.mark.parametrize("kind", WRONG)
def test_records_that_are_wrong_are_left_out(tmp_path, monkeypatch, kind, way):
    testing.write(tmp_path, [0, WRONG[kind][0], *range(2, 5)])
    WITHOUT[way](tmp_path, monkeypatch)
    left, [fault] = preflight.prepare(
        testing.open_tiny(tmp_path), 0, skip_bad_records=True
    )
    assert (left.num_samples, fault.position) == (4, 1)
    testing.write(tmp_path, [WRONG[kind][0]] * 2)
    with pytest.raises(UserError, match="hold no sound records:\n  record 0 of"):
        WITHOUT[way](tmp_path, monkeypatch)


@pytest.mark.parametrize("way", WITHOUT)
@pytest.mark.parametrize("kind", LABELS)
def test_labels_out_of_range_are_not_left_out(tmp_path, monkeypatch, kind, way):
    testing.write(tmp_path, [0, LABELS[kind][0], 2])
    with pytest.raises(UserError, match=LABELS[kind][1]):
        WITHOUT[way](tmp_path, monkeypatch)


@pytest.mark.parametrize("way", BEFORE)
@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_wrong_are_named(tmp_path, monkeypatch, kind, way):
    change, reason = FILES[kind]
    testing.write(tmp_path, range(DEEP + 1))
    path = testing.shard(tmp_path, 0, 1)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=reason) as error:
        BEFORE[way](tmp_path, monkeypatch)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("way", WITHOUT)
@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_wrong_are_left_out_if_they_are_damaged(
    tmp_path, monkeypatch, kind, way
):
    change, reason = FILES[kind]
    testing.write(tmp_path, range(DEEP + 1), range(5))
    path = testing.shard(tmp_path, 0, 2)
    path.write_bytes(change(path.read_bytes()))
    if kind in ("cut", "damaged", "other", "no records"):
        WITHOUT[way](tmp_path, monkeypatch)
        return
    with pytest.raises(UserError, match=reason):
        WITHOUT[way](tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("way", STEPS)
def test_batches_of_files_that_are_wrong(tmp_path, monkeypatch, kind, way):
    change, reason = FILES[kind]
    testing.write(tmp_path, range(DEEP + 1))
    path = testing.shard(tmp_path, 0, 1)
    path.write_bytes(change(path.read_bytes()))
    if kind == "no records" and way == "batches of evaluation":
        with pytest.raises(tf.errors.OutOfRangeError):
            STEPS[way](tmp_path, monkeypatch)
        return
    reason = "there are no records in" if kind != "cut" else reason
    if way == "batches of evaluation":
        reason = FILES[kind][1]
    with pytest.raises(UserError, match=reason):
        STEPS[way](tmp_path, monkeypatch)


def test_manifests_do_not_keep_first_records_from_being_read(tmp_path, monkeypatch):
    testing.write(tmp_path, [example(label=None)])
    split = {"count": 1, "per_class": [1, 0, 0, 0, 0]}
    content = f'{{"dataset": "tiny", "splits": {{"train": {split}}}}}'
    (tmp_path / "manifest.json").write_text(content.replace("'", '"'))
    assert manifests.read_manifest(tmp_path).splits["train"].count == 1
    for way in (training, evaluation):
        with pytest.raises(UserError, match="it has no label"):
            way(tmp_path, monkeypatch)
