r"""Names what is in pictures: files, directories, globs, or `-` for names on stdin.

python classify_image.py --checkpoint_path=/tmp/train photo.jpg 'holiday/*.jpg'
python classify_image.py --graph=/tmp/frozen.pb --model_name=mobilenet_v1 \
    --labels=/tmp/flowers/labels.txt photos/

Takes the flags of TensorFlow's label_image, too. The exit status is the number of
pictures that could not be read, at most 100.
"""

import contextlib
import io
import sys
from collections.abc import Iterator

from slimbase.command_line import flags
from slimzoo.config.classify import ClassifyConfig

MOST_BAD = 100  # Statuses above 125 have meanings for shells.


def main(config: ClassifyConfig, pictures: list[str]) -> int:
    """Prints the likeliest classes of each picture, with their probabilities."""
    # TensorFlow takes seconds to import; --help does not.
    from slimbase import files
    from slimbase.text import counted
    from slimzoo.classification import answers
    from slimzoo.classification.classify import Answer, classify

    count = bad = 0

    def report_bad(found: Iterator[Answer]) -> Iterator[Answer]:
        nonlocal count, bad
        for answer in found:
            count += 1
            if answer.error:
                bad += 1
                print(f"{answer.path}: {answer.error}", file=sys.stderr)
            yield answer

    found = report_bad(classify(config, pictures))
    lines = answers.lines(found, config.format, config.top_k, config.logits)
    with contextlib.ExitStack() as stack:
        if config.output_file:
            path = stack.enter_context(files.replacing(config.output_file))
            output = stack.enter_context(
                path.open("w", encoding="utf-8", errors="surrogateescape")
            )
        else:
            output = sys.stdout
            if isinstance(output, io.TextIOWrapper):  # Names need not be UTF-8.
                output.reconfigure(errors="surrogateescape")
        for line in lines:
            print(line, file=output)
    if config.output_file:
        unread = f", {bad} of which could not be read" if bad else ""
        answered = counted(count, "picture")
        print(f"{config.output_file}: {answered}{unread}", file=sys.stderr)
    return min(bad, MOST_BAD)


def run() -> None:
    """Runs this command."""
    flags.run(main, ClassifyConfig, operands="pictures")


if __name__ == "__main__":
    run()
