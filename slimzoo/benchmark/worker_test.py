"""Turns of each mode, within this process where that does."""

import json
import pathlib
import sys
import time

import pytest
import tensorflow.compat.v1 as tf

from datasets import dataset_factory
from slimbase import quiet
from slimbase.errors import UserError
from slimzoo.benchmark import classic, others, samples, turns, worker
from slimzoo.config.benchmark import BenchmarkConfig

COUNT = 12  # Pictures.


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    samples.write(directory, "imagenet", COUNT, seed=1)
    return directory


@pytest.fixture
def request_of(data, tmp_path):
    def make(contender, mode, **options):
        usual = {
            "contender": contender,
            "mode": mode,
            "model_name": "lenet",
            "image_size": [28, 28],
            "precision": "float32",
            "batch_size": 3,
            "num_clones": 1,
            "threads": None,
            "format": "frozen",
            "elsewhere": None,
            "scratch": str(tmp_path),
            "dataset_name": "imagenet",
            "dataset_dir": str(data),
            "train_split_name": "train",
            "eval_split_name": None,
            "source_dir": str(data / samples.FOLDER),
            "steps": 6,  # More than there are pictures for.
            "seconds": 1.0,
            "warmup_steps": 1,
            "seed": 3,
            "save_summaries_secs": 600,
            "started": time.time(),
        }
        return usual | options

    return make


@pytest.fixture
def answer(monkeypatch):
    monkeypatch.setattr(quiet, "start_tensorflow", lambda: None)
    return worker.answer


def check(answered, images=18, steps=6):
    assert (answered["images"], answered["steps"]) == (images, steps)
    assert answered["seconds"] > 0
    assert answered["cpu_seconds"] > 0
    assert answered["start_seconds"] > 0
    assert answered["peak_mb"] >= answered["base_mb"] > 0


@pytest.mark.parametrize(
    ("contender", "mode"),
    [
        ("ours", "train"),
        ("ours", "inference"),
        ("ours", "input"),
        ("classic", "inference"),
        ("classic", "input"),
    ],
)
def test_steps(answer, request_of, tmp_path, contender, mode):
    check(answer(request_of(contender, mode)))
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept <= {"checkpoints"}  # For the next turn; all else is gone.


@pytest.mark.parametrize("recipe", ["mobilenet_v1_025", "vgg_16"])
def test_classic_input_of_both_recipes(answer, request_of, recipe):
    size = [224, 200]
    answered = answer(
        request_of("classic", "input", model_name=recipe, image_size=size)
    )
    check(answered)


@pytest.mark.parametrize(
    "mode", [pytest.param("train", marks=pytest.mark.slow), "inference"]
)
def test_keras(request_of, mode):
    request = request_of("keras", mode, model_name="mobilenet_v1_025")
    request |= {"image_size": [32, 32], "elsewhere": others.KERAS["mobilenet_v1_025"]}
    answered = turns.ask(BenchmarkConfig(), request)
    assert "error" not in answered, answered["error"]
    check(answered)


@pytest.mark.parametrize("contender", ["ours", "classic"])
def test_training_without_summaries_ends(answer, request_of, contender):
    """Classic in a process of its own, as it switches eager execution off."""
    request = request_of(contender, "train", save_summaries_secs=0)
    if contender == "classic":
        answered = turns.ask(BenchmarkConfig(), request)
        assert "error" not in answered, answered["error"]
    else:
        answered = answer(request)
    check(answered)


@pytest.mark.parametrize("contender", ["ours", "classic"])
def test_conversion(answer, request_of, contender):
    check(answer(request_of(contender, "conversion")), COUNT, 1)


def _content(paths):
    """Of each record: the picture, its height and width, and its label."""
    keys = ("class/label", "height", "width")
    found = []
    for path in paths:
        for record in tf.io.tf_record_iterator(str(path)):
            feature = tf.train.Example.FromString(record).features.feature
            numbers = [feature[f"image/{key}"].int64_list.value[0] for key in keys]
            found.append((feature["image/encoded"].bytes_list.value[0], *numbers))
    return sorted(found)


