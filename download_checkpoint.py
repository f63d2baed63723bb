r"""Gets a published checkpoint; prints the path to give as --checkpoint_path.

python download_checkpoint.py --model_name=mobilenet_v1_025 --image_size=128 \
    --checkpoint_dir=/tmp/checkpoints
"""

from slimbase.command_line import flags
from slimzoo.config.zoo import DownloadConfig


def main(config: DownloadConfig) -> None:
    """Makes the checkpoint that `config` describes ready and prints where it is."""
    from slimzoo.zoo.pretrained import (
        fetch,  # TensorFlow takes seconds; --help does not.
    )

    print(fetch(config))


def run() -> None:
    """Runs this command."""
    flags.run(main, DownloadConfig)


if __name__ == "__main__":
    run()
