"""Records what timm's models compute, so that their import is tested without PyTorch.

Run it in an environment of its own, where PyTorch, timm and safetensors are:

    python -m tools.record_timm

It writes `slimzoo/zoo/ports/timm_record.json`: names and shapes of the parameters, and
logits for values that `slimzoo/zoo/ports/timm_values.py` makes from names and shapes.
With `--write_weights=DIRECTORY` it also saves each model's `model.safetensors` and
`config.json` there, as timm publishes them.
"""

import argparse
import contextlib
import json
import pathlib
import unittest.mock
from collections.abc import Iterator
from typing import Any

import numpy as np
import timm
import torch
from timm.layers import pool2d_same

from slimzoo.zoo.ports import timm_values

RECORD = pathlib.Path("slimzoo/zoo/ports/timm_record.json")
# By timm's name: arguments, and height and width in pixels.
MODELS = {
    "inception_v3": ({"aux_logits": True}, 299),
    "inception_v4": ({}, 107),
    "inception_resnet_v2": ({}, 107),
    "nasnetalarge": ({}, 99),
    "pnasnet5large": ({}, 99),
    "tf_mobilenetv3_large_075": ({}, 96),
    "tf_mobilenetv3_large_100": ({}, 96),
    "tf_mobilenetv3_large_minimal_100": ({}, 96),
    "tf_mobilenetv3_small_075": ({}, 96),
    "tf_mobilenetv3_small_100": ({}, 96),
    "tf_mobilenetv3_small_minimal_100": ({}, 96),
}


def main() -> None:
    """Writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write_weights", type=pathlib.Path, default=None)
    directory = parser.parse_args().write_weights
    models = {
        name: _record(name, arguments, size, directory)
        for name, (arguments, size) in MODELS.items()
    }
    versions = {"timm": timm.__version__, "torch": torch.__version__}
    lines = ",\n".join(f" {json.dumps(n)}: {json.dumps(m)}" for n, m in models.items())
    text = f'{{"versions": {json.dumps(versions)},\n"models": {{\n{lines}\n}}}}\n'
    temporary = RECORD.with_suffix(".writing")
    temporary.write_text(text, "utf-8")
    temporary.rename(RECORD)


def _record(
    name: str, arguments: dict[str, bool], size: int, directory: pathlib.Path | None
) -> dict[str, object]:
    """What is recorded of a model, see `timm_values.Recorded`."""
    model = timm.create_model(name, **arguments).eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    values = timm_values.values(shapes, scaled="inception" not in name)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in values.items()})
    pictures = torch.from_numpy(timm_values.pictures(size).transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        logits = _logits(model, pictures)
        with _as_here():
            as_here = _logits(model, pictures)
    if directory is not None:
        _write(directory / name, model, size)
    difference = float(abs(logits - as_here).max())
    print(f"{name}: logits differ by {difference:.3g} of {abs(as_here).max():.3g}")
    return {
        "image_size": size,
        "scaled": "inception" not in name,
        "shapes": timm_values.packed(shapes),
        "logits": [round(float(v), 6) for v in logits],
        "logits_as_here": [round(float(v), 6) for v in as_here],
    }


def _logits(model: torch.nn.Module, pictures: torch.Tensor) -> np.ndarray:
    output = model(pictures)
    if isinstance(output, tuple):  # With those of the auxiliary classifier.
        output, _ = output
    return output[0].numpy()[timm_values.RECORDED_CLASSES]


@contextlib.contextmanager
def _as_here() -> Iterator[None]:
    """What our networks compute otherwise with the same weights.

    Padding does not count in average pools, and a gate is 0.16667 of relu6.
    """
    pool = torch.nn.functional.avg_pool2d

    def plain(
        x: torch.Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        *others: Any,
        **arguments: Any,
    ) -> torch.Tensor:
        del others, arguments  # ceil_mode, which none sets, and count_include_pad.
        return pool(x, kernel_size, stride, padding, count_include_pad=False)

    def padded_by_hand(
        self: pool2d_same.AvgPool2dSame, x: torch.Tensor
    ) -> torch.Tensor:
        # The average with zeros, divided by the share that is in the picture.
        window = self.kernel_size, self.stride
        ones = pool2d_same.pad_same(torch.ones_like(x), *window)
        return pool(pool2d_same.pad_same(x, *window), *window) / pool(ones, *window)

    def gate(x: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        del inplace
        return torch.nn.functional.relu6(x + 3) * 0.16667

    patch = unittest.mock.patch.object
    with (
        patch(torch.nn.functional, "avg_pool2d", plain),
        patch(torch.nn.functional, "hardsigmoid", gate),
        patch(pool2d_same.AvgPool2dSame, "forward", padded_by_hand),
    ):
        yield


def _write(directory: pathlib.Path, model: torch.nn.Module, size: int) -> None:
    from safetensors.torch import save_file
    from timm.models._hub import save_config_for_hf

    directory.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), directory / "model.safetensors", {"format": "pt"})
    size_there = {"input_size": (3, size, size)}
    save_config_for_hf(model, directory / "config.json", data_config=size_there)


if __name__ == "__main__":
    main()
