"""What all formats have in common when they run."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities `[batch, classes]` of logits."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
