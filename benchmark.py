r"""Measures speed and memory, and compares with what people would use instead.

python benchmark.py --model_name=mobilenet_v1 --precision=float32,bfloat16 \
    --against=classic,keras
python benchmark.py --mode=train --model_name='mobilenet_v*,resnet_v1_50' \
    --batch_size=16,32,64 --threads=1,2 --steps=20 --csv=/tmp/growth.csv
python benchmark.py --mode=input,conversion --model_name=inception_v3,vgg_16 \
    --against=classic
python benchmark.py --mode=export --model_name=mobilenet_v2 --repeats=1

Each turn of each contender is a process of its own; what fails is told in its row, and
the exit status is 1 then.
"""

from slimbase.command_line import flags
from slimzoo.config.benchmark import BenchmarkConfig


def main(config: BenchmarkConfig) -> int:
    """Measures what `config` asks for, prints a table and writes files."""
    # TensorFlow takes seconds to import; --help does not.
    from slimzoo.benchmark import tables, turns

    found = turns.run(config, report=tables.write)
    print(tables.text(found))
    return 1 if found.errors else 0


def run() -> None:
    """Runs this command."""
    flags.run(main, BenchmarkConfig)


if __name__ == "__main__":
    run()
