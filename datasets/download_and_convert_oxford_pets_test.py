import io
import tarfile

import pytest
from PIL import Image

from datasets import download_and_convert_oxford_pets, oxford_pets
from datasets.conftest import PETS
from slimbase.errors import UserError


def _records(target, split, read_features):
    paths = sorted(target.glob(f"oxford_pets_{split}-*-of-00004.tfrecord"))
    assert len(paths) == 4
    return [record for path in paths for record in read_features(path)]


@pytest.mark.parametrize("form", ["folders", "archives", "mirror"])
def test_photos_and_breeds(tmp_path, pets_source, read_features, form):
    options = {"source_dir": str(pets_source)}
    if form != "folders":
        packed = tmp_path / "packed"
        packed.mkdir()
        for name in ("images", "annotations"):
            with tarfile.open(packed / f"{name}.tar.gz", "w:gz") as archive:
                archive.add(pets_source / name, name)
        options = {"mirror" if form == "mirror" else "source_dir": str(packed)}
    target = tmp_path / "pets"
    download_and_convert_oxford_pets.run(target, **options, strict=True)
    for split, pets in PETS.items():
        records = _records(target, split, read_features)
        assert [
            (r["image/filename"], r["image/class/label"], r["image/format"])
            for r in records
        ] == [([f"{name}.jpg".encode()], [breed - 1], [b"jpeg"])
              for name, breed, _ in pets]  # fmt: skip
        for (name, _, kind), record in zip(pets, records, strict=True):
            [encoded] = record["image/encoded"]
            kept = (pets_source / "images" / f"{name}.jpg").read_bytes()
            assert (encoded == kept) == (kind == "JPEG")
            with Image.open(io.BytesIO(encoded)) as photo:
                assert (photo.format, photo.size) == ("JPEG", (30, 20))
    dataset = oxford_pets.get_split("train", target)
    assert (dataset.num_samples, dataset.num_classes) == (3, 37)
    names = dataset.labels_to_names
    assert (names[0], names[25], names[36]) == (
        "Abyssinian",
        "Pug",
        "Yorkshire Terrier",
    )


def test_photo_that_is_missing_is_listed(tmp_path, pets_source):
    (pets_source / "images" / "pug_1.jpg").unlink()
    target = tmp_path / "pets"
    download_and_convert_oxford_pets.run(target, pets_source)
    assert (target / "bad_files.txt").read_text() == "pug_1.jpg: is not there\n"
    assert oxford_pets.get_split("train", target).num_samples == 2


@pytest.mark.parametrize(
    "line", ["pug_1", "pug_1 38 1 1", "pug_1 0 1 1", "pug_1 x", "../../pug 26", "\0 1"]
)
def test_line_that_is_none_is_named(tmp_path, pets_source, line):
    path = pets_source / "annotations" / "trainval.txt"
    path.write_text(f"#Image CLASS-ID SPECIES BREED ID\n{line}\n")
    with pytest.raises(UserError, match=r"trainval\.txt, line 2|would not be in"):
        download_and_convert_oxford_pets.run(tmp_path / "pets", pets_source)
    assert not (tmp_path / "pets").exists()


def test_list_that_is_no_text_is_named(tmp_path, pets_source):
    (pets_source / "annotations" / "test.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"test\.txt can't be read"):
        download_and_convert_oxford_pets.run(tmp_path / "pets", pets_source)
