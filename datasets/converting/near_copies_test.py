import json

import pytest
from PIL import Image

from datasets import download_and_convert_folder
from datasets.converting import near_copies
from datasets.storage import manifests
from slimbase import testing


@pytest.fixture
def source(shared_data, tmp_path):
    """24 photos of two classes; six of the first class have resized copies."""
    paths = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))[:24]
    for number, path in enumerate(paths):
        folder = tmp_path / "photos" / ("ant", "bee")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.open(path).convert("RGB")
        image.save(folder / f"{number}.jpg", quality=95)
        if number < 12 and number % 2 == 0:
            image.resize((200, 180)).save(folder / f"{number}_small.png")
    return tmp_path / "photos"


def _convert(source, target, *flags):
    return testing.call(
        *("download_and_convert_data.py", "--dataset_name=folder"),
        *(f"--source_dir={source}", f"--dataset_dir={target}", *flags),
    )


def _names_by_split(target, read_features):
    return {
        split: {
            record["image/filename"][0].decode()
            for path in target.glob(f"folder_{split}_*")
            for record in read_features(path)
        }
        for split in ("train", "validation")
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_near_copies_are_kept_together(source, tmp_path, read_features, seed):
    target = tmp_path / "records"
    result = _convert(source, target, f"--seed={seed}")
    assert "Near copies: 12 pictures in 6 sets" in result.stderr
    splits = _names_by_split(target, read_features)
    assert sum(map(len, splits.values())) == 30
    for number in range(0, 12, 2):
        for names in splits.values():
            both = {f"ant/{number}.jpg", f"ant/{number}_small.png"}
            assert len(names & both) in (0, 2)
    sets = json.loads((target / near_copies.FILENAME).read_text())["sets"]
    assert sets[0] == ["ant/0.jpg", "ant/0_small.png"]


def test_they_are_looked_for_once(source, tmp_path, monkeypatch):
    download_and_convert_folder.run(tmp_path / "records", source)

    def fail(content):
        raise AssertionError("once more")

    monkeypatch.setattr(near_copies.near, "thumbnail", fail)
    download_and_convert_folder.run(tmp_path / "records", source)
    download_and_convert_folder.run(tmp_path / "others", source, allow_near_copies=True)
    assert not (tmp_path / "others" / near_copies.FILENAME).exists()
    settings = manifests.read_manifest(tmp_path / "others").settings
    assert settings is not None
    assert settings["allow_near_copies"]


def test_copies_in_given_splits(source, tmp_path):
    for split, numbers in {"train": range(24), "val": range(12)}.items():
        for number in numbers:
            name = f"{('ant', 'bee')[number % 2]}/{number}"
            path = source / f"{name}{'_small.png' if split == 'val' else '.jpg'}"
            if not path.exists():
                continue
            to = tmp_path / "split" / split / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            path.replace(to)
    result = _convert(tmp_path / "split", tmp_path / "records")
    assert "Left out of train: 6 pictures that are near copies" in result.stderr
    splits = manifests.read_manifest(tmp_path / "records").splits
    assert {name: split.count for name, split in splits.items()} == {
        "train": 18,
        "validation": 6,
    }
    result = _convert(tmp_path / "split", tmp_path / "all", "--allow_near_copies=true")
    splits = manifests.read_manifest(tmp_path / "all").splits
    assert splits["train"].count == 24


def test_different_labels_are_reported(source, tmp_path):
    (source / "ant" / "0_small.png").replace(source / "bee" / "0_small.png")
    result = _convert(source, tmp_path / "records")
    assert "1 set of near copies have different labels, as ant/0.jpg" in result.stderr


def test_bad_pictures_take_no_share_of_validation(source, tmp_path):
    for number in range(40):
        (source / "bee" / f"bad{number}.jpg").write_bytes(
            b"\xff\xd8\xff" + bytes([number])
        )
    _convert(source, tmp_path / "records")
    splits = manifests.read_manifest(tmp_path / "records").splits
    assert splits["validation"].skipped == 0
    assert splits["train"].skipped == 40
    assert splits["validation"].per_class[1] == 2  # Of twelve.


def test_code_that_is_damaged_is_found(shared_data, source, tmp_path):
    """Its markers are in order."""
    path = shared_data / "odd_images" / "hopper_bad_exif.jpg"
    (source / "ant" / "damaged.jpg").symlink_to(path)
    _convert(source, tmp_path / "records")
    assert (tmp_path / "records" / "bad_files.txt").read_text() == (
        "ant/damaged.jpg: is damaged: parts of the JPEG are missing or wrong\n"
    )
