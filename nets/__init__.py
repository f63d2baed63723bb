"""Networks, one module per architecture family, known by name to `nets_factory`."""

import slimzoo.compat  # noqa: F401  tf_slim needs it on today's TensorFlow.
