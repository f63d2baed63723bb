r"""Evaluates trained networks on every image of a split.

python eval_image_classifier.py --checkpoint_path=/tmp/train --eval_dir=/tmp/eval \
    --dataset_name=flowers --dataset_dir=/tmp/flowers

Evaluates frozen graphs, SavedModels and .tflite files with --graph, all checkpoints of
a training with --all_checkpoints, those to come with --watch, and several models with
--model_name='mobilenet_*,resnet_v1_50' and a directory of them as --checkpoint_path.
"""

from slimbase.command_line import flags
from slimzoo.config.evaluate import EvalConfig


def main(config: EvalConfig) -> None:
    """Evaluates as `config` says and prints a line per result."""
    # TensorFlow takes seconds to import; --help does not.
    from slimzoo.evaluation import metrics
    from slimzoo.evaluation.many import evaluate_all

    for results in evaluate_all(config):
        step = f" at step {results['global_step']}" if results["global_step"] else ""
        print(
            f"{results['model_name']}{step}, {results['count']} images: "
            f"{metrics.headline(results, results['num_classes'])}",
            flush=True,
        )


def run() -> None:
    """Runs this command."""
    flags.run(main, EvalConfig)


if __name__ == "__main__":
    run()
