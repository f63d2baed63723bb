r"""Averages checkpoints of a training; prints the path of the result.

python average_checkpoints.py --checkpoint_path=/tmp/train --dataset_dir=/tmp/flowers \
    --output_dir=/tmp/averages
"""

from slimbase.command_line import flags
from slimzoo.config.average import AverageConfig


def main(config: AverageConfig) -> None:
    """Averages as `config` says and prints where the checkpoint is."""
    from slimzoo.training.averaging import (
        average,  # TensorFlow takes seconds; --help does not.
    )

    print(average(config))


def run() -> None:
    """Runs this command."""
    flags.run(main, AverageConfig)


if __name__ == "__main__":
    run()
