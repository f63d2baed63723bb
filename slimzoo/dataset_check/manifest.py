"""Compares records with the manifest that their converter wrote."""

import functools
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from datasets.storage import shards
from datasets.storage.manifests import ListedShard, ListedSplit, Manifest
from slimbase.text import counted
from slimzoo.dataset_check.found import Found


def compare(found: Found, name: str, manifest: Manifest) -> list[str]:
    """The differences of a split from the manifest, a sentence each.

    Args:
      found: findings in the records.
      name: name of the split; if it was not found, its files are gone.
      manifest: the manifest of the directory.
    """
    listed = manifest.splits.get(name, ListedSplit())
    if name not in found.splits:
        of_files = counted(len(listed.shards), "file")
        records = counted(listed.count or 0, "record")
        return [f"no record files are there; the manifest has {records} in {of_files}"]
    directory = pathlib.Path(found.dataset_dir)
    with ThreadPoolExecutor() as pool:
        texts = pool.map(functools.partial(_compare_shard, directory), listed.shards)
        return [*_compare_counts(found, name, listed), *filter(None, texts)]


def _compare_counts(found: Found, name: str, listed: ListedSplit) -> Iterator[str]:
    split = found.splits[name]
    if listed.count is not None and listed.count != split.count:
        count = counted(split.count, "record")
        yield f"{count}; the manifest has {listed.count:,}"
    for label, expected in enumerate(listed.per_class):
        if split.per_class[label] != expected:
            yield (
                f"{counted(split.per_class[label], 'picture')} of class {label} "
                f"({found.names.get(label, 'unknown')}); the manifest has {expected:,}"
            )


def _compare_shard(directory: pathlib.Path, listed: ListedShard) -> str:
    path = directory / listed.name
    if not path.is_file():
        return f"{path} is missing; the manifest has it"
    size = path.stat().st_size
    if listed.bytes is not None and listed.bytes != size:
        return f"{path} has {counted(size, 'byte')}; the manifest has {listed.bytes:,}"
    if listed.sha256 not in (None, shards.sha256(path)):
        return f"{path} is not as it was written: it has another checksum"
    return ""
