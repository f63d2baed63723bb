"""The scripts as people run them: commands, on small real data."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tools import freeze_graph

from datasets import download_and_convert_shapes
from slimbase.testing import (
    FLOWERS_FROM_IMAGENET,
    PUBLISHED_MODEL,
    ROOT,
    TRAIN_ON_SHAPES,
    call,
    fails,
    metrics,
    photo_labels,
    run,
)


def freeze(graph, checkpoint, output_node, frozen):
    """As the stock freeze_graph does with the same flags."""
    with tf.Graph().as_default():
        freeze_graph.freeze_graph(
            input_graph=str(graph),
            input_saver="",
            input_binary=True,
            input_checkpoint=str(checkpoint),
            output_node_names=output_node,
            restore_op_name="save/restore_all",
            filename_tensor_name="save/Const:0",
            output_graph=str(frozen),
            clear_devices=True,
            initializer_nodes="",
        )


def test_training_writes_what_later_steps_need(trained):
    info = json.loads((trained / "model.json").read_text())
    assert info["model_name"] == "mobilenet_v1_025"
    assert (info["num_classes"], info["image_size"]) == (10, [64, 64])
    assert info["channels"] == 3
    assert info["preprocessing_name"] == "inception"
    assert "star" in info["labels"]
    assert tf.train.latest_checkpoint(str(trained)).endswith("model.ckpt-3")
    names = [name for name, _ in tf.train.list_variables(str(trained))]
    assert "MobilenetV1/Conv2d_0/BatchNorm/moving_mean" in names
    tags = {
        value.tag
        for path in trained.glob("events.out.tfevents.*")
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"learning_rate", "total_loss_1", "activations/Conv2d_0"} <= tags


def test_evaluation_takes_the_options_from_training(shapes, trained, tmp_path):
    result = call(
        *("eval_image_classifier.py", f"--checkpoint_path={trained}"),
        *(f"--dataset_dir={shapes}", f"--eval_dir={tmp_path}", "--batch_size=300"),
    )
    assert "1000 images" in result.stdout
    assert "64x64" in result.stderr
    results = metrics(tmp_path)
    assert results["count"] == 1000
    assert results["dataset_split_name"] == "test"
    assert results["global_step"] == 3
    tags = {
        value.tag: value.simple_value
        for path in tmp_path.glob("events.out.tfevents.*")
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert tags["eval/Accuracy"] == pytest.approx(results["top_1"])
    assert tags["eval/Recall_5"] == pytest.approx(results["top_5"])


def test_evaluating_some_batches(shapes, trained, tmp_path):
    call(
        *("eval_image_classifier.py", f"--checkpoint_path={trained}"),
        *(f"--dataset_dir={shapes}", f"--eval_dir={tmp_path}"),
        *("--batch_size=7", "--max_num_batches=2"),
    )
    assert metrics(tmp_path)["count"] == 14


def test_from_checkpoint_to_frozen_graph_to_answers(trained, tmp_path):
    graph, frozen = tmp_path / "graph.pb", tmp_path / "frozen.pb"
    result = call(
        *("export_inference_graph.py", "--model_name=mobilenet_v1_025"),
        *("--dataset_name=shapes", "--image_size=64", f"--output_file={graph}"),
    )
    node = "MobilenetV1/Predictions/Reshape_1"
    assert f"--output_node_names={node}" in result.stdout
    freeze(graph, trained / "model.ckpt-3", node, frozen)
    shutil.copy(trained / "model.json", tmp_path)
    pictures = download_and_convert_shapes.write_samples(tmp_path / "pictures")
    from_graph = call(
        "classify_image.py", f"--graph={frozen}", tmp_path / "pictures"
    ).stdout
    from_checkpoint = call(
        "classify_image.py", f"--checkpoint_path={trained}", *pictures
    ).stdout
    assert [line for line in from_graph.splitlines() if line.endswith(".png")] == [
        str(path) for path in sorted(pictures)
    ]
    answers, expected = _by_picture(from_graph), _by_picture(from_checkpoint)
    assert answers.keys() == expected.keys()
    for picture, lines in answers.items():
        names, shares = zip(*lines, strict=True)
        expected_names, expected_shares = zip(*expected[picture], strict=True)
        assert names == expected_names
        assert shares == pytest.approx(expected_shares, abs=0.011)  # Percent, rounded.


def _by_picture(output):
    """(class, percent) of the five best classes of each picture."""
    blocks = re.findall(r"^(\S+)\n((?:  .*\n)+)", output, re.MULTILINE)
    found = {
        picture: [
            (name, float(share))
            for share, name in re.findall(r"([\d.]+)%  (\S+)", lines)
        ]
        for picture, lines in blocks
    }
    assert all(len(lines) == 5 for lines in found.values())
    return found


def test_equal_seeds_train_equally(shapes, trained, tmp_path):
    call(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}")
    first = tf.train.load_checkpoint(str(trained))
    second = tf.train.load_checkpoint(str(tmp_path))
    for name in first.get_variable_to_shape_map():
        np.testing.assert_allclose(
            first.get_tensor(name), second.get_tensor(name), rtol=1e-3, atol=1e-5
        )


def test_resuming_goes_on_and_says_when_it_is_finished(shapes, trained, tmp_path):
    train_dir = tmp_path / "train"
    shutil.copytree(trained, train_dir)
    command = ("train_image_classifier.py", f"--train_dir={train_dir}")
    more = ("--batch_size=8", f"--dataset_dir={shapes}", "--max_number_of_steps=5")
    result = call(*command, *more, f"--checkpoint_path={trained}")
    assert "is ignored" in result.stderr and "at step 3" in result.stderr
    assert "Training mobilenet_v1_025" in result.stderr  # From model.json.
    assert tf.train.latest_checkpoint(str(train_dir)).endswith("model.ckpt-5")
    assert "Nothing to do" in call(*command, *more).stderr
    mistaken = fails(*command, *more, "--max_number_of_steps=9", "--model_name=lenet")
    assert "cannot resume" in mistaken and "--train_dir" in mistaken


@pytest.mark.slow
def test_moving_averages_and_clones(shapes, tmp_path):
    train_dir, eval_dir = tmp_path / "train", tmp_path / "eval"
    run(
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={train_dir}"),
        *("--moving_average_decay=0.9", "--num_clones=2", "--optimizer=momentum"),
        *("--label_smoothing=0.1", "--learning_rate_decay_type=polynomial"),
    )
    command = (
        *("eval_image_classifier.py", f"--checkpoint_path={train_dir}"),
        *(f"--dataset_dir={shapes}", f"--eval_dir={eval_dir}", "--max_num_batches=1"),
    )
    assert "moving averages of the weights" in run(*command).stderr
    averaged = metrics(eval_dir)
    assert averaged["moving_averages"]
    run(*command, "--moving_average_decay=0")
    assert not metrics(eval_dir)["moving_averages"]
    assert metrics(eval_dir)["loss"] != averaged["loss"]


@pytest.mark.parametrize("batch_size", [7, 200])
def test_published_checkpoint_on_imagenet_photos(
    imagenet, published, batch_size, tmp_path
):
    call(
        *("eval_image_classifier.py", *PUBLISHED_MODEL, f"--batch_size={batch_size}"),
        *(f"--checkpoint_path={published}", f"--dataset_dir={imagenet}"),
        f"--eval_dir={tmp_path}",
    )
    results = metrics(tmp_path)
    assert results["count"] == 200
    assert results["top_1"] == pytest.approx(0.54)
    assert results["top_5"] == pytest.approx(0.755)


def test_published_checkpoint_in_the_old_format(imagenet, published, tmp_path):
    old = published / "mobilenet_v1_0.25_128_v1format.ckpt"
    call(
        *("eval_image_classifier.py", *PUBLISHED_MODEL, f"--checkpoint_path={old}"),
        *(f"--dataset_dir={imagenet}", f"--eval_dir={tmp_path}"),
    )
    assert metrics(tmp_path)["top_1"] == pytest.approx(0.54)


def test_published_checkpoint_frozen_gives_the_published_outputs(
    shared_data, published, tmp_path
):
    """Through the stock freeze_graph, on the photos as evaluation reads them."""
    from preprocessing import preprocessing_factory

    graph, frozen = tmp_path / "graph.pb", tmp_path / "frozen.pb"
    call(
        *("export_inference_graph.py", "--model_name=mobilenet_v1_025"),
        *("--image_size=128", f"--output_file={graph}"),
    )
    node = "MobilenetV1/Logits/SpatialSqueeze"
    freeze(graph, published / "mobilenet_v1_0.25_128.ckpt", node, frozen)
    expected = np.load(published / "imagenet_samples_outputs.npz")["outputs"]
    photos = shared_data / "imagenet_samples"
    names = [row["file"] for row in photo_labels(photos)]
    preprocess = preprocessing_factory.get_preprocessing("mobilenet_v1_025")
    with tf.Graph().as_default(), tf.Session() as session:
        content = tf.placeholder(tf.string)
        image = preprocess(tf.image.decode_jpeg(content, channels=3), 128, 128)
        graph_def = tf.GraphDef.FromString(frozen.read_bytes())
        [logits] = tf.import_graph_def(graph_def, return_elements=[f"{node}:0"])
        [images] = [
            op.outputs[0]
            for op in tf.get_default_graph().get_operations()
            if op.name == "import/input"
        ]
        contents = [(photos / name).read_bytes() for name in names]
        batch = [session.run(image, {content: read}) for read in contents]
        outputs = session.run(logits, {images: batch})
    np.testing.assert_allclose(outputs, expected, atol=1e-3)


def test_classifying_with_the_published_checkpoint(shared_data, published):
    photos = shared_data / "imagenet_samples"
    result = run(
        *("classify_image.py", f"--checkpoint_path={published}", "--top_k=2"),
        *("--model_name=mobilenet_v1_025", "--image_size=128"),
        photos / "n01820546_lorikeet.JPEG",
    )
    assert re.search(r"99\.\d\d%  lorikeet", result.stdout)
    assert len(result.stdout.splitlines()) == 3


def test_bad_pictures_are_reported_and_the_others_classified(shared_data, published):
    result = call(
        *("classify_image.py", f"--checkpoint_path={published}"),
        *("--model_name=mobilenet_v1_025", "--image_size=128"),
        shared_data / "odd_images" / "text.jpg",
        shared_data / "imagenet_samples" / "n01820546_lorikeet.JPEG",
        check=False,
    )
    assert result.returncode == 1
    assert re.search(r"text\.jpg: is not a JPEG, PNG, GIF", result.stderr)
    assert "lorikeet" in result.stdout


def test_a_folder_of_odd_pictures(shared_data, published):
    """Each is answered, or refused in one line and counted in the status."""
    odd = shared_data / "odd_images"
    result = call(
        *("classify_image.py", f"--checkpoint_path={published}", "--format=jsonl"),
        *("--model_name=mobilenet_v1_025", "--image_size=128", odd),
        check=False,
    )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(list(odd.iterdir()))
    refused = [answer for answer in answers if "error" in answer]
    assert result.returncode == len(refused) == 16
    for answer in refused:
        assert f"{answer['file']}: {answer['error']}\n" in result.stderr
        assert "\n" not in answer["error"]


def test_exporting_inception_v3(tmp_path):
    text = tmp_path / "graph.pbtxt"
    result = call(
        *("export_inference_graph.py", "--write_text_graphdef"),
        *(f"--output_file={text}", "--batch_size=3", "--labels_offset=1"),
    )
    assert "--output_node_names=InceptionV3/Predictions/Reshape_1" in result.stdout
    assert "input, float32 (3, 299, 299, 3)" in result.stderr
    assert "1000 classes" in result.stderr
    assert 'op: "VariableV2"' in text.read_text()


def test_fine_tuning_trains_what_it_says(flowers, published, tmp_path):
    logits = "MobilenetV1/Logits"
    result = call(
        *(*FLOWERS_FROM_IMAGENET, f"--dataset_dir={flowers}"),
        *(f"--checkpoint_path={published}", f"--train_dir={tmp_path}"),
        *(f"--checkpoint_exclude_scopes={logits}", f"--trainable_scopes={logits}"),
    )
    assert "135 variables restored" in result.stderr
    assert "2 start anew: MobilenetV1/Logits" in result.stderr
    assert "2 of 83 variables, 1,285 of 214,357 parameters" in result.stderr
    before = tf.train.load_checkpoint(str(published / "mobilenet_v1_0.25_128.ckpt"))
    after = tf.train.load_checkpoint(str(tmp_path))
    for name in ("Conv2d_0/weights", "Conv2d_13_pointwise/BatchNorm/gamma"):
        np.testing.assert_array_equal(
            before.get_tensor(f"MobilenetV1/{name}"),
            after.get_tensor(f"MobilenetV1/{name}"),
        )
    start = tf.train.load_checkpoint(str(tmp_path / "model.ckpt-0"))
    weights = f"{logits}/Conv2d_1c_1x1/weights"
    assert np.any(start.get_tensor(weights) != after.get_tensor(weights))


@pytest.mark.slow
def test_mistakes_in_fine_tuning(flowers, published, tmp_path):
    train_dir = tmp_path / "train"
    command = (
        *(*FLOWERS_FROM_IMAGENET, f"--dataset_dir={flowers}"),
        f"--train_dir={train_dir}",
    )
    start = f"--checkpoint_path={published}"
    message = fails(*command, start)
    assert "1001 classes, this network 5" in message
    assert "--checkpoint_exclude_scopes=MobilenetV1/Logits" in message
    message = fails(*command, start, "--checkpoint_exclude_scopes=Logits")
    assert "'Logits'" in message and "MobilenetV1/Logits" in message
    message = fails(*command, "--trainable_scopes=MobilenetV2")
    assert "'MobilenetV2'" in message and "MobilenetV1/Conv2d_0" in message
    message = fails(*command, "--checkpoint_path=/nowhere/model.ckpt")
    assert "/nowhere/model.ckpt" in message
    message = fails(*command, start, "--model_name=mobilenet_v1_050")
    assert "MobilenetV1/Conv2d_0/weights" in message
    assert "[3, 3, 3, 8]" in message and "[3, 3, 3, 16]" in message
    assert not train_dir.exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--labels_offsets=1"], "labels_offset"),
        (["stray"], "stray"),
        (["--model_name=mobilenet_v11"], "Did you mean mobilenet_v1"),
        (["--dataset_name=flower"], "Did you mean flowers"),
        (["--dataset_split_name=training"], "train"),
        (["--preprocessing_name=incption"], "Did you mean inception"),
        (["--optimizer=rmspop"], "Did you mean rmsprop"),
        (["--dataset_dir="], "--dataset_dir is missing"),
        (["--dataset_dir=/nowhere"], "/nowhere"),
        (["--batch_size=0"], "batch_size"),
        (["--model_name=inception_v3", "--train_image_size=20"], "too small"),
    ],
)
def test_mistakes_in_training(flags, expected, shapes, tmp_path):
    train_dir = tmp_path / "train"
    message = fails(
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={train_dir}"),
        *flags,
    )
    assert expected in message
    assert not train_dir.exists()


def test_an_empty_data_directory(trained, tmp_path):
    message = fails(
        *("eval_image_classifier.py", f"--checkpoint_path={trained}"),
        *(f"--dataset_dir={tmp_path}", f"--eval_dir={tmp_path / 'eval'}"),
    )
    assert str(tmp_path) in message and "shapes_test" in message
    assert not (tmp_path / "eval").exists()


def test_mistakes_in_evaluation(imagenet, published, tmp_path):
    command = (
        *("eval_image_classifier.py", f"--checkpoint_path={published}"),
        *(f"--dataset_dir={imagenet}", f"--eval_dir={tmp_path / 'eval'}"),
    )
    message = fails(*command, *PUBLISHED_MODEL, "--labels_offset=1")
    assert "1001 classes, this network 1000" in message and "--labels_offset" in message
    assert "--model_name" in fails(*command, "--model_name=lenet")
    assert "moving averages" in fails(
        *command, *PUBLISHED_MODEL, "--moving_average_decay=0.9"
    )
    message = fails(
        *("eval_image_classifier.py", f"--checkpoint_path={tmp_path}"),
        f"--dataset_dir={imagenet}",
    )
    assert "no checkpoint" in message
    assert not (tmp_path / "eval").exists()


def test_mistakes_in_the_other_scripts(tmp_path):
    assert "--dataset_name" in fails("download_and_convert_data.py")
    assert "Did you mean mnist" in fails(
        *("download_and_convert_data.py", "--dataset_name=mnst"),
        f"--dataset_dir={tmp_path / 'data'}",
    )
    assert "--output_file" in fails("export_inference_graph.py")
    assert "cannot write" in fails(
        "export_inference_graph.py", "--output_file=/dev/null/graph.pb"
    )
    assert "--num_frames" in fails(
        *("export_inference_graph.py", "--is_video_model"),
        f"--output_file={tmp_path / 'graph.pb'}",
    )
    assert "--checkpoint_path or --graph" in fails("classify_image.py", "a.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_lenet_learns_mnist(shared_data, tmp_path):
    """With the settings of the original's recipe, in 3,000 of its 20,000 steps."""
    data, train_dir, eval_dir = (tmp_path / name for name in ("data", "train", "eval"))
    run(
        *("download_and_convert_data.py", "--dataset_name=mnist"),
        *(f"--dataset_dir={data}", f"--source_dir={shared_data / 'mnist'}"),
    )
    run(
        *("train_image_classifier.py", "--model_name=lenet", "--dataset_name=mnist"),
        *("--preprocessing_name=lenet", "--batch_size=50", "--learning_rate=0.01"),
        *("--optimizer=sgd", "--learning_rate_decay_type=fixed", "--weight_decay=0"),
        *("--max_number_of_steps=3000", f"--dataset_dir={data}"),
        f"--train_dir={train_dir}",
    )
    run(
        *("eval_image_classifier.py", f"--checkpoint_path={train_dir}"),
        *(f"--dataset_dir={data}", f"--eval_dir={eval_dir}"),
    )
    assert metrics(eval_dir)["count"] == 10_000
    assert metrics(eval_dir)["top_1"] >= 0.97


