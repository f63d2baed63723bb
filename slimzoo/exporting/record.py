"""What is recorded beside an exported network, for programs and in words."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from preprocessing import preprocessing_factory
from slimzoo.exporting.examples import Examples
from slimzoo.exporting.verify import Comparison, Tolerance, Written
from slimzoo.formats.predictor import Port
from slimzoo.model.info import ModelInfo


def ports(written: Written, info: ModelInfo) -> dict[str, list[dict[str, Any]]]:
    """The `inputs` and `outputs`: names, shapes, types, and what inputs expect."""
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    inputs = []
    for port in written.inputs:
        row = _without_none(port)
        if port.dtype == "string":
            row["content"] = "JPEG, PNG, GIF or BMP files"
        else:
            row["preprocessing"] = recipe.framing
            row["value_range"] = recipe.value_range
        inputs.append(row)
    return {"inputs": inputs, "outputs": [_without_none(p) for p in written.outputs]}


def _without_none(port: Port) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(port).items() if v is not None}


def verification(
    comparisons: Sequence[Comparison], tolerance: Tolerance, examples: Examples
) -> dict[str, Any]:
    """The `verification`: images, tolerance and results."""
    bounds = {k: v for k, v in dataclasses.asdict(tolerance).items() if np.isfinite(v)}
    return {
        "pictures": examples.source,
        "tolerance": bounds,
        "results": [dataclasses.asdict(comparison) for comparison in comparisons],
    }


def report(record: dict[str, Any]) -> str:
    """The record that `export_trained` returns, in words."""
    height, width = record["image_size"]
    size = f"{height}x{width}"
    lines = [
        ("wrote", f"{record['file']}, {record['format']}, {record['bytes']:,} bytes"),
        ("network", f"{record['model_name']}, {record['num_classes']} classes"),
        ("pictures", f"{size}, preprocessing {record['preprocessing_name']}"),
    ]
    for kind in ("inputs", "outputs"):
        lines += [(kind[:-1], _port_text(port)) for port in record[kind]]
    if record["labels"]:
        names = record["labels"]
        lines.append(("class names", f"{names[0]} ... {names[-1]}"))
    for result in record["verification"]["results"]:
        lines.append(
            (
                "verified",
                f"by {result['what']} on {result['count']} pictures "
                f"({record['verification']['pictures']}): {Comparison(**result)}",
            )
        )
    return "\n".join(f"{title:12}{text}" for title, text in lines)


def _port_text(port: dict[str, Any]) -> str:
    shape = ", ".join("any" if n is None else str(n) for n in port["shape"])
    signature = port.get("signature")
    text = f"{signature}: " if signature else ""
    text += f"{port['name']}, {port['dtype']} [{shape}]"
    if "value_range" in port:
        text += f", {port['value_range']}"
    if "scale" in port:
        text += f" as (integer - {port['zero_point']}) * {port['scale']:.6g}"
    return text
