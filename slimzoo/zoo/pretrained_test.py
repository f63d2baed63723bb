import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time

import pytest
import tensorflow.compat.v1 as tf

from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimbase.fetch import archives, mirrors
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.zoo import DownloadConfig
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.zoo import pretrained

VALUES = {"MobilenetV1/Logits/Conv2d_1c_1x1/biases": [0.0] * 1001}
SMALL = {"model_name": "mobilenet_v1_025", "image_size": 128, "date": "2018-08-02"}
NAME = "mobilenet_v1_0.25_128_2018_08_02"
HOST = "download.tensorflow.org"
PATH = "models/mobilenet_v1_2018_08_02/mobilenet_v1_0.25_128.tgz"
ARCHIVE = "mobilenet_v1_0.25_128.tgz"

# Choosing


def _choice(**facts):
    chosen = pretrained.choose(DownloadConfig(**facts))
    return chosen.depth_multiplier, chosen.image_size, chosen.date, chosen.quantized


@pytest.mark.parametrize(
    ("facts", "choice"),
    [
        ({}, (None, 224, "2018-08-02", False)),
        ({"image_size": 128}, (None, 128, "2018-08-02", False)),
        ({"date": "2017-06-14"}, (None, 128, "2017-06-14", False)),
        ({"date": "2018_02_22"}, (None, 128, "2018-02-22", False)),
        ({"quantized": True}, (None, 224, "2018-08-02", True)),
        ({"image_size": 160, "quantized": True}, (None, 160, "2018-08-02", True)),
        ({"depth_multiplier": 0.25}, (None, 224, "2018-08-02", False)),
    ],
)
def test_newest_float_one_of_the_default_size_is_preferred(facts, choice):
    assert _choice(model_name="mobilenet_v1_025", **facts) == choice


def test_networks_own_width_is_preferred():
    assert _choice(model_name="mobilenet_v2") == (None, 224, None, False)
    for width, chosen in ((0.75, 0.75), (1.3, 1.3), (1.0, None)):
        facts = {"model_name": "mobilenet_v2", "depth_multiplier": width}
        assert _choice(**facts) == (chosen, 224, None, False)


def test_the_only_one_is_taken_whatever_it_is():
    assert _choice(model_name="resnet_v2_50") == (None, 299, "2017-04-14", False)
    assert _choice(model_name="mobilenet_edgetpu") == (None, 224, None, True)


def test_ambiguity_is_logged(caplog):
    caplog.set_level("INFO", "absl")
    _choice(model_name="mobilenet_v1_025", image_size=128)
    assert "4 published checkpoints of mobilenet_v1_025 fit" in caplog.text
    assert "taking that of --image_size=128 --date=2018-08-02. " in caplog.text
    assert "--image_size=128 --date=2017-06-14\n" in caplog.text
    caplog.clear()
    _choice(model_name="vgg_16")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "--model_name is missing"),
        ({"model_name": "vgg16"}, r"unknown vgg16\. Did you mean vgg_16"),
        ({"model_name": "lenet"}, r"no checkpoint of lenet was .* vgg_16, vgg_19$"),
        (
            {"model_name": "mobilenet_v1_025", "image_size": 100},
            r"(?s)no such checkpoint of mobilenet_v1_025 .*"
            r"  --image_size=224\|192\|160\|128 --date=2018-08-02 --quantized",
        ),
        ({"model_name": "vgg_16", "quantized": True}, "--image_size=224 --date=2016"),
        ({"model_name": "mobilenet_edgetpu", "quantized": False}, "--quantized"),
        (
            {"model_name": "mobilenet_v2", "depth_multiplier": 0.1},
            r"--depth_multiplier=0\.75 --image_size=224\|192\|160\|128\|96 --quantized",
        ),
    ],
)
def test_unpublished_ones_are_refused_with_a_list_of_the_published(facts, message):
    with pytest.raises(UserError, match=message) as error:
        _choice(**facts)
    assert len(str(error.value).splitlines()) <= 24


# Getting


@pytest.fixture
def pack(tmp_path, write_checkpoint):
    """`f(path, folder=".", ...)` writes an archive with a checkpoint in a folder."""

    def write(path, folder=".", extra=(), **saver_arguments):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = write_checkpoint(VALUES, path="packed/net.ckpt", **saver_arguments)
        directory = pathlib.Path(prefix).parent
        (directory / "checkpoint").unlink()
        with tarfile.open(path, "w:gz") as archive:
            for file in sorted(directory.iterdir()):
                archive.add(file, f"./{folder}/{file.name}")
            for member in extra:
                archive.addfile(member)
        shutil.rmtree(directory)
        return path

    return write


def _fetch(tmp_path, **options):
    config = {**SMALL, "checkpoint_dir": str(tmp_path / "there"), **options}
    return pretrained.fetch(DownloadConfig(**config))


def _there(tmp_path):
    directory = tmp_path / "there"
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


