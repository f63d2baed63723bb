"""Preprocessing recipes: from a decoded picture to what a network expects."""

import slimbase.compat  # noqa: F401  tf_slim needs it on today's TensorFlow.
