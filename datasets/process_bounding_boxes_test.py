import random
import subprocess
import sys
import time

import pytest

from datasets import process_bounding_boxes as script
from datasets.conftest import imagenet_annotation
from datasets.ilsvrc import annotations
from slimbase.errors import UserError
from slimbase.testing import ROOT

FISH, DOG = "n01440764", "n02085620"

BOMB = b"""<!DOCTYPE lol [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;">
]><annotation><object><name>&d;</name></object></annotation>"""


@pytest.fixture
def directory(tmp_path):
    """Annotations of a fish, of a dog, and one that is damaged."""
    files = {
        f"{FISH}/{FISH}_1.xml": imagenet_annotation(
            [(FISH, 10, 5, 30, 20), (FISH, -3, 0, 50, 10.9)]
        ),
        f"{FISH}/{FISH}_2.xml": imagenet_annotation(
            [(FISH, 30, 5, 10, 20), (FISH, 10, 5, 10, 20), (DOG, 10, 5, 30, 20)]
        ),
        f"{DOG}/{DOG}_1.xml": imagenet_annotation([("Chihuahua", 20, 10, 40, 20)]),
        f"{DOG}/{DOG}_2.xml": imagenet_annotation([]),
        f"{DOG}/{DOG}_3.xml": b"<annotation><object>",
        "val/ILSVRC2012_val_00000001.xml": imagenet_annotation(
            [(FISH, 0, 0, 40, 20), (DOG, 0, 0, 20, 20)]
        ),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_csv(directory, capsys):
    script.main([str(directory)])
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{FISH}_1.JPEG,0.2500,0.2500,0.7500,1.0000",
        f"{FISH}_1.JPEG,0.0000,0.0000,1.0000,0.5000",
        f"{FISH}_2.JPEG,0.2500,0.2500,0.7500,1.0000",  # Its sides are interchanged.
        f"{DOG}_1.JPEG,0.5000,0.5000,1.0000,1.0000",
        "ILSVRC2012_val_00000001.JPEG,0.0000,0.0000,1.0000,1.0000",
        "ILSVRC2012_val_00000001.JPEG,0.0000,0.0000,0.5000,1.0000",
    ]
    assert f"{DOG}_3.xml is not an annotation of ImageNet" in told.err
    assert "6 boxes of 4 pictures" in told.err
    assert "0 files and 1 boxes of other classes, 1 boxes without area" in told.err
    assert "1 damaged files" in told.err


def test_synsets_choose(directory, tmp_path, capsys):
    (tmp_path / "synsets.txt").write_text(f"{DOG}\n")
    script.main([str(directory), str(tmp_path / "synsets.txt")])
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{DOG}_1.JPEG,0.5000,0.5000,1.0000,1.0000",
        "ILSVRC2012_val_00000001.JPEG,0.0000,0.0000,0.5000,1.0000",
    ]
    assert "2 files and 1 boxes of other classes" in told.err


