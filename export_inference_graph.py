r"""Writes the graph of a network, without weights, for TensorFlow's freeze_graph.

python export_inference_graph.py --model_name=inception_v3 \
    --output_file=/tmp/inception_v3.pb
python -m tensorflow.python.tools.freeze_graph \
    --input_graph=/tmp/inception_v3.pb --input_binary=true \
    --input_checkpoint=/tmp/inception_v3.ckpt --output_graph=/tmp/frozen.pb \
    --output_node_names=InceptionV3/Predictions/Reshape_1
"""

from slimzoo import cli
from slimzoo.config import ExportConfig


def main(config: ExportConfig) -> None:
    """Exports as `config` says and prints the output node's name."""
    from slimzoo.export import export  # TensorFlow takes seconds; --help does not.

    print(f"--output_node_names={export(config)}")


if __name__ == "__main__":
    cli.run(main, ExportConfig)
