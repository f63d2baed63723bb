"""Folders that may be read in several ways: no picture gets the label of another."""

import json
import shutil

import pytest
from PIL import Image

from datasets.converting import folder_source
from datasets.converting.pictures import Index, short_names
from slimbase.errors import UserError

CLASSES = ("ant/1.jpg", "ant/2.jpg", "bee/3.jpg", "bee/4.jpg")
AS_FOLDERS = {name: name.split("/")[0] for name in CLASSES}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "photos"


def _draw(root, names, texts=None):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path, "png")
    for name, text in (texts or {}).items():
        (root / name).write_text(text)


def _labels(*arguments):
    return {p.name: p.label for p in folder_source.find_pictures(*arguments)}


def _splits(root):
    found = folder_source.find_pictures(root)
    return {p.name: (p.label, p.split) for p in found}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name,text\nant/1.jpg,a photo\nbee/3.jpg,two bees\n"),
        ("classes.csv", "id,name\n1,bee\n2,ant\n"),
        ("sizes.csv", "filename,width\n1.jpg,640\n2.jpg,480\n"),
        ("labels.csv", "path,label\nant/1.jpg,0\nant/2.jpg,0\nbee/3.jpg,1\n"),
        ("others.csv", "path,label\nx/7.jpg,0\nx/8.jpg,1\n"),
        ("broken.csv", "path,label\nant/1.jpg,0\nbee/3.jpg,\n"),
    ],
)
@pytest.mark.parametrize("inner", ["", "inner/"])
def test_class_folders_beside_tables(root, caplog, name, text, inner):
    _draw(root, [inner + n for n in CLASSES], {name: text})
    caplog.set_level("INFO")
    assert _labels(root) == {inner + n: label for n, label in AS_FOLDERS.items()}
    assert f"Not used: {name}" in caplog.text


def test_a_table_that_contradicts_class_folders(root):
    text = "path,label\nant/1.jpg,a\nant/2.jpg,b\nbee/3.jpg,a\n"
    _draw(root, CLASSES, {"labels.csv": text})
    with pytest.raises(UserError, match=r"label 'b' for a picture in the folder 'ant'"):
        folder_source.find_pictures(root)
    assert _labels(root, root / "labels.csv") == {
        "ant/1.jpg": "a",
        "ant/2.jpg": "b",
        "bee/3.jpg": "a",
    }


@pytest.mark.parametrize("folder", ["test", "test_images"])
def test_examples_of_answers_are_no_labels(root, folder):
    texts = {
        "train.csv": "image_id,label\n1,0\n2,1\n",
        "sample_submission.csv": "image_id,label\n3,4\n",
    }
    _draw(root, ["train/1.jpg", "train/2.jpg", f"{folder}/3.jpg"], texts)
    assert _labels(root) == {"train/1.jpg": "0", "train/2.jpg": "1"}


def test_columns_that_differ_between_splits(root):
    texts = {"train.csv": "id,breed\n1,a\n2,b\n", "test.csv": "id,width\n3,40\n"}
    _draw(root, ["train/1.jpg", "train/2.jpg", "test/3.jpg"], texts)
    with pytest.raises(UserError, match="labels in other columns"):
        folder_source.find_pictures(root)


def test_the_surer_of_two_tables(root):
    texts = {"train.csv": "id,label\n1,a\n2,b\n", "test.csv": "id,width\n3,40\n"}
    _draw(root, ["images/1.jpg", "images/2.jpg", "images/3.jpg"], texts)
    assert _labels(root) == {"images/1.jpg": "a", "images/2.jpg": "b"}


def test_an_id_behind_a_path_is_its_label(root):
    texts = {"train.csv": "Image,Id\n1.jpg,w_1\n2.jpg,w_2\n"}
    _draw(root, ["train/1.jpg", "train/2.jpg"], texts)
    assert _labels(root) == {"train/1.jpg": "w_1", "train/2.jpg": "w_2"}


def test_names_that_are_in_two_splits(root):
    names = [f"{split}/{n}.jpg" for split in ("train", "test") for n in (1, 2)]
    _draw(root, names, {"labels.csv": "id,label\n1,a\n2,b\n"})
    with pytest.raises(UserError, match="fit pictures in several of test, train, as 1"):
        folder_source.find_pictures(root)
    rows = "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names))
    (root / "labels.csv").write_text(f"path,label\n{rows}")
    assert _labels(root) == {name: "ab"[i % 2] for i, name in enumerate(names)}


