"""Weights of the classes in the loss."""

import pathlib
from collections.abc import Sequence

import numpy as np
from absl import logging

from datasets.reading import bad_records, pipeline
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError, unknown
from slimzoo.model.called import ClassFinder
from slimzoo.model.info import ModelInfo

BALANCED = "balanced"
_MOST_SHOWN = 20  # Classes.


def read(
    wanted: str | None, info: ModelInfo, dataset: StoredSplit
) -> np.ndarray | None:
    """The weight of each class, float32 `[classes]`; None for equal weights.

    Args:
      wanted: None; 'balanced' for weights inverse to the classes' frequencies in
        `dataset`, with mean 1 over its pictures; or a file of lines `class:weight`,
        class a name, or else a number, which must give every class a weight.
      info: facts about the network, with the number of classes.
      dataset: split that is trained on.

    Raises:
      UserError: for a file that is not of such lines, or a class without pictures.
    """
    if wanted is None:
        return None
    names = info.labels or [str(i) for i in range(info.num_classes or 0)]
    weights = (
        _balanced(info, dataset, names)
        if wanted == BALANCED
        else _from_file(wanted, names)
    )
    shown = [
        f"{name} {weight:.3g}" for name, weight in zip(names, weights, strict=True)
    ]
    logging.info("Class weights: %s", ", ".join(shown[:_MOST_SHOWN]))
    return np.asarray(weights, np.float32)


def _balanced(
    info: ModelInfo, dataset: StoredSplit, names: Sequence[str]
) -> np.ndarray:
    counts = count(dataset)[info.labels_offset :]
    if missing := [n for n, c in zip(names, counts, strict=True) if not c]:
        raise UserError(
            f"--class_weights={BALANCED}: there are no pictures of {missing[0]} to "
            "train on; give a file of weights"
        )
    return counts.sum() / (len(counts) * counts)


def count(dataset: StoredSplit) -> np.ndarray:
    """The number of records with each label, int `[classes]`.

    Raises:
      UserError: for a record without a label, or a label below 0.
    """
    counts = np.zeros(dataset.num_classes, np.int64)
    for paths, positions, labels in pipeline.labels(dataset):
        for i in np.flatnonzero(labels < 0)[:1]:
            place, in_range = (paths[i].decode(), int(positions[i])), range(len(counts))
            fault = bad_records.label_fault(*place, int(labels[i]), in_range)
            raise bad_records.error_of(fault, 0, len(counts))
        counts += np.bincount(labels, minlength=len(counts))[: len(counts)]
    return counts


def _from_file(path: str, names: Sequence[str]) -> list[float]:
    try:
        lines = pathlib.Path(path).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read --class_weights={path}: {error}; give a file of lines "
            f"`class:weight`, or '{BALANCED}'"
        ) from error
    find = ClassFinder(names, path)
    weights: dict[int, float] = {}
    lines_of: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, _, value = line.rpartition(":")
        try:
            weight = float(value)
            if not (key and 0 <= weight < float("inf")):
                raise ValueError
        except ValueError as error:
            raise UserError(
                f"{path}, line {number}: expected `class:weight`, got {line!r}"
            ) from error
        classes = find(name := key.strip())
        if not classes:
            raise unknown(f"{path}, line {number}: no class {name!r}", name, names)
        if twice := lines_of.keys() & classes:
            at = min(twice)
            raise UserError(
                f"{path}, line {number}: the class {names[at]} has a weight already, "
                f"by line {lines_of[at]}. A class that is called by a number has that "
                "name, if there is such a name: leave one of the lines."
            )
        weights |= dict.fromkeys(classes, weight)
        lines_of |= dict.fromkeys(classes, number)
    if missing := [name for i, name in enumerate(names) if i not in weights]:
        raise UserError(f"{path} gives no weight for the class {missing[0]}")
    return [weights[i] for i in range(len(names))]
