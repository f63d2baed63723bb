"""Whether an exported network answers as its checkpoint does."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from slimbase.errors import UserError
from slimzoo.exporting.examples import Examples
from slimzoo.formats.predictor import Port
from slimzoo.formats.runtimes import Opening
from slimzoo.formats.saved_model import BYTES_SIGNATURE, SavedModel
from slimzoo.formats.writers import FORMATS

_BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """What an exported network may differ by.

    Attributes:
      difference: largest difference of any probability, as a share of the image's
        largest one.
      agreement: least share of images with the same top-1.
    """

    difference: float = np.inf
    agreement: float = 0.0

    def __str__(self) -> str:
        texts = []
        if np.isfinite(self.difference):
            texts.append(f"{self.difference:g} of it")
        if self.agreement:
            texts.append(f"an agreement of at least {self.agreement:.0%}")
        return f"expected {' and '.join(texts) or 'numbers'}"


# 32-bit floats differ by the order of sums only. The effect of rounding to fewer bits
# depends on the network, so that equal answers are counted.
_BY_DIFFERENCE = {
    "float32": Tolerance(difference=1e-3),
    "float16": Tolerance(difference=0.2),
}


def tolerance(quantization: str, min_agreement: float, examples: Examples) -> Tolerance:
    """The tolerance for networks whose numbers are quantized in some way.

    Args:
      quantization: one of `trained.QUANTIZATIONS`.
      min_agreement: least agreement on real images, on which differences say little.
        Noise is not counted: it has no meaningful top-1.
      examples: the images shown to the network.
    """
    least = min_agreement if examples.are_real else 0.0
    return _BY_DIFFERENCE.get(quantization) or Tolerance(agreement=least)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How an exported network's answers differ from the checkpoint's.

    Attributes:
      what: what was run.
      count: number of images.
      difference: largest difference of any probability, as a share of the image's
        largest one.
      agreement: share of images with the same top-1.
    """

    what: str
    count: int
    difference: float
    agreement: float

    def __str__(self) -> str:
        return (
            f"largest difference {self.difference:.2g} of the largest probability, "
            f"top-1 agreement {self.agreement:.1%}"
        )

    def within(self, tolerance: Tolerance) -> bool:
        """Whether they are the same for practical purposes; not if not a number."""
        return (
            self.difference <= tolerance.difference
            and self.agreement >= tolerance.agreement
        )


def compare(what: str, expected: np.ndarray, actual: np.ndarray) -> Comparison:
    """Compares probabilities `[count, classes]`."""
    largest = expected.max(axis=-1, keepdims=True)
    same = expected.argmax(axis=-1) == actual.argmax(axis=-1)
    difference = np.max(np.abs(actual - expected) / largest)
    return Comparison(what, len(expected), float(difference), float(same.mean()))


@dataclasses.dataclass(frozen=True)
class Written:
    """What was found in a file that was written.

    Attributes:
      inputs: the file's inputs.
      outputs: the file's outputs.
      probabilities: `[count, classes]` of all images, by what was run.
    """

    inputs: list[Port]
    outputs: list[Port]
    probabilities: dict[str, np.ndarray]


def run_written(format_name: str, path: pathlib.Path, examples: Examples) -> Written:
    """Opens what was written as evaluation and classification do, and runs it.

    Args:
      format_name: a key of `FORMATS`.
      path: the path of what was written.
      examples: the images shown to the network.
    """
    form = FORMATS[format_name]
    # Clips have a dimension more.
    opening = Opening(runtime=form.runtimes[0], input_rank=examples.images.ndim)
    with form.open(str(path), opening) as network:
        answers = {form.reader: in_batches(network.probabilities, examples.images)}
        if isinstance(network, SavedModel) and examples.contents:
            answers[BYTES_SIGNATURE] = in_batches(
                network.probabilities_of_files, examples.contents
            )
        inputs, outputs = network.ports()
    return Written(inputs, outputs, answers)


def in_batches(
    run: Callable[[Any], np.ndarray], values: Sequence[Any] | np.ndarray
) -> np.ndarray:
    """The results of `run` for all values, a few at a time."""
    starts = range(0, len(values), _BATCH_SIZE)
    return np.concatenate([run(values[i : i + _BATCH_SIZE]) for i in starts])


def check(
    comparisons: Iterable[Comparison], bounds: Tolerance, advice: str = ""
) -> None:
    """Checks that all are within the tolerance.

    Raises:
      UserError: names the first that is not.
    """
    for comparison in comparisons:
        if not comparison.within(bounds):
            raise UserError(
                f"{comparison.what} answers otherwise than the checkpoint on "
                f"{comparison.count} pictures: {comparison}, but {bounds}. "
                f"Nothing was written.{advice}"
            )
