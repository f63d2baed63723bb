"""Options of download_and_convert_data.py and build_imagenet_data.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder:
    """Options of the converter `folder`."""

    title: ClassVar = "Your own pictures (folder)"

    csv_file: str | None = option(
        None,
        "Lines of path,label or path,label,split, instead of folders; paths are "
        "relative to --source_dir, or to the file.",
    )
    labels_file: str | None = option(
        None, "labels.txt of another set, whose class numbers are kept."
    )
    validation_fraction: float = option(
        0.2, "Share of each class for validation, where the folder has no splits."
    )
    test_fraction: float = option(0.0, "Share of each class for testing, likewise.")
    dry_run: bool = option(
        False, "Show the layout, the classes and the splits; write nothing."
    )
    group_by: str | None = option(
        None,
        "Keep pictures of a group in one split: parent for those of the same folder, "
        "or a regular expression, as 'patient[0-9]+', for those in whose names it "
        "matches the same.",
    )
    allow_near_copies: bool = option(
        False,
        "Do not look for near copies (resized, encoded anew), which otherwise are kept "
        "in one split.",
    )
    seed: int = option(0, "Decides which pictures these are, and the order of all.")
    num_shards: int | None = option(
        None, "Files per split; by default some of at most 128 MB.", at_least=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tfds:
    """Options of the converter `tfds`."""

    title: ClassVar = "tensorflow_datasets (tfds)"

    tfds_name: str | None = option(
        None, "With tfds: NAME or NAME:VERSION, as tensorflow_datasets has it."
    )
    tfds_data_dir: str | None = option(
        None, "With tfds: where that keeps what it downloads and prepares."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisualWakeWords:
    """Options of the converter `visualwakewords`."""

    title: ClassVar = "visualwakewords"

    small_object_area_threshold: float = option(
        0.005, "With visualwakewords: least share of a picture that an object covers."
    )
    foreground_class_of_interest: str = option(
        "person", "With visualwakewords: the class that is or is not in a picture."
    )
    coco_dirname: str = option(
        "coco_dataset", "With visualwakewords: where in --dataset_dir COCO is put."
    )
    coco_train_url: str = option(
        "http://images.cocodataset.org/zips/train2014.zip", "See --coco_dirname."
    )
    coco_validation_url: str = option(
        "http://images.cocodataset.org/zips/val2014.zip", "See --coco_dirname."
    )
    coco_annotations_url: str = option(
        "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
        "See --coco_dirname.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig(Folder, Tfds, VisualWakeWords):
    """Options of download and conversion.

    Those behind `dataset_dir` go to the converters that take them.
    """

    title: ClassVar = "Conversion"

    dataset_name: str | None = option(
        None, "Data set; unknown names list all. folder for pictures of your own."
    )
    dataset_dir: str | None = option(None, "Where the records are written.")
    source_dir: str | None = option(
        None,
        "Directory of the set's archives, or of what is in them; read and left as it "
        "is. By default they are downloaded.",
    )
    mirror: str | None = option(
        None,
        "Directory or URL that has the archives; by default what the environment "
        "variable SLIMZOO_MIRROR says, or where they were published.",
    )
    strict: bool = option(
        False, "Stop at a picture that cannot be used, instead of leaving it out."
    )
    name: str | None = option(
        None, "What a set that is made with folder or tfds is called from then on."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildImagenetConfig:
    """Options of the conversion of ImageNet from directories that are named."""

    title: ClassVar = "Conversion"

    train_directory: str = option(
        "/tmp/",
        "Training pictures: folders of synsets, tar archives of such names, or the "
        "published archive itself.",
    )
    validation_directory: str = option(
        "/tmp/",
        "Validation pictures: folders of synsets, one folder, or the archive itself.",
    )
    output_directory: str = option("/tmp/", "Where the records are written.")
    train_shards: int = option(1024, "Files of training records.", at_least=1)
    validation_shards: int = option(128, "Files of validation records.", at_least=1)
    num_threads: int = option(8, "Without effect: all cores are used.", at_least=1)
    labels_file: str = option(
        "imagenet_lsvrc_2015_synsets.txt",
        "Synsets in the order of their labels, from 1; without it, as published.",
    )
    imagenet_metadata_file: str = option(
        "imagenet_metadata.txt",
        "Lines of synset, tabulator and words; without it, as published.",
    )
    bounding_box_file: str = option(
        "./imagenet_2012_bounding_boxes.csv",
        "Bounding boxes: CSV as process_bounding_boxes.py writes it, or an archive or "
        "a folder of XML files; without it there are none.",
    )
