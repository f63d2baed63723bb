"""TensorFlow without the messages that it logs while it starts."""

from slimbase.quiet import start_tensorflow

__all__ = ["start_tensorflow"]
