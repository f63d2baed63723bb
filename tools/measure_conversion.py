r"""Measures conversion against decoding each picture in a session, as the original did.

python -m tools.measure_conversion flower_photos

Both convert the same folder of JPEG files, one after the other, several times; records
are compared.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import tensorflow.compat.v1 as tf

from datasets import dataset_utils, download_and_convert_folder

_REPEATS = 5


def _in_session(source: pathlib.Path, target: pathlib.Path) -> None:
    """One picture after the other, each decoded to learn its size."""
    photos = sorted(source.glob("*/*.jpg"))
    class_names = sorted({photo.parent.name for photo in photos})
    with tf.Graph().as_default(), tf.Session() as session:
        content = tf.placeholder(tf.string)
        decoded = tf.image.decode_jpeg(content, channels=3)
        with tf.io.TFRecordWriter(str(target / "records")) as writer:
            for photo in photos:
                encoded = tf.gfile.GFile(str(photo), "rb").read()
                height, width, _ = session.run(decoded, {content: encoded}).shape
                label = class_names.index(photo.parent.name)
                example = dataset_utils.image_to_tfexample(
                    encoded, b"jpg", height, width, label
                )
                writer.write(example.SerializeToString())


def _ours(source: pathlib.Path, target: pathlib.Path) -> None:
    download_and_convert_folder.run(target, source)


def _content(target: pathlib.Path) -> list[tuple]:
    found = []
    for path in [*target.glob("*.tfrecord"), *target.glob("records")]:
        for record in tf.io.tf_record_iterator(str(path)):
            feature = tf.train.Example.FromString(record).features.feature
            numbers = (
                feature[f"image/{key}"].int64_list.value[0]
                for key in ("class/label", "height", "width")
            )
            found.append((feature["image/encoded"].bytes_list.value[0], *numbers))
    return sorted(found)


def main(source: pathlib.Path) -> None:
    """Prints pictures per second of both, medians and spread, and their ratio."""
    rates = {_in_session: [], _ours: []}
    for _ in range(_REPEATS):
        contents = []
        for convert, measured in rates.items():
            with tempfile.TemporaryDirectory() as target:
                start = time.perf_counter()
                convert(source, pathlib.Path(target))
                seconds = time.perf_counter() - start
                contents.append(_content(pathlib.Path(target)))
            measured.append(len(contents[-1]) / seconds)
        if contents[0] != contents[1]:
            sys.exit("the records differ")
    ratios = [ours / other for other, ours in zip(*rates.values(), strict=True)]
    for name, values in zip(
        ("in a session", "ours", "ratio"), (*rates.values(), ratios), strict=True
    ):
        middle = statistics.median(values)
        print(f"{name:12} {middle:8.1f} ({min(values):.1f} to {max(values):.1f})")
    print(f"{len(contents[0])} records of equal content in each of {_REPEATS} pairs")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
