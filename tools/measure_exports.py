"""Tries what export does on every network; writes tools/exports.json.

    python -m tools.measure_exports                 # All networks: half an hour.
    python -m tools.measure_exports lenet vgg_16    # Only these; the others stay.

Weights are random; pictures are small where the network allows, which changes no name
and no size of a file. docs/export.md shows the result (python -m tools.update_readme).
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.tools import freeze_graph, optimize_for_inference_lib

from nets.nets_factory import NETWORKS, get_network_fn
from nets.registry import Network
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.export import ExportConfig
from slimzoo.exporting import export, verify
from slimzoo.exporting.examples import Examples
from slimzoo.formats import lite
from slimzoo.formats.trained import INPUT_NAME, Settings

FILE = pathlib.Path(__file__).with_name("exports.json")
_SMALL = 128  # Pixels.
_FRAMES = 16
# Fully connected layers take features of one size.
_OF_ONE_SIZE = ("alexnet", "cifarnet", "lenet", "overfeat", "vgg")


def measure(name: str, directory: pathlib.Path) -> dict[str, Any]:
    """Exports the network `name` in every way that needs no data.

    Args:
      name: the network's name.
      directory: directory for files, which stay there.

    Returns:
      `output` and `logits`: names of these nodes. `freeze_graph`,
      `optimize_for_inference`: whether what TensorFlow's own tools make of the graph
      answers as the checkpoint does. `tflite`: bytes of the float32 file, or in words
      why there is none.
    """
    config = _config(NETWORKS[name], directory)
    graph, checkpoint = config.output_file, config.checkpoint_path or ""
    output = export.export(dataclasses.replace(config, checkpoint_path=None))
    _write_untrained(graph, checkpoint)
    network = export.settle(config)
    info = network.info
    frames = [config.num_frames] if config.num_frames else []
    shape = (2, *frames, *info.image_size, info.channels)
    images = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    trained, expected = export.freeze(config, network, images)

    def agrees(form: str, path: pathlib.Path) -> bool:
        examples = Examples(images, (), "noise", False)
        written = verify.run_written(form, path, examples)
        bounds = verify.tolerance("float32", 0, examples)
        return all(
            verify.compare(what, expected, values).within(bounds)
            for what, values in written.probabilities.items()
        )

    facts: dict[str, Any] = names(name)
    stock = directory / "stock.pb"
    with tf.Graph().as_default():  # It imports into the default graph.
        freeze_graph.freeze_graph(
            input_graph=graph,
            input_saver="",
            input_binary=True,
            input_checkpoint=checkpoint,
            output_node_names=output,
            restore_op_name="",
            filename_tensor_name="",
            output_graph=str(stock),
            clear_devices=True,
            initializer_nodes="",
        )
    facts["freeze_graph"] = agrees("frozen", stock)
    optimized = directory / "optimized.pb"
    graph_def = optimize_for_inference_lib.optimize_for_inference(
        tf.GraphDef.FromString(stock.read_bytes()),
        *([INPUT_NAME], [output], tf.float32.as_datatype_enum),
    )
    optimized.write_bytes(graph_def.SerializeToString())
    facts["optimize_for_inference"] = agrees("frozen", optimized)
    path = directory / "float.tflite"
    try:
        lite.write(trained, path, Settings(fold=True, batch_size=1))
        facts["tflite"] = path.stat().st_size if agrees("tflite", path) else "differs"
    except UserError as error:
        facts["tflite"] = str(error).removeprefix(f"LiteRT cannot do {name}: ")
    return facts


def names(name: str) -> dict[str, str]:
    """`output` and `logits` of a network at its default size."""
    network = NETWORKS[name]
    with classic_graph():
        images = tf.placeholder(tf.float32, [None, *network.input_shape], INPUT_NAME)
        logits, end_points = get_network_fn(name, network.classes)(images)
        output = end_points.get("Predictions", logits)
        return {"output": output.op.name, "logits": logits.op.name}


def _config(network: Network, directory: pathlib.Path) -> ExportConfig:
    size = network.image_size
    if not network.name.startswith(_OF_ONE_SIZE):
        size = min(size, _SMALL)
    return ExportConfig(
        model_name=network.name,
        image_size=(size, size),
        dataset_name="cifar10" if network.classes == 10 else "imagenet",
        labels_offset=1 if network.classes == 1000 else 0,
        is_video_model=bool(network.frames),
        num_frames=_FRAMES if network.frames else None,
        output_file=str(directory / "graph.pb"),
        checkpoint_path=str(directory / "model.ckpt"),
    )


def _write_untrained(graph: str, checkpoint: str) -> None:
    """Writes random values for the variables of an exported graph."""
    with tf.Graph().as_default(), tf.Session() as session:
        graph_def = tf.GraphDef.FromString(pathlib.Path(graph).read_bytes())
        tf.import_graph_def(graph_def, name="")
        operations = session.graph.get_operations()
        variables = {
            op.name: op.outputs[0] for op in operations if op.type == "VariableV2"
        }
        session.run(
            [op for op in operations if op.name.removesuffix("/Assign") in variables]
        )
        session.run(
            tf.raw_ops.SaveV2(
                prefix=checkpoint,
                tensor_names=list(variables),
                shape_and_slices=[""] * len(variables),
                tensors=list(variables.values()),
            )
        )


def main(arguments: list[str] | None = None) -> None:
    """Measures the networks that are named and writes the file."""
    parser = argparse.ArgumentParser(description="Exports networks.")
    parser.add_argument("names", nargs="*", help="by default all networks")
    names = parser.parse_args(arguments).names
    for name in names or NETWORKS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            facts = measure(name, pathlib.Path(directory))
        print(f"{name}: {facts}, {time.monotonic() - start:.0f} s", flush=True)
        known = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
        known[name] = facts
        lines = (f'  "{n}": {json.dumps(known[n])}' for n in sorted(known))
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
