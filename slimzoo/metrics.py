"""What evaluation counts, exactly, one batch after the other."""

import dataclasses

import numpy as np

TOP_K = 5


@dataclasses.dataclass
class Metrics:
    """Sums over the images seen so far.

    Attributes:
      count: number of images.
      top_1: images whose label has the highest logit.
      top_5: images whose label is among the five highest, or all if there are fewer.
      loss: sum of the cross entropies, in nats.
    """

    count: int = 0
    top_1: int = 0
    top_5: int = 0
    loss: float = 0.0

    def add(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Counts a batch.

        Of equal logits the first ranks first. Images with a logit that is not finite
        count as wrong, and the loss is not a number then.

        Args:
          logits: float `[batch, classes]`.
          labels: int `[batch]`.
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

    def means(self) -> dict[str, float]:
        """Count, and the shares and the mean loss over it."""
        totals = dataclasses.asdict(self)
        return {
            name: total if name == "count" else total / self.count
            for name, total in totals.items()
        }
