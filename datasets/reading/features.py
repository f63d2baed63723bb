"""The features of a record, and what is wrong with picture and label among them."""

import math
from collections.abc import Mapping
from typing import Any

import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from datasets.storage import foreign
from slimbase.text import listed

PICTURE_KEY, LABEL_KEY = "image/encoded", "image/class/label"
FORMAT_KEY, FILENAME_KEY = "image/format", "image/filename"
# How a feature holds values of a type, and what they are called.
_KINDS = {
    tf.int64: ("int64_list", "integer"),
    tf.float32: ("float_list", "float"),
    tf.string: ("bytes_list", "string"),
}
_MOST_KEYS = 12
_MOST_VALUES = 4
_MOST_BYTES = 20  # Of a string.


def parse(content: bytes) -> Any:
    """The features by key, `tf.train.Feature`; None if it is no `tf.train.Example`."""
    try:
        return tf.train.Example.FromString(content).features.feature
    except DecodeError:
        return None


def text(feature: tf.train.Feature) -> str:
    """The first string of a feature, to be shown; empty if there is none."""
    return first(feature).decode("utf-8", "backslashreplace")


def first(feature: tf.train.Feature) -> bytes:
    """The first string of a feature; empty if there is none."""
    return next(iter(feature.bytes_list.value), b"")


def no_example(content: bytes) -> str:
    """What a record is that `parse` cannot read."""
    kind = foreign.file_kind(content[: foreign.START_BYTES])
    return f"it is no tf.train.Example{f', but {kind}' if kind else ''}"


def picture_fault(content: bytes, features: Any) -> str:
    """Why there is no picture in a record; empty if there is one."""
    feature = features[PICTURE_KEY]
    values = feature.bytes_list.value
    if len(values) == 1 and values[0]:
        return ""
    if not feature.WhichOneof("kind"):
        return f"it has no picture in {PICTURE_KEY}{_instead(content, features)}"
    if len(values) == 1:
        return f"it has no picture in {PICTURE_KEY}: that is empty"
    return f"{PICTURE_KEY} should be one file: it is {_described(feature)}"


def label_fault(content: bytes, features: Any) -> str:
    """Why the label of a record can't be used; empty if it can."""
    if not features[LABEL_KEY].WhichOneof("kind"):
        return f"it has no label in {LABEL_KEY}{_instead(content, features)}"
    return misfit(features, {LABEL_KEY: tf.FixedLenFeature([], tf.int64)})


def misfit(features: Any, specifications: Mapping[str, Any]) -> str:
    """Which feature is of another type or number than `tf.parse_example` is to take.

    Args:
      features: those of a record, by key.
      specifications: what `tf.parse_example` is given, by key.

    Returns:
      What is wrong with the first such feature; empty if all fit.
    """
    for key, specification in specifications.items():
        if key not in features or specification.dtype not in _KINDS:
            continue
        feature = features[key]
        kind = feature.WhichOneof("kind")
        if not kind:
            continue
        expected, things = _KINDS[specification.dtype]
        is_one = isinstance(specification, tf.FixedLenFeature)
        is_one = is_one and math.prod(specification.shape) == 1
        if kind != expected or (is_one and len(getattr(feature, kind).value) != 1):
            should = f"one {things}" if is_one else f"{things}s"
            return f"{key} should be {should}: it is {_described(feature)}"
    return ""


def _instead(content: bytes, features: Any) -> str:
    """What a record has, to follow what it has not."""
    # Asking for a key has put it there.
    keys = sorted(key for key in features if features[key].WhichOneof("kind"))
    found = f"; it has {listed(keys, _MOST_KEYS) or 'no features'}"
    try:
        lists = tf.train.SequenceExample.FromString(content).feature_lists.feature_list
    except DecodeError:
        return found
    return f"{found}, and is a tf.train.SequenceExample" if lists else found


def _described(feature: tf.train.Feature) -> str:
    """The type and the values of a feature."""
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value)
    [things] = [f"{things}s" for of_kind, things in _KINDS.values() if of_kind == kind]
    if not values:
        return f"an empty list of {things}"
    if kind == "bytes_list":
        values = [repr(value[:_MOST_BYTES])[1:] for value in values]
    elif kind == "float_list":
        values = [f"{value:g}" for value in values]
    return f"a list of {things}, {listed(values, _MOST_VALUES)}"
