import collections
import json

import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import dataset_factory, download_and_convert_folder, registry
from datasets.storage import manifests
from slimbase import testing
from slimbase.errors import UserError

SCRIPT = "download_and_convert_data.py"


def _put(root, counts):
    for folder, count in counts.items():
        for number in range(count):
            path = root / folder / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            color = (number * 8 % 256, len(folder) * 9 % 256, number // 32)
            Image.new("RGB", (40, 30), color).save(path)
    return root


def _names(target, split, name="folder"):
    """The class and `image/filename` of each record of a split, in order."""
    found = []
    for path in sorted(target.glob(f"{name}_{split}_*")):
        for record in tf.io.tf_record_iterator(str(path)):
            feature = tf.train.Example.FromString(record).features.feature
            [label] = feature["image/class/label"].int64_list.value
            [filename] = feature["image/filename"].bytes_list.value
            found.append((label, filename.decode()))
    return found


def _counts(target, split):
    counts = collections.Counter(label for label, _ in _names(target, split))
    return [counts[label] for label in range(max(counts) + 1)]


@pytest.fixture
def source(tmp_path):
    return _put(tmp_path / "photos", {"bee": 10, "ant": 21, "cat": 2})


def test_every_class_is_split(source, tmp_path):
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source, test_fraction=0.1)
    assert _counts(target, "train") == [15, 7, 1]
    assert _counts(target, "validation") == [4, 2, 1]
    assert _counts(target, "test") == [2, 1]
    assert (target / "labels.txt").read_text() == "0:ant\n1:bee\n2:cat\n"
    splits = ("train", "validation", "test")
    names = [name for split in splits for _, name in _names(target, split)]
    photos = source.glob("*/*.jpg")
    assert sorted(names) == sorted(p.relative_to(source).as_posix() for p in photos)
    manifest = manifests.read_manifest(target)
    assert manifest.settings == {
        "seed": 0,
        "validation_fraction": 0.2,
        "test_fraction": 0.1,
        "num_shards": None,
    }
    assert manifest.splits["train"].heights == [30, 30]
    # Shuffled, as training shuffles but the nearest ones.
    assert _names(target, "train") != sorted(_names(target, "train"))


def test_the_seed_decides(source, tmp_path):
    runs = {}
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        download_and_convert_folder.run(tmp_path / name, source, seed=seed)
        runs[name] = _names(tmp_path / name, "validation")
    assert runs["a"] == runs["b"]
    assert set(runs["a"]) != set(runs["c"])


def test_given_splits_and_a_class_that_one_lacks(tmp_path):
    source = _put(
        tmp_path / "photos",
        {"train/1": 3, "train/10": 3, "val/10": 2, "val/9": 2, "test/1": 1},
    )
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source)
    assert (target / "labels.txt").read_text() == "0:1\n1:9\n2:10\n"
    assert _counts(target, "train") == [3, 0, 3]
    assert _counts(target, "validation") == [0, 2, 2]
    assert _counts(target, "test") == [1]


def test_numbers_of_another_set_are_kept(source, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("0:dog\n1:cat\n2:ant\n3:bee\n")
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source, labels_file=labels)
    assert (target / "labels.txt").read_text() == labels.read_text()
    assert {n: name.split("/")[0] for n, name in _names(target, "train")} == {
        1: "cat",
        2: "ant",
        3: "bee",
    }


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("0:ant\n1:bee\n", r"labels\.txt has no class cat, but ant, bee"),
        ("0:ant\n2:bee\n3:cat\n", "should number classes from 0 on, without gaps"),
        ("ant\n", "is not a label file"),
    ],
)
def test_numbers_that_do_not_fit(source, tmp_path, lines, told):
    labels = tmp_path / "labels.txt"
    labels.write_text(lines)
    with pytest.raises(UserError, match=told):
        download_and_convert_folder.run(tmp_path / "to", source, labels_file=labels)
    with pytest.raises(UserError, match="there is no --labels_file=nowhere"):
        download_and_convert_folder.run(tmp_path / "to", source, labels_file="nowhere")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"validation_fraction": 1.0}, "should be 0 or more, and below 1 together"),
        ({"test_fraction": -0.1}, "should be 0 or more"),
        ({"name": "mnist"}, "cannot be called 'mnist'"),
        ({"name": "a/b"}, "cannot be called 'a/b': expected letters"),
    ],
)
def test_options_that_cannot_be(source, tmp_path, options, told):
    with pytest.raises(UserError, match=told):
        download_and_convert_folder.run(tmp_path / "to", source, **options)


def test_a_split_for_some_only(source, tmp_path):
    table = source / "labels.csv"
    table.write_text("path,label,split\nant/0.jpg,ant,train\nbee/0.jpg,bee,\n")
    with pytest.raises(UserError, match=r"bee.0\.jpg is in no split, and others are"):
        download_and_convert_folder.run(tmp_path / "to", csv_file=table)


