r"""Reads every record of a data set and tells what is wrong with it.

python check_dataset.py --dataset_name=flowers --dataset_dir=/tmp/flowers \
    --contact_sheet=/tmp/flowers.html

The exit status is 1 if anything is wrong.
"""

from slimbase.command_line import flags
from slimzoo.config.check import CheckConfig


def main(config: CheckConfig) -> int:
    """Checks what `config` says and prints a report."""
    # TensorFlow takes seconds to import; --help does not.
    from slimzoo.dataset_check import check, report

    found = check.check(config)
    print(report.text(found))
    return 1 if found.problems else 0


def run() -> None:
    """Runs this command."""
    flags.run(main, CheckConfig)


if __name__ == "__main__":
    run()
