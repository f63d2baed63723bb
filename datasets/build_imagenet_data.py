r"""Converts ImageNet's pictures to TFRecords, from directories that flags name.

python datasets/build_imagenet_data.py --train_directory=train \
  --validation_directory=validation --output_directory=records

See `download_and_convert_data.py --dataset_name=imagenet` for archives and the usual
names of folders.
"""

import dataclasses
import pathlib
import sys

if not __package__:  # Run as a script, from anywhere.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import logging

from datasets.config import BuildImagenetConfig
from slimbase.command_line import flags
from slimbase.errors import UserError


class ImageCoder:
    """Makes pictures such as records have them; of the original, for its callers."""

    def png_to_jpeg(self, image_data: bytes) -> bytes:
        """Encodes a picture as RGB JPEG, unless it is one."""
        from datasets.storage.encoding import encode_picture

        return encode_picture(image_data, formats=("jpeg",)).content

    def cmyk_to_rgb(self, image_data: bytes) -> bytes:
        """Encodes a picture as RGB JPEG, unless it is one."""
        return self.png_to_jpeg(image_data)

    def decode_jpeg(self, image_data: bytes):
        """Decodes a picture to uint8 `[height, width, 3]`."""
        from slimbase.pictures import decode

        return decode.decode(image_data)


def main(config: BuildImagenetConfig) -> None:
    """Writes the records of both splits."""
    from datasets import download_and_convert_imagenet
    from datasets.ilsvrc import classes as imagenet_classes

    splits = {
        "train": pathlib.Path(config.train_directory),
        "validation": pathlib.Path(config.validation_directory),
    }
    for split, path in splits.items():
        if not path.exists():
            raise UserError(f"--{split}_directory={path} is not there")
    classes = imagenet_classes.read_classes(
        _given(config, "labels_file") or imagenet_classes.SYNSETS_FILE,
        _given(config, "imagenet_metadata_file") or imagenet_classes.WORDS_FILE,
    )
    boxes = _given(config, "bounding_box_file")
    if not boxes:
        logging.warning(
            "There is no %s: records will have no boxes", config.bounding_box_file
        )
    download_and_convert_imagenet.convert(
        config.output_directory,
        classes,
        splits,
        [boxes] if boxes else [],
        {"train": config.train_shards, "validation": config.validation_shards},
    )


def _given(config: BuildImagenetConfig, name: str) -> pathlib.Path | None:
    """The file that a flag names; None if it is a default that is not there."""
    value = getattr(config, name)
    path = pathlib.Path(value)
    if path.exists():
        return path
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    # The original's own lists, wherever its copies of them were.
    is_built_in = name != "bounding_box_file" and path.name == defaults[name]
    if value != defaults[name] and not is_built_in:
        raise UserError(f"--{name}={value} is not there")
    return None


if __name__ == "__main__":
    flags.run(main, BuildImagenetConfig)
