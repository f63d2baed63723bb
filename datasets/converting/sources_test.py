import hashlib
import io
import re
import tarfile
import zipfile

import pytest

from datasets.converting import sources
from datasets.converting.sources import Published
from slimbase.errors import UserError
from slimbase.fetch import archives, download, mirrors

PETS = Published("http://example.com/pub/pets.gz?download=1")
SET = Published("http://example.com/pub/set.tar.gz")
MD5 = hashlib.md5(b"pets").hexdigest()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.delenv(mirrors.VARIABLE, raising=False)
    monkeypatch.setattr(download, "WAITS", ())


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def pack(root):
    """`f(name="set.tar.gz", ...)` writes an archive; `content` of its a.txt."""

    def write(name="set.tar.gz", folder="set", content=b"a"):
        path = root / name
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(f"{folder}/a.txt", content)
        else:
            with tarfile.open(path, "w:gz" if "gz" in name else "w") as archive:
                member = tarfile.TarInfo(f"{folder}/a.txt")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path

    return write


# What the user has


def test_file_may_be_packed_or_not(root, work):
    (root / "pets").touch()
    assert sources.find_file(PETS, work, root) == root / "pets"
    (root / "pets.gz").touch()
    assert sources.find_file(PETS, work, str(root)) == root / "pets.gz"
    assert not work.exists()


def test_only_gz_is_undone(root, work):
    (root / "a").touch()
    with pytest.raises(UserError, match=r"there is no \S*/a\.bin: "):
        sources.find_file(Published("http://example.com/a.bin"), work, root)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([], "holds nothing"),
        (["a", "b"], "holds a, b"),
        ([f"{i:02d}" for i in range(12)], "06, 07 and 4 more"),
    ],
)
def test_what_is_missing_and_what_is_there_is_told(root, work, found, told):
    for name in found:
        (root / name).touch()
    with pytest.raises(UserError, match=f"there is no .*/pets.gz or .*{told}"):
        sources.find_file(PETS, work, root)
    message = rf"there is no .*/set or .*/set\.tar\.gz or .*/set\.tar or .*{told}"
    with pytest.raises(UserError, match=message):
        sources.find_folder("set", SET, work, root, contents="*.txt")


def test_directory_that_is_not_there_is_told(tmp_path, work):
    with pytest.raises(UserError, match=r"no directory .*nowhere"):
        sources.find_file(PETS, work, tmp_path / "nowhere")


@pytest.mark.parametrize("below", ["set", "."])
def test_folder_may_be_unpacked(root, work, below):
    (root / below).mkdir(exist_ok=True)
    (root / below / "a.txt").touch()
    found = sources.find_folder("set", SET, work, root, contents="*.txt")
    assert found == root / below
    assert not work.exists()


@pytest.mark.parametrize("name", ["set.tar.gz", "set.tar"])
def test_folder_may_be_packed(root, work, pack, name):
    pack(name)
    found = sources.find_folder("set", SET, work, root, contents="*.txt")
    assert found.name == "set" and found.is_relative_to(work)
    assert (found / "a.txt").read_text() == "a"
    assert [path.name for path in root.iterdir()] == [name]


def test_folder_may_be_zipped(root, work, pack):
    pack("set.zip")
    published = Published("http://example.com/set.zip")
    found = sources.find_folder("set", published, work, root, contents="*.txt")
    assert (found / "a.txt").read_text() == "a"


def test_folder_goes_before_its_archive_and_that_before_what_is_beside(
    root, work, pack
):
    (root / "a.txt").write_text("of another set")
    pack()
    found = sources.find_folder("set", SET, work, root, contents="*.txt")
    assert found.is_relative_to(work)
    (root / "set").mkdir()
    (root / "set" / "a.txt").touch()
    found = sources.find_folder("set", SET, work, root, contents="*.txt")
    assert found == root / "set"


def test_archive_is_unpacked_once_as_long_as_it_is_the_same(
    root, work, pack, monkeypatch
):
    pack()
    found = sources.find_folder("set", SET, work, root)
    (found / "a.txt").write_text("mine")
    assert sources.find_folder("set", SET, work, root) == found
    assert (found / "a.txt").read_text() == "mine"
    pack(content=b"another")
    found = sources.find_folder("set", SET, work, root)
    assert (found / "a.txt").read_text() == "another"


