"""Compares records with the manifest that their converter wrote."""

import functools
import pathlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from datasets.storage import shards
from slimbase.text import counted
from slimzoo.dataset_check.found import Found


def compare(found: Found, name: str, manifest: Mapping[str, Any]) -> list[str]:
    """The differences of a split from the manifest, a sentence each.

    Args:
      found: findings in the records.
      name: name of the split; if it was not found, its files are gone.
      manifest: content of `manifest.json`.
    """
    listed = manifest.get("splits", {}).get(name, {})
    if name not in found.splits:
        of_files = counted(len(listed.get("shards", ())), "file")
        records = counted(listed["count"], "record")
        return [f"no record files are there; the manifest has {records} in {of_files}"]
    directory = pathlib.Path(found.dataset_dir)
    with ThreadPoolExecutor() as pool:
        texts = pool.map(
            functools.partial(_compare_shard, directory), listed.get("shards", ())
        )
        return [*_compare_counts(found, name, listed), *filter(None, texts)]


def _compare_counts(
    found: Found, name: str, listed: Mapping[str, Any]
) -> Iterator[str]:
    split = found.splits[name]
    if listed.get("count", split.count) != split.count:
        count = counted(split.count, "record")
        yield f"{count}; the manifest has {listed['count']:,}"
    for label, expected in enumerate(listed.get("per_class", ())):
        if split.per_class[label] != expected:
            yield (
                f"{counted(split.per_class[label], 'picture')} of class {label} "
                f"({found.names.get(label, 'unknown')}); the manifest has {expected:,}"
            )


def _compare_shard(directory: pathlib.Path, listed: Mapping[str, Any]) -> str:
    path = directory / listed["name"]
    if not path.is_file():
        return f"{path} is missing; the manifest has it"
    size = path.stat().st_size
    if listed.get("bytes", size) != size:
        return (
            f"{path} has {counted(size, 'byte')}; the manifest has {listed['bytes']:,}"
        )
    if listed.get("sha256") not in (None, shards.sha256(path)):
        return f"{path} is not as it was written: it has another checksum"
    return ""
