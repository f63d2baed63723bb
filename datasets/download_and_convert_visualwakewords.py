"""Converts COCO photos to TFRecords of Visual Wake Words."""

import json
import os
import pathlib

import tensorflow.compat.v1 as tf

from datasets import download_and_convert_visualwakewords_lib as lib
from datasets.converting import coco, conversion, picture_folders, sources
from datasets.dataset_factory import datasets_map
from slimbase.errors import UserError

_NUM_SHARDS = {"train": 100, "val": 10}
# Bytes of what COCO publishes.
_SIZES = {
    lib.COCO_TRAIN_URL: 13_510_573_713,
    lib.COCO_VALIDATION_URL: 6_645_013_297,
    lib.COCO_ANNOTATIONS_URL: 252_872_794,
}


def run(
    dataset_dir: str | os.PathLike[str],
    small_object_area_threshold: float = 0.005,
    foreground_class_of_interest: str = "person",
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    strict: bool = False,
    coco_dirname: str = "coco_dataset",
    coco_train_url: str = lib.COCO_TRAIN_URL,
    coco_validation_url: str = lib.COCO_VALIDATION_URL,
    coco_annotations_url: str = lib.COCO_ANNOTATIONS_URL,
) -> None:
    """Writes 100 training shards, 10 validation shards, labels.txt and annotations.

    Photos are read out of COCO's archives, which are not unpacked. What is downloaded,
    20 GB, stays: another thing of interest needs the same photos.

    Args:
      dataset_dir: where; does nothing if they are there already.
      small_object_area_threshold: what an object's share of the photo's area must
        exceed, to count.
      foreground_class_of_interest: a category of COCO.
      source_dir: holds COCO's three archives or what is in them, `train2014`,
        `val2014` and `annotations`, or those of 2017, which are split otherwise;
        without it the archives of 2014 are downloaded.
      mirror: where to download them instead.
      strict: makes a photo that can't be used an error.
      coco_dirname: where below `dataset_dir` downloads are put, and looked for.
      coco_train_url: of the archive of training photos.
      coco_validation_url: of the archive of validation photos.
      coco_annotations_url: of the archive of annotations.

    Raises:
      UserError: for an unknown category, or naming what is missing or damaged.
    """
    if not 0 <= small_object_area_threshold < 1:
        raise UserError(
            f"--small_object_area_threshold is {small_object_area_threshold}; expected "
            "a share of the photo's area, at least 0 and less than 1"
        )
    downloads = pathlib.Path(dataset_dir, coco_dirname)
    year = coco.year_of(pathlib.Path(source_dir or downloads))
    train_url, validation_url, annotations_url = (
        url.replace("2014", year)
        for url in (coco_train_url, coco_validation_url, coco_annotations_url)
    )

    def find(url: str) -> pathlib.Path:
        published = sources.Published(url, size=_SIZES.get(url))
        return sources.find_file(published, downloads, source_dir, mirror)

    def read(work: pathlib.Path) -> conversion.Content:
        del work  # Downloads are to outlast the conversion.
        source = coco.Source(pathlib.Path(source_dir or downloads), find)
        splits, files, paths = {}, {}, []
        for split, url in (("train", train_url), ("val", validation_url)):
            name = f"instances_{split}{year}.json"
            with source.annotations(name, annotations_url) as file:
                annotations = lib.wakewords(
                    file,
                    name,
                    small_object_area_threshold,
                    foreground_class_of_interest,
                )
            photos = lib.labelled_photos(annotations, name)
            splits[split] = _split(photos, source.photos(f"{split}{year}", url))
            place = source.place(f"{split}{year}", url)
            paths.append(source.place(f"annotations/{name}", annotations_url))
            paths += [place / p.name for p in photos] if place.is_dir() else [place]
            files[f"instances_visualwakewords_{split}{year}.json"] = json.dumps(
                annotations
            ).encode()
        names = lib.class_names(foreground_class_of_interest)
        stamp = picture_folders.stamp(paths)
        return conversion.Content(names, splits, files, stamp=stamp)

    conversion.convert(
        datasets_map["visualwakewords"],
        dataset_dir,
        read,
        _NUM_SHARDS,
        strict=strict,
        settings={
            "small_object_area_threshold": small_object_area_threshold,
            "foreground_class_of_interest": foreground_class_of_interest,
            **({} if year == coco.PUBLISHED_YEAR else {"coco_year": year}),
        },
    )


def _split(photos: list[lib.Photo], load: coco.Loader) -> conversion.SplitPlan:
    def encode(index: int) -> tf.train.Example:
        return photos[index].example(load(photos[index].name))

    labels = [photo.label for photo in photos]
    return conversion.SplitPlan(labels, [photo.name for photo in photos], encode)
