import tarfile

import pytest

from datasets import download_and_convert_food101, food101
from slimbase.errors import UserError


@pytest.mark.parametrize("form", ["folder", "folder itself", "archive", "mirror"])
def test_photos_and_dishes(tmp_path, food_source, read_features, form):
    options = {"source_dir": str(food_source)}
    if form == "folder itself":
        options = {"source_dir": str(food_source / "food-101")}
    elif form != "folder":
        packed = tmp_path / "packed"
        packed.mkdir()
        with tarfile.open(packed / "food-101.tar.gz", "w:gz") as archive:
            archive.add(food_source / "food-101", "food-101")
        options = {"mirror" if form == "mirror" else "source_dir": str(packed)}
    target = tmp_path / "food"
    download_and_convert_food101.run(target, **options, strict=True)
    found = {}
    for split, shards in (("train", 32), ("test", 16)):
        paths = sorted(target.glob(f"food101_{split}-*.tfrecord"))
        assert len(paths) == shards
        for path in paths:
            for record in read_features(path):
                name = record["image/filename"][0].decode()
                found[split, name] = record["image/class/label"][0]
                photo = food_source / "food-101" / "images" / name
                assert record["image/encoded"] == [photo.read_bytes()]
    assert found == {
        ("train", "apple_pie/1.jpg"): 0,
        ("train", "apple_pie/2.jpg"): 0,
        ("train", "sushi/3.jpg"): 2,
        ("test", "sushi/4.jpg"): 2,
        ("test", "sushi/5.jpg"): 2,
    }
    dataset = food101.get_split("test", target)
    assert dataset.num_samples == 2
    assert list(dataset.labels_to_names.values()) == ["apple pie", "baklava", "sushi"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "train.json is not a list of photos by class"),
        ("[]", "it is not an object"),
        ('{"soup": []}', "'soup' is not in classes.txt"),
        ('{"sushi": 1}', "photos of 'sushi' are not a list of names"),
        ('{"sushi": ["sushi/1", 2]}', "photos of 'sushi' are not a list of names"),
        ('{"sushi": ["../../../etc/passwd"]}', "'../../../etc/passwd.jpg' would not"),
        ('{"sushi": ["/etc/passwd"]}', "'/etc/passwd.jpg' would not be in"),
        ('{"sushi":' * 100_000, "train.json is not a list of photos by class"),
    ],
)
def test_list_that_is_none_is_named(tmp_path, food_source, content, message):
    (food_source / "food-101" / "meta" / "train.json").write_text(content)
    with pytest.raises(UserError, match=message):
        download_and_convert_food101.run(tmp_path / "food", food_source)
    assert not (tmp_path / "food").exists()
