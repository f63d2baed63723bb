"""Running the scripts in tests, as people do."""

import csv
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONE_SCREEN = 24  # Lines.


def run(*command, check=True):
    """Runs a Python command in the checkout; arguments are made strings."""
    result = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if check:
        assert result.returncode == 0, result.stdout + result.stderr
    return result


def fails(*command):
    """Runs a command that must fail with a short message; returns the message."""
    result = run(*command, check=False)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= ONE_SCREEN
    return result.stderr


def metrics(eval_dir):
    """What evaluation has written."""
    return json.loads((eval_dir / "metrics.json").read_text())


def photo_labels(photos):
    """File and label of each photo in a directory of ImageNet samples."""
    return csv.DictReader((photos / "labels.csv").read_text().splitlines())


TRAIN_ON_SHAPES = (
    "train_image_classifier.py",
    "--dataset_name=shapes",
    "--model_name=mobilenet_v1_025",
    "--train_image_size=64",
    "--batch_size=8",
    "--max_number_of_steps=3",
    "--seed=1",
)

FLOWERS_FROM_IMAGENET = (
    "train_image_classifier.py",
    "--dataset_name=flowers",
    "--model_name=mobilenet_v1_025",
    "--train_image_size=128",
    "--batch_size=4",
    "--max_number_of_steps=2",
)

PUBLISHED_MODEL = ("--model_name=mobilenet_v1_025", "--eval_image_size=128")
