r"""Reads every record of a data set and tells what is wrong with it.

python check_dataset.py --dataset_name=flowers --dataset_dir=/tmp/flowers \
    --contact_sheet=/tmp/flowers.html

The exit status is 1 if anything is wrong.
"""

from slimzoo import cli
from slimzoo.config import CheckConfig


def main(config: CheckConfig) -> int:
    """Checks what `config` says and prints a report."""
    # TensorFlow takes seconds to import; --help does not.
    from slimzoo import check_dataset, check_report

    found = check_dataset.check(config)
    print(check_report.text(found))
    return 1 if found.problems else 0


if __name__ == "__main__":
    cli.run(main, CheckConfig)
