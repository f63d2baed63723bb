"""Writes what programs know into the tables of README.md and docs/.

    python -m tools.update_readme

A table stands between a pair of comments that name it. slimzoo/zoo/networks.json, which
list_models.py reads, is written too.
"""

import dataclasses
import json
import re
import typing
from collections.abc import Callable
from typing import Any

from datasets.config import BuildImagenetConfig, ConvertConfig
from nets import addresses
from nets.published import PublishedCheckpoint
from preprocessing.preprocessing_factory import RECIPES
from slimbase.command_line import usage
from slimzoo.config.average import AverageConfig
from slimzoo.config.benchmark import BenchmarkConfig
from slimzoo.config.check import CheckConfig
from slimzoo.config.classify import ClassifyConfig
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.export import ExportConfig
from slimzoo.config.train import TrainConfig
from slimzoo.config.zoo import DownloadConfig, ListConfig
from slimzoo.zoo import listing, networks, tables
from tools import imports
from tools.markdown import ROOT

# Each script that has flags, with its config.
COMMANDS = {
    "train_image_classifier.py": TrainConfig,
    "eval_image_classifier.py": EvalConfig,
    "export_inference_graph.py": ExportConfig,
    "classify_image.py": ClassifyConfig,
    "download_and_convert_data.py": ConvertConfig,
    "average_checkpoints.py": AverageConfig,
    "check_dataset.py": CheckConfig,
    "download_checkpoint.py": DownloadConfig,
    "list_models.py": ListConfig,
    "benchmark.py": BenchmarkConfig,
    "datasets/build_imagenet_data.py": BuildImagenetConfig,
}
EXPORTS = ROOT / "tools" / "exports.json"


def _models() -> str:
    return tables.FORMATS["markdown"](networks.rows())


def _networks() -> str:
    rows = [
        [
            f"`{network.name}`",
            "x".join(map(str, network.input_shape)),
            str(network.classes),
            f"`{','.join(network.classifier_scopes)}`",
            _link(network.paper),
        ]
        for network in networks.find()
    ]
    titles = ["network", "input", "classes", "classifier scopes", "paper"]
    return tables.markdown([titles, *rows], numeric=[2])


def _checkpoints() -> str:
    rows = [_cells(c) for network in networks.find() for c in network.checkpoints]
    titles = [
        *("network", "width", "size", "date", "bits", "top-1", "top-5"),
        *("classes", "preprocessing", "archive", "also from"),
    ]
    return tables.markdown([titles, *rows], numeric=[1, 2, 4, 5, 6, 7])


def _cells(checkpoint: PublishedCheckpoint) -> list[str]:
    return [
        f"`{checkpoint.network}`",
        str(checkpoint.depth_multiplier or ""),
        str(checkpoint.image_size),
        checkpoint.date or "",
        "8" if checkpoint.quantized else "32",
        str(checkpoint.top1 or ""),
        str(checkpoint.top5 or ""),
        str(checkpoint.classes),
        checkpoint.preprocessing,
        _link(checkpoint.url),
        ", ".join(addresses.kinds(checkpoint)[1:]),
    ]


def _nodes() -> str:
    measured = _exports()
    rows = [
        [
            f"`{network.name}`",
            "x".join(map(str, network.input_shape)),
            network.preprocessing,
            f"`{measured[network.name]['output']}`",
            f"`{measured[network.name]['logits']}`",
        ]
        for network in networks.find()
        if network.name in measured
    ]
    return tables.markdown(
        [["network", "input", "preprocessing", "output", "logits"], *rows]
    )


def _ranges() -> str:
    rows = [
        [recipe.name, recipe.value_range, _each(recipe.mean), _each(recipe.scale)]
        for _, recipe in sorted(RECIPES.items())
    ]
    titles = ["preprocessing", "values", "mean, of 0 to 255", "scale"]
    return tables.markdown([titles, *rows])


def _each(value: float | tuple[float, ...] | None) -> str:
    if value is None:
        return "of each picture"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _conversions() -> str:
    measured = _exports()
    rows = []
    for network in networks.find():
        facts = measured.get(network.name)
        if not facts:  # measure_exports_test.py complains.
            continue
        tools = [facts["freeze_graph"], facts["optimize_for_inference"]]
        lite = facts["tflite"]  # Bytes, or why there is no file.
        size = f"{lite / 1e6:,.1f}" if isinstance(lite, int) else f"{lite}"
        rows.append([f"`{network.name}`", *("yes" if t else "no" for t in tools), size])
    titles = ["network", "`freeze_graph`", "`optimize_for_inference`", "tflite, MB"]
    return tables.markdown([titles, *rows], numeric=[3])


def _flags() -> str:
    parts = []
    for command, config in COMMANDS.items():
        types = typing.get_type_hints(config)
        parts.append(f"## {command}")
        for title, fields in usage.groups(config).items():
            rows = [_flag(field, types[field.name]) for field in fields]
            parts.append(tables.markdown([[title, "default", ""], *rows]))
    return "\n\n".join(parts)


def _flag(field: dataclasses.Field, annotation: Any) -> list[str]:
    value = usage.default(field)
    about = field.metadata["help"].replace("|", "\\|")
    if usage.kind(annotation) is bool:
        state = {True: "on", False: "off", None: ""}[value]
        return [f"`--[no]{usage.flag_name(field)}`", state, about]
    shown = "" if value in (None, "") else f"`{value}`"
    return [f"`--{usage.flag_name(field)}`", shown, about]


def _drawing() -> str:
    return f"```mermaid\n{imports.drawing()}\n```"


def _floors() -> str:
    rows = [
        [str(number), f"`{imports.title(room)}`", imports.purpose(room)]
        for number, floor in reversed([*enumerate(imports.FLOORS, 1)])
        for room in floor
    ]
    return tables.markdown([["floor", "room", ""], *rows])


def _exports() -> dict[str, dict[str, Any]]:
    return json.loads(EXPORTS.read_text("utf-8"))


def _link(url: str) -> str:
    return f"[{url.rstrip('/').rpartition('/')[2]}]({url})"


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"models": _models},
    "docs/networks.md": {"networks": _networks, "checkpoints": _checkpoints},
    "docs/flags.md": {"flags": _flags},
    "docs/architecture.md": {"floors": _floors, "drawing": _drawing},
    "docs/export.md": {"nodes": _nodes, "ranges": _ranges, "exports": _conversions},
}


def updated(text: str, name: str, table: str) -> str:
    """`text` with `table` between the comments `<!-- name` and `<!-- end of name`.

    Raises:
      ValueError: if they are not there.
    """
    pair = rf"(?s)(<!-- {name}\b.*?-->\n)(.*?)(<!-- end of {name} -->)"
    result, count = re.subn(pair, lambda m: f"{m[1]}\n{table}\n\n{m[3]}", text)
    if count != 1:
        raise ValueError(f"expected one pair of comments for {name}, found {count}")
    return result


def main() -> None:
    """Updates the files."""
    for file, builders in TABLES.items():
        path = ROOT / file
        text = path.read_text("utf-8")
        for name, build in builders.items():
            text = updated(text, name, build())
        path.write_text(text, "utf-8")
    listing.RECORD.write_text(listing.record(networks.rows()), "utf-8")


if __name__ == "__main__":
    main()
