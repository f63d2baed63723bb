import contextlib
import io
import tarfile
import zipfile

import pytest
import tensorflow.compat.v1 as tf

from datasets import dataset_utils
from slimbase.errors import UserError


@pytest.mark.parametrize(
    ("feature", "kind", "values"),
    [
        (dataset_utils.int64_feature(3), "int64_list", [3]),
        (dataset_utils.int64_feature([3, 4]), "int64_list", [3, 4]),
        (dataset_utils.int64_feature((3, 4)), "int64_list", [3, 4]),
        (dataset_utils.bytes_feature(b"ab"), "bytes_list", [b"ab"]),
        (dataset_utils.bytes_list_feature([b"a", b"b"]), "bytes_list", [b"a", b"b"]),
        (dataset_utils.float_feature(0.5), "float_list", [0.5]),
        (dataset_utils.float_feature([0.5, 2.0]), "float_list", [0.5, 2.0]),
        (dataset_utils.float_list_feature([0.5, 2.0]), "float_list", [0.5, 2.0]),
    ],
)
def test_features_have_their_kind(feature, kind, values):
    assert feature.WhichOneof("kind") == kind
    assert list(getattr(feature, kind).value) == values


def test_image_to_tfexample_has_the_original_keys():
    example = dataset_utils.image_to_tfexample(b"data", b"png", 28, 32, 7)
    feature = example.features.feature
    assert set(feature) == {
        "image/encoded",
        "image/format",
        "image/class/label",
        "image/height",
        "image/width",
    }
    assert feature["image/encoded"].bytes_list.value == [b"data"]
    assert feature["image/format"].bytes_list.value == [b"png"]
    assert feature["image/class/label"].int64_list.value == [7]
    assert feature["image/height"].int64_list.value == [28]
    assert feature["image/width"].int64_list.value == [32]


def test_sharded_output_is_named_and_closed(tmp_path):
    with contextlib.ExitStack() as stack:
        writers = dataset_utils.open_sharded_output_tfrecords(
            stack, str(tmp_path / "train.record"), 2
        )
        for number, writer in enumerate(writers):
            writer.write(b"%d" % number)
    for number in range(2):
        path = tmp_path / f"train.record-{number:05d}-of-00002"
        assert list(tf.io.tf_record_iterator(str(path))) == [b"%d" % number]


def test_label_file_is_read_as_it_was_written(tmp_path):
    names = {0: "daisy", 1: "a: b", 7: "Löwenzahn"}
    assert not dataset_utils.has_labels(tmp_path)
    dataset_utils.write_label_file(names, tmp_path)
    assert dataset_utils.has_labels(tmp_path)
    content = (tmp_path / "labels.txt").read_text("utf-8")
    assert content == "0:daisy\n1:a: b\n7:Löwenzahn\n"
    assert dataset_utils.read_label_file(tmp_path) == names


def test_label_file_may_have_another_name_and_foreign_line_ends(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"0:daisy\r\n1:rose\r\n")
    assert dataset_utils.has_labels(tmp_path, "names.txt")
    assert dataset_utils.read_label_file(tmp_path, "names.txt") == {
        0: "daisy",
        1: "rose",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"daisy\n", "line 1 is 'daisy'. Each"),
        (b"0:daisy\r\n\none:rose\r\n", "line 3 is 'one:rose'. Each"),
        (b"0:daisy\n1:\xe4\n", r"line 2 is '1:\\xe4'. Each"),
        (b"a" * 1000, f"line 1 is '{'a' * 60}'. Each"),
    ],
)
def test_label_file_with_a_bad_line_is_named(tmp_path, content, told):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UserError) as error:
        dataset_utils.read_label_file(tmp_path)
    assert f"{tmp_path}/labels.txt is not a label file: {told}" in str(error.value)


def test_download_fetches_once(tmp_path):
    source = tmp_path / "there" / "data.bin"
    source.parent.mkdir()
    source.write_bytes(b"first")
    target = tmp_path / "here"
    path = dataset_utils.download_url(source.as_uri(), target)
    assert path == str(target / "data.bin")
    source.write_bytes(b"second")
    assert dataset_utils.download_url(source.as_uri(), target) == path
    assert [p.name for p in target.iterdir()] == ["data.bin"]
    assert (target / "data.bin").read_bytes() == b"first"


def test_download_of_a_missing_file_leaves_nothing(tmp_path):
    target = tmp_path / "here"
    message = r"could not download file://.*nowhere\.bin.*--source_dir"
    with pytest.raises(UserError, match=message):
        dataset_utils.download_url((tmp_path / "nowhere.bin").as_uri(), target)
    assert list(target.iterdir()) == []


def _write_tar(path, names):
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"hi"))


def _write_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "hi")


ARCHIVES = pytest.mark.parametrize(
    ("name", "write", "download"),
    [
        ("a.tgz", _write_tar, dataset_utils.download_and_uncompress_tarball),
        ("a.zip", _write_zip, dataset_utils.download_and_uncompress_zipfile),
    ],
)


@ARCHIVES
def test_archive_fills_up_the_folder(tmp_path, name, write, download):
    source = tmp_path / name
    write(source, ["top/one", "top/two/three"])
    target = tmp_path / "target"
    (target / "top").mkdir(parents=True)
    (target / "top" / "mine").write_text("kept")
    target.chmod(0o775)
    download(source.as_uri(), target)
    found = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    assert found == {name, "top/mine", "top/one", "top/two/three"}
    assert (target / "top" / "one").read_text() == "hi"
    assert target.stat().st_mode & 0o777 == 0o775


@ARCHIVES
@pytest.mark.parametrize("outside", ["../evil", "top/../../evil"])
def test_archive_with_members_outside_is_refused(
    tmp_path, name, write, download, outside
):
    source = tmp_path / name
    write(source, ["top/one", outside])
    target = tmp_path / "a" / "b" / "target"
    with pytest.raises(UserError, match=f"could not unpack .*{name}"):
        download(source.as_uri(), target)
    assert [p.name for p in target.iterdir()] == [name]
    assert not list(tmp_path.rglob("evil"))


@ARCHIVES
def test_damaged_archive_is_named(tmp_path, name, write, download):
    source = tmp_path / name
    write(source, ["top/one", "top/two"])
    source.write_bytes(source.read_bytes()[:-40])
    target = tmp_path / "target"
    with pytest.raises(UserError, match=f"could not unpack .*{name}"):
        download(source.as_uri(), target)
    assert [p.name for p in target.iterdir()] == [name]