def test_a_split_that_contradicts_its_folder(root):
    text = "path,label,split\ntrain/1.jpg,a,val\nval/2.jpg,b,val\n"
    _draw(root, ["train/1.jpg", "val/2.jpg"], {"labels.csv": text})
    with pytest.raises(UserError, match=r"split validation, and it is in .* train"):
        folder_source.find_pictures(root)


def test_the_only_class_of_a_split_is_no_folder_too_many(root):
    _draw(root, ["train/a/x/1.jpg", "train/b/x/2.jpg", "val/b/x/3.jpg"])
    assert _splits(root) == {
        "train/a/x/1.jpg": ("a", "train"),
        "train/b/x/2.jpg": ("b", "train"),
        "val/b/x/3.jpg": ("b", "validation"),
    }


@pytest.mark.parametrize("inner", ["", "train/"])
def test_splits_without_labels_are_no_classes(root, inner):
    _draw(root, [f"train/{inner}cat.0.jpg", f"train/{inner}dog.0.jpg", "test1/1.jpg"])
    with pytest.raises(UserError, match="has train with pictures right in them"):
        folder_source.find_pictures(root)


@pytest.mark.parametrize(
    "texts",
    [
        {"train.txt": "1.jpg a\n2.jpg b\n", "val.txt": "3.jpg b\n"},
        {"train.txt": "train/1.jpg a\ntrain/2.jpg b\n", "val.txt": "val/3.jpg b\n"},
        {"train/labels.txt": "1 a\n2 b\n", "val/labels.txt": "3 b\n"},
    ],
)
def test_flat_splits_with_lists(root, texts):
    _draw(root, ["train/1.jpg", "train/2.jpg", "val/3.jpg"], texts)
    assert _splits(root) == {
        "train/1.jpg": ("a", "train"),
        "train/2.jpg": ("b", "train"),
        "val/3.jpg": ("b", "validation"),
    }


@pytest.mark.parametrize("place", ["val.csv", "val/labels.csv"])
def test_a_flat_split_with_a_table(root, place):
    names = ["train/a/1.jpg", "train/b/2.jpg", "val/3.jpg", "val/4.jpg"]
    _draw(root, names, {place: "file,label\n3.jpg,b\n4.jpg,a\n"})
    assert _splits(root) == {
        "train/a/1.jpg": ("a", "train"),
        "train/b/2.jpg": ("b", "train"),
        "val/3.jpg": ("b", "validation"),
        "val/4.jpg": ("a", "validation"),
    }


def test_labels_of_lists_where_folders_are_no_classes(root):
    names = [f"part{i}/{j}.jpg" for i in (1, 2) for j in (1, 2)]
    texts = {
        "train.txt": "part1/1.jpg 0\npart2/1.jpg 1\n",
        "test.txt": "part1/2.jpg 1\npart2/2.jpg 0\n",
    }
    _draw(root, names, texts)
    assert _labels(root) == {
        "part1/1.jpg": "0",
        "part1/2.jpg": "1",
        "part2/1.jpg": "1",
        "part2/2.jpg": "0",
    }


def test_lists_beside_the_folder_of_classes(root):
    texts = {"train.txt": "ant/1 0\nbee/3 1\n", "test.txt": "ant/2 0\nbee/4 1\n"}
    _draw(root, [f"all/{name}" for name in CLASSES], texts)
    assert _splits(root) == {
        "all/ant/1.jpg": ("ant", "train"),
        "all/ant/2.jpg": ("ant", "test"),
        "all/bee/3.jpg": ("bee", "train"),
        "all/bee/4.jpg": ("bee", "test"),
    }


@pytest.mark.parametrize("train", ["ant/1.jpg\nbee/3.jpg\n", "epoch 1 loss 2\n"])
def test_texts_that_are_no_lists(root, caplog, train):
    _draw(root, CLASSES, {"train.txt": train, "test.txt": "notes\n"})
    caplog.set_level("INFO")
    assert _splits(root) == {name: (c, "") for name, c in AS_FOLDERS.items()}
    assert "No splits: test.txt, train.txt do not list these pictures" in caplog.text


def test_a_missing_file_is_not_looked_for_in_another_class(root):
    table = root / "t.csv"
    _draw(root, CLASSES)
    for place in ("", "/home/someone/photos/"):
        names = ("ant/1.jpg", "bee/3.jpg", "wasp/4.jpg")
        rows = "".join(f"{place}{name},{name[:3]}\n" for name in names)
        table.write_text(f"path,label\n{rows}")
        [*_, absent] = folder_source.find_pictures(root, table)
        assert (absent.label, absent.bytes) == ("was", -1)


