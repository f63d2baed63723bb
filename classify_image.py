r"""Names what is in pictures: files, directories or globs.

python classify_image.py --checkpoint_path=/tmp/train photo.jpg 'holiday/*.jpg'
python classify_image.py --graph=/tmp/frozen.pb --model_name=mobilenet_v1 \
    --labels=/tmp/flowers/labels.txt photos/
"""

import sys

from slimzoo import cli
from slimzoo.config import ClassifyConfig
from slimzoo.errors import UserError


def main(config: ClassifyConfig, pictures: list[str]) -> None:
    """Prints the likeliest classes of each picture, with their probabilities."""
    from slimzoo.classify import classify  # TensorFlow takes seconds; --help does not.

    bad = 0
    for answer in classify(config, pictures):
        if answer.error:
            bad += 1
            print(f"{answer.path}: {answer.error}", file=sys.stderr)
            continue
        print(answer.path)
        for name, probability in answer.classes:
            print(f"  {probability:7.2%}  {name}")
    if bad:
        raise UserError(f"{bad} pictures could not be read")


if __name__ == "__main__":
    cli.run(main, ClassifyConfig, operands="pictures")
