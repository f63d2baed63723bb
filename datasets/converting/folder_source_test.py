import os
import random
import shutil

import pytest
from PIL import Image

from datasets.converting import folder_source, pictures, split_names
from slimbase.errors import UserError


@pytest.fixture
def root(tmp_path):
    return tmp_path / "photos"


def _put(root, *names):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path, "png")


def _found(*arguments):
    return [(p.name, p.label, p.split) for p in folder_source.find_pictures(*arguments)]


def test_class_folders(root):
    _put(root, "bee/2.jpg", "bee/10.png", "ant/a/b/1.jpg", "ant/.hidden.jpg")
    _put(root, "ant/__MACOSX/1.jpg", ".cache/1.jpg", "loose.jpg", "ant/no_suffix")
    (root / "ant" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "ant" / "notes.txt").write_text("not a picture\n")
    (root / "empty").mkdir()
    assert _found(root) == [
        ("ant/a/b/1.jpg", "ant", ""),
        ("ant/no_suffix", "ant", ""),
        ("bee/2.jpg", "bee", ""),
        ("bee/10.png", "bee", ""),
    ]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val"), {"train", "validation"}),
        (("Train", "valid", "Test"), {"train", "validation", "test"}),
        (("training", "dev"), {"train", "validation"}),
        (("train",), {"train"}),
    ],
)
def test_split_folders(root, folders, splits):
    _put(root, *(f"{f}/{c}/{i}.jpg" for f in folders for c in "ab" for i in range(2)))
    found = folder_source.find_pictures(root)
    assert {picture.split for picture in found} == splits
    assert {picture.label for picture in found} == {"a", "b"}


def test_what_is_beside_the_splits_is_left_out(root):
    _put(root, "train/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg", "val/1.jpg")
    _put(root, "models/c/1.jpg", "test/1.jpg")
    assert _found(root) == [
        ("train/a/1.jpg", "a", "train"),
        ("train/b/1.jpg", "b", "train"),
        ("val/b/1.jpg", "b", "validation"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["train/a/1.jpg", "train/b/1.jpg", "test1/1.jpg"],
        ["val/a/1.jpg", "val/b/1.jpg", "test/a/1.jpg"],
    ],
)
def test_what_may_be_splits_or_classes(root, names):
    _put(root, *names)
    with pytest.raises(UserError, match="are these splits, or classes"):
        folder_source.find_pictures(root)


def test_trains_may_be_a_class(root):
    _put(root, "train/1.jpg", "train/old/2.jpg", "car/1.jpg")
    assert {label for _, label, _ in _found(root)} == {"train", "car"}


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["10", "9", "a"], ["10", "9", "a"]),
        (["b", "A", "a"], ["A", "a", "b"]),
        (["1", "01"], ["01", "1"]),
        (["9" * 5000, "10", "0"], ["0", "10", "9" * 5000]),
    ],
)
def test_order_of_classes(labels, ordered):
    assert pictures.class_names(labels) == ordered


def test_names_nobody_expects(root):
    names = [" bee s ", "a\nnt", "b\u00fccher", "e\u0301", "\U0001f41d", "-rf", "%s*"]
    _put(root, *(f"{name}/{name} 1.jpg" for name in names))
    os.mkdir(os.fsencode(root) + b"/\xff")  # noqa: PTH102
    picture = os.fsencode(root) + b"/\xff/\xff.jpg"
    os.rename(root / "-rf" / "-rf 1.jpg", picture)  # noqa: PTH104
    found = folder_source.find_pictures(root)
    assert {picture.label for picture in found} == {
        *("bee s", "a nt", "b\u00fccher", "\u00e9", "\U0001f41d", "\\xff", "%s*")
    }
    assert all(picture.path.read_bytes() for picture in found)


