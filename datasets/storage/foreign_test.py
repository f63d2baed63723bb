import io
import struct
import subprocess
import tarfile

import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import testing
from datasets.storage import records
from slimbase.errors import UserError


def picture(kind):
    content = io.BytesIO()
    Image.new("RGB", (8, 6)).save(content, kind)
    return content.getvalue()


def tar():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return content.getvalue()


@pytest.mark.parametrize("kind", ["GZIP", "ZLIB"])
def test_compressed_record_files_are_refused_with_what_unpacks_them(tmp_path, kind):
    path = str(tmp_path / "it's a.tfrecord")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(kind)) as writer:
        for number in range(5):
            writer.write(testing.record(number))
    with pytest.raises(UserError) as error:
        records.refuse_other_files([path])
    assert str(error.value).startswith(f"{path} is compressed ({kind}), and")
    command = str(error.value).partition("Unpack it: ")[2]
    subprocess.run(command, shell=True, check=True)
    records.refuse_other_files([path])
    read = [record.content for record in records.read_records(path)]
    assert read == [testing.record(number) for number in range(5)]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"path,label\r\na.jpg,1\r\n", "a text file, which begins with 'path,label'"),
        ("\n ja\u0308 ".encode() * 200, "a text file, which begins with 'ja\u0308'"),
        (b"BMW,1\n", "a text file"),
        (picture("JPEG"), r"a picture \(JPEG\)"),
        (picture("PNG"), r"a picture \(PNG\)"),
        (picture("TIFF"), r"a picture \(TIFF\)"),
        (picture("JPEG2000"), r"a picture \(JPEG 2000\)"),
        (b"PK\x03\x04" + bytes(300), "a zip archive"),
        (b"PAR1" + bytes(300), "a Parquet file"),
        (tar(), "a tar archive"),
    ],
)
def test_files_of_other_kinds_are_refused_by_name(tmp_path, content, what):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.tfrecord is {what}.*Check --dataset_dir"):
        records.refuse_other_files([str(path)])


@pytest.mark.parametrize(
    "content",
    [b"", bytes(40), b"\x78\x9c" + bytes(40), bytes(range(256)), b"\x78\x9c", b"\n"],
)
def test_what_looks_like_nothing_in_particular_passes(tmp_path, content):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    records.refuse_other_files([str(path)])


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none"):
        records.refuse_other_files([str(tmp_path / "none")])


@pytest.mark.parametrize("length", [0, 1, 0x8B1F, 0x9C78, 1 << 29])
def test_record_files_pass_whatever_their_first_length_looks_like(tmp_path, length):
    path = tmp_path / "a.tfrecord"
    packed = struct.pack("<Q", length)
    checksum = struct.pack("<I", records._masked_crc(packed))
    path.write_bytes(packed + checksum + bytes(9))
    records.refuse_other_files([str(path)])