@pytest.mark.parametrize("own", [True, False], ids=["user's", "downloaded"])
@pytest.mark.parametrize("damaged", [True, False])
def test_archive_that_is_damaged_or_another_is_told(root, work, pack, own, damaged):
    archive = pack(folder="other")
    if damaged:
        archive.write_bytes(archive.read_bytes()[:-9])
    published = SET if own else Published(archive.as_uri())
    message = "get it again" if damaged else r"has no set/\*\.txt in it"
    with pytest.raises(UserError, match=message):
        sources.find_folder(
            "set", published, work, root if own else None, contents="*.txt"
        )
    assert archive.exists()
    pack()  # The next run finds what has been mended.
    found = sources.find_folder(
        "set", published, work, root if own else None, contents="*.txt"
    )
    assert (found / "a.txt").read_text() == "a"


def test_full_disk_does_not_cost_the_download(root, work, pack, monkeypatch):
    published = Published(pack().as_uri())
    monkeypatch.setattr(archives, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(UserError, match="0 are free"):
        sources.find_folder("set", published, work)
    assert [path.name for path in work.iterdir()] == ["set.tar.gz"]


# Downloads


@pytest.mark.parametrize("source_dir", [None, ""])
def test_without_a_directory_it_is_downloaded(root, work, source_dir):
    (root / "pets.gz").write_text("pets")
    published = Published((root / "pets.gz").as_uri(), md5=MD5, size=4)
    path = sources.find_file(published, work, source_dir)
    assert path == work / "pets.gz"
    assert path.read_text() == "pets"
    (root / "pets.gz").unlink()
    assert sources.find_file(published, work, source_dir) == path


def test_other_places_are_tried_in_turn(root, work, caplog):
    places = [root / str(i) / "pets.gz" for i in range(4)]
    for path, content in zip(places[1:], ["cats", "pets", "dogs"], strict=True):
        path.parent.mkdir()
        path.write_text(content)
    url, *others = (path.as_uri() for path in places)
    published = Published(url, tuple(others), md5=MD5)
    assert sources.find_file(published, work).read_text() == "pets"
    assert re.search(r"0/pets\.gz.*\n.*1/pets\.gz is not the published", caplog.text)
    assert others[2] not in caplog.text


def test_what_cannot_be_had_anywhere_is_told_with_what_to_do(root, work):
    published = Published((root / "0").as_uri(), ((root / "1").as_uri(),))
    with pytest.raises(UserError, match=r"root/1:.* --source_dir, .* SLIMZOO_MIRROR"):
        sources.find_file(published, work)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"size": 5}, "4 bytes, expected 5"),
        ({"md5": "0" * 32}, f"its MD5 is {MD5}, expected 000"),
    ],
)
@pytest.mark.parametrize("remote", [True, False], ids=["URL", "directory"])
def test_what_is_not_the_published_file_is_taken_from_a_mirror_only(
    root, work, caplog, known, told, remote
):
    (root / "pets.gz").write_text("pets")
    published = Published((root / "pets.gz").as_uri(), **known)
    mirror = root.as_uri() if remote else root
    assert sources.find_file(published, work, mirror=mirror).read_text() == "pets"
    assert told in caplog.text
    with pytest.raises(UserError, match=told):
        sources.find_file(published, work)


def test_mirror_of_the_environment(root, work, monkeypatch, pack):
    archive = pack()
    monkeypatch.setenv(mirrors.VARIABLE, str(root))
    found = sources.find_folder("set", SET, work)
    assert (found / "a.txt").read_text() == "a"
    (root / "pets.gz").touch()
    assert sources.find_file(PETS, work) == root / "pets.gz"
    assert archive.exists()


def test_real_files_of_a_mirror(shared_data, work):
    """They were packed anew."""
    host = "https://storage.googleapis.com/cvdf-datasets/mnist"
    published = Published(f"{host}/t10k-labels-idx1-ubyte.gz", size=4542)
    found = sources.find_file(published, work, mirror=shared_data)
    assert found == shared_data / "mnist" / "t10k-labels-idx1-ubyte.gz"
    published = Published("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz")
    found = sources.find_folder(
        "cifar-10-batches-py", published, work, mirror=shared_data
    )
    assert len(list(found.glob("data_batch_*"))) == 5
