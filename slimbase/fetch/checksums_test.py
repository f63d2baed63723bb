import os
import pathlib

import pytest

from slimbase.fetch import checksums

MD5 = "5d41402abc4b2a76b9719d911017c592"  # Of "hello", by md5sum.


@pytest.fixture
def hello(tmp_path):
    path = tmp_path / "hello"
    path.write_text("hello")
    return path


@pytest.mark.parametrize(
    ("size", "md5", "message"),
    [
        (None, None, ""),
        (5, MD5, ""),
        (None, MD5.upper(), ""),
        (6, MD5, "it has 5 bytes, expected 6"),
        (5, "0" * 32, f"its MD5 is {MD5}, expected {'0' * 32}"),
    ],
)
def test_difference(hello, size, md5, message):
    assert checksums.difference(hello, size, md5) == message


def test_a_file_is_read_again_only_when_it_has_changed(hello, monkeypatch):
    opened = []
    real = pathlib.Path.open

    def spy(path, *arguments, **options):
        opened.append(path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(pathlib.Path, "open", spy)
    for _ in range(3):
        assert checksums.difference(hello, md5=MD5) == ""
    assert opened == [hello]
    hello.write_bytes(b"HELLO")
    os.utime(hello, (1, 1))
    assert "its MD5 is" in checksums.difference(hello, md5=MD5)
