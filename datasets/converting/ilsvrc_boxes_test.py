import gzip
import io
import random
import tarfile

import numpy as np
import pytest

from datasets.conftest import imagenet_annotation, write_tar
from datasets.converting import ilsvrc_boxes
from datasets.converting.ilsvrc_boxes import Box
from slimbase.errors import UserError

FISH, DOG = "n01440764", "n02085620"
CSV = f"{FISH}_1.JPEG,0.25,0.5,0.75,1.0\n"


@pytest.fixture
def annotations():
    return {
        f"{FISH}/{FISH}_1.xml": imagenet_annotation([(FISH, 10, 10, 30, 20)]),
        f"{DOG}/{DOG}_1.xml": imagenet_annotation([("Chihuahua", 0, 0, 40, 20)]),
    }


EXPECTED = {
    Box(f"{FISH}_1", FISH, (0.25, 0.5, 0.75, 1.0)),
    Box(f"{DOG}_1", "Chihuahua", (0.0, 0.0, 1.0, 1.0)),
}


def folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True)
        (path / name).write_bytes(content)
    return path


def compressed(path, files):
    write_tar(path.with_suffix(".tar.gz"), files)
    return path.with_suffix(".tar.gz")


def plain(path, files):
    write_tar(path.with_suffix(".tar"), files)
    return path.with_suffix(".tar")


def archives_in_an_archive(path, files):
    """As Annotation.tar.gz was."""
    inner = {}
    for name, content in files.items():
        one = path.with_name("one.tar.gz")
        write_tar(one, {name: content})
        inner[f"Annotation/{name[:9]}.tar.gz"] = one.read_bytes()
    write_tar(path.with_suffix(".tar.gz"), inner)
    return path.with_suffix(".tar.gz")


@pytest.mark.parametrize("form", [folder, compressed, plain, archives_in_an_archive])
def test_forms_of_annotations(form, tmp_path, annotations):
    path = form(tmp_path / "boxes", annotations)
    assert set(ilsvrc_boxes.read_boxes(path)) == EXPECTED


def test_csv(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(CSV + "\n" + f"{DOG}_1.JPEG,-0.5,0,1.5,1\r\n")
    assert list(ilsvrc_boxes.read_boxes(path)) == [
        Box(f"{FISH}_1", "", (0.25, 0.5, 0.75, 1.0)),
        Box(f"{DOG}_1", "", (0.0, 0.0, 1.0, 1.0)),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a.JPEG,0,0,1", "it has 4 fields"),
        (b"a.JPEG,0,0,1,1,1", "it has 6 fields"),
        (b"a.JPEG,0,0,1,right", "could not convert string to float: 'right'"),
        (b"a.JPEG,0,0,1,nan", "not finite"),
        (b"a.JPEG,0,0,1,inf", "not finite"),
        (b"\xff\xfe,0,0,1,1", "can't decode"),
        (b"x" * 100_000_000, "it has 1 fields"),
    ],
)
def test_csv_with_a_mistake(line, reason, tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_bytes(CSV.encode() + line)
    with pytest.raises(UserError, match=f"{path}, line \\d: .*{reason}") as error:
        list(ilsvrc_boxes.read_boxes(path))
    assert len(str(error.value)) < 500


def test_mutated_csv_ends_in_clear_errors(tmp_path):
    content = CSV.encode() * 5
    rng = random.Random(3)
    path = tmp_path / "boxes.csv"
    failed = 0
    for _ in range(1000):
        mutated = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        path.write_bytes(mutated)
        try:
            boxes = list(ilsvrc_boxes.read_boxes(path))
        except UserError:
            failed += 1
        else:
            assert all(0 <= side <= 1 for box in boxes for side in box.sides)
    assert failed > 300


def test_damaged_annotation_is_left_out_or_an_error(tmp_path, annotations, caplog):
    annotations[f"{FISH}/{FISH}_1.xml"] = b"<annotation>"
    path = compressed(tmp_path / "boxes", annotations)
    assert {box.picture for box in ilsvrc_boxes.read_boxes(path)} == {f"{DOG}_1"}
    assert f"{FISH}_1.xml is not an annotation" in caplog.text
    with pytest.raises(UserError, match=f"{FISH}_1.xml is not an annotation"):
        list(ilsvrc_boxes.read_boxes(path, strict=True))


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b[:-6], None])
def test_damaged_archive_is_named(spoil, tmp_path, annotations):
    path = compressed(tmp_path / "boxes", annotations)
    path.write_bytes(spoil(path.read_bytes()) if spoil else b"no archive")
    with pytest.raises(UserError, match=f"{path} can't be read as an archive"):
        list(ilsvrc_boxes.read_boxes(path))


def test_mutated_archives_end_in_clear_errors(tmp_path, annotations):
    plain_path = plain(tmp_path / "boxes", annotations)
    content = plain_path.read_bytes()
    rng = random.Random(4)
    path = tmp_path / "mutated.tgz"
    for _ in range(300):
        mutated = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            mutated[rng.choice([0, 1024]) + rng.randrange(512)] = rng.randrange(256)
        path.write_bytes(gzip.compress(bytes(mutated), 1))
        try:
            assert len(list(ilsvrc_boxes.read_boxes(path))) <= 2
        except UserError as error:
            assert str(path) in str(error)


def test_header_that_would_fill_the_memory_is_refused(tmp_path):
    header = tarfile.TarInfo("a.xml")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    path = tmp_path / "boxes.tar"
    path.write_bytes(header.tobuf() + bytes(1024))
    with pytest.raises(UserError, match="a header of 1073741824 bytes"):
        list(ilsvrc_boxes.read_boxes(path))


def test_archive_with_a_link_or_a_device(tmp_path, annotations):
    path = compressed(tmp_path / "boxes", annotations)
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in [("a.xml", tarfile.SYMTYPE), ("b.xml", tarfile.CHRTYPE)]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        content = annotations[f"{FISH}/{FISH}_1.xml"]
        member = tarfile.TarInfo(f"../../{FISH}_1.xml")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    assert {box.picture for box in ilsvrc_boxes.read_boxes(path)} == {f"{FISH}_1"}


def test_gather():
    sides = (0.25, 0.5, 0.75, 1.0)
    found = [
        Box("b", DOG, sides),
        Box("a", FISH, (0.0, 0.0, 1.0, 1.0)),
        Box("b", "Chihuahua", (0.0, 0.0, 0.5, 0.5)),
        Box("b", FISH, sides),
        Box("b", "", (0.5, 0.0, 0.5, 0.5)),
        Box("b", "", (0.0, 0.9, 0.5, 0.5)),
        Box("d", "", sides),
    ]
    pictures = {"a": 0, "b": 2, "c": 1}
    boxes = ilsvrc_boxes.gather(found, pictures, [FISH, FISH, DOG].__getitem__)
    assert boxes.of(0).tolist() == [[0, 0, 1, 1]]
    assert boxes.of(1).tolist() == []
    assert boxes.of(2).tolist() == [list(sides), [0, 0, 0.5, 0.5]]
    assert boxes.sides.dtype == np.float32


def test_gather_nothing():
    boxes = ilsvrc_boxes.gather([], {}, str)
    assert boxes.of(0).shape == (0, 4)


def test_gather_tells_what_it_leaves_out(caplog):
    caplog.set_level("INFO", "absl")
    found = [Box("a", "", (0.5, 0, 0.5, 1)), Box("b", "", (0.0, 0.0, 1.0, 1.0))]
    ilsvrc_boxes.gather(found, {"a": 0}, str)
    assert "0 bounding boxes; left out: 1 without area, 1 of other pic" in caplog.text
