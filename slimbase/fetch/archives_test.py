import bz2
import gzip
import io
import lzma
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile

import pytest

from slimbase.errors import UserError
from slimbase.fetch import archives


@pytest.fixture
def archive(tmp_path):
    """`f(*members)` writes a tar archive of a file `top/good` and `members`."""

    def write(*members):
        path = tmp_path / "a.tgz"
        with tarfile.open(path, "w:gz") as tar:
            for member in (tarfile.TarInfo("top/good"), *members):
                member.size = 2 if member.isfile() else 0
                tar.addfile(member, io.BytesIO(b"hi"))
        return path

    return write


@pytest.fixture
def zipped(tmp_path):
    """`f(*members)` writes a zip archive of a file `top/good` and `members`."""

    def write(*members):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of names that are there already.
            for member in ("top/good", *members):
                archive.writestr(member, b"hi")
        return path

    return write


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "a" / "b"
    path.mkdir(parents=True)
    return path


def _member(name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def _zip_member(name, kind=stat.S_IFREG):
    member = zipfile.ZipInfo("name")
    member.filename = member.orig_filename = name  # As it is, even if it has a NUL.
    member.external_attr = (kind | 0o644) << 16
    return member


def _names(directory):
    return [str(p.relative_to(directory)) for p in sorted(directory.rglob("*"))]


def _refuses(path, target, message, error: type[UserError] = archives.DamagedError):
    """Whether both ways of unpacking raise `message` and leave nothing behind."""
    before = _names(target.parent.parent)
    zipped = path.suffix == ".zip"
    extract = archives.extract_zipfile if zipped else archives.extract_tarball
    for unpack in (extract, lambda path, _: archives.unpack(path, target / "folder")):
        with pytest.raises(error, match=f"(?s)could not unpack .*{message}") as raised:
            unpack(path, target)
        assert type(raised.value) is error
        assert _names(target.parent.parent) == before


@pytest.mark.parametrize(
    "members",
    [
        [_member("/tmp/evil")],
        [_member("../evil")],
        [_member("top/../../evil")],
        [_member("top/../evil")],
        [_member("..", tarfile.DIRTYPE)],
        [_member("evil", tarfile.SYMTYPE, "/etc/passwd")],
        [_member("evil", tarfile.SYMTYPE, "top/good")],
        [_member("evil", tarfile.SYMTYPE, ".."), _member("evil/evil")],
        [_member("evil", tarfile.LNKTYPE, "top/good")],
        [_member("evil", tarfile.LNKTYPE, "/etc/passwd")],
        [_member("evil", tarfile.FIFOTYPE)],
        [_member("evil", tarfile.CHRTYPE)],
        [_member("evil", tarfile.BLKTYPE)],
        [_member("evil", tarfile.GNUTYPE_SPARSE)],
        [_member("..\\evil")],
        [_member("top/good/evil")],
        [_member("top/good")],
        [_member("top")],
        [_member("evil", tarfile.DIRTYPE), _member("evil")],
    ],
)
def test_tar_members_that_are_no_files_inside_are_refused(target, archive, members):
    named = rf"a\.tgz: {members[-1].name!r}|'evil'".replace("\\\\", r"\\\\")
    _refuses(archive(*members), target, f"({named})")


def test_tar_member_with_a_nul_in_its_name_is_refused(tmp_path, target):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("evil")
        member.pax_headers = {"path": "evil\0.jpg"}
        tar.addfile(member)
    _refuses(tmp_path / "a.tar", target, "evil")


@pytest.mark.parametrize(
    "members",
    [
        ["/tmp/evil"],
        ["../evil"],
        ["top/../../evil"],
        ["top/../evil"],
        ["../"],
        [_zip_member("evil", stat.S_IFLNK)],
        [_zip_member("evil", stat.S_IFLNK), "evil/evil"],
        [_zip_member("evil", stat.S_IFIFO)],
        [_zip_member("evil", stat.S_IFCHR)],
        [_zip_member("evil\0.jpg")],
        [_zip_member("..\\evil")],
        ["top/good/evil"],
        ["top/good"],
        ["top"],
        ["evil/", "evil"],
    ],
)
def test_zip_members_that_are_no_files_inside_are_refused(target, zipped, members):
    _refuses(zipped(*members), target, r"a\.zip: '.*(evil|\.\.|top)")


# Damage


@pytest.mark.parametrize("position", [20, -8, -1])  # Content, checksum, length.
def test_damage_is_noticed_even_at_the_end(target, archive, position):
    path = archive()
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    _refuses(path, target, r"a\.tgz.*get it again")


COMPRESSIONS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.fixture
def noise(tmp_path):
    """A folder `top` with three files that compress badly."""
    chance = random.Random(0)
    for i in range(3):
        path = tmp_path / "packed" / "top" / str(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(3000))
    return tmp_path / "packed"


def _tar(folder, compression=""):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(folder / "top", "top")
    return COMPRESSIONS[compression](content.getvalue())


def _zip(folder, method=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for path in folder.glob("top/*"):
            archive.write(path, f"top/{path.name}")
    return content.getvalue()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_any_compression_is_unpacked(tmp_path, target, noise, compression):
    path = tmp_path / f"a.tar{compression}"
    path.write_bytes(_tar(noise, compression))
    archives.unpack(path, target / "folder")
    assert _names(target / "folder") == _names(noise)
    for name in "012":
        content = (target / "folder" / "top" / name).read_bytes()
        assert content == (noise / "top" / name).read_bytes()


@pytest.mark.parametrize("kind", [*COMPRESSIONS, ".zip"])
def test_what_is_cut_off_anywhere_is_refused(tmp_path, target, noise, kind):
    """Of a tar archive, even between two files."""
    path = tmp_path / ("a.zip" if kind == ".zip" else "a.tar")
    content = _zip(noise) if kind == ".zip" else _tar(noise, kind)
    # What is not compressed ends in two blocks of zeros, of which one is enough, and
    # is filled up with more.
    whole = len(content.rstrip(b"\0")) if not kind else len(content)
    cuts = {0, 1, 511, 512, 513, 1024, whole - 1, *range(0, whole, 1536)}
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        _refuses(path, target, r"a\.(tar|zip).*get it again")


@pytest.mark.parametrize("kind", [*COMPRESSIONS, ".zip"])
def test_what_is_damaged_anywhere_is_refused_or_right(tmp_path, target, noise, kind):
    """Tar archives have a checksum of headers only, unless they are compressed."""
    path = tmp_path / ("a.zip" if kind == ".zip" else "a.tar")
    content = _zip(noise) if kind == ".zip" else _tar(noise, kind)
    chance = random.Random(1)
    refused = 0
    for attempt in range(60):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        folder = target / str(attempt)
        try:
            archives.unpack(path, folder)
        except archives.DamagedError:
            refused += 1
            assert not folder.exists()
            continue
        sizes = [p.stat().st_size for p in folder.rglob("*") if p.is_file()]
        assert sizes == [3000] * 3
        if kind:
            for name in "012":
                unpacked = (folder / "top" / name).read_bytes()
                assert unpacked == (noise / "top" / name).read_bytes()
        shutil.rmtree(folder)
    assert refused >= (40 if kind else 1)
    assert list(target.iterdir()) == []


def test_header_that_is_damaged_is_not_the_end(tmp_path, target, noise):
    content = bytearray(_tar(noise))
    second = content.index(b"top/", 1024)
    content[second] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    _refuses(tmp_path / "a.tar", target, "bad checksum")


def _header(size, kind=tarfile.REGTYPE):
    """A header with a size that tarfile would not write."""
    header = bytearray(tarfile.TarInfo("evil").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = struct.pack(">Iq", 0xFFFFFFFF if size < 0 else 1 << 31, size)
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, b"L"])
@pytest.mark.parametrize("size", [-512, -1024, -(1 << 40)])
def test_negative_size_is_no_circle(tmp_path, target, kind, size):
    (tmp_path / "a.tar").write_bytes(_header(0) + _header(size, kind) + bytes(1024))
    _refuses(tmp_path / "a.tar", target, "negative size|header of -")


def test_negative_size_in_a_long_header_is_no_circle(tmp_path, target):
    records = b"14 size=-1536\n"
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, len(records)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(header, io.BytesIO(records))
        tar.addfile(tarfile.TarInfo("evil"))
    _refuses(tmp_path / "a.tar", target, "'evil' has a negative size")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, b"L", b"K"])