def test_number_of_files(source, tmp_path):
    download_and_convert_folder.run(tmp_path / "a", source)
    assert len(list((tmp_path / "a").glob("folder_train_*-of-00004.tfrecord"))) == 4
    download_and_convert_folder.run(tmp_path / "b", source, num_shards=7)
    assert len(list((tmp_path / "b").glob("folder_train_*-of-00007.tfrecord"))) == 7


@pytest.mark.parametrize("bad", range(4))
def test_a_bad_picture_is_no_share_of_validation(tmp_path, bad):
    source = _put(tmp_path / "photos", {"ant": 4, "beetle": 4})
    (source / "ant" / f"{bad}.jpg").write_bytes(b"damaged")
    download_and_convert_folder.run(tmp_path / "records", source)
    assert _counts(tmp_path / "records", "train") == [2, 3]
    assert _counts(tmp_path / "records", "validation") == [1, 1]
    assert f"ant/{bad}.jpg" in (tmp_path / "records" / "bad_files.txt").read_text()


@pytest.mark.parametrize("bad", range(4))
def test_a_split_that_loses_a_class_is_reported(tmp_path, caplog, bad):
    source = _put(tmp_path / "photos", {"ant": 4, "beetle": 4})
    (source / "ant" / f"{bad}.jpg").write_bytes(b"damaged")
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source, allow_near_copies=True)
    is_lost = _counts(target, "validation")[0] == 0
    assert (
        "split validation has no picture of 1 classes: ant" in caplog.text
    ) == is_lost


def test_a_changed_picture_is_not_taken_from_an_interrupted_run(source, tmp_path):
    target = tmp_path / "records"
    (source / "ant" / "3.jpg").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"ant/3\.jpg is not a JPEG"):
        download_and_convert_folder.run(target, source, strict=True, num_shards=9)
    assert list((target / ".incomplete" / "records").glob("*.tfrecord"))
    Image.new("RGB", (8, 8)).save(source / "ant" / "3.jpg")
    Image.new("RGB", (9, 9)).save(source / "ant" / "4.jpg")
    download_and_convert_folder.run(target, source, strict=True, num_shards=9)
    assert manifests.read_manifest(target).splits["train"].heights[0] == 8
    assert not (target / ".incomplete").exists()


@pytest.mark.parametrize("name", [registry.FOLDER, "insects"])
def test_the_set_is_known_by_its_manifest(source, tmp_path, name):
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source, name="insects")
    dataset = dataset_factory.get_dataset(name, "validation", target)
    assert dataset.num_samples == 4 + 2 + 1
    assert dataset.num_classes == 3
    assert dataset.labels_to_names == {0: "ant", 1: "bee", 2: "cat"}
    assert dataset.data_sources == str(target / "insects_validation_*.tfrecord")
    with pytest.raises(UserError, match=r"test was not recognized.*train, validation"):
        dataset_factory.get_dataset(name, "test", target)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("folder", r"has no manifest\.json of your own data set\. Make one"),
        ("insects", "dataset unknown insects"),
        ("flower", "Did you mean flowers"),
    ],
)
def test_a_set_that_nobody_knows(tmp_path, name, told):
    with pytest.raises(UserError, match=told):
        dataset_factory.get_dataset(name, "train", tmp_path)


def test_from_photos_to_answers(source, tmp_path):
    target, train_dir = tmp_path / "records", tmp_path / "train"
    command = (SCRIPT, "--dataset_name=folder", "--name=insects")
    told = testing.call(*command, f"--source_dir={source}", f"--dataset_dir={target}")
    assert "ant" in told.stderr
    assert "26 train, 7 validation; 3 classes" in told.stderr
    testing.call(
        *("train_image_classifier.py", f"--dataset_dir={target}"),
        *(f"--train_dir={train_dir}", *testing.SMALL_NETWORK),
        *("--batch_size=4", "--max_number_of_steps=2"),
    )
    record = json.loads((train_dir / "model.json").read_text())
    assert record["dataset_name"] == "insects"
    assert record["labels"] == ["ant", "bee", "cat"]
    testing.call(
        *("eval_image_classifier.py", f"--dataset_dir={target}"),
        *(f"--checkpoint_path={train_dir}", f"--eval_dir={tmp_path}"),
    )
    metrics = testing.metrics(tmp_path)
    assert (metrics["count"], metrics["dataset_split_name"]) == (7, "validation")
    graph = tmp_path / "insects.pb"
    testing.call(
        *("export_inference_graph.py", f"--checkpoint_path={train_dir}"),
        f"--output_file={graph}",
    )
    told = testing.call("classify_image.py", f"--graph={graph}", source / "bee/1.jpg")
    assert {"ant", "bee", "cat"} <= set(told.stdout.split())