@pytest.mark.parametrize("place", [ARCHIVE, PATH, f"{HOST}/{PATH}"])
@pytest.mark.parametrize("kind", ["directory", "url", "variable"])
def test_mirror_may_have_the_archive_at_any_end_of_its_path(
    tmp_path, pack, monkeypatch, kind, place
):
    monkeypatch.delenv(mirrors.VARIABLE, raising=False)
    pack(f"mirror/{place}")
    mirror = tmp_path / "mirror"
    if kind == "variable":
        monkeypatch.setenv(mirrors.VARIABLE, str(mirror))
        path = _fetch(tmp_path)
    else:
        path = _fetch(
            tmp_path, mirror=str(mirror) if kind != "url" else mirror.as_uri()
        )
    assert path == f"{tmp_path}/there/{NAME}/net.ckpt"
    assert checkpoints.shapes(path) == {name: [1001] for name in VALUES}
    assert _there(tmp_path) == [
        NAME,
        f"{NAME}/checkpoint",
        f"{NAME}/model.json",
        f"{NAME}/net.ckpt.data-00000-of-00001",
        f"{NAME}/net.ckpt.index",
        f"{NAME}/net.ckpt.meta",
    ]
    assert (mirror / place).exists()


def test_archive_under_a_longer_path_is_the_right_one(tmp_path, pack):
    """The same file name was published twice."""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / ARCHIVE).write_text("of another date")
    pack(f"mirror/{PATH}")
    assert _fetch(tmp_path, mirror=str(tmp_path / "mirror"))


def test_model_json_says_what_the_checkpoint_needs(tmp_path, pack):
    pack(ARCHIVE)
    path = _fetch(tmp_path, mirror=str(tmp_path))
    record = json.loads((pathlib.Path(path).parent / "model.json").read_text())
    labels = record.pop("labels")
    assert (len(labels), labels[0], labels[-1][:6]) == (1001, "background", "toilet")
    assert record == {
        "model_name": "mobilenet_v1_025",
        "labels_offset": 0,
        "image_size": [128, 128],
        "quantize": False,
        "channels": 3,
        "preprocessing_name": "inception",
        "use_grayscale": False,
        "dataset_name": "imagenet",
        "moving_average_decay": None,
        "num_classes": 1001,
        "network_arguments": None,
        "distortions": None,
        "source_url": f"https://{HOST}/{PATH}",
        "source_sha256": hashlib.sha256((tmp_path / ARCHIVE).read_bytes()).hexdigest(),
    }


def _settled(path):
    record = model_info.read(str(pathlib.Path(path).parent))
    return model_info.settle(EvalConfig(), record, None)


def test_needs_that_differ_from_the_defaults(tmp_path, pack):
    pack("resnet_v2_50_2017_04_14.tar.gz")
    pack("vgg_16_2016_08_28.tar.gz")
    pack("mobilenet_v2_0.75_96.tgz")
    options = {"mirror": str(tmp_path), "image_size": None, "date": None}
    info = _settled(_fetch(tmp_path, **options, model_name="resnet_v2_50"))
    assert (info.image_size, info.preprocessing_name) == ((299, 299), "inception")
    info = _settled(_fetch(tmp_path, **options, model_name="vgg_16"))
    assert (info.labels_offset, info.num_classes) == (1, 1000)
    assert info.labels is not None and info.labels[0].startswith("tench")
    more = {"depth_multiplier": 0.75, "image_size": 96, "model_name": "mobilenet_v2"}
    info = _settled(_fetch(tmp_path, **options | more))
    assert info.network_arguments == {
        "depth_multiplier": 0.75,
        "finegrain_classification_mode": True,
    }


def test_checkpoint_of_the_old_format(tmp_path, pack):
    pack(ARCHIVE, write_version=tf.train.SaverDef.V1)
    path = _fetch(tmp_path, mirror=str(tmp_path))
    assert path == f"{tmp_path}/there/{NAME}/net.ckpt"
    assert checkpoints.find(f"{tmp_path}/there/{NAME}") == path
    assert checkpoints.shapes(path) == {name: [1001] for name in VALUES}


def test_moving_averages_are_preferred_and_folders_kept(tmp_path, pack, monkeypatch):
    pack("pristine.tgz", "top/pristine")
    pack("ema.tgz", "top/ema")
    for name in ("pristine", "ema"):
        archives.extract_tarball(tmp_path / f"{name}.tgz", tmp_path)
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as archive:
        archive.add(tmp_path / "top", "top")
    path = _fetch(tmp_path, mirror=str(tmp_path))
    assert path == f"{tmp_path}/there/{NAME}/top/ema/net.ckpt"
    assert _settled(path).image_size == (128, 128)
    assert checkpoints.find(f"{tmp_path}/there/{NAME}") == path


