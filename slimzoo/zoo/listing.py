"""Lists networks without waiting for TensorFlow.

networks.json records the rows of all networks, as the registry has them, and a digest
of the files in `nets/` that they were made of. Where these files are others now,
TensorFlow is started and the registry is listed.
"""

import dataclasses
import hashlib
import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from slimbase import quiet
from slimbase.registry import TEST_MODULES
from slimzoo.config.zoo import ListConfig
from slimzoo.zoo import tables
from slimzoo.zoo.tables import NetworkRow

RECORD = pathlib.Path(__file__).with_name("networks.json")
NETS = pathlib.Path(__file__).resolve().parents[2] / "nets"


def listing(config: ListConfig, patterns: Sequence[str]) -> str:
    """The networks that match `patterns` in the format that `config` names.

    Raises:
      UserError: for an unknown format, or a pattern that no network matches.
    """
    return tables.FORMATS[config.format](rows(patterns))


def rows(patterns: Sequence[str] = ()) -> list[NetworkRow]:
    """The rows of the networks that match `patterns`, as `tables.matching` finds them.

    A program that has TensorFlow may have registered networks of its own, so the record
    is used only where TensorFlow was not imported.
    """
    found = None
    if "tensorflow" not in sys.modules:
        found = _recorded()
        if found is None:
            quiet.start_tensorflow()
    if found is None:
        from slimzoo.zoo import networks

        found = networks.rows()
    by_name = {row.name: row for row in found}
    return [by_name[name] for name in tables.matching(by_name, patterns)]


def record(rows: Sequence[NetworkRow]) -> str:
    """The content of networks.json for `rows` and the files that are in `nets/`."""
    lines = [json.dumps(dataclasses.asdict(row)) for row in rows]
    networks = ",\n    ".join(lines)
    return f'{{\n  "nets": "{_digest()}",\n  "rows": [\n    {networks}\n  ]\n}}\n'


def _recorded() -> list[NetworkRow] | None:
    """The rows in networks.json; None where `nets/` has changed since."""
    content: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    if content["nets"] != _digest():
        return None
    return [NetworkRow(**row) for row in content["rows"]]


def _digest() -> str:
    """A digest of the names and contents of the files that define the networks."""
    digest = hashlib.sha256()
    for path in sorted(_files()):
        digest.update(path.relative_to(NETS).as_posix().encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _files() -> Iterator[pathlib.Path]:
    """The modules of `nets/`, those of tests aside, and the tables beside them."""
    for path in NETS.rglob("*.py"):
        if not f".{path.stem}".endswith(TEST_MODULES):
            yield path
    yield from NETS.glob("*.csv")
    yield from NETS.glob("*.json")
