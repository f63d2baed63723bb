"""Placing a model's copies on devices and machines."""

import slimbase.compat  # noqa: F401  tf_slim needs it on today's TensorFlow.
