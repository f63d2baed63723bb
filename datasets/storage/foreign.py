"""What people's files are that are no record files."""

import codecs
import re
import shlex
import zlib

from slimbase.pictures import kinds

START_BYTES = 512  # So many bytes of a file are enough to recognize it.

GZIP, ZLIB = "GZIP", "ZLIB"  # As `tf.io.TFRecordOptions` calls them.
_UNPACK = {
    GZIP: "gunzip -c",
    ZLIB: (
        'python -c "import sys, zlib; '
        'sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))"'
    ),
}
_LENGTH_BYTES = 8  # Of a record, whose upper half is zero below 4 GiB.
_FILES = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "an array of NumPy",
    b"%PDF": "a PDF file",
}
_SHOWN = 40  # Letters of a text.
_TAR = slice(257, 262)
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")


def compression(start: bytes) -> str | None:
    """How a TFRecord file is compressed, by its first bytes: `GZIP`, `ZLIB` or not."""
    if start.startswith(b"\x1f\x8b"):
        return GZIP
    # Two bytes are little to go by: what is in it must begin with a record's length.
    if (
        len(start) > 2
        and start[0] & 0x0F == 8
        and not int.from_bytes(start[:2], "big") % 31
    ):
        try:
            inner = zlib.decompressobj().decompress(start, _LENGTH_BYTES)
        except zlib.error:
            return None
        return ZLIB if inner[4:] == bytes(4) else None
    return None


def unpacking(path: str, kind: str) -> str:
    """The shell command that puts the unpacked file in place of a compressed one."""
    here, plain = shlex.quote(path), shlex.quote(f"{path}.plain")
    return f"{_UNPACK[kind]} < {here} > {plain} && mv {plain} {here}"


def file_kind(start: bytes) -> str | None:
    """What a file is, with an article, by its first `START_BYTES`; None if unknown.

    To be asked of what is no TFRecord file.
    """
    for begin, kind in _FILES.items():
        if start.startswith(begin):
            return kind
    if start[_TAR] == b"ustar":
        return "a tar archive"
    # Before pictures, as `BM` begins words, too.
    if text := _text(start).strip():
        line = text.splitlines()[0].rstrip()
        return f"a text file, which begins with {line[:_SHOWN]!r}"
    kind = kinds.of(start[: kinds.START_BYTES])
    return f"a picture ({kind.name})" if kind and kind.is_picture else None


def _text(start: bytes) -> str:
    """These bytes as text, but for a letter that is cut at their end; else empty."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return ""
    return "" if _CONTROL.search(text) else text