def test_header_that_would_fill_the_memory_is_refused(tmp_path, target, kind):
    (tmp_path / "a.tar").write_bytes(_header(1 << 40, kind) + bytes(1024))
    _refuses(tmp_path / "a.tar", target, "header of 1099511627776 bytes")


def test_text_is_no_archive(tmp_path, target):
    for name in ("a.tar", "a.zip"):
        (tmp_path / name).write_text("<html>Not found</html>" * 99)
        _refuses(tmp_path / name, target, "get it again")


def test_encrypted_zip_is_told(target, zipped):
    path = zipped()
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    content[6] |= 1
    path.write_bytes(content)
    _refuses(path, target, "encrypted")


# Space


def test_tar_bomb_does_not_go_off(tmp_path, target):
    (tmp_path / "a.tar").write_bytes(_header(1 << 50) + bytes(1024))
    _refuses(tmp_path / "a.tar", target, "needs 1,125,899,906,842,624 bytes", UserError)


def test_zip_bomb_does_not_go_off(tmp_path, target):
    """Many members that would fit one by one."""
    free = shutil.disk_usage(tmp_path).free
    size = 1 << 31
    count = free // size + 1
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bomb:
        for i in range(count):
            bomb.writestr(str(i), "")
            bomb.filelist[-1].file_size = size
    _refuses(tmp_path / "a.zip", target, f"needs {count * size:,} bytes", UserError)


