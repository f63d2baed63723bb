"""Makes tf_slim 1.1.0 work on today's TensorFlow when it is imported."""

import slimbase.compat  # noqa: F401  Importing it is all there is to do.
