import io
import tarfile

import pytest

from slimzoo import archives
from slimzoo.errors import UserError


@pytest.fixture
def archive(tmp_path):
    """`f(*members)` writes a tar archive of a file `good` and `members`."""

    def write(*members):
        path = tmp_path / "a.tgz"
        with tarfile.open(path, "w:gz") as tar:
            for member in (tarfile.TarInfo("top/good"), *members):
                member.size = 2 if member.isfile() else 0
                tar.addfile(member, io.BytesIO(b"hi"))
        return path

    return write


def _member(name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("/tmp/evil"),
        _member("../evil"),
        _member("top/../../evil"),
        _member("top/../evil"),
        _member("evil", tarfile.SYMTYPE, "/etc/passwd"),
        _member("evil", tarfile.SYMTYPE, "top/good"),
        _member("evil", tarfile.LNKTYPE, "top/good"),
        _member("evil", tarfile.FIFOTYPE),
        _member("evil", tarfile.CHRTYPE),
    ],
)
def test_members_that_are_no_files_inside_are_refused(tmp_path, archive, member):
    target = tmp_path / "a" / "b"
    target.mkdir(parents=True)
    with pytest.raises(UserError, match=r"could not unpack .*a\.tgz: '.*evil'"):
        archives.extract_tarball(archive(member), target)
    assert list(target.iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("position", [20, -8, -1])  # Content, checksum, length.
def test_damage_is_noticed_even_at_the_end(tmp_path, archive, position):
    path = archive()
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UserError, match=r"(?s)could not unpack .*a\.tgz.*get it again"):
        archives.extract_tarball(path, target)
    assert list(target.iterdir()) == []


def test_folders_and_files_are_unpacked(tmp_path, archive):
    target = tmp_path / "target"
    target.mkdir()
    path = archive(_member("./other", tarfile.DIRTYPE), _member("./other/file"))
    archives.extract_tarball(path, target)
    found = [str(p.relative_to(target)) for p in sorted(target.rglob("*"))]
    assert found == ["other", "other/file", "top", "top/good"]