def test_zip_that_lies_about_sizes_fills_no_more_than_it_says(tmp_path, target):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("evil", bytes(10_000_000))
        bomb.filelist[-1].file_size = 10
    _refuses(path, target, "get it again")


def test_disk_that_fails_is_not_the_archives_fault(target, noise, tmp_path):
    resource = pytest.importorskip("resource")  # Not on Windows.
    path = tmp_path / "a.tar"
    path.write_bytes(_tar(noise))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        _refuses(path, target, "File too large", UserError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_archive_that_is_not_there_is_told(tmp_path, target):
    for name in ("a.tar", "a.zip"):
        _refuses(tmp_path / name, target, "No such file.*a", UserError)


# Whole or not at all


def test_folders_and_files_are_unpacked(target, archive):
    path = archive(_member("./other", tarfile.DIRTYPE), _member("./other/file"))
    archives.extract_tarball(path, target)
    assert _names(target) == ["other", "other/file", "top", "top/good"]


def test_a_folder_that_is_there_is_filled_up(target, archive, zipped):
    (target / "top").mkdir()
    (target / "top" / "mine").write_text("kept")
    (target / "top" / "good").write_text("older")
    for path in (archive(), zipped("other/")):
        archives.extract_zipfile(path, target) if path.suffix == ".zip" else (
            archives.extract_tarball(path, target)
        )
        assert (target / "top" / "mine").read_text() == "kept"
        assert (target / "top" / "good").read_text() == "hi"
    assert _names(target) == ["other", "top", "top/good", "top/mine"]


def test_a_folder_is_unpacked_once(target, archive):
    path = archive()
    archives.unpack(path, target / "made" / "folder")
    (target / "made" / "folder" / "top" / "good").write_text("mine")
    archives.unpack(path, target / "made" / "folder")
    assert (target / "made" / "folder" / "top" / "good").read_text() == "mine"
    assert _names(target) == [
        *("made", "made/folder", "made/folder/top", "made/folder/top/good")
    ]


def test_permissions_are_those_of_new_files(target, archive):
    """An archive could have files that their owner can't read, or anybody run."""
    member = _member("odd")
    member.mode = 0o4001
    archives.unpack(archive(member), target / "folder")
    (target / "new").touch()
    modes = [(target / name).stat().st_mode for name in ("folder/odd", "new")]
    assert modes[0] == modes[1]


PROGRAM = (
    "import sys; from slimbase.fetch import archives; archives.unpack(*sys.argv[1:])"
)


@pytest.mark.slow
def test_killed_at_random_the_folder_is_whole_or_not_there(tmp_path, target):
    chance = random.Random(0)
    names = [f"top/{i}" for i in range(20_000)]
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2
            tar.addfile(member, io.BytesIO(b"hi"))
    folder = target / "folder"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "a.tar"), str(folder)]
    for _ in range(6):
        with subprocess.Popen(command) as process:
            time.sleep(chance.uniform(0.1, 1.5))
            process.kill()
        assert not folder.exists() or len(list(folder.rglob("*"))) == len(names) + 1
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(command, check=True, timeout=60)
    assert len(list(folder.rglob("*"))) == len(names) + 1
    assert list(target.iterdir()) == [folder]