def test_both_conversions_write_the_same(data, tmp_path):
    from datasets import download_and_convert_folder

    source = data / samples.FOLDER
    download_and_convert_folder.run(tmp_path / "ours", source)
    classic.convert(sorted(source.glob("*/*.jpg")), tmp_path / "classic")
    ours = _content((tmp_path / "ours").glob("*.tfrecord"))
    assert len(ours) == COUNT
    assert _content([tmp_path / "classic"]) == ours


def test_export_reports_the_size_of_the_file(answer, request_of):
    request = request_of("ours", "export", model_name="mobilenet_v1_025")
    answered = answer(request | {"image_size": [32, 32]})
    check(answered, images=0, steps=1)
    assert 1.5 < answered["file_mb"] < 2.5  # 470,000 parameters of 4 bytes.


def test_multiply_adds_are_counted_at_the_size(answer, request_of):
    request = request_of("machine", "count", model_name="mobilenet_v1_025")
    small, large = (
        answer(request | {"image_size": [size, size]})["multiply_adds"]
        for size in (64, 128)
    )
    assert 3 < large / small < 4  # All but the classifier grow with the area.


def test_no_measured_step_is_an_error(monkeypatch, answer, request_of):
    monkeypatch.setattr(
        "slimzoo.benchmark.ours.measure_train", lambda request, clock: None
    )
    with pytest.raises(UserError, match="it ended before 2 steps of warm-up"):
        answer(request_of("ours", "train", warmup_steps=2))


def test_made_pictures_are_jpegs_of_a_photo_s_size(data):
    dataset = dataset_factory.get_dataset("imagenet", "train", data)
    assert dataset.num_samples == COUNT
    files = list((data / samples.FOLDER).glob("*/*.jpg"))
    assert len(files) == COUNT
    mean = sum(file.stat().st_size for file in files) / COUNT
    assert 40e3 < mean < 150e3


# The process


def _python(monkeypatch, code):
    monkeypatch.setattr(turns, "_WORKER", [sys.executable, "-c", code])


def test_a_process_that_takes_too_long_is_ended(monkeypatch, request_of):
    _python(monkeypatch, "import time; time.sleep(100)")
    start = time.monotonic()
    answered = turns.ask(BenchmarkConfig(timeout_secs=1), request_of("ours", "train"))
    assert answered == {"error": "it took more than --timeout_secs=1"}
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        ("1 / 0", ["ended with status 1", "ZeroDivisionError: division by zero"]),
        ("import os; os.kill(os.getpid(), 9)", ["was ended by SIGKILL"]),
        ("print('no JSON')", ["ended with status 0"]),
    ],
)
def test_how_a_process_ended_is_reported(monkeypatch, request_of, code, messages):
    _python(monkeypatch, code)
    answered = turns.ask(BenchmarkConfig(), request_of("ours", "train"))
    for message in messages:
        assert message in answered["error"]


def test_timm_runs_in_its_own_python(tmp_path, request_of):
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\ntest "${1##*/}" = timm_script.py && cat > "$0.request"\n'
        "echo '{\"images\": 8}'\n"
    )
    python.chmod(0o755)
    request = request_of("timm", "train", elsewhere=["resnet50", {}])
    answered = turns.ask(BenchmarkConfig(timm_python=str(python)), request)
    assert answered == {"images": 8}
    asked = json.loads(pathlib.Path(f"{python}.request").read_text())
    assert asked["elsewhere"] == ["resnet50", {}]


def test_timm(request_of):
    pytest.importorskip("timm", reason="timm is for environments of its own")
    request = request_of("timm", "train", elsewhere=["mobilenetv2_035", {}])
    config = BenchmarkConfig(timm_python=sys.executable)
    check(turns.ask(config, request | {"image_size": [64, 64]}))
