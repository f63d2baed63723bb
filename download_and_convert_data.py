r"""Downloads a data set, or takes your pictures, and converts them to TFRecords.

python download_and_convert_data.py --dataset_name=flowers --dataset_dir=/tmp/flowers
python download_and_convert_data.py --dataset_name=folder --source_dir=photos \
    --dataset_dir=/tmp/photos
"""

from datasets.config import ConvertConfig
from slimbase.command_line import flags


def main(config: ConvertConfig) -> None:
    """Runs the converter that `config` names."""
    from datasets import converters

    converters.run(config)


def run() -> None:
    """Runs this command."""
    flags.run(main, ConvertConfig)


if __name__ == "__main__":
    run()
