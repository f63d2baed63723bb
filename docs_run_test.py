"""Runs the code blocks of README.md, CONTRIBUTING.md and docs/, as they stand there.

A page is one shell script: its blocks, from top to end, in a copy of the checkout. What
is downloaded comes from a mirror of small files that is made here; `/tmp/` is a
directory of the test; steps and batches are few.
"""

import io
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import download_and_convert_shapes
from nets import nets_factory
from slimbase import testing
from tools import markdown

RUNNABLE = {"bash", "python"}
PAGES = [
    page
    for page in markdown.PAGES
    if any(
        block.language in RUNNABLE and block.excuse is None
        for block in markdown.blocks(markdown.read(page), page)
    )
]
FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
TIMEOUT = 1500  # Seconds, for a page.

# What stands for programs that take long, need a network, or do not end.
PRELUDE = r"""
set -eu -o pipefail
python() {
  case ${1-} in
    train_image_classifier.py)
      [[ " $*" == *" --max_number_of_steps="* ]] || set -- "$@" --max_number_of_steps=4
      command python "$@" --batch_size=4 ;;
    export_inference_graph.py)  # A network of few steps is not sure of its answers.
      command python "$@" --min_agreement=0 ;;
    benchmark.py)
      command python "$@" --repeats=1 --steps=1 --warmup_steps=1 --num_pictures=12 ;;
    *) command python "$@" ;;
  esac
}
make() { command make --dry-run "$@" >/dev/null; }
pip() {
  command python -m pip "$@" --dry-run --quiet --no-deps --no-index --no-build-isolation
}
tensorboard() {  # Until it serves.
  command tensorboard "$@" --port=0 >tensorboard.log 2>&1 &
  local server=$!
  for _ in {1..120}; do
    sleep 1
    if grep -q http:// tensorboard.log; then kill $server; return; fi
  done
  cat tensorboard.log; return 1
}
"""


def smaller(text):
    """Numbers of steps above 99 are divided by 100, down to 10; batches are of 4."""

    def divide(match):
        steps = int(match[2])
        return f"{match[1]}{min(steps // 100, 10) if steps > 99 else steps}"

    text = re.sub(r"(--\w*steps=|model\.ckpt-)(\d+)", divide, text)
    return re.sub(r"(--batch_size=)\d+", r"\g<1>4", text)


def script(page, scratch):
    """The shell script that a page is; programs in Python are written beside it."""
    lines = []
    for block in markdown.blocks(markdown.read(page), page):
        if block.language not in RUNNABLE or block.excuse is not None:
            continue
        place = f"{page}:{block.line}"
        text = smaller(block.text.replace("/tmp/", f"{scratch}/"))
        lines.append(f"echo '--- {place}' >&2")
        if block.language == "bash":
            lines.append(text)
            continue
        file = block.file or f"block_{pathlib.Path(page).stem}_{block.line}.py"
        lines.append(f"mkdir -p {pathlib.PurePath(file).parent}")
        lines.append(f"cat >{file} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK")
        if not block.file:
            lines.append(f"python {file}")
    return "\n".join(lines)


def picture(rng, figure):
    """A figure on a background of another colour, 160 x 120 pixels."""
    canvas = Image.new("RGB", (160, 120), tuple(rng.integers(0, 256, 3).tolist()))
    canvas.paste(figure.resize((120, 120)), (int(rng.integers(0, 40)), 0))
    return canvas


@pytest.fixture(scope="session")
def figures(tmp_path_factory):
    paths = download_and_convert_shapes.write_samples(
        tmp_path_factory.mktemp("figures")
    )
    return [Image.open(path).convert("RGB") for path in paths]


