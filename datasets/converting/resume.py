"""What a directory holds before a conversion: all of it, a part, or something else."""

import itertools
import json
import pathlib
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from absl import logging

from datasets import dataset_utils, registry
from datasets.storage import manifests
from datasets.storage.manifests import Manifest
from datasets.storage.records import WORK_DIRECTORY
from slimbase import files
from slimbase.errors import UserError

BAD_FILES_FILENAME = "bad_files.txt"

_ELSEWHERE = "Choose another --dataset_dir, or delete that one."


def is_done(
    dataset: registry.Descriptor,
    directory: pathlib.Path,
    numbers: Mapping[str, int],
    strict: bool,
    settings: Mapping[str, Any],
) -> bool:
    """Whether `directory` holds all of a data set, by its manifest or its files' names.

    Args:
      dataset: what it should hold.
      directory: where.
      numbers: of files by split; empty for whatever there are.
      strict: whether no picture may have been left out.
      settings: what else decided the records.

    Raises:
      UserError: if it holds another data set, or this one made otherwise.
    """
    manifest = manifests.read_manifest(directory)
    present = manifest.dataset or dataset.name
    if present != dataset.name:
        raise UserError(
            f"{directory} holds the data set {present}. Choose another --dataset_dir "
            f"for {dataset.name}."
        )
    labels = directory / dataset_utils.LABELS_FILENAME
    if manifest.settings is None:
        names = _names(dataset, numbers)
        is_unfinished = (directory / WORK_DIRECTORY).exists()
        expected = [labels, *(directory / name for name in names)]
        return bool(names) and not is_unfinished and all(p.exists() for p in expected)
    for split in manifest.splits.values():
        for shard in split.shards:
            path = directory / shard.name
            if not path.exists() or path.stat().st_size != shard.bytes:
                return False
    if not labels.exists():
        return False
    _check_same(dataset, directory, manifest, numbers, settings)
    if strict and any(split.skipped for split in manifest.splits.values()):
        raise UserError(
            f"{directory} holds the data set {dataset.name} without the pictures of "
            f"{BAD_FILES_FILENAME}, and --strict asks for all. Mend or remove these. "
            f"{_ELSEWHERE}"
        )
    return True


def _check_same(
    dataset: registry.Descriptor,
    directory: pathlib.Path,
    manifest: Manifest,
    numbers: Mapping[str, int],
    settings: Mapping[str, Any],
) -> None:
    files = {name: len(split.shards) for name, split in manifest.splits.items()}
    wanted = json.loads(json.dumps({**settings, "files": numbers}))
    present = {**(manifest.settings or {}), "files": numbers and files}
    for key, value in wanted.items():
        if present.get(key, value) != value:
            raise UserError(
                f"{directory} holds the data set {dataset.name}, converted with {key} "
                f"{present[key]}, not {value}. {_ELSEWHERE}"
            )


def refuse_others(
    dataset: registry.Descriptor,
    directory: pathlib.Path,
    plan: Mapping[str, Iterable[str]],
    extra: Mapping[str, bytes],
) -> None:
    """Keeps files that people have, and records of another conversion from being ours.

    Args:
      dataset: what is to be written.
      directory: where.
      plan: names of the record files by split.
      extra: contents of further files by name.

    Raises:
      UserError: naming a file that is in the way.
    """
    for split, names in plan.items():
        pattern = dataset.file_pattern.replace("%s", split)
        others = {path.name for path in directory.glob(pattern)} - set(names)
        if others:
            raise UserError(
                f"{directory} has {min(others)}, which is not one of the files that "
                "are to be written. Choose another --dataset_dir, or delete what is "
                "left of another conversion."
            )
    if manifests.read_manifest(directory).dataset:
        return  # What is there is from an earlier conversion.
    for name, content in extra.items():
        path = directory / name
        if path.exists() and path.read_bytes() != content:
            raise UserError(
                f"{path} is there already, and is not of this conversion. Move it "
                "away, or choose another --dataset_dir."
            )


def go_on_or_start(unfinished: pathlib.Path, plan: Any) -> None:
    """Keeps what an earlier run left of the same plan; else clears it away.

    Args:
      unfinished: the directory that it wrote to.
      plan: all that decides what is written, as JSON.
    """
    path = unfinished / "plan.json"
    try:
        if json.loads(path.read_text("utf-8")) == json.loads(json.dumps(plan)):
            logging.info("Going on with the conversion that was interrupted")
            return
    except (OSError, ValueError):
        pass
    shutil.rmtree(unfinished, ignore_errors=True)
    files.write_json(path, plan)


def _names(dataset: registry.Descriptor, numbers: Mapping[str, int]) -> list[str]:
    names = (dataset.shard_names(split, number) for split, number in numbers.items())
    return list(itertools.chain.from_iterable(names))
