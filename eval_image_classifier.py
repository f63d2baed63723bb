r"""Evaluates a trained network on every image of a split.

python eval_image_classifier.py --checkpoint_path=/tmp/train --eval_dir=/tmp/eval \
    --dataset_name=flowers --dataset_dir=/tmp/flowers
"""

from slimzoo import cli
from slimzoo.config import EvalConfig


def main(config: EvalConfig) -> None:
    """Evaluates as `config` says and prints the result."""
    from slimzoo.evaluate import evaluate  # TensorFlow takes seconds; --help does not.

    results = evaluate(config)
    print(
        f"{results['count']} images: top-1 {results['top_1']:.2%}, "
        f"top-5 {results['top_5']:.2%}, loss {results['loss']:.4f}"
    )


if __name__ == "__main__":
    cli.run(main, EvalConfig)
