import dataclasses
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from datasets import dataset_factory
from slimbase import testing
from slimbase.errors import UserError
from slimzoo.config.export import ExportConfig
from slimzoo.exporting import examples, verify
from slimzoo.exporting.export import export, export_trained
from slimzoo.exporting.record import report
from slimzoo.formats.predictor import softmax
from slimzoo.model import info as model_info

LENET: dict[str, Any] = {"model_name": "lenet", "dataset_name": "mnist"}


def read_graph(path):
    return tf.GraphDef.FromString(path.read_bytes())


def nodes(path):
    return {node.name: node for node in read_graph(path).node}


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, [-1, 28, 28, 1]),
        ({"batch_size": 2}, [2, 28, 28, 1]),
        ({"image_size": (32, 40)}, [-1, 32, 40, 1]),
    ],
)
def test_graph_without_weights(tmp_path, options, shape):
    path = tmp_path / "graph.pb"
    output = export(ExportConfig(output_file=str(path), **LENET, **options))
    assert output == "Predictions/Reshape_1"
    placeholder = nodes(path)["input"]
    assert [d.size for d in placeholder.attr["shape"].shape.dim] == shape
    assert nodes(path)["LeNet/conv1/weights"].op == "VariableV2"
    assert names_in(tmp_path) == ["graph.pb"]


def test_gray_and_offset(tmp_path):
    path = tmp_path / "graph.pb"
    options: dict[str, Any] = {
        "model_name": "mobilenet_v1_025",
        "use_grayscale": True,
    }
    export(ExportConfig(output_file=str(path), labels_offset=1, **options))
    graph = nodes(path)
    assert graph["input"].attr["shape"].shape.dim[-1].size == 1
    biases = graph["MobilenetV1/Logits/Conv2d_1c_1x1/biases"]
    assert biases.attr["shape"].shape.dim[0].size == 1000


def test_clips(tmp_path):
    path = tmp_path / "graph.pb"
    clips: dict[str, Any] = {
        "is_video_model": True,
        "num_frames": 16,
        "image_size": (64, 64),
    }
    export(ExportConfig(output_file=str(path), model_name="i3d", **clips))
    shape = nodes(path)["input"].attr["shape"].shape
    assert [d.size for d in shape.dim] == [-1, 16, 64, 64, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_file": ""}, "--output_file is missing"),
        ({"is_video_model": True}, "needs --num_frames"),
        (
            {"is_video_model": True, "num_frames": 8},
            "inception_v3 takes pictures; those that take clips are i3d, s3dg",
        ),
        ({"model_name": "i3d"}, "takes clips: give --is_video_model"),
        ({"format": "tflite"}, "give --checkpoint_path"),
    ],
)
def test_mistakes_without_weights(tmp_path, options, message):
    config: dict[str, Any] = {"output_file": str(tmp_path / "graph.pb")} | options
    with pytest.raises(UserError, match=message):
        export(ExportConfig(**config))
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("fold", [None, False, True])
def test_frozen_keeps_names_unless_folding_is_asked_for(published, tmp_path, fold):
    path = tmp_path / "frozen.pb"
    facts = export_trained(
        ExportConfig(
            checkpoint_path=str(published / "mobilenet_v1_0.25_128.ckpt"),
            output_file=str(path),
            model_name="mobilenet_v1_025",
            image_size=(128, 128),
            fold_batch_norm=fold,
        )
    )
    graph = nodes(path)
    assert ("FusedBatchNormV3" in {n.op for n in graph.values()}) == (not fold)
    assert facts["batch_norm_folded"] == bool(fold)
    assert {"input", "MobilenetV1/Predictions/Reshape_1"} <= set(graph)
    assert [t["name"] for t in facts["outputs"]] == [
        "MobilenetV1/Predictions/Reshape_1"
    ]
    assert facts["labels"][0] == "background"
    assert facts["num_classes"] == 1001


