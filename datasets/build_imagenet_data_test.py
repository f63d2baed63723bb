import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from datasets import build_imagenet_data, imagenet
from datasets.config import BuildImagenetConfig
from datasets.conftest import IMAGENET_PER_CLASS, IMAGENET_SYNSETS
from slimbase.testing import ROOT, call, fails

SCRIPT = "datasets/build_imagenet_data.py"


@pytest.fixture
def flags(imagenet_source, tmp_path):
    return [
        f"--train_directory={imagenet_source / 'ILSVRC2012_img_train.tar'}",
        f"--validation_directory={imagenet_source / 'ILSVRC2012_img_val.tar'}",
        f"--output_directory={tmp_path / 'records'}",
        "--train_shards=4",
        "--validation_shards=2",
    ]


def test_records(flags, tmp_path, imagenet_source, read_features):
    boxes = imagenet_source / "ILSVRC2012_bbox_train_v2.tar.gz"
    call(SCRIPT, *flags, f"--bounding_box_file={boxes}", "--num_threads=2")
    names = {path.name for path in (tmp_path / "records").iterdir()}
    assert names == {
        *(f"train-{i:05d}-of-00004" for i in range(4)),
        *(f"validation-{i:05d}-of-00002" for i in range(2)),
        *("labels.txt", "manifest.json"),
    }
    records = [
        record
        for path in (tmp_path / "records").glob("train-*")
        for record in read_features(path)
    ]
    assert len(records) == len(IMAGENET_SYNSETS) * IMAGENET_PER_CLASS
    boxed = [r for r in records if r["image/object/bbox/xmin"]]
    assert len(boxed) == len(records) // 2


def test_original_defaults():
    """Of its flags; these are what old command lines leave out."""
    config = BuildImagenetConfig()
    assert config.train_directory == config.validation_directory == "/tmp/"
    assert config.output_directory == "/tmp/"
    assert (config.train_shards, config.validation_shards) == (1024, 128)
    assert config.num_threads == 8
    assert config.labels_file == "imagenet_lsvrc_2015_synsets.txt"
    assert config.imagenet_metadata_file == "imagenet_metadata.txt"
    assert config.bounding_box_file == "./imagenet_2012_bounding_boxes.csv"


def test_files_in_the_working_directory_are_used(flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imagenet_lsvrc_2015_synsets.txt").write_text("n02085620\n")
    (tmp_path / "imagenet_metadata.txt").write_text("n02085620\tlittle dog\n")
    (tmp_path / "imagenet_2012_bounding_boxes.csv").write_text(
        "n02085620_1.JPEG,0.1,0.2,0.3,0.4\n"
    )
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation" / "n02085620_9.JPEG").write_bytes(picture())
    call(SCRIPT, *flags, f"--validation_directory={tmp_path / 'validation'}")
    dataset = imagenet.get_split("train", tmp_path / "records")
    assert dataset.num_samples == IMAGENET_PER_CLASS
    assert dataset.num_classes == 2
    labels = (tmp_path / "records" / "labels.txt").read_text()
    assert labels == "0:background\n1:little dog\n"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--labels_file=none.txt", "--labels_file=none.txt is not there"),
        ("--imagenet_metadata_file=none.txt", "--imagenet_metadata_file=none.txt is"),
        ("--bounding_box_file=none.csv", "--bounding_box_file=none.csv is not there"),
        ("--train_directory=/none", "--train_directory=/none is not there"),
        ("--train_shards=0", "--train_shards=0: 0 is not a positive integer"),
        ("stray", "unexpected argument 'stray'"),
    ],
)
def test_mistakes(flag, message, flags, tmp_path):
    assert message in fails(SCRIPT, *flags, flag)
    assert not (tmp_path / "records").exists()


def test_without_boxes_a_warning(flags):
    result = call(SCRIPT, *flags)
    assert "There is no ./imagenet_2012_bounding_boxes.csv" in result.stderr


def test_help_from_any_directory(tmp_path):
    result = subprocess.run(
        [sys.executable, ROOT / SCRIPT, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "--train_directory=/tmp/" in result.stdout, result.stderr


@pytest.mark.slow
def test_command_from_any_directory(flags, tmp_path):
    result = subprocess.run(
        [sys.executable, ROOT / SCRIPT, *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "records" / "manifest.json").exists()


def picture(kind="JPEG", mode="RGB"):
    content = io.BytesIO()
    Image.new(mode, (6, 4), 0).save(content, kind)
    return content.getvalue()


def test_image_coder():
    coder = build_imagenet_data.ImageCoder()
    for convert, content in [
        (coder.png_to_jpeg, picture("PNG")),
        (coder.cmyk_to_rgb, picture(mode="CMYK")),
    ]:
        with Image.open(io.BytesIO(convert(content))) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (6, 4))
    decoded = coder.decode_jpeg(picture())
    assert decoded.dtype == np.uint8
    assert decoded.shape == (4, 6, 3)
