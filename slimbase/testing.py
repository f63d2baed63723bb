"""Running the scripts in tests, as people do or nearly so."""

import contextlib
import csv
import io
import json
import logging
import pathlib
import runpy
import shutil
import subprocess
import sys
from unittest import mock

from absl import flags

from slimbase import quiet
from slimbase.command_line import flags as cli

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


def call(script, *arguments, check=True):
    """As `run`, within this process: TensorFlow is there already."""
    output, errors = io.StringIO(), io.StringIO()
    statuses = []

    def execute(main, config_class, operands="", tensorflow=True):
        values = flags.FlagValues()
        cli.define_all(config_class, values)
        try:
            rest = values([script, *map(str, arguments)])[1:]
        except flags.Error as error:
            print(f"error: {error}\nSee --help.", file=sys.stderr)
            statuses.append(1)
            return
        statuses.append(
            cli.execute(main, config_class, operands, values, rest, tensorflow)
        )

    logger, handler = logging.getLogger("absl"), logging.StreamHandler(errors)
    level = logger.level
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(cli, "run", execute))
        stack.enter_context(mock.patch.object(quiet, "start_tensorflow"))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(errors))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        stack.callback(logger.removeHandler, handler)
        stack.callback(logger.setLevel, level)
        runpy.run_path(str(ROOT / script), run_name="__main__")
    texts = output.getvalue(), errors.getvalue()
    result = subprocess.CompletedProcess(arguments, statuses[0] or 0, *texts)
    if check:
        assert result.returncode == 0, result.stdout + result.stderr
    return result


def fails(*command):
    """Runs a command that must fail with a short message; returns the message."""
    result = call(*command, check=False)
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) <= ONE_SCREEN
    return result.stderr


def copy_checkout(path):
    """Copies the checkout, for what writes into it."""
    unwanted = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, path, ignore=unwanted)


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

# A network that is built in a moment, where any will do.
SMALL_NETWORK = ("--model_name=cifarnet", "--train_image_size=32")

FLOWERS_FROM_IMAGENET = (
    "train_image_classifier.py",
    "--dataset_name=flowers",
    "--model_name=mobilenet_v1_025",
    "--train_image_size=128",
    "--batch_size=4",
    "--max_number_of_steps=2",
)

PUBLISHED_MODEL = ("--model_name=mobilenet_v1_025", "--eval_image_size=128")
