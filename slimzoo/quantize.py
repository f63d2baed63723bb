"""Quantization-aware training, in place of `tf.contrib.quantize`."""

from slimzoo.formats.lite import with_learned_ranges as to_tflite
from slimzoo.model.quantize import for_inference, for_training

__all__ = ["for_inference", "for_training", "to_tflite"]
