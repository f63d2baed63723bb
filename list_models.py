r"""Lists networks: size, parameters, multiply-adds, accuracy, preprocessing, weights.

The last column has the initials of the places that have the weights: O for the
original archive, H for TensorFlow Hub, K for Keras, T for timm.

python list_models.py
python list_models.py --format=csv 'mobilenet*' 'resnet_v2_*'
"""

from slimbase.command_line import flags
from slimzoo.config.zoo import ListConfig


def main(config: ListConfig, patterns: list[str]) -> None:
    """Prints the networks whose names match one of `patterns`, by default all."""
    from slimzoo.zoo import listing

    print(listing.listing(config, patterns))


def run() -> None:
    """Runs this command."""
    flags.run(main, ListConfig, operands="patterns", tensorflow=False)


if __name__ == "__main__":
    run()
