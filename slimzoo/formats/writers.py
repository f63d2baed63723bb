"""The formats that a trained network is written in and read from."""

import dataclasses
import pathlib
from collections.abc import Callable

from slimzoo.formats import frozen, keras_model, lite, onnx, runtimes, saved_model
from slimzoo.formats.predictor import Predictor
from slimzoo.formats.runtimes import Opening
from slimzoo.formats.trained import Settings, Trained


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of files, or of directories.

    Attributes:
      write: `f(trained, path, settings)` writes a network.
      open: `f(path, opening)` opens what was written, or the like from elsewhere.
      reader: what reads it, in words.
      runtimes: what computes it, as `--runtime` takes it.
      folds: whether batch norm is folded by default.
      suffix: the suffix that the file must have, as readers go by it.
      batch_size: the batch size by default.
    """

    write: Callable[[Trained, pathlib.Path, Settings], None]
    open: Callable[[str, Opening], Predictor]
    reader: str
    runtimes: tuple[str, ...] = (runtimes.TENSORFLOW,)
    folds: bool = True
    suffix: str = ""
    batch_size: int | None = None


FORMATS = {
    # People choose it for the names within the graph, so it is not folded by default.
    "frozen": Format(
        frozen.write,
        frozen.open_file,
        "TensorFlow",
        runtimes=(runtimes.TENSORFLOW, runtimes.ONNX_RUNTIME, runtimes.OPENVINO),
        folds=False,
    ),
    "saved_model": Format(
        saved_model.write, saved_model.open_file, saved_model.DEFAULT_SIGNATURE
    ),
    # Phones show one picture at a time, and their accelerators want fixed shapes.
    "tflite": Format(
        lite.write, lite.open_file, "LiteRT", suffix=".tflite", batch_size=1
    ),
    "onnx": Format(
        onnx.write,
        runtimes.open_onnx,
        "ONNX Runtime",
        runtimes=(runtimes.ONNX_RUNTIME, runtimes.OPENVINO),
        suffix=".onnx",
    ),
    "keras": Format(
        keras_model.write,
        keras_model.open_file,
        "Keras",
        folds=False,
        suffix=keras_model.SUFFIX,
    ),
}


def named_by(path: str) -> str:
    """The format that the suffix of `path` stands for; frozen if for none."""
    suffixes = {form.suffix: name for name, form in FORMATS.items() if form.suffix}
    return suffixes.get(pathlib.Path(path).suffix, "frozen")


def of_file(path: str) -> str:
    """The format of what is at `path`."""
    return "saved_model" if pathlib.Path(path).is_dir() else named_by(path)