def test_command_from_any_directory(directory, tmp_path):
    command = [sys.executable, ROOT / "datasets" / "process_bounding_boxes.py"]
    result = subprocess.run(
        [*command, "."], cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 6
    result = subprocess.run(
        [*command, "nowhere"], cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert result.stderr == "error: there is no directory nowhere\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a directory"),
        (["a", "b", "c"], "expected a directory"),
        (["{tmp}/none"], "there is no directory"),
        (["{tmp}/empty"], r"there is no \*.xml"),
        (["{tmp}", "{tmp}/none.txt"], "cannot read .*none.txt"),
        (
            ["{tmp}", "{tmp}/words.txt"],
            "the line 'tench, Tinca tinca'; expected",
        ),
    ],
)
def test_mistakes(arguments, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.txt").write_text("tench, Tinca tinca\n")
    with pytest.raises(UserError, match=message):
        script.main([argument.format(tmp=tmp_path) for argument in arguments])


def test_annotation(directory):
    first, second = script.ProcessXMLAnnotation(directory / FISH / f"{FISH}_1.xml")
    assert (first.filename, first.label) == (f"{FISH}_1.JPEG", FISH)
    assert (first.width, first.height) == (40, 20)
    assert (first.xmin, first.ymin, first.xmax, first.ymax) == (10, 5, 30, 20)
    assert first.sides == (0.25, 0.25, 0.75, 1.0)
    assert second.sides == (0.0, 0.0, 1.0, 0.5)


def test_box_can_be_made_as_in_the_original():
    box = script.BoundingBox()
    box.filename, box.xmin, box.xmin_scaled = "a.JPEG", 3, 0.25
    assert box.sides == (0.25, 0.0, 0.0, 0.0)


def test_interchanged_sides_are_put_in_order(directory):
    [box, *_] = script.ProcessXMLAnnotation(directory / FISH / f"{FISH}_2.xml")
    assert (box.xmin, box.xmax) == (30, 10)
    assert (box.xmin_scaled, box.xmax_scaled) == (0.25, 0.75)


def test_names_of_the_original():
    from xml.etree import ElementTree

    root = ElementTree.fromstring(
        imagenet_annotation([(FISH, 1, 2, 3, 4), (DOG, 5.7, 6, 7, 8)])
    )
    assert script.FindNumberBoundingBoxes(root) == 2
    assert script.GetItem("name", root, 1) == DOG
    assert script.GetInt("xmin", root) == 1
    assert script.GetInt("xmin", root, 1) == 5
    with pytest.raises(IndexError):
        script.GetItem("xmin", root, 2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no element found"),
        (b"no XML", "syntax error"),
        (b"<annotation>", "no element found"),
        (b"<html></html>", "the root is <html>"),
        (BOMB, "document type"),
        (BOMB.decode().encode("utf-16"), "document type"),
        (
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation></annotation>',
            "document type",
        ),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "encoding"),
        (b"<annotation>" + b" " * (1 << 20) + b"</annotation>", "1,048,576 bytes"),
        (imagenet_annotation([(FISH, "nan", 2, 3, 4)]), "'nan', no number of pixels"),
        (imagenet_annotation([(FISH, "1e999", 2, 3, 4)]), "no number of pixels"),
        (imagenet_annotation([(FISH, "left", 2, 3, 4)]), "could not convert"),
        (
            imagenet_annotation([(FISH, 1, 2, 3, 4)]).replace(b">40<", b">0<"),
            "0 wide and 20 high",
        ),
        (
            imagenet_annotation([(FISH, 1, 2, 3, 4)]).replace(b"xmax", b"x"),
            "there is no <xmax>",
        ),
    ],
)
def test_damaged_or_harmful(content, reason):
    with pytest.raises(UserError, match="no.xml is not an annotation.*" + reason):
        annotations.parse(content, "no.xml")


def test_deep_nesting_ends():
    deep = b"<annotation>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</annotation>"
    assert annotations.parse(deep, "deep.xml") == []


def test_boxes_within_boxes_take_no_time_of_their_own():
    content = imagenet_annotation([(FISH, 1, 2, 3, 4)])
    content = content.replace(b"<object>", b"<object><bndbox>" * 15_000 + b"<object>")
    content = content.replace(
        b"</annotation>", b"</bndbox></object>" * 15_000 + b"</annotation>"
    )
    seconds = time.process_time()
    [box] = annotations.parse(content, f"{FISH}_1.xml")
    assert (box.xmin, box.ymax) == (1, 4)
    assert time.process_time() - seconds < 2  # One by one, it took half a minute.


def test_mutated_annotations_end_in_clear_errors():
    content = imagenet_annotation([(FISH, 1, 2, 3, 4), (DOG, 5, 6, 7, 8)])
    rng = random.Random(2)
    failed = 0
    for _ in range(3000):
        mutated = bytearray(content)
        for _ in range(rng.randint(1, 5)):
            start = rng.randrange(len(mutated))
            end = start + rng.choice([0, 1, 1, 20])
            mutated[start:end] = rng.randbytes(rng.randint(0, 3))
        try:
            boxes = annotations.parse(bytes(mutated), "mutated.xml")
        except UserError as error:
            assert len(str(error)) < 300
            failed += 1
        else:
            assert all(0 <= side <= 1 for box in boxes for side in box.sides)
    assert failed > 1000
