"""The command, and the others with what it makes."""

import json
import pathlib
import re
import tarfile

import pytest

from slimbase.testing import call, fails, metrics, run


@pytest.fixture(scope="module")
def downloaded(published, tmp_path_factory):
    """What download_checkpoint.py prints; the archive comes from a mirror."""
    directory = tmp_path_factory.mktemp("checkpoints")
    (directory / "mirror").mkdir()
    archive = directory / "mirror" / "mobilenet_v1_0.25_128.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for file in published.glob("*.ckpt.*"):
            tar.add(file, f"./{file.name}")
    result = run(
        *("download_checkpoint.py", "--model_name=mobilenet_v1_025"),
        *("--image_size=128", f"--checkpoint_dir={directory}"),
        f"--mirror={directory / 'mirror'}",
    )
    assert "4 published checkpoints" in result.stderr
    name = "mobilenet_v1_0.25_128"
    assert result.stdout == f"{directory}/{name}_2018_08_02/{name}.ckpt\n"
    return result.stdout.strip()


@pytest.mark.parametrize("form", ["prefix", "directory"])
def test_downloaded_checkpoint_needs_no_flags(imagenet, downloaded, form, tmp_path):
    path = downloaded if form == "prefix" else pathlib.Path(downloaded).parent
    call(
        *("eval_image_classifier.py", f"--checkpoint_path={path}"),
        *(f"--dataset_dir={imagenet}", f"--eval_dir={tmp_path}"),
    )
    assert metrics(tmp_path)["top_1"] == pytest.approx(0.54)
    assert metrics(tmp_path)["top_5"] == pytest.approx(0.755)


def test_classifying_with_a_downloaded_checkpoint(shared_data, downloaded):
    photo = shared_data / "imagenet_samples" / "n01820546_lorikeet.JPEG"
    result = call("classify_image.py", f"--checkpoint_path={downloaded}", photo)
    assert re.search(r"99\.\d\d%  lorikeet", result.stdout)


@pytest.mark.slow
def test_fine_tuning_from_a_downloaded_checkpoint(flowers, downloaded, tmp_path):
    """The network, its size and preprocessing are those of the checkpoint."""
    run(
        *("train_image_classifier.py", f"--checkpoint_path={downloaded}"),
        *(f"--dataset_dir={flowers}", "--dataset_name=flowers"),
        *("--checkpoint_exclude_scopes=MobilenetV1/Logits", f"--train_dir={tmp_path}"),
        *("--batch_size=4", "--max_number_of_steps=1"),
    )
    info = json.loads((tmp_path / "model.json").read_text())
    assert (info["model_name"], info["image_size"]) == ("mobilenet_v1_025", [128, 128])
    assert (info["num_classes"], info["labels_offset"]) == (5, 0)


def test_mistakes_in_downloading(tmp_path):
    command = ("download_checkpoint.py", f"--checkpoint_dir={tmp_path}")
    assert "--model_name is missing" in fails(*command)
    assert "Did you mean vgg_16" in fails(*command, "--model_name=vgg16")
    none = fails(*command, "--model_name=mobilenet_v2", "--depth_multiplier=0.6")
    assert "--depth_multiplier=0.75 --image_size=224|192|160|128|96" in none
    message = fails(*command, "--model_name=vgg_16", f"--mirror={tmp_path}")
    assert f"the mirror {tmp_path} does not have what was published" in message
    assert "vgg_16_2016_08_28.tar.gz. Put it at one of them" in message
    assert list(tmp_path.iterdir()) == []
