"""What evaluation counts, exactly, one batch after the other."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from slimbase.text import number

TOP_K = 5
CALIBRATION_BINS = 15


def headline(means: Mapping[str, float], num_classes: int | None) -> str:
    """`Metrics.means` in a line; top-5 where it says something."""
    told = f"top-1 {means['top_1']:.2%}"
    if num_classes is None or num_classes > TOP_K:
        told += f", top-5 {means['top_5']:.2%}"
    return f"{told}, loss {means['loss']:.4f}"


class Metrics:
    """Sums over the images seen so far.

    Attributes:
      count: number of images.
      top_1: images whose label has the highest logit.
      top_5: images whose label is among the five highest, or all if there are fewer.
      loss: sum of the cross entropies, in nats.
      confusion: int64 `[classes, classes]`, images by label and by answer.
      bin_counts: images by the probability of their answer, in `CALIBRATION_BINS`
        bins of equal width.
      bin_confidences: sums of these probabilities.
      bin_hits: those of the images whose answer is right.
    """

    def __init__(self, num_classes: int):
        self.count = self.top_1 = self.top_5 = 0
        self.loss = 0.0
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.bin_counts = np.zeros(CALIBRATION_BINS, np.int64)
        self.bin_confidences = np.zeros(CALIBRATION_BINS)
        self.bin_hits = np.zeros(CALIBRATION_BINS, np.int64)

    def add(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Counts a batch.

        Of equal logits the first ranks first. Images with a logit that is not finite
        count as wrong, and the loss is not a number then; they are not in `confusion`
        and the bins.

        Args:
          logits: float `[batch, classes]`.
          labels: int `[batch]`.

        Returns:
          Probabilities, float64 `[batch, classes]`, not a number for such images.
        """
        sound = np.all(np.isfinite(logits), axis=1)
        logits = np.where(sound[:, None], logits.astype(np.float64), np.nan)
        classes = np.arange(logits.shape[1])
        own = np.take_along_axis(logits, labels[:, None], axis=1)
        first = classes < labels[:, None]
        ahead = np.logical_or(logits > own, np.logical_and(logits == own, first))
        rank = np.where(sound, ahead.sum(axis=1), len(classes))
        self.count += len(labels)
        self.top_1 += int((rank < 1).sum())
        self.top_5 += int((rank < min(TOP_K, len(classes))).sum())
        peak = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - peak).sum(axis=1, keepdims=True)) + peak
        self.loss += float((log_sum - own).sum())
        probabilities = np.exp(logits - log_sum)
        if sound.any():
            answers = logits[sound].argmax(axis=1)
            self._add_answers(answers, probabilities[sound].max(axis=1), labels[sound])
        return probabilities

    def _add_answers(self, answers, confidences, labels):
        np.add.at(self.confusion, (labels, answers), 1)
        # The bin of (a, b] has b in it.
        bins = np.ceil(confidences * CALIBRATION_BINS).astype(int) - 1
        bins = np.clip(bins, 0, CALIBRATION_BINS - 1)
        np.add.at(self.bin_counts, bins, 1)
        np.add.at(self.bin_confidences, bins, confidences)
        np.add.at(self.bin_hits, bins, answers == labels)

    def means(self) -> dict[str, float]:
        """Count, and the shares and the mean loss over it."""
        return {
            "count": self.count,
            "top_1": self.top_1 / self.count,
            "top_5": self.top_5 / self.count,
            "loss": self.loss / self.count,
        }

    def per_class(self) -> "PerClass":
        """How well each class is told from the others."""
        hits = np.diag(self.confusion)
        support = self.confusion.sum(axis=1)
        answered = self.confusion.sum(axis=0)
        return PerClass(
            precision=_share(hits, answered),
            recall=_share(hits, support),
            f1=_share(2 * hits, support + answered),
            support=support,
        )

    def calibration(self) -> "Calibration":
        """How far probabilities are from shares of right answers."""
        confidence = _share(self.bin_confidences, self.bin_counts)
        accuracy = _share(self.bin_hits, self.bin_counts)
        gaps = self.bin_counts * np.abs(confidence - accuracy)
        return Calibration(
            edges=np.linspace(0, 1, CALIBRATION_BINS + 1),
            counts=self.bin_counts,
            confidence=confidence,
            accuracy=accuracy,
            error=float(np.nansum(gaps) / max(1, self.bin_counts.sum())),
        )


@dataclasses.dataclass(frozen=True)
class PerClass:
    """What is known of each class; all `[classes]`.

    Attributes:
      precision: share of the images that were given this class and are of it; not a
        number where there are none.
      recall: share of the images of this class that were given it; likewise.
      f1: harmonic mean of the two; likewise where the class is neither there nor given.
      support: images of this class.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    def averages(self) -> dict[str, dict[str, float]]:
        """Of precision, recall and F1 over the classes that are there or were given.

        As is usual, a share of nothing counts as zero. `macro` counts every class
        alike, `weighted` by its support.
        """
        involved = ~np.isnan(self.f1)
        weights = {"macro": involved, "weighted": np.where(involved, self.support, 0)}
        return {
            kind: {
                name: float(np.average(np.nan_to_num(getattr(self, name)), weights=w))
                if w.any()
                else float("nan")
                for name in ("precision", "recall", "f1")
            }
            for kind, w in weights.items()
        }


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Probabilities of answers beside the shares of right ones (Guo et al. 2017).

    Attributes:
      edges: of the bins, `[bins + 1]`.
      counts: images per bin.
      confidence: mean probability of the answers per bin; not a number where it is
        empty.
      accuracy: share of right answers per bin; likewise.
      error: expected calibration error, the mean distance of the two over all images.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "expected_calibration_error": self.error,
            "bins": [
                {
                    "from": float(self.edges[i]),
                    "to": float(self.edges[i + 1]),
                    "count": int(count),
                    "confidence": number(self.confidence[i]),
                    "accuracy": number(self.accuracy[i]),
                }
                for i, count in enumerate(self.counts)
            ],
        }


def _share(part, whole):
    with np.errstate(invalid="ignore"):
        return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
