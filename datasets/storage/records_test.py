import os
import random
import struct

import pytest
import tensorflow.compat.v1 as tf

from datasets.storage import records
from datasets.testing import mutated
from slimbase.errors import UserError

CONTENTS = [bytes([65 + i]) * (7 * i) for i in range(6)]
HEADER, FOOTER = 12, 4  # Bytes beside the content.


@pytest.fixture
def path(tmp_path):
    """A file of `CONTENTS`."""
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in CONTENTS:
            writer.write(content)
    return path


def bounds():
    """Where each record begins and ends."""
    sizes = [HEADER + len(content) + FOOTER for content in CONTENTS]
    return [(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes))]


def damage(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def found(path):
    return {r.position: r.content for r in records.read_records(path)}


def header(length):
    """A header that is sound, whatever it says."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", records._masked_crc(packed))


# Reading


def test_sound_records_are_given_with_their_places(path):
    read = list(records.read_records(path))
    assert [r.content for r in read] == CONTENTS
    assert [r.position for r in read] == list(range(len(CONTENTS)))
    assert [r.offset for r in read] == [start for start, _ in bounds()]
    assert not any(r.problem or r.is_last for r in read)


def test_a_record_is_read_where_it_begins(path):
    for (start, _), content in zip(bounds(), CONTENTS, strict=True):
        assert records.read_at(path, start) == content


def test_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty").touch()
    assert list(records.read_records(tmp_path / "empty")) == []
    assert records.count_records(tmp_path / "empty") == 0


@pytest.mark.parametrize("place", ["content", "checksum"])
def test_damaged_content_hides_no_other(path, place):
    start, end = bounds()[3]
    damage(path, start + HEADER if place == "content" else end - 1)
    read = list(records.read_records(path))
    assert [r.content for r in read] == [*CONTENTS[:3], None, *CONTENTS[4:]]
    assert "checksum" in read[3].problem
    assert not any(r.is_last for r in read)


@pytest.mark.parametrize("byte", [0, 7, 8, 11])
def test_damaged_length_ends_the_file(path, byte):
    damage(path, bounds()[3][0] + byte)
    *read, last = records.read_records(path)
    assert [r.content for r in read] == CONTENTS[:3]
    assert (last.position, last.content, last.is_last) == (3, None, True)
    assert "length is damaged" in last.problem


def test_cut_file_gives_what_is_whole(path):
    content = path.read_bytes()
    ends = [0, *(end for _, end in bounds())]
    for size in range(len(content)):
        path.write_bytes(content[:size])
        read = list(records.read_records(path))
        whole = sum(end <= size for end in ends[1:])
        assert [r.content for r in read[:whole]] == CONTENTS[:whole]
        if size in ends:
            assert len(read) == whole
        else:
            [last] = read[whole:]
            assert last.is_last
            assert "ends" in last.problem


@pytest.mark.parametrize("length", [2**20, 2**33, 2**40, 2**60, 2**63, 2**64 - 1])
def test_a_length_that_cannot_be_takes_no_memory(path, length):
    path.write_bytes(path.read_bytes() + header(length) + b"x" * 100)
    *read, last = records.read_records(path)
    assert [r.content for r in read] == CONTENTS
    assert last.is_last
    assert f"{length:,} bytes" in last.problem


def test_huge_records_are_not_read(path, monkeypatch):
    monkeypatch.setattr(records, "MAX_BYTES", 20)
    assert found(path) == {
        i: content if len(content) <= 20 else None for i, content in enumerate(CONTENTS)
    }


def test_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match=f"cannot read {tmp_path}/none"):
        list(records.read_records(tmp_path / "none"))


def damaged(content, rng):
    """A damaged copy, of which one in five says another length in a sound header."""
    if rng.random() < 0.8:
        return mutated(content, rng)
    start = rng.randrange(len(content))
    added = header(rng.getrandbits(rng.randrange(1, 65)))
    return content[:start] + added + content[start + len(added) :]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_not_damaged_is_given_whatever_happened(path, seed):
    rng = random.Random(seed)
    content = path.read_bytes()
    for _ in range(100):
        changed = damaged(content, rng)
        path.write_bytes(changed)
        read = found(path)
        for position, (first, last) in enumerate(bounds()):
            if changed[first : first + HEADER] != content[first : first + HEADER]:
                break  # The places of what follows can't be known.
            if changed[first:last] == content[first:last]:
                assert read[position] == CONTENTS[position]
                assert records.read_at(path, first) == CONTENTS[position]
            else:
                assert read[position] is None


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_read_without_harm(tmp_path, seed):
    rng = random.Random(seed)
    path = tmp_path / "noise"
    for _ in range(50):
        path.write_bytes(rng.randbytes(rng.randrange(1, 200)))
        [only] = records.read_records(path)
        assert only.content is None


def test_reader_that_is_gone_is_told(path, monkeypatch):
    from tensorflow.python.lib.io import tf_record

    monkeypatch.delattr(tf_record, "tf_record_random_reader")
    with pytest.raises(ImportError, match=r"no tf_record_random_reader.*TensorFlow"):
        list(records.read_records(path))


# Counting


@pytest.mark.parametrize("size", [0, 1, 6])
def test_count_records(path, size):
    os.truncate(path, bounds()[size - 1][1] if size else 0)
    assert records.count_records(path) == size


def test_count_of_a_file_cut_anywhere_is_an_error(path):
    content = path.read_bytes()
    ends = {0, *(end for _, end in bounds())}
    for size in set(range(len(content))) - ends:
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match=f"{path} is cut short"):
            records.count_records(path)
        whole = sum(end <= size for _, end in bounds())
        assert records.count_records(path, strict=False) == whole


def test_count_of_another_kind_of_file_is_an_error(tmp_path):
    path = tmp_path / "records"
    path.write_text("These are not the records you are looking for.")
    with pytest.raises(UserError, match="record 0 is not whole"):
        records.count_records(path)
