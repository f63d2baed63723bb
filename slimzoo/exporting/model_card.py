"""The model card of an export: what a hub shows about it, as Markdown."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from absl import logging

from slimbase import files, templates
from slimbase.errors import UserError
from slimbase.text import counted
from slimzoo.config.evaluate import METRICS
from slimzoo.config.export import ExportConfig

_TEMPLATE = pathlib.Path(__file__).with_name("model_card.md")
_MARK = "- tf-slim"  # A tag that each card has.
_MOST_CLASSES = 100

# How the Hugging Face hub names what reads a format, and the least that runs it.
_LIBRARIES = {
    "frozen": "tensorflow",
    "saved_model": "tensorflow",
    "tflite": "tflite",
    "onnx": "onnx",
    "keras": "keras",
}
_EXAMPLES = {
    "frozen": """\
import pathlib

import tensorflow.compat.v1 as tf

graph_def = tf.GraphDef.FromString(pathlib.Path("{file}").read_bytes())
with tf.Graph().as_default(), tf.Session() as session:
    tf.import_graph_def(graph_def, name="")
    values = session.run("{output}:0", {{"{input}:0": pictures}})""",
    "saved_model": """\
import tensorflow as tf

model = tf.saved_model.load("{file}")
values = model.signatures["serving_default"]({input}=pictures)["probabilities"]""",
    "tflite": """\
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{file}")
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pictures)
interpreter.invoke()
values = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
[values] = session.run(["{output}"], {{"{input}": pictures}})""",
    "keras": """\
import keras

