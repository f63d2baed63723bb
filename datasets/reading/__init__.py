"""From records to batches: the input pipeline and its checks."""
