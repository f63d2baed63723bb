"""Checking, skipping and naming bad records, as people do it."""

import json

import pytest

from slimbase.testing import SMALL_NETWORK, TRAIN_ON_SHAPES, call, fails, metrics

SCRIPT = "check_dataset.py"


def test_a_converted_set_is_sound(shapes, tmp_path):
    output, sheet = tmp_path / "found.json", tmp_path / "sheet.html"
    result = call(
        SCRIPT,
        "--dataset_name=shapes",
        f"--dataset_dir={shapes}",
        f"--output_file={output}",
        f"--contact_sheet={sheet}",
        "--samples_per_class=2",
        "--preprocessing_name=mobilenet_v1",
        "--image_size=64",
    )
    assert result.stdout.endswith("Nothing is wrong.\n")
    assert json.loads(output.read_text())["problems"] == []
    assert sheet.read_text("utf-8").count("<img") % 6 == 0


def test_a_damaged_set_is_reported_with_its_records(shapes, tmp_path):
    for path in shapes.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = next(tmp_path.glob("*train*"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    result = call(
        SCRIPT, "--dataset_name=shapes", f"--dataset_dir={tmp_path}", check=False
    )
    assert result.returncode == 1
    assert f"record 0 of {path}: it is corrupt" in result.stdout


def test_missing_directory_is_reported(tmp_path):
    text = fails(SCRIPT, "--dataset_name=shapes", f"--dataset_dir={tmp_path}/none")
    assert "there is no directory" in text


@pytest.fixture
def damaged(shapes, tmp_path):
    """The data set shapes with a corrupt record in each split."""
    directory = tmp_path / "damaged"
    directory.mkdir()
    for path in shapes.iterdir():
        content = bytearray(path.read_bytes())
        if "tfrecord" in path.name:
            content[100] ^= 1
        (directory / path.name).write_bytes(content)
    return directory


def evaluate(model, directory, eval_dir, *flags, run=call):
    return run(
        "eval_image_classifier.py",
        "--dataset_name=shapes",
        f"--dataset_dir={directory}",
        f"--checkpoint_path={model}",
        f"--eval_dir={eval_dir}",
        "--noreport",
        *flags,
    )


def test_evaluation_names_or_skips_bad_records(trained, shapes, damaged, tmp_path):
    text = evaluate(trained, damaged, tmp_path, run=fails)
    assert "record 0 of" in text
    assert "it is corrupt" in text
    assert "--skip_bad_records" in text
    result = evaluate(trained, damaged, tmp_path, "--skip_bad_records")
    skipped = metrics(tmp_path)["skipped"]
    count = skipped["count"]
    assert count == len(
        [p for p in damaged.glob("*tfrecord*") if "train" not in p.name]
    )
    assert skipped["of"] == metrics(tmp_path)["count"] + count
    assert skipped["records"][0]["position"] == 0
    assert f"Skipped {count} of {skipped['of']:,} records" in result.stderr
    evaluate(trained, shapes, tmp_path, "--max_num_batches=1")
    assert "skipped" not in metrics(tmp_path)


def test_evaluation_counts_records_behind_a_cut(trained, shapes, tmp_path):
    directory = tmp_path / "cut"
    directory.mkdir()
    for path in shapes.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    path = next(directory.glob("*test*.tfrecord"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    total = json.loads((shapes / "manifest.json").read_text())["splits"]["test"][
        "count"
    ]
    result = evaluate(trained, directory, tmp_path, "--skip_bad_records")
    found = metrics(tmp_path)
    skipped = found["skipped"]
    assert skipped["of"] == total == found["count"] + skipped["count"]
    assert skipped["not_found"] == skipped["count"] - len(skipped["records"]) > 0
    text = f"of {total:,} records, {skipped['not_found']:,} of them not found"
    assert text in result.stderr


def test_training_names_or_skips_bad_records(damaged, tmp_path):
    command = (
        *(*TRAIN_ON_SHAPES, *SMALL_NETWORK),
        *(f"--dataset_dir={damaged}", f"--train_dir={tmp_path}/t"),
    )
    text = fails(*command)
    assert "record 0 of" in text
    assert "it is corrupt" in text
    result = call(*command, "--skip_bad_records", "--max_number_of_steps=1")
    assert "record 0 of" in result.stderr
    assert list(tmp_path.glob("t/model.ckpt-1.index"))