model = keras.saving.load_model("{file}")
values = model.predict(pictures)""",
}


def check(config: ExportConfig) -> None:
    """Checks the options of the card.

    Raises:
      UserError: when they contradict each other, or there is no evaluation.
    """
    if not config.model_card:
        for name in ("eval_dir", "license"):
            if getattr(config, name):
                raise UserError(f"--{name} is for the model card: give --model_card")
        return
    if config.checkpoint_path is None:
        raise UserError(
            "--model_card describes a network with its weights: give --checkpoint_path"
        )
    path = pathlib.Path(config.model_card)
    if path.is_dir():
        raise UserError(
            f"--model_card={path} is a directory: name a file, as README.md"
        )
    if path.exists() and _MARK not in path.read_text("utf-8", "replace").splitlines():
        raise UserError(
            f"--model_card={path} exists and is not a model card of this command: give "
            "another name, or move it away"
        )
    _evaluation(config)


def write(config: ExportConfig, record: Mapping[str, Any]) -> None:
    """Writes the card to `config.model_card`.

    Args:
      config: options.
      record: what is recorded beside the export; see `export_trained`.

    Raises:
      UserError: when the card cannot be written.
    """
    evaluation = _evaluation(config)
    if evaluation:
        _warn_of_another_checkpoint(evaluation, record)
    page = templates.render(
        _TEMPLATE,
        name=pathlib.Path(record["file"]).stem,
        record=record,
        license=config.license,
        library=_LIBRARIES[record["format"]],
        classes=f"{record['num_classes']:,} classes",
        facts=_facts(record),
        input=_input(record),
        example=_example(record),
        evaluation=evaluation,
        evaluated=_evaluated(evaluation),
        results=_results(evaluation),
        per_class=_per_class(evaluation),
        left_out=max(0, len(evaluation.get("classes", ())) - _MOST_CLASSES),
        compared=_compared(record),
    )
    with files.replacing(config.model_card) as temporary:
        temporary.write_text(page, "utf-8", errors="backslashreplace")
    logging.info(f"The model card is {config.model_card}")


def _evaluation(config: ExportConfig) -> dict[str, Any]:
    """The content of metrics.json; {} if no evaluation was named."""
    if not config.eval_dir:
        return {}
    path = pathlib.Path(config.eval_dir) / METRICS
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}. --eval_dir should be that of an "
            "evaluation of this checkpoint by eval_image_classifier.py"
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}. Evaluate again") from error
    if not isinstance(content, dict) or "top_1" not in content:
        raise UserError(f"{path} has no top_1: evaluate again")
    return content


def _warn_of_another_checkpoint(
    evaluation: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    for name in ("checkpoint", "global_step", "moving_averages"):
        found, expected = evaluation.get(name), record[name]
        if found != expected:
            logging.warning(
                f"The evaluation for the model card has {name} {found}, the export "
                f"{expected}: its results are those of another network"
            )


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("format", f"{record['format']}, {record['bytes']:,} bytes"),
        ("numbers", record["quantization"]),
        ("trained on", _cell(record["dataset_name"])),
        ("global step", f"{record['global_step']:,}"),
        ("weights", "moving averages" if record["moving_averages"] else "as trained"),
    ]
    for kind in ("inputs", "outputs"):
        for port in record[kind]:
            shape = ", ".join("any" if n is None else str(n) for n in port["shape"])
            facts.append((kind[:-1], f"`{port['name']}`, {port['dtype']} [{shape}]"))
    if labels := record["labels"]:
        shown = ", ".join(map(_cell, labels[:_MOST_CLASSES]))
        more = len(labels) - _MOST_CLASSES
        facts.append(("classes", f"{shown} and {more} more" if more > 0 else shown))
    return facts


def _input(record: Mapping[str, Any]) -> str:
    height, width = record["image_size"]
    channels = "gray" if record["channels"] == 1 else "RGB"
    ports = [port for port in record["inputs"] if "preprocessing" in port]
    text = (
        f"{channels} pictures of {height}x{width} pixels (height x width), channels "
        f"last.\nPreprocessing `{record['preprocessing_name']}`"
    )
    if ports:
        text += f": {ports[0]['preprocessing']};\nvalues: {ports[0]['value_range']}"
        if "scale" in ports[0]:
            zero_point, scale = ports[0]["zero_point"], ports[0]["scale"]
            text += f", as (integer - {zero_point}) * {scale:.6g}"
    return f"{text}."


def _example(record: Mapping[str, Any]) -> str:
    """Code from preprocessed `pictures` to `values`, the probabilities."""
    ports = [p for p in record["inputs"] if p["dtype"] != "string"]
    example = _EXAMPLES[record["format"]].format(
        file=record["file"],
        input=ports[0]["name"],
        output=record["outputs"][0]["name"],
    )
    return f"# pictures: {ports[0]['dtype']}, as above.\n{example}"


def _evaluated(evaluation: Mapping[str, Any]) -> str:
    if not evaluation:
        return ""
    count = counted(evaluation["count"], "picture")
    split = _cell(str(evaluation["dataset_split_name"]))
    return f"{count} of {_cell(str(evaluation['dataset_name']))}, split {split}"


def _results(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not evaluation:
        return []
    rows = [
        ("accuracy", "Top-1 accuracy", evaluation["top_1"]),
        ("accuracy", "Top-5 accuracy", evaluation["top_5"]),
        ("f1", "Macro F1", evaluation["macro"]["f1"]),
        ("loss", "Loss", evaluation["loss"]),
    ]
    return [
        {"type": kind, "name": name, "value": value, "text": _value(kind, value)}
        for kind, name, value in rows
        if value is not None
    ]


def _value(kind: str, value: float) -> str:
    return f"{value:.4g}" if kind == "loss" else _percent(value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _per_class(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": _cell(row["name"]),
            "support": row["support"],
            **{key: _percent(row[key]) for key in ("precision", "recall", "f1")},
        }
        for row in evaluation.get("classes", ())[:_MOST_CLASSES]
    ]


def _compared(record: Mapping[str, Any]) -> str:
    [count, *_] = {result["count"] for result in record["verification"]["results"]}
    return f"{counted(count, 'picture')} ({record['verification']['pictures']})"


def _cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
