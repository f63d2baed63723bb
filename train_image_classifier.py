r"""Trains a network, from scratch or from a checkpoint.

python train_image_classifier.py --model_name=mobilenet_v1 --dataset_name=flowers \
    --dataset_dir=/tmp/flowers --train_dir=/tmp/train
"""

from slimzoo import cli
from slimzoo.train_config import TrainConfig


def main(config: TrainConfig) -> None:
    """Trains as `config` says."""
    from slimzoo.train import train  # TensorFlow takes seconds; --help does not.

    train(config)


def run() -> None:
    """Runs this command."""
    cli.run(main, TrainConfig)


if __name__ == "__main__":
    run()
