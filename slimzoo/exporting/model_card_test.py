import dataclasses
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest

from slimbase.errors import UserError
from slimzoo.config.export import ExportConfig
from slimzoo.exporting import model_card
from slimzoo.exporting.export import export_trained

LENET: dict[str, Any] = {"model_name": "lenet", "dataset_name": "mnist"}
NAMES = ("a|b", 'the "second"', "c")
SUFFIXES = {"frozen": ".pb", "saved_model": "", "tflite": ".tflite", "onnx": ".onnx"}


@pytest.fixture
def evaluation(lenet, tmp_path):
    """A directory with what evaluation writes of the checkpoint `lenet`."""
    content = {
        "count": 1000,
        "top_1": 0.9125,
        "top_5": 0.99,
        "loss": 0.31,
        "dataset_name": "mnist",
        "dataset_split_name": "test",
        "checkpoint": lenet,
        "global_step": 0,
        "moving_averages": False,
        "macro": {"precision": 0.9, "recall": 0.91, "f1": 0.905},
        "classes": [
            {"name": name, "precision": None, "recall": 0.5, "f1": 0.25, "support": 2}
            for name in NAMES
        ],
    }
    directory = tmp_path / "eval"

    def write(**changes):
        directory.mkdir(exist_ok=True)
        (directory / "metrics.json").write_text(json.dumps(content | changes))
        return str(directory)

    return write


def export(lenet, directory, format_name="frozen"):
    """Exports with a card; gives the options and the record."""
    path = directory / f"model{SUFFIXES[format_name]}"
    config = ExportConfig(
        checkpoint_path=lenet,
        output_file=str(path),
        format=format_name,
        model_card=str(directory / "README.md"),
        **LENET,
    )
    return config, export_trained(config)


@pytest.fixture(scope="session")
def exported(lenet, tmp_path_factory):
    return export(lenet, tmp_path_factory.mktemp("exported"))


@pytest.fixture
def write(exported, tmp_path):
    """Writes a card of what was exported, with other options."""
    config, record = exported

    def write(**options):
        path = tmp_path / "README.md"
        changed = dataclasses.replace(config, model_card=str(path), **options)
        model_card.write(changed, record)
        return path.read_text("utf-8")

    return write


def test_header(write, evaluation):
    """The header is YAML, of which JSON strings are a part, as the hub reads it."""
    text = write(eval_dir=evaluation(), license='my "own"')
    _, header, _ = text.split("---\n", 2)
    assert header.splitlines() == [
        r'license: "my \"own\""',
        'library_name: "tensorflow"',
        "pipeline_tag: image-classification",
        *("tags:", "- image-classification", "- tf-slim", '- "lenet"'),
        *("metrics:", "- accuracy", "model-index:", '- name: "model"', "  results:"),
        "  - task:",
        "      type: image-classification",
        "      name: Image classification",
        "    dataset:",
        *('      type: "mnist"', '      name: "mnist"', '      split: "test"'),
        "    metrics:",
        *("    - type: accuracy", "      name: Top-1 accuracy", "      value: 0.9125"),
        *("    - type: accuracy", "      name: Top-5 accuracy", "      value: 0.99"),
        *("    - type: f1", "      name: Macro F1", "      value: 0.905"),
        *("    - type: loss", "      name: Loss", "      value: 0.31"),
    ]


def test_results(write, evaluation, caplog):
    text = write(eval_dir=evaluation(loss=None))
    assert "On 1,000 pictures of mnist, split test" in text
    assert "| Top-1 accuracy | 91.2% |" in text
    assert "Loss" not in text
    assert r"| a\|b |  | 50.0% | 25.0% | 2 |" in text
    assert "results are those of another" not in caplog.text


def test_results_of_another_checkpoint_are_reported(write, evaluation, caplog):
    write(eval_dir=evaluation(global_step=7))
    assert "has global_step 7, the export 0" in caplog.text


def test_without_an_evaluation(exported):
    config, _ = exported
    text = pathlib.Path(config.model_card).read_text("utf-8")
    assert "model-index" not in text
    assert "license:" not in text
    assert "No evaluation was named" in text
    assert "compared with its checkpoint on 8 pictures (noise)" in text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("format_name", SUFFIXES)
def test_the_example_runs(lenet, tmp_path, monkeypatch, format_name):
    if format_name == "onnx":
        for package in ("tf2onnx", "onnxruntime"):
            pytest.importorskip(package, reason="the extra onnx is not installed")
    config, record = export(lenet, tmp_path, format_name)
    text = pathlib.Path(config.model_card).read_text("utf-8")
    [example] = re.findall("```python\n(.*?)```", text, re.DOTALL)
    if format_name == "tflite":  # The same class by TensorFlow's name.
        package = "ai_edge_litert.interpreter import Interpreter"
        assert f"from {package}\n" in example
        example = example.replace(
            f"from {package}",
            "import tensorflow as tf; Interpreter = tf.lite.Interpreter",
        )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"pictures": np.zeros([1, 28, 28, 1], np.float32)}
    exec(example, names)
    values = np.asarray(names["values"])
    assert values.shape == (1, record["num_classes"])
    np.testing.assert_allclose(values.sum(), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_card": "", "license": "mit"}, "--license is for the model card"),
        ({"model_card": "", "eval_dir": "/tmp"}, "--eval_dir is for the model card"),
        ({"model_card": "."}, "is a directory: name a file, as README.md"),
        ({"model_card": "own.md"}, "own.md exists and is not a model card"),
        ({"checkpoint_path": None}, "--model_card describes a network with its"),
        ({"eval_dir": "nowhere"}, "cannot read nowhere/metrics.json: No such file"),
    ],
)
def test_mistakes(lenet, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.md").write_text("# My project\n")
    config: dict[str, Any] = {
        "checkpoint_path": lenet,
        "output_file": "model.pb",
        "model_card": "README.md",
        **LENET,
    }
    with pytest.raises(UserError, match=re.escape(message)):
        export_trained(ExportConfig(**config | options))
    assert [path.name for path in tmp_path.iterdir()] == ["own.md"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not JSON"), ("[]", "has no top_1"), ('{"top_1"', "is not JSON")],
)
def test_broken_metrics(write, tmp_path, content, message):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(UserError, match=message):
        write(eval_dir=str(tmp_path))
