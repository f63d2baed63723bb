import pytest
from PIL import Image

from datasets import download_and_convert_folder
from slimzoo.config.check import CheckConfig
from slimzoo.dataset_check import check as check_dataset
from slimzoo.dataset_check import report


@pytest.fixture
def source(shared_data, tmp_path):
    """Ten photos in train, six in val; four of these are resized copies."""
    photos = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))[:12]
    for number, path in enumerate(photos):
        label = ("ant", "bee")[number % 2]
        image = Image.open(path).convert("RGB")
        folders = ["train"] if number < 10 else ["val"]
        folders += ["val"] if number < 4 else []
        for split in folders:
            place = tmp_path / "photos" / split / label / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            small = image.resize((160, 120)) if split == "val" else image
            small.save(place, quality=90)
    return tmp_path / "photos"


def _check(target):
    return check_dataset.check(CheckConfig(dataset_dir=str(target)))


def test_near_copies_in_two_splits(source, tmp_path):
    """Someone else's records have them; ours, if they were asked for."""
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source, allow_near_copies=True)
    found = _check(target)
    assert not found.problems
    text = report.text(found)
    assert "4 pictures are in validation, near copies of others:" in text

    manifest = target / "manifest.json"
    allowed = '    "allow_near_copies": true'
    kept = manifest.read_text()
    assert allowed in kept
    manifest.write_text(kept.replace(",\n" + allowed, ""))
    problems = _check(target).problems
    assert len(problems) == 4
    for problem in problems:
        assert problem.split == "validation"
        assert "its picture is nearly that of record" in problem.text
        assert problem.text.endswith("in the split train")


def test_our_conversion_keeps_them_apart(source, tmp_path):
    target = tmp_path / "records"
    download_and_convert_folder.run(target, source)
    found = _check(target)
    assert not found.problems
    assert found.splits["train"].count == 6
    assert found.splits["validation"].count == 6
