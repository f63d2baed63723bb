r"""Writes a network for use elsewhere: its graph alone, or with a checkpoint's weights.

The graph alone is for TensorFlow's freeze_graph:

python export_inference_graph.py --model_name=inception_v3 \
    --output_file=/tmp/inception_v3.pb
python -m tensorflow.python.tools.freeze_graph \
    --input_graph=/tmp/inception_v3.pb --input_binary=true \
    --input_checkpoint=/tmp/inception_v3.ckpt --output_graph=/tmp/frozen.pb \
    --output_node_names=InceptionV3/Predictions/Reshape_1

With --checkpoint_path it is ready for use: --format=frozen, saved_model, tflite, onnx.

python export_inference_graph.py --checkpoint_path=/tmp/train \
    --format=tflite --output_file=/tmp/flowers.tflite
"""

from slimbase.command_line import flags
from slimzoo.config.export import ExportConfig


def main(config: ExportConfig) -> None:
    """Exports as `config` says and prints a summary."""
    # TensorFlow takes seconds; --help does not.
    if config.describe:
        from slimzoo.exporting.describe import describe

        print(describe(config.describe))
        return
    from slimzoo.exporting import export, record

    if config.checkpoint_path is None:
        print(f"--output_node_names={export.export(config)}")
    else:
        print(record.report(export.export_trained(config)))


def run() -> None:
    """Runs this command."""
    flags.run(main, ExportConfig)


if __name__ == "__main__":
    run()