def test_evaluation_refuses_another_order_of_classes(source, tmp_path):
    download_and_convert_folder.run(tmp_path, source)
    (tmp_path / "labels.txt").write_text("0:bee\n1:ant\n2:cat\n")
    with pytest.raises(UserError, match=r"has bee for class 0, which was ant when"):
        dataset_factory.get_dataset("folder", "train", tmp_path)
    (tmp_path / "labels.txt").write_text("0:Ameise\n1:Biene\n2:Katze\n")
    dataset = dataset_factory.get_dataset("folder", "train", tmp_path)
    assert dataset.labels_to_names[0] == "Ameise"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--dataset_name is missing"),
        (("--dataset_name=folder",), "--dataset_dir is missing"),
        (("--dataset_name=folders", "--dataset_dir=x"), "Did you mean folder"),
        (
            ("--dataset_name=mnist", "--dataset_dir=x", "--test_fraction=0.1"),
            "--test_fraction is not for mnist, which takes --",
        ),
        (("--dataset_name=folder", "--dataset_dir=x"), "--source_dir is missing"),
    ],
)
def test_flags_that_cannot_be(monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert told in testing.fails(SCRIPT, *arguments)
    assert not list(tmp_path.iterdir())


def _with_phone_photos(shared_data, source):
    for name in ("pug.heic", "photo.heic", "rotated.avif", "rgb16_planar.tif"):
        (source / "bee" / name).symlink_to(shared_data / "phone_photos" / name)
    return source


def test_photos_of_phones(shared_data, source, tmp_path):
    target = tmp_path / "records"
    _with_phone_photos(shared_data, source)
    result = testing.call(
        SCRIPT,
        "--dataset_name=folder",
        f"--source_dir={source}",
        f"--dataset_dir={target}",
    )
    assert "2: HEIC made JPEG" in result.stderr
    assert "1: AVIF made JPEG" in result.stderr
    assert "1: TIFF made PNG" in result.stderr
    assert "1: turned upright, as EXIF says" in result.stderr
    assert not (target / "bad_files.txt").exists()


def test_pictures_that_are_not_read_are_reported(source, tmp_path):
    for name, start in {"a.jxl": b"\xff\x0a", "b.nef": b"II*\0", "c.jxl": b""}.items():
        (source / "bee" / name).write_bytes(start + name.encode())
    (source / "bee" / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    flags = [SCRIPT, "--dataset_name=folder", f"--source_dir={source}"]
    result = testing.call(*flags, f"--dataset_dir={tmp_path / 'a'}")
    assert "3 pictures were left out" in result.stderr
    assert "1: is a JPEG XL, which is not read: convert it to JPEG" in result.stderr
    assert "nor beginning like one: 1 .mov" in result.stderr
    listed = (tmp_path / "a" / "bad_files.txt").read_text()
    assert "bee/a.jxl: is a JPEG XL, which is not read" in listed
    strict = testing.call(
        *(*flags, f"--dataset_dir={tmp_path / 'b'}", "--strict"), check=False
    )
    assert strict.returncode == 1
    assert strict.stderr.splitlines()[-1].startswith("error: bee/")


def test_a_class_that_loses_all_its_pictures(source, tmp_path):
    for number in range(3):
        path = source / "dog" / f"{number}.jxl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\xff\x0a" + bytes([number]))
    with pytest.raises(UserError) as error:
        download_and_convert_folder.run(tmp_path / "records", source)
    assert "none of the pictures of dog can be used" in str(error.value)
    assert "3: is a JPEG XL, which is not read" in str(error.value)
    assert not (tmp_path / "records" / "manifest.json").exists()


def test_a_thousand_pictures_and_one_that_crashed_the_process(shared_data, tmp_path):
    source = tmp_path / "photos"
    for number in range(1000):
        path = source / ("ant", "bee")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(path)
    crashing = shared_data / "odd_images" / "lossless_gray.jpg"
    (source / "bee" / "scan.jpg").symlink_to(crashing)
    target = tmp_path / "records"
    result = testing.run(
        SCRIPT,
        "--dataset_name=folder",
        f"--source_dir={source}",
        f"--dataset_dir={target}",
    )
    assert (target / "bad_files.txt").read_text() == (
        "bee/scan.jpg: is a lossless JPEG, which TensorFlow does not decode\n"
    )
    assert "1 pictures were left out" in result.stderr
    assert len(_names(target, "train") + _names(target, "validation")) == 1000


def test_a_picture_that_was_repaired(source, tmp_path):
    path = source / "bee" / "0.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:100])
    download_and_convert_folder.run(tmp_path / "records", source)
    download_and_convert_folder.run(tmp_path / "records", source)
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"bee/0\.jpg was left out of .* can be used now"
    ):
        download_and_convert_folder.run(tmp_path / "records", source)