def test_links(root, tmp_path):
    _put(root, "ant/1.jpg", "ant/2.jpg", "bee/3.jpg")
    _put(tmp_path, "elsewhere/4.jpg")
    (root / "loop").symlink_to(root)
    (root / "ant" / "up").symlink_to(tmp_path)
    (root / "ant" / "self").symlink_to(root / "ant")
    (root / "ant" / "again.jpg").symlink_to(root / "ant" / "1.jpg")
    (root / "ant" / "broken.jpg").symlink_to(root / "nowhere")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "bee" / "pipe.jpg")
    labels = [label for _, label, _ in _found(root)]
    assert labels == ["ant", "ant", "bee", "cat"]


def _table(root, text, name="labels.csv"):
    _put(root, "1.jpg", "2.jpg", "sub/3, and more.jpg")
    path = root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        '1.jpg,ant\n2.jpg,bee\n"sub/3, and more.jpg",bee\n',
        'path,label\r\n1.jpg,ant\r\n\r\n2.jpg,bee\r\n"sub/3, and more.jpg",bee\r\n',
        "\ufefffile;width;class\n1.jpg;4;ant\n2.jpg;4;bee\nsub/3, and more.jpg;4;bee",
        "label\timage\nant\t1.jpg\nbee\t2.jpg\n bee \tsub/3, and more.jpg\n",
        '1.jpg,ant\n1.jpg,ant\n2.jpg,bee\n"sub/3, and more.jpg",bee\n',
    ],
)
def test_tables(root, text):
    assert _found(None, _table(root, text)) == [
        ("1.jpg", "ant", ""),
        ("2.jpg", "bee", ""),
        ("sub/3, and more.jpg", "bee", ""),
    ]


def test_a_table_elsewhere_with_splits(root, tmp_path):
    _put(root, "1.jpg", "2.jpg")
    table = tmp_path / "elsewhere.csv"
    table.write_text("1.jpg,ant,train\n2.jpg,bee,val\nnone.jpg,bee,TEST\n")
    assert _found(root, table) == [
        ("1.jpg", "ant", "train"),
        ("2.jpg", "bee", "validation"),
        ("none.jpg", "bee", "test"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.jpg,ant\n1.jpg,bee\n", "1.jpg has several labels, ant .* and bee"),
        ("1.jpg,ant;bee\n", "line 1 has several labels, 'ant;bee'; expected one"),
        ("1.jpg,ant\n2.jpg,a|b\n", "line 2 has several labels"),
        ("1.jpg,ant,bee,cat\n", "line 1 has 4 fields; expected path,label"),
        ("1.jpg\n", "line 1 has 1 fields"),
        ("1.jpg,ant\n2.jpg\n", "line 2 has 1 fields; the first one has 2"),
        ("1.jpg,\n", "line 1 has no label"),
        (",ant\n", "line 1 has no path"),
        ("1.jpg,ant,later\n", "line 1 has the split 'later'; expected one of train"),
        ("1.jpg,ant,train\n1.jpg,ant,val\n", "1.jpg is in two splits, train"),
        ("path,ant,bee\n1.jpg,1,1\n", "line 2 has 2 classes: ant, bee; expected a 1"),
        ("path,ant,bee\n1.jpg,0,0\n", "line 2 has 0 classes; expected a 1 in one of 2"),
        ("path,ant,bee\n1.jpg,0,x\n", "line 2 has 'x' where columns have 0 or 1"),
        ("label,width\nant,3\n", "has no column path, but label, width: call"),
        ("path,label,class\n1.jpg,a,b\n", "two columns for the label, label and class"),
        (
            "photo,breed\n1.jpg,a\n",
            "line 1: there is no file 'photo'. If .* path and label",
        ),
        ("", "there are no pictures"),
        ("path,label\n", "there are no pictures"),
        ("1.jpg,ant\n2.jpg,ant\n", "there is one class, ant, of 2 pictures"),
        ('1.jpg,"ant\n', "is not a CSV file in UTF-8"),
        (b"1.jpg,\xff\xfe\n", "is not a CSV file in UTF-8"),
    ],
)
def test_tables_that_cannot_be(root, text, told):
    with pytest.raises(UserError, match=told):
        folder_source.find_pictures(None, _table(root, text))


