"""Download and conversion by command, killed at random moments."""

import fnmatch
import io
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
from PIL import Image

from slimbase import testing
from slimbase.fetch.download_test import server  # noqa: F401  A fixture.

KILLS = 20
PHOTOS = 2500
SECONDS_PER_BLOCK = 0.001  # Of the download.


def _archive() -> bytes:
    """An archive of photos, as that of the flowers."""
    archive = io.BytesIO()
    rng = np.random.default_rng(0)
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=1) as tar:
        for number in range(PHOTOS):
            picture = io.BytesIO()
            pixels = rng.integers(0, 256, (60, 80, 3), np.uint8)
            Image.fromarray(pixels).save(picture, "JPEG")
            member = tarfile.TarInfo(f"flower_photos/{'ab'[number % 2]}/{number}.jpg")
            member.size = picture.tell()
            tar.addfile(member, io.BytesIO(picture.getvalue()))
    return archive.getvalue()


def _has(directory: pathlib.Path, pattern: str) -> bool:
    """Whether it holds such a file; `rglob` fails where directories come and go."""
    return any(
        fnmatch.filter([*names, *folders], pattern)
        for _, folders, names in os.walk(directory)
    )


def _start(
    mirror: str, target: pathlib.Path, until: str = ".incomplete"
) -> subprocess.Popen:
    """Starts the command and waits until it has written a file of this pattern."""
    process = subprocess.Popen(
        [
            *(sys.executable, "download_and_convert_data.py"),
            *(
                "--dataset_name=flowers",
                f"--mirror={mirror}",
                f"--dataset_dir={target}",
            ),
        ],
        cwd=testing.ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = _has(target, until)
    while process.poll() is None and not _has(target, until):
        time.sleep(0.01)
    if before:  # It goes on in what is there, some time after it has started.
        time.sleep(2)
    return process


def _finish(process: subprocess.Popen) -> None:
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told


def _files(directory: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("[!.]*")}


@pytest.mark.slow
def test_twenty_kills(server, tmp_path):  # noqa: F811
    server.content, server.pause = _archive(), SECONDS_PER_BLOCK
    mirror = server.url.rpartition("/")[0]
    whole = tmp_path / "whole"
    process, start = _start(mirror, whole), time.monotonic()
    _finish(process)
    seconds = time.monotonic() - start
    expected = _files(whole)
    assert len(expected) == 12  # Ten shards, labels.txt and manifest.json.
    rng = random.Random(0)
    kills, found, targets = 0, set(), []
    while kills < KILLS:
        target = tmp_path / str(kills)
        targets.append(target)
        # Writing records takes so little of the time that few random moments hit it.
        if len(targets) % 3 == 1:
            until, longest = "*.tfrecord", 0.2
        else:
            until, longest = ".incomplete", seconds
        for _ in range(rng.randint(1, 3)):
            process = _start(mirror, target, until)
            try:
                process.communicate(timeout=rng.uniform(0, longest))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
            left = [path for path in target.rglob("*") if path.is_file()]
            found |= {path.suffix for path in left}
            if (target / "manifest.json").exists():
                assert _files(target) == expected
        _finish(_start(mirror, target))
        assert _files(target) == expected
        assert not (target / ".incomplete").exists()
    # Some were killed while downloading, and some while writing records.
    assert {".partial", ".tfrecord"} <= found