def test_absolute_paths_below_a_relative_folder(root, monkeypatch):
    _draw(root, ["ant/1.jpg", "bee/1.jpg"])
    (root / "t.csv").write_text(f"{root}/ant/1.jpg,ant\n{root}/bee/1.jpg,bee\n")
    monkeypatch.chdir(root.parent)
    expected = {"ant/1.jpg": "ant", "bee/1.jpg": "bee"}
    assert _labels("photos", "photos/t.csv") == expected
    (root.parent / "link").symlink_to(root)
    assert _labels("link", "link/t.csv") == expected


def test_names_of_files_outside_differ(root):
    _draw(root, ["here.jpg"])
    _draw(root.parent, ["o/ant/1.jpg", "o/bee/1.jpg"])
    outside = root.parent / "o"
    (root / "t.csv").write_text(f"{outside}/ant/1.jpg,ant\n{outside}/bee/1.jpg,bee\n")
    assert _labels(root, root / "t.csv") == {"ant/1.jpg": "ant", "bee/1.jpg": "bee"}


def test_short_names(tmp_path):
    paths = [tmp_path / name for name in ("a/x/1.jpg", "b/x/1.jpg", "b/x/2.jpg")]
    assert short_names(paths) == ["a/x/1.jpg", "b/x/1.jpg", "b/x/2.jpg"]
    assert short_names(paths[1:]) == ["1.jpg", "2.jpg"]
    assert short_names([]) == []


def test_index(tmp_path):
    names = ["a/1.jpg", "b/1.jpg", "b/2.jpg", "b/2.png", "top.jpg", "v1.5.jpg"]
    index = Index([tmp_path / name for name in names], tmp_path)
    found = {
        "a/1": "a/1.jpg",
        "photos\\b\\1.jpg": "b/1.jpg",
        "2.png": "b/2.png",
        "./top": "top.jpg",
        "elsewhere/top.jpg": "top.jpg",
        "v1.5": "v1.5.jpg",
    }
    for name, path in found.items():
        assert index.find(name) == tmp_path / path
    for name in ("1", "1.jpg", "c/1.jpg", "b/2", "2", "c/2.png", "", "/", ".."):
        assert index.find(name) is None


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, "line 1 has no label"),
        ([], "line 1 has no label"),
        (["a", "b"], "line 1 has several labels, 'a;b'"),
    ],
)
def test_labels_of_json_that_cannot_be(root, label, message):
    rows = [{"file_name": "1.jpg", "label": label}, {"file_name": "2", "label": "b"}]
    text = "\n".join(map(json.dumps, rows))
    _draw(root, ["1.jpg", "2.jpg"], {"metadata.jsonl": text})
    with pytest.raises(UserError, match=message):
        folder_source.find_pictures(root)


def test_labels_of_json(root):
    rows = [{"image": str(i), "label": x} for i, x in enumerate((7, ["a"], True))]
    text = "\n".join(map(json.dumps, rows))
    _draw(root, ["0.jpg", "1.jpg", "2.jpg"], {"LABELS.JSONL": text})
    assert _labels(root) == {"0.jpg": "7", "1.jpg": "a", "2.jpg": "true"}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"path": "1", "label": "\\ud800"}'])
def test_json_of_rare_kinds(root, text):
    _draw(root, ["1.jpg"], {"t.jsonl": text})
    with pytest.raises(UserError, match="line 1 is not a JSON object in UTF-8"):
        folder_source.find_pictures(root, root / "t.jsonl")


def test_hidden_pictures_are_counted(root, caplog):
    hidden = ["@eaDir/1/t.jpg", "ant/.thumbnails/t.jpg", "ant/._1.jpg"]
    _draw(root, [*CLASSES, *hidden])
    assert _labels(root) == AS_FOLDERS
    assert "Left out: 3 pictures, hidden or made by systems: 1 in @eaDir" in caplog.text
    _draw(root, ["5.jpg"], {"labels.csv": "path,label\nant/1.jpg,a\nbee/3.jpg,b\n"})
    caplog.clear()
    folder_source.find_pictures(root)
    assert "1 in .thumbnails" in caplog.text
    assert "1 in ._*" in caplog.text


def test_an_archive_in_the_folder(root, tmp_path):
    _draw(tmp_path / "packed", CLASSES)
    archive = shutil.make_archive(str(tmp_path / "p"), "zip", tmp_path / "packed")
    root.mkdir()
    packed = shutil.move(archive, root / "PHOTOS.ZIP")
    with pytest.raises(UserError, match=r"give --source_dir=.*PHOTOS\.ZIP"):
        folder_source.find_pictures(root)
    assert len(folder_source.find_pictures(packed, work=tmp_path / "work")) == 4