@pytest.fixture(scope="session")
def mirror(figures, tmp_path_factory):
    """A directory of archives like those that are published, but small."""
    path = tmp_path_factory.mktemp("mirror")
    rng = np.random.default_rng(0)
    flowers = {}
    for figure, name in zip(figures, FLOWERS, strict=False):
        for index in range(24):
            content = io.BytesIO()
            picture(rng, figure).save(content, "JPEG")
            flowers[f"flower_photos/{name}/{index}.jpg"] = content.getvalue()
    _write_archive(path / "flower_photos.tgz", flowers)
    batches = {}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        pixels = rng.integers(0, 256, (10, 3072), np.uint8)
        batch = {b"data": pixels, b"labels": list(range(10))}
        batches[f"cifar-10-batches-py/{name}"] = pickle.dumps(batch)
    _write_archive(path / "cifar-10-python.tar.gz", batches)
    _write_checkpoint(path / "mobilenet_v1_0.25_128.tgz", path / "weights")
    return path


def _write_archive(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _write_checkpoint(archive, directory):
    """What training of ImageNet would begin with: random weights."""
    network = nets_factory.get_network_fn("mobilenet_v1_025", 1001)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        network(tf.zeros([1, 128, 128, 3]))
        tf.train.get_or_create_global_step()
        session.run(tf.global_variables_initializer())
        directory.mkdir()
        tf.train.Saver().save(session, str(directory / "mobilenet_v1_0.25_128.ckpt"))
    with tarfile.open(archive, "w:gz") as file:
        for path in directory.glob("*.ckpt.*"):
            file.add(path, path.name)


@pytest.fixture(scope="session")
def sandbox(figures, mirror, tmp_path_factory):
    """`f(name)` makes a copy of the checkout with pictures, and a place for `/tmp/`."""

    def make(name):
        scratch = tmp_path_factory.mktemp(name)
        checkout = scratch / "checkout"
        testing.copy_checkout(checkout)
        rng = np.random.default_rng(1)
        for figure, name in zip(figures, ("ants", "bees"), strict=False):
            (checkout / "photos" / name).mkdir(parents=True)
            for index in range(20):
                path = checkout / "photos" / name / f"{index}.jpg"
                picture(rng, figure).save(path)
        shutil.copy(checkout / "photos" / "ants" / "0.jpg", checkout / "photo.jpg")
        return scratch

    return make


@pytest.fixture(scope="session")
def after(sandbox, mirror):
    """`f(page)` runs a page in a new sandbox, once, and gives that sandbox."""
    done = {}

    def once(page):
        if page not in done:
            scratch = sandbox(pathlib.Path(page).stem)
            _run(page, scratch, mirror)
            done[page] = scratch
        return done[page]

    return once


def _run(page, scratch, mirror):
    """Runs a page's blocks; variables of the shell stay for the next page."""
    state = scratch / "variables.sh"
    state.touch()
    text = "\n".join(
        [
            *(f"source {state}", PRELUDE, "set -a", script(page, scratch)),
            f"set +a; declare -p | grep -E '^declare -x [a-z]' >{state} || true",
        ]
    )
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": path, "SLIMZOO_MIRROR": str(mirror), "COLUMNS": "80"}
    told = scratch / "told.txt"
    with told.open("w") as output:
        result = subprocess.run(
            ["bash", "-c", text],
            cwd=scratch / "checkout",
            env=os.environ | more,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
    if result.returncode:
        text = told.read_text("utf-8", "replace")
        place = re.findall(r"^--- (.*)$", text, re.MULTILINE)[-1:]
        tail = "\n".join(text.splitlines()[-30:])
        pytest.fail(f"the block at {place} ended with {result.returncode}:\n{tail}")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="the pages are for bash")
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_work(page, after, mirror):
    first = markdown.runs_first(markdown.read(page))
    if first:
        _run(page, after(first), mirror)
    else:
        after(page)


def test_the_readme_runs():
    assert "README.md" in PAGES and len(PAGES) > 5


def test_numbers_are_made_small():
    text = "--max_number_of_steps=400 --warmup_steps=2 --batch_size=32 model.ckpt-400"
    small = "--max_number_of_steps=4 --warmup_steps=2 --batch_size=4 model.ckpt-4"
    assert smaller(text) == small