@pytest.mark.slow
def test_short_training_evaluates_well_thanks_to_the_growing_decay(
    flowers, published, tmp_path
):
    """All layers on few photos: without it the moving averages lag far behind."""
    top_1 = {}
    for grow in ("grow", "nogrow"):
        train_dir = tmp_path / grow
        run(
            *(*FLOWERS_FROM_IMAGENET, f"--dataset_dir={flowers}"),
            *(f"--checkpoint_path={published}", f"--train_dir={train_dir}"),
            "--checkpoint_exclude_scopes=MobilenetV1/Logits",
            *("--batch_size=32", "--max_number_of_steps=300", "--seed=1"),
            f"--{grow}_batch_norm_decay",
        )
        run(
            *("eval_image_classifier.py", f"--checkpoint_path={train_dir}"),
            *(f"--dataset_dir={flowers}", f"--eval_dir={train_dir / 'eval'}"),
        )
        top_1[grow] = metrics(train_dir / "eval")["top_1"]
    assert top_1["grow"] > top_1["nogrow"]


@pytest.mark.slow
def test_demo(tmp_path):
    environment = os.environ | {
        "DEMO_DIR": str(tmp_path / "demo"),
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    result = subprocess.run(
        [ROOT / "scripts" / "demo.sh"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("$ python") == 7
    [top_1] = re.findall(r"On 1000 test pictures: top-1 ([\d.]+)%", result.stdout)
    assert float(top_1) > 90


@pytest.mark.slow
def test_resuming_keeps_the_moving_averages(shapes, tmp_path):
    """Even without the flag: what model.json says must hold."""
    command = (*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={tmp_path}")
    run(*command, "--moving_average_decay=0.9")
    run(*command, "--max_number_of_steps=4")
    names = [name for name, _ in tf.train.list_variables(str(tmp_path))]
    assert "MobilenetV1/Conv2d_0/weights/ExponentialMovingAverage" in names
    assert json.loads((tmp_path / "model.json").read_text())["moving_average_decay"]


def test_a_damaged_checkpoint_of_its_own_is_told(shapes, trained, tmp_path):
    train_dir = tmp_path / "train"
    shutil.copytree(trained, train_dir)
    [data] = train_dir.glob("model.ckpt-3.data-*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    message = fails(
        *(*TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={train_dir}"),
        "--max_number_of_steps=9",
    )
    assert "cannot read the checkpoint" in message and "model.ckpt-3" in message