ONLY_TENSORFLOW = """
import json, sys
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
logits = []
for path in json.load(open(sys.argv[2])):
    answer = model.signatures["serving_bytes"](
        image_bytes=tf.constant([tf.io.read_file(path).numpy()])
    )
    logits.append(answer["logits"][0].numpy().tolist())
assert not any(name.split(".")[0] in ("slimzoo", "nets") for name in sys.modules)
print(answer["classes"][0, 0].numpy().decode())
json.dump(logits, open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="session")
def photos(shared_data):
    """Paths and labels of the ImageNet photos."""
    directory = shared_data / "imagenet_samples"
    rows = list(testing.photo_labels(directory))
    return (
        [str(directory / row["file"]) for row in rows],
        np.array([int(row["label"]) for row in rows]),
    )


@pytest.mark.parametrize(
    "format_name",
    ["frozen", pytest.param("saved_model", marks=pytest.mark.slow), "tflite"],
)
def test_published_checkpoint(published, imagenet, photos, tmp_path, format_name):
    path = tmp_path / "model.tflite"
    config = ExportConfig(
        checkpoint_path=str(published / "mobilenet_v1_0.25_128.ckpt"),
        output_file=str(path),
        format=format_name,
        model_name="mobilenet_v1_025",
        image_size=(128, 128),
        dataset_dir=str(imagenet),
    )
    facts = export_trained(config)
    assert facts["verification"]["pictures"] == "imagenet, split validation"
    for result in facts["verification"]["results"]:
        assert result["count"] == 100
        assert result["difference"] < 1e-3
    golden = np.load(published / "imagenet_samples_outputs.npz")["outputs"]
    info = model_info.settle(config, {}, config.image_size)
    dataset = dataset_factory.open_split("imagenet", "validation", imagenet)
    shown = examples.read(info, dataset, 200)
    written = verify.run_written(format_name, path, shown)
    paths, labels = photos
    for probabilities in written.probabilities.values():
        expected = softmax(golden)
        np.testing.assert_allclose(probabilities, expected, atol=1e-3)
        assert (probabilities.argmax(-1) == labels).mean() == pytest.approx(0.54)
    if format_name == "saved_model":
        logits = _by_only_tensorflow(path, paths, tmp_path)
        np.testing.assert_allclose(logits, golden, atol=1e-3)


def _by_only_tensorflow(model, paths, directory):
    list_file, answers = directory / "paths.json", directory / "answers.json"
    list_file.write_text(json.dumps(paths))
    subprocess.run(
        [sys.executable, "-c", ONLY_TENSORFLOW, model, list_file, answers],
        cwd=directory,
        capture_output=True,
        check=True,
        timeout=300,
    )
    return json.loads(answers.read_text())


def test_integers_of_the_published_checkpoint(published, imagenet, tmp_path):
    config = ExportConfig(
        checkpoint_path=str(published / "mobilenet_v1_0.25_128.ckpt"),
        output_file=str(tmp_path / "model.tflite"),
        format="tflite",
        quantization="int8",
        model_name="mobilenet_v1_025",
        image_size=(128, 128),
        dataset_dir=str(imagenet),
        verification_size=200,
    )
    facts = export_trained(config)
    [result] = facts["verification"]["results"]
    assert result["count"] == 200
    assert result["agreement"] > 0.75  # 0.80 when docs/export.md was written.
    assert facts["bytes"] < 600_000
    with pytest.raises(UserError, match=r"agreement of at least 95%. Nothing was"):
        export_trained(dataclasses.replace(config, min_agreement=0.95))


@pytest.mark.parametrize("format_name", ["frozen", "saved_model", "tflite"])
def test_facts(lenet, tmp_path, format_name):
    path = tmp_path / "out" / "model.tflite"
    facts = export_trained(
        ExportConfig(
            checkpoint_path=lenet,
            output_file=str(path),
            format=format_name,
            **LENET,
        )
    )
    assert names_in(path.parent) == ["model.tflite", "model.tflite.json"]
    content = (path.parent / "model.tflite.json").read_text()
    assert json.loads(content) == json.loads(json.dumps(facts))
    is_file = path.is_file()
    assert facts["bytes"] == path.stat().st_size if is_file else facts["bytes"] > 1e6
    assert facts["labels"] is None
    assert facts["inputs"][0]["value_range"] == "[-1, 1)"
    batch = {"tflite": 1}.get(format_name)
    assert facts["inputs"][0]["shape"] == (batch, 28, 28, 1)
    for result in facts["verification"]["results"]:
        assert result["difference"] < 1e-3
        assert result["agreement"] == 1
        assert result["what"] in report(facts)
    # Evaluation and classification read them as they read model.json.
    (path.parent / model_info.FILE_NAME).write_text(content)
    record = model_info.read(str(path.parent))
    info = model_info.settle(ExportConfig(), record)
    assert (info.model_name, info.num_classes) == ("lenet", 10)
    assert (info.image_size, info.preprocessing_name) == ((28, 28), "lenet")


@pytest.mark.parametrize(
    ("format_name", "batch_size"),
    [
        ("frozen", 3),
        ("saved_model", 3),
        ("tflite", 3),
        pytest.param("frozen", 1, marks=pytest.mark.slow),
        pytest.param("saved_model", 1, marks=pytest.mark.slow),
        pytest.param(
            "tflite", 1, marks=pytest.mark.slow
        ),  # The default, in test_facts.
    ],
)
def test_fixed_batches(lenet, tmp_path, format_name, batch_size):
    facts = export_trained(
        ExportConfig(
            checkpoint_path=lenet,
            output_file=str(tmp_path / "model.tflite"),
            format=format_name,
            batch_size=batch_size,
            **LENET,
        )
    )
    assert {tensor["shape"][0] for tensor in facts["inputs"]} == {batch_size}


def test_moving_averages(write_network, tmp_path):
    checkpoint = str(tmp_path / "model.ckpt")
    write_network(checkpoint, "lenet", 10, [None, 28, 28, 1], decay=0.9)
    weights = {}
    for decay in (0, 0.9):
        path = tmp_path / f"{decay}.pb"
        config = ExportConfig(
            checkpoint_path=checkpoint,
            output_file=str(path),
            moving_average_decay=decay,
            **LENET,
        )
        assert export_trained(config)["moving_averages"] == bool(decay)
        tensor = nodes(path)["LeNet/conv1/weights"].attr["value"].tensor
        weights[decay] = tf.make_ndarray(tensor)
    assert not weights[0].any()
    assert weights[0.9].std() > 0.01


def test_facts_beside_the_checkpoint_are_used(trained, tmp_path):
    path = tmp_path / "model"
    facts = export_trained(
        ExportConfig(
            checkpoint_path=str(trained), output_file=str(path), format="saved_model"
        )
    )
    assert facts["model_name"] == "mobilenet_v1_025"
    assert facts["image_size"] == (64, 64)
    assert facts["global_step"] == 3
    lines = (path / "assets/labels.txt").read_text().splitlines()
    assert tuple(line.partition(":")[2] for line in lines) == facts["labels"]


def test_saved_model_names_the_classes_of_files(trained, shapes, tmp_path):
    path = tmp_path / "model"
    config = ExportConfig(
        checkpoint_path=str(trained),
        output_file=str(path),
        format="saved_model",
        dataset_dir=str(shapes),
        verification_size=20,
    )
    facts = export_trained(config)
    assert facts["verification"]["pictures"] == "shapes, split train"
    assert {r["what"]: r["count"] for r in facts["verification"]["results"]} == {
        "serving_default": 20,
        "serving_bytes": 20,
    }
    model = tf2.saved_model.load(str(path))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 50, 70, 3), np.uint8)
    files = [tf2.io.encode_png(pixels[0]), tf2.io.encode_jpeg(pixels[1])]
    answer = model.signatures["serving_bytes"](image_bytes=tf2.stack(files))
    assert answer["classes"].shape == (2, 5)
    best = answer["logits"].numpy().argmax(-1)
    assert [name.decode() for name in answer["classes"].numpy()[:, 0]] == [
        facts["labels"][i] for i in best
    ]
    np.testing.assert_allclose(
        answer["scores"].numpy()[:, 0], answer["probabilities"].numpy().max(-1)
    )


@pytest.mark.parametrize("integer_type", ["uint8", "int8"])
def test_integers(trained, shapes, tmp_path, integer_type):
    path = tmp_path / "model.tflite"
    facts = export_trained(
        ExportConfig(
            checkpoint_path=str(trained),
            output_file=str(path),
            format="tflite",
            quantization="int8",
            integer_type=integer_type,
            dataset_dir=str(shapes),
            calibration_size=20,
            verification_size=10,
            min_agreement=0.0,  # Of three steps of training.
        )
    )
    assert {t["dtype"] for t in facts["inputs"] + facts["outputs"]} == {integer_type}
    assert facts["inputs"][0]["scale"] == pytest.approx(2 / 255, rel=0.05)
    assert facts["outputs"][0]["scale"] == 1 / 256
    assert facts["verification"]["results"][0]["count"] == 10


@pytest.mark.parametrize(("quantization", "share"), [("float16", 2), ("dynamic", 4)])
def test_fewer_bits(lenet, tmp_path, quantization, share):
    path = tmp_path / "model.tflite"
    config = ExportConfig(
        checkpoint_path=lenet,
        output_file=str(path),
        format="tflite",
        quantization=quantization,
        **LENET,
    )
    facts = export_trained(config)
    parameters = 3_274_634
    assert facts["bytes"] == pytest.approx(4 * parameters / share, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_name": "cifarnet"}, "no classifier in CifarNet/logits.*--model_name"),
        ({"moving_average_decay": 0.9}, "has no moving averages"),
        ({"format": "onx"}, "--format=onx is unknown. Did you mean onnx"),
        ({"format": "tflite", "output_file": "m.lite"}, r"should end in \.tflite"),
        ({"quantization": "int4"}, "--quantization=int4 is unknown.*int8"),
        ({"quantization": "int8"}, "is for --format=tflite, not frozen"),
        (
            {"format": "tflite", "quantization": "int8", "output_file": "m.tflite"},
            "give --dataset_dir",
        ),
        ({"integer_type": "int16"}, "should be uint8 or int8"),
        ({"is_training": True}, "leave out --checkpoint_path"),
        ({"min_agreement": 80.0}, "should be in 0 to 1"),
        (
            {"moving_average_decay": 0.5, "output_file": "new/dir/model.pb"},
            "has no moving averages",
        ),
        ({"checkpoint_path": "nowhere"}, "there is no checkpoint nowhere"),
        ({"output_file": "/dev/null/model.pb"}, "cannot write /dev/null/model.pb"),
    ],
)
def test_mistakes(lenet, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    config: dict[str, Any] = (
        {"checkpoint_path": lenet, "output_file": "model.pb"} | LENET | options
    )
    with pytest.raises(UserError, match=message):
        export_trained(ExportConfig(**config))
    assert names_in(tmp_path) == []


def test_too_few_pictures_for_calibration(trained, shapes, tmp_path):
    config = ExportConfig(
        checkpoint_path=str(trained),
        output_file=str(tmp_path / "model.tflite"),
        format="tflite",
        quantization="int8",
        dataset_dir=str(shapes),
        dataset_split_name="test",
        calibration_size=1001,
    )
    with pytest.raises(UserError, match=r"has 1000 pictures.*at most 1000"):
        export_trained(config)
    assert names_in(tmp_path) == []


def test_directories_of_something_else_stay(lenet, tmp_path):
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "thesis.txt").write_text("words")
    config = ExportConfig(
        checkpoint_path=lenet,
        output_file=str(directory),
        format="saved_model",
        **LENET,
    )
    with pytest.raises(UserError, match="is a directory with files of yours"):
        export_trained(config)
    assert names_in(directory) == ["thesis.txt"]


@pytest.mark.parametrize("format_name", ["frozen", "saved_model"])
def test_what_answers_otherwise_is_not_written(
    lenet, tmp_path, monkeypatch, format_name
):
    path = tmp_path / "model"
    config = ExportConfig(
        checkpoint_path=lenet, output_file=str(path), format=format_name, **LENET
    )
    export_trained(config)
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    real = verify.in_batches

    def wrong(run, values):
        return real(lambda batch: np.roll(run(batch), 1, axis=-1), values)

    calls = iter([real, wrong, wrong])  # The checkpoint's answers come first.
    monkeypatch.setattr(
        verify, "in_batches", lambda *arguments: next(calls)(*arguments)
    )
    with pytest.raises(UserError, match=r"otherwise than the checkpoint on 8 pictures"):
        export_trained(config)
    after = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    assert after == before
    monkeypatch.undo()
    export_trained(config)  # Over what is there.


def test_onnx_says_what_to_install(lenet, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    config = ExportConfig(
        checkpoint_path=lenet,
        output_file=str(tmp_path / "model.onnx"),
        format="onnx",
        **LENET,
    )
    with pytest.raises(UserError, match="pip install tf2onnx onnxruntime"):
        export_trained(config)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_onnx(lenet, tmp_path, batch_size):
    for package in ("tf2onnx", "onnxruntime"):
        pytest.importorskip(package, reason="the extra onnx is not installed")
    config = ExportConfig(
        checkpoint_path=lenet,
        output_file=str(tmp_path / "model.onnx"),
        format="onnx",
        batch_size=batch_size,
        **LENET,
    )
    facts = export_trained(config)
    assert [t["name"] for t in facts["inputs"]] == ["input"]
    assert [t["name"] for t in facts["outputs"]] == ["probabilities"]
    assert facts["inputs"][0]["shape"] == (batch_size, 28, 28, 1)


@pytest.mark.slow
def test_by_command(lenet, tmp_path):
    path = tmp_path / "lenet.pb"
    flags = ("--model_name=lenet", "--dataset_name=mnist", f"--output_file={path}")
    script = "export_inference_graph.py"
    result = testing.run(script, f"--checkpoint_path={lenet}", *flags)
    assert "output      Predictions/Reshape_1, float32 [any, 10]" in result.stdout
    assert "by TensorFlow on 8 pictures (noise)" in result.stdout
    assert (
        "input, float32 [any, 28, 28, 1]"
        in testing.run(script, f"--describe={path}").stdout
    )
    message = testing.fails(script, "--checkpoint_path=nowhere", *flags)
    assert "there is no checkpoint" in message
    assert names_in(tmp_path) == ["lenet.pb", "lenet.pb.json"]
