"""Streams of serialized records, of `tf.data`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from datasets.storage.records import Stretch

_READ_BUFFER_BYTES = 256 << 10

# See `pipeline`.
_as_it_is = tf.autograph.experimental.do_not_convert


class Share(NamedTuple):
    """The records of a stretch that one worker reads: all, or each so many-th.

    Attributes:
      path: the record file; see `Stretch`.
      position: number of the stretch's first record, int64 as all that follow.
      offset: the stretch's begin, in bytes.
      count: number of records of the stretch.
      first: the first record to read, counted from the stretch's begin.
      step: distance from one record to read to the next.
    """

    path: Any
    position: Any
    offset: Any
    count: Any
    first: Any = 0
    step: Any = 1


def shares(stretches: Sequence[Stretch], index: int, count: int) -> list[Share]:
    """What worker `index` of `count` reads: nothing that another one reads.

    Workers have as many whole files each; of the files that remain, each record goes to
    the next worker.
    """
    numbers = {
        path: i for i, path in enumerate(dict.fromkeys(s.path for s in stretches))
    }
    whole = len(numbers) - len(numbers) % count
    shares = []
    for stretch in stretches:
        number = numbers[stretch.path]
        if number >= whole:
            first = (index - number - stretch.position) % count
            shares.append(Share(*stretch, first, count))
        elif number % count == index:
            shares.append(Share(*stretch))
    return shares


def slices(tuples: Sequence[Any]) -> tf.data.Dataset:
    """A data set of named tuples of a path and integers."""
    paths, *integers = zip(*tuples, strict=True)
    columns = [tf.constant(column, tf.int64) for column in integers]
    return tf.data.Dataset.from_tensor_slices((list(paths), *columns))


def read_share(share: Share, workers: int = 1) -> tf.data.Dataset:
    """Reads the records of a share, whose attributes are tensors."""
    # `tf.data.TFRecordDataset` cannot begin within a file.
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=[share.path],
        compression_type="",
        buffer_size=_READ_BUFFER_BYTES,
        byte_offsets=[share.offset],
    )
    spec = tf.TensorSpec([], tf.string)
    records = tf.data.experimental.from_variant(variant, spec).take(share.count)
    return records if workers == 1 else records.shard(share.step, share.first)


def located(stretches: Sequence[Stretch], most: int | None = None) -> tf.data.Dataset:
    """(path, position, record) of all records, or of the first ones of each stretch."""

    @_as_it_is
    def of_stretch(*parts: tf.Tensor) -> tf.data.Dataset:
        share = Share(*parts)
        records = read_share(share).take(-1 if most is None else most)
        return records.enumerate(share.position).map(
            _as_it_is(lambda position, record: (share.path, position, record))
        )

    return slices(stretches).flat_map(of_stretch)
