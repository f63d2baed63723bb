"""Training as people run it: what it promises, on small real data."""

import csv
import json
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from datasets import download_and_convert_shapes
from slimbase.testing import (
    FLOWERS_FROM_IMAGENET,
    ROOT,
    SMALL_NETWORK,
    TRAIN_ON_SHAPES,
    call,
    fails,
    run,
)

SECONDS = 120  # At the most, for a process to reach its first steps.


def rows(train_dir):
    with (train_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def start(*command, **options):
    """Starts a command in the background."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wait_for(path, process):
    """Waits until `path` is there; fails when `process` ends before."""
    end = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, process.stderr.read()
        time.sleep(0.05)


def loads(checkpoint):
    """Reads all of a checkpoint, which fails where it is not whole."""
    reader = tf.train.load_checkpoint(str(checkpoint))
    for name in reader.get_variable_to_shape_map():
        assert np.all(np.isfinite(reader.get_tensor(name)))
    return int(reader.get_tensor("global_step"))


def test_one_word_fine_tunes_the_head_and_says_what_it_does(
    flowers, published, tmp_path
):
    command = (
        *(*FLOWERS_FROM_IMAGENET, f"--dataset_dir={flowers}", "--finetune=head"),
        *(f"--checkpoint_path={published}", f"--train_dir={tmp_path}"),
    )
    output = call(*command, "--show_variables", "--freeze_batch_norm").stderr
    assert "135 variables restored" in output
    assert "excluded  2 start anew: MobilenetV1/Logits" in output
    assert "batch norm is frozen" in output
    assert "543 images" in output and "135.8 steps/epoch" in output
    assert "MobilenetV1/Conv2d_0/weights [3, 3, 3, 8]: restored, frozen" in output
    assert "Logits/Conv2d_1c_1x1/biases [5]: new, trained" in output
    before = tf.train.load_checkpoint(str(published / "mobilenet_v1_0.25_128.ckpt"))
    after = tf.train.load_checkpoint(str(tmp_path))
    for name in ("weights", "BatchNorm/moving_mean", "BatchNorm/gamma"):
        name = f"MobilenetV1/Conv2d_0/{name}"
        np.testing.assert_array_equal(before.get_tensor(name), after.get_tensor(name))


@pytest.mark.slow
def test_evaluation_while_training_keeps_the_best(shapes, tmp_path):
    """With everything else that one can opt in to."""
    (tmp_path / "weights.txt").write_text(
        "".join(f"{i}:{1 + i / 10}\n" for i in range(10))
    )
    train_dir = tmp_path / "train"
    output = run(
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={train_dir}"),
        *("--max_number_of_steps=20", "--eval_every_steps=2", "--learning_rate=1e-9"),
        *("--stop_after_evaluations=2", "--keep_checkpoints=2"),
        *("--learning_rate_decay_type=cosine", "--optimizer=adamw"),
        *("--accumulate_gradients=2", "--clip_gradient_norm=1", "--mixup_alpha=0.2"),
        *("--cutmix_alpha=1", "--random_erasing=0.5", "--moving_average_decay=0.9"),
        *(f"--class_weights={tmp_path / 'weights.txt'}", "--log_every_n_steps=2"),
    ).stderr
    assert "16 = 8 images x 2 batches" in output
    assert re.search(r"learning rate 1e-09 cosine, \S+ at the end; to step 20", output)
    assert "Stopped early" in output or "stopping" in output
    evaluations = [row for row in rows(train_dir) if row["split"] == "test"]
    steps = [int(row["step"]) for row in evaluations]
    accuracies = [float(row["accuracy"]) for row in evaluations]
    assert steps[:3] == [2, 4, 6] and steps[-1] < 20
    best = steps[accuracies.index(max(accuracies))]
    state = tf.train.get_checkpoint_state(str(train_dir / "best"))
    assert state.model_checkpoint_path.endswith(f"model.ckpt-{best}")
    assert loads(train_dir / "best") == best
    assert (train_dir / "best" / "model.json").exists()
    kept = tf.train.get_checkpoint_state(str(train_dir)).all_model_checkpoint_paths
    assert len(kept) == 2
    training = [row for row in rows(train_dir) if not row["split"]]
    assert [row["step"] for row in training[:2]] == ["2", "4"]
    assert all(float(row["images_per_second"]) > 0 for row in training)
    again = run(
        *("eval_image_classifier.py", f"--checkpoint_path={train_dir / 'best'}"),
        *(f"--dataset_dir={shapes}", f"--eval_dir={tmp_path / 'eval'}"),
    )
    assert "moving averages" in again.stderr
    results = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert results["top_1"] == pytest.approx(max(accuracies), abs=1e-6)
    report = (tmp_path / "eval" / "report.html").read_text("utf-8")
    assert 'id="training"' in report  # From metrics.csv above best/.


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_signals_save_and_training_goes_on_from_there(shapes, tmp_path, number):
    command = (
        *(*TRAIN_ON_SHAPES, *SMALL_NETWORK),
        *(f"--dataset_dir={shapes}", f"--train_dir={tmp_path}"),
    )
    process = start(*command, "--max_number_of_steps=100000", "--log_every_n_steps=1")
    wait_for(tmp_path / "metrics.csv", process)
    process.send_signal(number)
    output = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 0, output
    assert f"Stopped by {signal.Signals(number).name} at step" in output
    step = loads(tmp_path)
    assert step > 0
    output = call(*command, f"--max_number_of_steps={step + 1}").stderr
    assert f"Resuming from {tmp_path}/model.ckpt-{step}, step {step}" in output
    assert loads(tmp_path) == step + 1


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(3, marks=pytest.mark.slow),
        pytest.param(20, marks=pytest.mark.release),
    ],
)
def test_killed_at_any_moment_it_loses_no_checkpoint(shapes, tmp_path, kills):
    command = (
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}"),
        *("--max_number_of_steps=100000", "--eval_every_steps=3", "--optimizer=adam"),
        *("--moving_average_decay=0.9", "--eval_split_name=test"),
    )
    random = np.random.default_rng(kills)
    reached = 0
    for _ in range(kills):
        process = start(*command)
        wait_for(tmp_path / "checkpoint", process)
        # Past its start now and then; in the first seconds otherwise.
        time.sleep(random.uniform(0, 25 if kills > 3 else 10))
        process.kill()
        process.communicate()
        step = loads(tmp_path)
        assert step >= reached
        reached = step
        if (tmp_path / "best" / "checkpoint").exists():
            loads(tmp_path / "best")
    output = run(*command, f"--max_number_of_steps={reached + 1}").stderr
    assert f"step {reached}" in output
    assert loads(tmp_path) == reached + 1
    steps = [int(row["step"]) for row in rows(tmp_path) if row["split"]]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_a_full_disk_is_reported_and_the_older_checkpoint_stays(
    shapes, trained, tmp_path
):
    """As far as a limit of the size of files stands for one."""
    command = (
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}"),
    )
    run(*command)

    def limit():
        size = (tmp_path / "model.ckpt-3.data-00000-of-00001").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    process = start(*command, "--max_number_of_steps=5", preexec_fn=limit)
    output = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "cannot write" in output and "model.ckpt-3" in output
    assert loads(tmp_path) == 3
    assert not list(tmp_path.glob("*temp*"))


def test_loss_that_is_no_number_keeps_the_good_checkpoint(shapes, tmp_path):
    message = fails(
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}"),
        *("--max_number_of_steps=50", "--optimizer=sgd", "--learning_rate=1e30"),
        *("--save_interval_secs=1", *SMALL_NETWORK),
    )
    assert "the loss is" in message and "--learning_rate" in message
    assert "model.ckpt-" in message
    loads(tmp_path)


@pytest.mark.slow
def test_a_config_file_repeats_a_run(shapes, trained, tmp_path):
    output = run(
        *("train_image_classifier.py", f"--config={trained / 'config.json'}"),
        *(f"--train_dir={tmp_path}", "--max_number_of_steps=2"),
    ).stderr
    assert "Training mobilenet_v1_025 on shapes" in output and "to step 2" in output
    assert loads(tmp_path) == 2
    first, second = (
        json.loads((path / "config.json").read_text()) for path in (trained, tmp_path)
    )
    changed = {key for key in first if first[key] != second[key]}
    assert changed == {"train_dir", "max_number_of_steps"}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--finetune=tail", "--checkpoint_path={published}"], "head or all"),
        (["--finetune=head"], "--checkpoint_path"),
        (["--precision=float8"], "float8"),
        (["--stop_after_evaluations=2"], "--eval_every_steps"),
        (["--eval_every_steps=2", "--eval_split_name=tset"], "tset"),
        (["--learning_rate_decay_type=cosin"], "Did you mean cosine"),
        (["--class_weights=/nowhere"], "/nowhere"),
        (["--config=/nowhere.yaml"], "/nowhere.yaml"),
        (["--job_name=ps"], "ps_hosts"),
    ],
)
def test_mistakes_in_new_options(flags, expected, shapes, published, tmp_path):
    train_dir = tmp_path / "train"
    message = fails(
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={train_dir}"),
        *(flag.format(published=published) for flag in flags),
    )
    assert expected in message
    assert not list(train_dir.glob("model.ckpt*"))


@pytest.mark.slow
def test_a_network_for_gray_pictures_trained_on_colour_ones_can_be_used(
    shapes, tmp_path
):
    run(
        *("train_image_classifier.py", "--model_name=lenet", "--dataset_name=shapes"),
        *(f"--dataset_dir={shapes}", f"--train_dir={tmp_path / 'train'}"),
        *("--batch_size=4", "--max_number_of_steps=1"),
    )
    info = json.loads((tmp_path / "train" / "model.json").read_text())
    assert info["channels"] == 3
    [picture, *_] = download_and_convert_shapes.write_samples(tmp_path / "pictures")
    run("classify_image.py", f"--checkpoint_path={tmp_path / 'train'}", picture)


def test_nothing_is_left_in_the_temporary_directory(trained, temporary_of_training):
    assert (trained / "checkpoint").exists()
    assert list(temporary_of_training.iterdir()) == []


@pytest.mark.slow
def test_quantization_aware_training_from_a_float_network(shapes, trained, tmp_path):
    command = (*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}")
    output = run(*command, f"--checkpoint_path={trained}", "--quantize_delay=0").stderr
    assert "137 variables restored" in output
    name = "MobilenetV1/MobilenetV1/Conv2d_0/weights_quant/min"
    assert name in dict(tf.train.list_variables(str(tmp_path)))
    result = run(
        *("eval_image_classifier.py", f"--checkpoint_path={tmp_path}", "--noreport"),
        *(f"--dataset_dir={shapes}", f"--eval_dir={tmp_path / 'eval'}"),
        "--max_num_batches=1",
    )
    assert "as if in 8 bits" in result.stderr
    lite = tmp_path / "lite" / "network.tflite"
    output = call(
        *("export_inference_graph.py", f"--checkpoint_path={tmp_path}"),
        *("--format=tflite", f"--dataset_dir={shapes}", f"--output_file={lite}"),
    ).stdout
    assert "uint8 [1, 64, 64, 3]" in output and "uint8 [1, 10]" in output
    run(*command, "--max_number_of_steps=4")  # It stays what it was.
    assert name in dict(tf.train.list_variables(str(tmp_path)))
    assert json.loads((tmp_path / "model.json").read_text())["quantize"]
    message = fails(*command, "--max_number_of_steps=5", "--precision=bfloat16")
    assert "does not go with --precision=bfloat16" in message


@pytest.mark.slow
def test_a_width_of_its_own_is_kept(shapes, tmp_path):
    train_dir = tmp_path / "train"
    command = ("train_image_classifier.py", "--model_name=mobilenet_v2")
    options = (
        *("--train_image_size=32", "--dataset_name=shapes", "--batch_size=4"),
        *(f"--dataset_dir={shapes}", "--max_number_of_steps=1"),
    )
    width = "--depth_multiplier=0.5"
    run(*command, width, *options, f"--train_dir={train_dir}")
    shape = dict(tf.train.list_variables(str(train_dir)))["MobilenetV2/Conv/weights"]
    assert shape == [3, 3, 3, 16]
    info = json.loads((train_dir / "model.json").read_text())
    assert info["network_arguments"]["depth_multiplier"] == 0.5
    checkpoint = f"--checkpoint_path={train_dir}"
    evaluation = (f"--dataset_dir={shapes}", f"--eval_dir={tmp_path}", "--noreport")
    run("eval_image_classifier.py", checkpoint, *evaluation, "--max_num_batches=1")
    graph = f"--output_file={tmp_path / 'graph.pb'}"
    run("export_inference_graph.py", checkpoint, graph)
    tuned = ("--finetune=head", f"--train_dir={tmp_path / 'tuned'}")
    run("train_image_classifier.py", checkpoint, *options, *tuned)  # As recorded.
    message = fails(
        *("train_image_classifier.py", "--model_name=lenet", width, *options),
        f"--train_dir={tmp_path / 'lenet'}",
    )
    assert "lenet has no widths. These have: " in message