def test_second_call_does_nothing(tmp_path, pack, caplog):
    caplog.set_level("INFO", "absl")
    archive = pack(ARCHIVE)
    path = _fetch(tmp_path, mirror=str(tmp_path))
    archive.unlink()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "there").rglob("*")}
    assert _fetch(tmp_path, mirror=str(tmp_path)) == path
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "there").rglob("*")}
    assert "is there already" in caplog.text


def _fails(tmp_path, message, **options):
    with pytest.raises(UserError, match=message):
        _fetch(tmp_path, mirror=str(tmp_path), **options)


def test_missing_archives_and_options_are_reported(tmp_path):
    _fails(tmp_path, f"published at https://{HOST}/{PATH}: .* {ARCHIVE}. Put it at")
    _fails(tmp_path, "--checkpoint_dir is missing", checkpoint_dir=None)
    with pytest.raises(UserError, match=r"(?s)nowhere/mobilenet.*--mirror"):
        _fetch(tmp_path, mirror=(tmp_path / "nowhere").as_uri())
    assert _there(tmp_path) == []


def test_directory_that_cannot_be_written_is_reported(tmp_path, pack):
    pack(ARCHIVE)
    (tmp_path / "file").touch()
    _fails(tmp_path, "cannot write to", checkpoint_dir=str(tmp_path / "file" / "there"))
    _fails(tmp_path, "cannot write to", checkpoint_dir=str(tmp_path / "file"))


def test_directory_that_has_lost_its_checkpoint_is_left_alone(tmp_path, pack):
    pack(ARCHIVE)
    path = _fetch(tmp_path, mirror=str(tmp_path))
    pathlib.Path(f"{path}.index").unlink()
    _fails(tmp_path, rf"there is no checkpoint in .*{NAME}: .*Move it away")


@pytest.mark.parametrize("through", [str, pathlib.Path.as_uri])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"<html>Not found</html>",
    ],
    ids=["half", "short", "page"],
)
def test_damaged_archive_leaves_nothing(tmp_path, pack, damage, through):
    archive = pack(f"mirror/{ARCHIVE}")
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(UserError, match=r"(?s)could not unpack .*get it again"):
        _fetch(tmp_path, mirror=through(archive.parent))
    assert _there(tmp_path) == []
    assert archive.exists()


def test_archive_with_a_member_elsewhere_leaves_nothing(tmp_path, pack):
    pack(ARCHIVE, extra=[tarfile.TarInfo("../../evil")])
    _fails(tmp_path, r"'../../evil' would be outside")
    assert _there(tmp_path) == []
    assert not list(tmp_path.rglob("evil"))


def test_archive_without_a_checkpoint_is_refused(tmp_path):
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("readme"))
    _fails(tmp_path, rf"there is no checkpoint in {tmp_path}/{ARCHIVE}")
    assert _there(tmp_path) == []


PROGRAM = """
import sys
from slimbase.fetch import archives
from slimzoo import config
from slimzoo.zoo import pretrained

unpack = archives.extract_tarball
def slow(*arguments):
    unpack(*arguments)
    print("unpacked", flush=True)
    sys.stdin.readline()
archives.extract_tarball = slow
print(pretrained.fetch(config.DownloadConfig(**eval(sys.argv[1]))))
"""


@pytest.fixture
def start(tmp_path):
    """`f()` starts a process that stops when it has unpacked; killed afterwards."""
    processes = []

    def run():
        options = {
            **SMALL,
            "checkpoint_dir": f"{tmp_path}/there",
            "mirror": str(tmp_path),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, repr(options)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_killed_while_unpacking_leaves_nothing_that_looks_whole(tmp_path, pack, start):
    pack(ARCHIVE)
    process = start()
    assert process.stdout.readline() == "unpacked\n"
    process.kill()
    process.wait()
    there = tmp_path / "there"
    assert all(path.name.startswith(".") for path in there.iterdir())
    assert _fetch(tmp_path, mirror=str(tmp_path))
    assert [path.name for path in there.iterdir()] == [NAME]


@pytest.mark.slow  # They wait as those in slimbase/locks_test.py.
def test_two_at_once_wait_for_each_other(tmp_path, pack, start):
    pack(ARCHIVE)
    first, second = start(), start()
    time.sleep(0.1)
    lines = []
    for process in (first, second):
        process.stdin.write("\n")
        process.stdin.flush()
    for process in (first, second):
        assert process.wait(60) == 0
        lines += process.stdout.read().splitlines()
    path = f"{tmp_path}/there/{NAME}/net.ckpt"
    assert sorted(lines) == [path, path, "unpacked"]


def test_published_checkpoint(shared_data, tmp_path):
    """The real one, packed as it was published."""
    files = shared_data / "checkpoints" / "mobilenet_v1_0.25_128"
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as archive:
        for file in files.glob("*.ckpt.*"):
            archive.add(file, f"./{file.name}")
    path = _fetch(tmp_path, mirror=str(tmp_path))
    scope = NETWORKS["mobilenet_v1_025"].classifier_scopes[0]
    assert checkpoints.count_classes(path, scope) == 1001
