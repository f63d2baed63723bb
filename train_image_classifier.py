r"""Trains a network, from scratch or from a checkpoint.

python train_image_classifier.py --model_name=mobilenet_v1 --dataset_name=flowers \
    --dataset_dir=/tmp/flowers --train_dir=/tmp/train
"""

from slimbase.command_line import flags
from slimzoo.config.train import TrainConfig


def main(config: TrainConfig) -> None:
    """Trains as `config` says."""
    from slimzoo.training.train import (
        train,  # TensorFlow takes seconds; --help does not.
    )

    train(config)


def run() -> None:
    """Runs this command."""
    flags.run(main, TrainConfig)


if __name__ == "__main__":
    run()
