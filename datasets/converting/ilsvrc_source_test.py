import gzip
import random
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from datasets.conftest import IMAGENET_SYNSETS, write_tar
from datasets.converting.ilsvrc_source import find_pictures
from slimbase.errors import UserError
from slimbase.pictures.decode import PictureError

ARCHIVE = "ILSVRC2012_img_train.tar"


def contents(found):
    """What is found, as `imagenet_files` has it."""
    return {
        f"{found.folders[found.folder_of[i]]}/{name}": found.read(i)
        for i, name in enumerate(found.names)
    }


def write_folders(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def archive_of_archives(root, files, source):
    return source / ARCHIVE


def folder_of_archives(root, files, source):
    with tarfile.open(source / ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    return root


def folders(root, files, source):
    write_folders(root, files)
    return root


def linked_folders(root, files, source):
    write_folders(root / "elsewhere", files)
    (root / "train").mkdir()
    for synset in IMAGENET_SYNSETS:
        (root / "train" / synset).symlink_to(root / "elsewhere" / synset)
    return root / "train"


def archive_of_folders(root, files, source):
    path = root.with_suffix(".tar")
    write_tar(
        path, {f"./some/train/{name}": content for name, content in files.items()}
    )
    return path


@pytest.mark.parametrize(
    "form",
    [
        archive_of_archives,
        folder_of_archives,
        folders,
        linked_folders,
        archive_of_folders,
    ],
)
def test_forms(form, tmp_path, imagenet_files, imagenet_source):
    path = form(tmp_path / "data", imagenet_files["train"], imagenet_source)
    assert contents(find_pictures(path)) == imagenet_files["train"]


def test_pictures_without_folders(tmp_path, imagenet_files, imagenet_source):
    expected = {f"/{n}": c for n, c in imagenet_files["validation"].items()}
    archive = imagenet_source / "ILSVRC2012_img_val.tar"
    write_folders(tmp_path / "val", imagenet_files["validation"])
    assert contents(find_pictures(archive)) == expected
    assert contents(find_pictures(tmp_path / "val")) == expected


def test_what_is_no_picture_is_left_out(tmp_path, imagenet_files):
    root = tmp_path / "train"
    write_folders(root, imagenet_files["train"])
    (root / "n01440764" / "Thumbs.db").write_bytes(b"no picture")
    (root / "n01440764" / "._n01440764_0.JPEG").write_bytes(b"no picture")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "n01440764_9.JPEG").write_bytes(b"no picture")
    (root / "n01440764" / "folder.JPEG").mkdir()
    (root / "n01440764" / "loop").symlink_to(root)
    assert contents(find_pictures(root)) == imagenet_files["train"]


@pytest.mark.parametrize("has_pread", [True, False])
def test_threads_read_at_random(
    has_pread, imagenet_files, imagenet_source, monkeypatch
):
    if not has_pread:
        monkeypatch.delattr("os.pread")
    found = find_pictures(imagenet_source / ARCHIVE)
    indices = random.Random(0).choices(range(len(found.names)), k=2000)
    with ThreadPoolExecutor(8) as pool:
        for index, content in zip(indices, pool.map(found.read, indices), strict=True):
            folder = found.folders[found.folder_of[index]]
            name = f"{folder}/{found.names[index]}"
            assert content == imagenet_files["train"][name]


def test_archive_that_shrinks_afterwards(imagenet_source):
    archive = imagenet_source / ARCHIVE
    found = find_pictures(archive)
    with archive.open("r+b") as file:
        file.truncate(int(found.offsets[-1]) + 10)
    with pytest.raises(PictureError, match="cut short"):
        found.read(len(found.names) - 1)


def test_folder_whose_picture_goes_away(tmp_path, imagenet_files):
    write_folders(tmp_path, imagenet_files["train"])
    found = find_pictures(tmp_path)
    (tmp_path / found.folders[found.folder_of[3]] / found.names[3]).unlink()
    with pytest.raises(PictureError, match="is not there"):
        found.read(3)


def test_empty_picture_in_an_archive(tmp_path):
    write_tar(tmp_path / "val.tar", {"ILSVRC2012_val_00000001.JPEG": b""})
    with pytest.raises(PictureError, match="is empty"):
        find_pictures(tmp_path / "val.tar").read(0)


def cut_in_a_picture(path, content):
    path.write_bytes(content[: len(content) // 2])


def cut_in_a_header(path, content):
    path.write_bytes(content[:700])


def overwrite_a_header(path, content):
    position = content.index(b"n01443537_0.JPEG")
    path.write_bytes(content[:position] + b"\1" * 512 + content[position + 512 :])


def lead_out_of_the_inner_archive(path, content):
    """The size of the last picture of an archive within reaches into the next one."""
    position = content.index(b"n01440764_3.JPEG")
    member = tarfile.TarInfo.frombuf(
        content[position : position + 512], "utf-8", "strict"
    )
    member.size = 20_000
    header = member.tobuf()
    path.write_bytes(content[:position] + header + content[position + 512 :])


def lead_back(path, content):
    """A negative size, from which tarfile of older Pythons never comes back."""
    member = tarfile.TarInfo("n01440764_0.JPEG")
    member.size = -1024
    header = member.tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(content[:1024] + header + bytes(2048))


def compress(path, content):
    path.write_bytes(gzip.compress(content))


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_a_picture,
        cut_in_a_header,
        overwrite_a_header,
        lead_out_of_the_inner_archive,
        lead_back,
        compress,
    ],
)
def test_damaged_archive_is_named(damage, imagenet_source):
    path = imagenet_source / ARCHIVE
    damage(path, path.read_bytes())
    with pytest.raises(UserError, match=f"{path} can't be read as a plain tar archive"):
        find_pictures(path)


def test_mutated_archives_end_in_clear_errors(tmp_path, imagenet_source):
    content = (imagenet_source / ARCHIVE).read_bytes()
    rng = random.Random(1)
    path = tmp_path / "mutated.tar"
    headers = [i for i in range(0, len(content), 512) if content[i : i + 2] == b"n0"]
    failed = 0
    for _ in range(300):
        mutated = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            start = rng.choice(headers)
            mutated[start + rng.randrange(512)] = rng.randrange(256)
        path.write_bytes(mutated[: rng.choice([len(mutated), rng.randrange(9999)])])
        try:
            find_pictures(path)
        except UserError:
            failed += 1
    assert failed > 100


@pytest.mark.parametrize("form", ["missing", "empty directory", "archive of others"])
def test_nothing_found(form, tmp_path):
    path = tmp_path / "train"
    if form == "empty directory":
        path.mkdir()
    elif form == "archive of others":
        write_tar(path, {"readme.txt": b"nothing here"})
    with pytest.raises(UserError, match=str(path)):
        find_pictures(path)


def test_source_is_left_as_it_was(tmp_path, imagenet_source):
    shutil.copytree(imagenet_source, tmp_path / "copy")
    found = find_pictures(imagenet_source / ARCHIVE)
    found.read(0)
    for path in imagenet_source.iterdir():
        assert path.read_bytes() == (tmp_path / "copy" / path.name).read_bytes()
