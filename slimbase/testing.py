"""Running the scripts in tests, as people do or nearly so."""

import contextlib
import csv
import io
import json
import logging
import pathlib
import runpy
import shutil
import struct
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


# Primaries of profiles, in XYZ of the white D50: columns red, green, blue.
PROFILES = {
    "Adobe RGB": (
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
        2.19921875,
    ),
    "ProPhoto RGB": (
        (0.79767, 0.28804, 0.0),
        (0.13519, 0.71188, 0.0),
        (0.03134, 0.00009, 0.82491),
        1.8,
    ),
    "Display P3": (
        (0.51512, 0.24120, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.15710, 0.06657, 0.78407),
        None,
    ),
    "sRGB": (
        (0.43607, 0.22249, 0.01392),
        (0.38515, 0.71687, 0.09708),
        (0.14307, 0.06061, 0.71410),
        None,
    ),
}
_WHITE = (0.9642, 1.0, 0.8249)
# The curve of sRGB: exponent, slope and offset of its power, slope and end of its line.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def color_profile(name):
    """An ICC profile (ICC.1:2010, version 4) of the primaries `name` in `PROFILES`."""
    *primaries, gamma = PROFILES[name]
    kind, values = (3, _SRGB_CURVE) if gamma is None else (0, (gamma,))
    curve = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(values)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(_WHITE)}
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(primary)
        tags[bytes([letter]) + b"TRC"] = curve
    table, content = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(content), len(value))
        content += value + b"\0" * (-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s28s12s48s",
        start + len(content),
        *(b"", 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"", b"acsp", b""),
        *(_fixed(_WHITE), b""),
    )
    return header + table + content


def _fixed(values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)
