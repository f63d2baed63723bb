"""The counts of an evaluation, exact and batch by batch."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from slimbase.text import number

TOP_K = 5
CALIBRATION_BINS = 15


def headline(means: Mapping[str, float], num_classes: int | None) -> str:
    """`Metrics.means` in a line; top-5 where it says something."""
    text = f"top-1 {means['top_1']:.2%}"
    if num_classes is None or num_classes > TOP_K:
        text += f", top-5 {means['top_5']:.2%}"
    return f"{text}, loss {means['loss']:.4f}"


class Metrics:
    """Sums over the images seen so far.

    Attributes:
      count: number of images.
      top_1_hits: images whose label has the highest logit.
      top_5_hits: images whose label is among the five highest, or all if there are
        fewer.
      loss_sum: sum of the cross entropies, in nats.
      confusion: int64 `[classes, classes]`, images by label and by answer.
      bin_counts: images by the probability of their answer, in `CALIBRATION_BINS`
        bins of equal width.
      bin_confidences: sums of these probabilities.
      bin_hits: images of each bin whose answer is right.
    """

    def __init__(self, num_classes: int):
        self.count = self.top_1_hits = self.top_5_hits = 0
        self.loss_sum = 0.0
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.bin_counts = np.zeros(CALIBRATION_BINS, np.int64)
        self.bin_confidences = np.zeros(CALIBRATION_BINS)
        self.bin_hits = np.zeros(CALIBRATION_BINS, np.int64)

    def add(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Counts a batch.

        Of equal logits the first ranks first. Images with a logit that is not finite
        count as wrong and make the loss nan; `confusion` and the bins leave them out.

        Args:
          logits: float `[batch, classes]`.
          labels: int `[batch]`.

        Returns:
          Probabilities, float64 `[batch, classes]`, nan for such images.
        """
        sound = np.all(np.isfinite(logits), axis=1)
        logits = np.where(sound[:, None], logits.astype(np.float64), np.nan)
        classes = np.arange(logits.shape[1])
        own = np.take_along_axis(logits, labels[:, None], axis=1)
        first = classes < labels[:, None]
        ahead = np.logical_or(logits > own, np.logical_and(logits == own, first))
        rank = np.where(sound, ahead.sum(axis=1), len(classes))
        self.count += len(labels)
        self.top_1_hits += int((rank < 1).sum())
        self.top_5_hits += int((rank < min(TOP_K, len(classes))).sum())
        peak = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - peak).sum(axis=1, keepdims=True)) + peak
        self.loss_sum += float((log_sum - own).sum())
        probabilities = np.exp(logits - log_sum)
        if sound.any():
            answers = logits[sound].argmax(axis=1)
            self._add_answers(answers, probabilities[sound].max(axis=1), labels[sound])
        return probabilities

    def _add_answers(
        self, answers: np.ndarray, confidences: np.ndarray, labels: np.ndarray
    ) -> None:
        np.add.at(self.confusion, (labels, answers), 1)
        # The bin of (a, b] has b in it.
        bins = np.ceil(confidences * CALIBRATION_BINS).astype(int) - 1
        bins = np.clip(bins, 0, CALIBRATION_BINS - 1)
        np.add.at(self.bin_counts, bins, 1)
        np.add.at(self.bin_confidences, bins, confidences)
        np.add.at(self.bin_hits, bins, answers == labels)

    def means(self) -> dict[str, float]:
        """The count, the shares of hits and the mean loss."""
        return {
            "count": self.count,
            "top_1": self.top_1_hits / self.count,
            "top_5": self.top_5_hits / self.count,
            "loss": self.loss_sum / self.count,
        }

    def per_class(self) -> "PerClass":
        """Precision, recall and F1 of each class."""
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
        """Compares probabilities with shares of right answers."""
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
    """The scores of each class; all `[classes]`.

    Attributes:
      precision: share of the images answered with this class that are of it; nan where
        there are none.
      recall: share of the images of this class that are answered with it; nan where
        there are none.
      f1: harmonic mean of precision and recall; nan for a class that is neither a label
        nor an answer.
      support: number of images of this class.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    def averages(self) -> dict[str, dict[str, float]]:
        """Averages of precision, recall and F1 over the classes of labels and answers.

        As is usual, a share of nothing counts as zero. `macro` gives every class the
        same weight, `weighted` its support.
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
      edges: edges of the bins, `[bins + 1]`.
      counts: images per bin.
      confidence: mean probability of the answers per bin; nan for an empty bin.
      accuracy: share of right answers per bin; nan for an empty bin.
      error: expected calibration error, the mean distance of confidence and accuracy
        over all images.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float

    def as_dict(self) -> dict[str, Any]:
        """The calibration as values that JSON can hold."""
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


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, elementwise; nan where `whole` is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
