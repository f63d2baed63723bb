r"""Downloads a data set and converts it to TFRecords.

python download_and_convert_data.py --dataset_name=flowers --dataset_dir=/tmp/flowers
"""

import importlib
import pkgutil

from slimzoo import cli, errors
from slimzoo.config import ConvertConfig

PREFIX = "download_and_convert_"


def main(config: ConvertConfig) -> None:
    """Runs the converter that `config` names."""
    import datasets

    for flag in ("dataset_name", "dataset_dir"):
        if not getattr(config, flag):
            raise errors.UserError(f"--{flag} is missing")
    modules = {module.name for module in pkgutil.iter_modules(datasets.__path__)}
    known = {m.removeprefix(PREFIX) for m in modules if m.startswith(PREFIX)}
    known = {name for name in known if not name.endswith("_test")}
    if config.dataset_name not in known:
        message = f"--dataset_name={config.dataset_name} has no converter"
        raise errors.unknown(message, config.dataset_name, known)
    converter = importlib.import_module(f"datasets.{PREFIX}{config.dataset_name}")
    converter.run(config.dataset_dir, source_dir=config.source_dir)


if __name__ == "__main__":
    cli.run(main, ConvertConfig)
