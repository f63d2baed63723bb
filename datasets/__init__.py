"""Data sets: descriptors, converters and the input pipeline."""

import slimzoo.compat  # noqa: F401  tf_slim needs it on today's TensorFlow.