def test_no_table(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none\.csv: No such file"):
        folder_source.find_pictures(None, tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "holds nothing. Expected a folder for each class"),
        (
            ["1.jpg", "2.jpg"],
            r"no pictures: .*holds 1.jpg, 2.jpg.*name the folder above",
        ),
        (["photos/ant/1.jpg"], "there is one class, ant, of 1 pictures; expected"),
        (["a b/1.jpg", "a\nb/1.jpg"], "both stand for the class 'a b'"),
    ],
)
def test_folders_that_cannot_be(root, names, told):
    root.mkdir()
    _put(root, *names)
    with pytest.raises(UserError, match=told):
        folder_source.find_pictures(root)


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="there is no directory"):
        folder_source.find_pictures(tmp_path / "nowhere")
    with pytest.raises(UserError, match="--source_dir is missing: expected a folder"):
        folder_source.find_pictures(None)


def test_a_file_in_two_classes(root):
    _put(root, "ant/1.jpg", "bee/2.jpg")
    (root / "bee" / "3.jpg").hardlink_to(root / "ant" / "1.jpg")
    with pytest.raises(
        UserError, match=r"3\.jpg has several labels, ant \(as .*1\.jpg"
    ):
        folder_source.find_pictures(root)


def test_copies(root, caplog):
    _put(root, "train/ant/1.jpg", "train/bee/2.jpg", "train/ant/3.jpg", "val/ant/4.jpg")
    for copy, of in (
        ("train/ant/1 (1).jpg", "train/ant/1.jpg"),
        ("val/ant/3.jpg", "train/ant/3.jpg"),
        ("train/bee/3.jpg", "train/ant/3.jpg"),
    ):
        (root / copy).write_bytes((root / of).read_bytes())
    found = [name for name, *_ in _found(root)]
    assert found.count("train/ant/1.jpg") + found.count("train/ant/1 (1).jpg") == 1
    assert {"train/ant/3.jpg", "val/ant/3.jpg", "train/bee/3.jpg"} <= set(found)
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "Left out: 1 copies of other pictures" in told
    assert "2 pictures are in two classes or in two splits" in told


def test_one_level_too_high_is_suspected(root, caplog):
    _put(root, "old/ant/1.jpg", "old/bee/2.jpg", "new/ant/3.jpg")
    assert {label for _, label, _ in _found(root)} == {"old", "new"}
    assert "is --source_dir one level too high?" in caplog.text


def test_any_bytes_for_a_table(root):
    rng = random.Random(0)
    good = b'path,label,split\n1.jpg,ant,train\n"2.jpg",bee,val\n'
    for _ in range(300):
        text = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            text[rng.randrange(len(text))] = rng.choice(b'\x00\n\r",;\t\xff|a')
        try:
            found = folder_source.find_pictures(None, _table(root, bytes(text)))
        except UserError:
            continue
        assert all(picture.label for picture in found)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_archives(root, tmp_path, kind):
    _put(root, "photos/ant/1.jpg", "photos/ant/2.jpg", "photos/bee/3.jpg")
    archive = shutil.make_archive(str(tmp_path / "photos"), kind, root)
    runs = []
    for work in ("a", "b"):
        (tmp_path / work).mkdir()
        found = folder_source.find_pictures(archive, work=tmp_path / work)
        runs.append([(p.name, p.label, p.bytes, p.modified) for p in found])
    assert [(name, label) for name, label, *_ in runs[0]] == [
        ("photos/ant/1.jpg", "ant"),
        ("photos/ant/2.jpg", "ant"),
        ("photos/bee/3.jpg", "bee"),
    ]
    assert runs[0] == runs[1]  # So that a next run knows them.


