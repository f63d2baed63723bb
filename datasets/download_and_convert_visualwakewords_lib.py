"""Visual Wake Words out of COCO: which photos have the thing, and their records."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_utils
from datasets.converting import coco, picture_folders
from datasets.converting.boxes import upright
from datasets.storage import encoding
from slimbase import errors, files
from slimbase.errors import UserError
from slimbase.pictures import decode

COCO_TRAIN_URL = "http://images.cocodataset.org/zips/train2014.zip"
COCO_VALIDATION_URL = "http://images.cocodataset.org/zips/val2014.zip"
COCO_ANNOTATIONS_URL = (
    "http://images.cocodataset.org/annotations/annotations_trainval2014.zip"
)

_OBJECT = {"area": coco.AREA, "bbox": coco.BOX}
_LABELLED = {
    "label": coco.Field(lambda x: type(x) is int and x in (0, 1), "0 or 1"),
    "objects": coco.Field(lambda x: type(x) is list, "a list"),
}


class Photo(NamedTuple):
    """A photo of COCO: what is known of it, its label, and the objects that count."""

    image: Mapping[str, Any]
    label: int
    objects: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """That of its file."""
        return self.image["file_name"]

    def example(self, content: bytes) -> tf.train.Example:
        """The record, but for the file's name; photo and boxes turned as EXIF says.

        Args:
          content: of the file.

        Raises:
          PictureError: if it can't be used.
        """
        width, height = self.image["width"], self.image["height"]
        stored = decode.look(content)
        if (stored.width, stored.height) != (width, height):
            raise decode.PictureError(
                f"is {stored.width} x {stored.height}, but its boxes are for "
                f"{width} x {height}"
            )
        encoded = encoding.encode_picture(content, formats=("jpeg",))
        example = dataset_utils.image_to_tfexample(
            encoded.content,
            encoded.format.encode(),
            encoded.height,
            encoded.width,
            self.label,
        )
        boxes = [thing["bbox"] for thing in self.objects]
        corners = [(x, y, x + w, y + h) for x, y, w, h in boxes]
        sides = np.array(corners).reshape(-1, 4) / [width, height, width, height]
        xmin, ymin, xmax, ymax = upright(sides, stored.orientation).T
        floats = {
            "bbox/xmin": xmin,
            "bbox/xmax": xmax,
            "bbox/ymin": ymin,
            "bbox/ymax": ymax,
            "area": [thing["area"] for thing in self.objects],
        }
        digest = hashlib.sha256(encoded.content).hexdigest()
        features = example.features.feature
        features["image/source_id"].bytes_list.value[:] = [b"%d" % self.image["id"]]
        features["image/key/sha256"].bytes_list.value[:] = [digest.encode()]
        for key, values in floats.items():
            features[f"image/object/{key}"].float_list.value[:] = values
        return example


def download_coco_dataset(
    dataset_dir: str | os.PathLike[str],
    coco_train_url: str = COCO_TRAIN_URL,
    coco_validation_url: str = COCO_VALIDATION_URL,
    coco_annotations_url: str = COCO_ANNOTATIONS_URL,
) -> None:
    """Downloads COCO 2014, of 20 GB, and unpacks it, both into `dataset_dir`.

    Raises:
      UserError: if an archive can't be had or is damaged.
    """
    for url in (coco_train_url, coco_validation_url, coco_annotations_url):
        dataset_utils.download_and_uncompress_zipfile(url, dataset_dir)


def class_names(foreground_class_of_interest: str) -> list[str]:
    """The names of the two classes, by number."""
    return ["background", foreground_class_of_interest]


def create_labels_file(
    foreground_class_of_interest: str,
    visualwakewords_labels_file: str | os.PathLike[str],
) -> None:
    """Writes the names of the two classes, as `dataset_utils.read_label_file` reads."""
    path = pathlib.Path(visualwakewords_labels_file)
    names = dict(enumerate(class_names(foreground_class_of_interest)))
    dataset_utils.write_label_file(names, path.parent, path.name)


def create_visual_wakeword_annotations(
    annotations_file: str | os.PathLike[str],
    visualwakewords_annotations_file: str | os.PathLike[str],
    small_object_area_threshold: float,
    foreground_class_of_interest: str,
) -> None:
    """Writes which photos of COCO have the thing of interest; see `wakewords`.

    Args:
      annotations_file: COCO's `instances_*.json`.
      visualwakewords_annotations_file: what to write.
      small_object_area_threshold: what an object's share of the photo's area must
        exceed, to count.
      foreground_class_of_interest: a category of COCO.

    Raises:
      UserError: if the file is not COCO's or has no such category.
    """
    with _opened(annotations_file) as file:
        annotations = wakewords(
            file,
            str(annotations_file),
            small_object_area_threshold,
            foreground_class_of_interest,
        )
    with files.replacing(visualwakewords_annotations_file) as path:
        path.write_text(json.dumps(annotations), "utf-8")


def create_tf_record_for_visualwakewords_dataset(
    annotations_file: str | os.PathLike[str],
    image_dir: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    num_shards: int,
) -> None:
    """Writes the records of photos to `<output_path>-00000-of-<num_shards>` and so on.

    Photos that can't be used are left out and logged.

    Args:
      annotations_file: what `create_visual_wakeword_annotations` wrote.
      image_dir: has the photos.
      output_path: what the names of all shards start with.
      num_shards: how many files to write; photos go to them in turn.

    Raises:
      UserError: if `annotations_file` is not what it should be.
    """
    with _opened(annotations_file) as file:
        annotations = coco.load_annotations(file, str(annotations_file))
    photos = labelled_photos(annotations, str(annotations_file))
    with contextlib.ExitStack() as stack:
        writers = dataset_utils.open_sharded_output_tfrecords(
            stack, os.fspath(output_path), num_shards
        )
        for index, photo in enumerate(photos):
            try:
                content = decode.load(pathlib.Path(image_dir, photo.name))
                example = photo.example(content)
            except decode.PictureError as error:
                logging.warning("%s %s: left out", photo.name, error)
                continue
            filename = dataset_utils.bytes_feature(os.fsencode(photo.name))
            example.features.feature["image/filename"].CopyFrom(filename)
            writers[index % num_shards].write(example.SerializeToString())


def wakewords(
    file: IO,
    place: str,
    small_object_area_threshold: float,
    foreground_class_of_interest: str,
) -> dict[str, Any]:
    """Labels the photos of COCO by whether they have a thing that is large enough.

    Args:
      file: COCO's annotations, open for reading.
      place: what to call them in messages.
      small_object_area_threshold: what an object's share of the photo's area must
        exceed.
      foreground_class_of_interest: a category of COCO.

    Returns:
      `images` and the one category of `categories` as they are in COCO, and in
      `annotations` by the id of the photo its `label`, 0 or 1, and `objects` with
      the `area` and the `bbox` of each.

    Raises:
      UserError: if the file is not COCO's or has no such category.
    """
    content = coco.load_annotations(file, place)
    images = coco.rows(content, "images", coco.IMAGE, place)
    categories = {
        row["name"]: row
        for row in coco.rows(content, "categories", coco.CATEGORY, place)
    }
    if foreground_class_of_interest not in categories:
        message = f"{place} has no category {foreground_class_of_interest!r}"
        raise errors.unknown(message, foreground_class_of_interest, categories)
    category = categories[foreground_class_of_interest]
    objects = defaultdict(list)
    for row in coco.rows(content, "annotations", coco.ANNOTATION, place):
        if row["category_id"] == category["id"]:
            objects[row["image_id"]].append({key: row[key] for key in _OBJECT})
    annotations = {}
    for image in images:
        least = small_object_area_threshold * image["height"] * image["width"]
        large = [thing for thing in objects[image["id"]] if thing["area"] > least]
        annotations[str(image["id"])] = {"objects": large, "label": int(bool(large))}
    return {"images": images, "annotations": annotations, "categories": [category]}


def labelled_photos(annotations: Mapping[str, Any], place: str) -> list[Photo]:
    """The photos that `wakewords` has listed.

    Raises:
      UserError: if they are not what they should be.
    """
    by_id = annotations.get("annotations")
    if type(by_id) is not dict:
        raise UserError(f"{place} has no annotations by photo")
    photos = []
    for image in coco.rows(annotations, "images", coco.IMAGE, place):
        picture_folders.check_name(image["file_name"], "the folder of photos")
        where = f"{place}, photo {image['id']}"
        row = coco.checked(by_id.get(str(image["id"])), _LABELLED, where)
        objects = coco.rows(row, "objects", _OBJECT, where)
        photos.append(Photo(image, row["label"], objects))
    return photos


def _opened(path: str | os.PathLike[str]) -> IO:
    try:
        return pathlib.Path(path).open("rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