def test_a_file_that_is_no_archive(root, tmp_path):
    _put(root, "1.jpg")
    with pytest.raises(UserError, match="is a file and no archive: expected a folder"):
        folder_source.find_pictures(root / "1.jpg", work=tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"image": "1.jpg", "label": "ant"}\n{"image": "2", "label": 7}', "t.jsonl"),
        ("file\tbreed\n1.jpg\tant\n2.jpg\t7\n", "t.tsv"),
        ("id,label\n1,ant\n2,7\n", "t.csv"),
        ("image_id,file,ant,7\nx,1.jpg,1,0\ny,2.jpg,0,1.0\n", "t.csv"),
        ("path,label\nC:\\photos\\1.jpg,ant\nC:\\photos\\2.jpg,7\n", "t.csv"),
        ("path,label\n./1.jpg,ant\n/home/someone/2.jpg,7\n", "t.csv"),
    ],
)  # fmt: skip
def test_other_tables(root, text, name):
    assert _found(None, _table(root, text, name)) == [
        ("1.jpg", "ant", ""),
        ("2.jpg", "7", ""),
    ]


def test_json_lines_that_cannot_be(root):
    for text in ('{"path": "1.jpg"', "[1, 2]", "\xff"):
        with pytest.raises(UserError, match="line 1 is not a JSON object in UTF-8"):
            folder_source.find_pictures(None, _table(root, text, "t.jsonl"))


def test_paths_outside_become_names(root, tmp_path, caplog):
    _put(root, "1.jpg")
    _put(tmp_path, "elsewhere/2.jpg")
    table = root / "t.csv"
    table.write_text(f"{root}/1.jpg,ant\n{tmp_path}/elsewhere/2.jpg,bee\n")
    assert _found(root, table) == [("1.jpg", "ant", ""), ("2.jpg", "bee", "")]
    assert "1 picture of t.csv are not below" in caplog.text


def test_odd_classes_are_reported(root, caplog):
    _put(root, "Daisy/1.jpg", "daisy/2.jpg", "nan/3.jpg", "rose/4.jpg")
    (root / "tulip").mkdir()
    assert len({label for _, label, _ in _found(root)}) == 4
    assert "differ in capitals alone are kept apart: Daisy and daisy" in caplog.text
    assert "nan is a class: programs write this where a cell is empty" in caplog.text
    assert "No class: tulip in" in caplog.text


def test_several_tables_are_doubtful(root):
    _put(root, "1.jpg", "2.jpg")
    for name in ("a.csv", "b.csv"):
        (root / name).write_text("path,label\n1.jpg,ant\n2.jpg,bee\n")
    with pytest.raises(
        UserError, match=r"has several tables of labels, a\.csv, b\.csv"
    ):
        folder_source.find_pictures(root)


def test_a_table_of_other_pictures(root):
    _put(root, "1.jpg", "2.jpg")
    (root / "a.csv").write_text("path,label\n7.jpg,ant\n8.jpg,bee\n")
    with pytest.raises(UserError, match=r"none of the 2 pictures of a\.csv is in"):
        folder_source.find_pictures(root)


def test_a_list_of_many_that_are_not_there(root):
    _put(root, "ant/1.jpg", "bee/2.jpg")
    (root / "train.txt").write_text("ant/1.jpg\nant/7.jpg\n")
    (root / "test.txt").write_text("bee/2.jpg\n")
    with pytest.raises(UserError, match=r"train\.txt lists 2 pictures, and 1 of these"):
        folder_source.find_pictures(root)


def test_lists_with_labels(root):
    _put(root, "images/1.jpg", "images/2.jpg", "images/3.jpg", "images/4.jpg")
    (root / "train.txt").write_text("images/1.jpg 0\n2.jpg 1\n")
    (root / "val.txt").write_text("3 0\n")
    assert _found(root) == [
        ("images/1.jpg", "0", "train"),
        ("images/2.jpg", "1", "train"),
        ("images/3.jpg", "0", "validation"),
    ]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["Train", "VALID"], {"Train": "train", "VALID": "validation"}),
        (["training_set", "test-set"], {"training_set": "train", "test-set": "test"}),
        (["seg_train", "seg_test"], {"seg_train": "train", "seg_test": "test"}),
        (["train2017", "val2017"], {"train2017": "train", "val2017": "validation"}),
        (["train_station", "test_tube", "trainer"], {}),
        (["train_station", "train"], {"train": "train"}),
    ],
)
def test_names_of_splits(names, splits):
    assert split_names.of_names(names) == splits
